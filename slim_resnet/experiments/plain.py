"""ResNet V2 without its shortcuts: the plain networks that residual ones are compared with.

Not of slim or the post. Width, depth, strides and batch norms are the residual
networks' own, and so is the builder: a plain network is a table of `Block` with another
``unit_fn``. Take a residual unit's shortcut away, its projection included, and what is
left is this unit.
"""

import tensorflow as tf
import tf_slim as slim

from slim_resnet import compat, resnet_utils, resnet_v2


@slim.add_arg_scope
def bottleneck(inputs, depth, depth_bottleneck, stride, rate=1, outputs_collections=None,
               scope=None):
    """The residual branch of `resnet_v2.bottleneck`, with its arguments and result, alone.

    Its scope is a unique ``plain_v2``, so that no checkpoint of one fits the other.
    """
    with tf.compat.v1.variable_scope(scope, "plain_v2", [inputs]) as sc:
        net = slim.batch_norm(inputs, activation_fn=tf.nn.relu, scope="preact")
        net = slim.conv2d(net, depth_bottleneck, [1, 1], stride=1, scope="conv1")
        net = resnet_utils.conv2d_same(net, depth_bottleneck, 3, stride, rate=rate, scope="conv2")
        net = slim.conv2d(net, depth, [1, 1], stride=1, normalizer_fn=None, activation_fn=None,
                          scope="conv3")
        return compat.collect_named_outputs(outputs_collections, sc.name, net)


def plain_v2(inputs, blocks, num_classes=None, is_training=True, global_pool=True,
             include_root_block=True, reuse=None, scope="plain_v2"):
    """Builds a plain network; arguments and results are `resnet_v2.resnet_v2`'s."""
    return resnet_utils.build_resnet_v2(
        inputs, blocks, num_classes,
        unit_fn=bottleneck, stack_fn=resnet_utils.stack_blocks_dense,
        collection_suffix="_end_points",
        scope_advice="with slim.arg_scope(resnet_utils.resnet_arg_scope()): ...",
        is_training=is_training, global_pool=global_pool,
        include_root_block=include_root_block, reuse=reuse, scope=scope)


def plain_v2_block(scope, base_depth, num_units, stride):
    """Returns `resnet_v2.resnet_v2_block` with the plain unit."""
    block = resnet_v2.resnet_v2_block(scope, base_depth, num_units, stride)
    return block._replace(unit_fn=bottleneck)
