"""ResNet V2 without its shortcuts: the plain networks that residual ones are compared with.

Not of slim or the post. Width, depth, strides and batch norms are the residual
networks' own. Take a residual unit's shortcut away, its projection included, and what is
left is this unit.
"""

import tensorflow as tf
import tf_slim as slim

from slim_resnet import compat, resnet_utils, resnet_v2

tf1 = tf.compat.v1


@slim.add_arg_scope
def bottleneck(inputs, depth, depth_bottleneck, stride, rate=1, outputs_collections=None,
               scope=None):
    """The residual branch of `resnet_v2.bottleneck`, with its arguments and result, alone.

    Its scope is a unique ``plain_v2``, so that no checkpoint of one fits the other.
    """
    with tf1.variable_scope(scope, "plain_v2", [inputs]) as sc:
        net = slim.batch_norm(inputs, activation_fn=tf.nn.relu, scope="preact")
        net = slim.conv2d(net, depth_bottleneck, [1, 1], stride=1, scope="conv1")
        net = resnet_utils.conv2d_same(net, depth_bottleneck, 3, stride, rate=rate, scope="conv2")
        net = slim.conv2d(net, depth, [1, 1], stride=1, normalizer_fn=None, activation_fn=None,
                          scope="conv3")
        return compat.collect_named_outputs(outputs_collections, sc.name, net)


def plain_v2(inputs, blocks, num_classes=None, is_training=True, global_pool=True,
             include_root_block=True, reuse=None, scope="plain_v2"):
    """Builds a plain network; arguments and results are `resnet_v2.resnet_v2`'s."""
    resnet_utils.check_graph(inputs)
    resnet_utils.warn_outside_arg_scope("with slim.arg_scope(resnet_utils.resnet_arg_scope()): ...")
    with tf1.variable_scope(scope, "plain_v2", [inputs], reuse=reuse) as sc:
        end_points_collection = sc.original_name_scope + "_end_points"
        with slim.arg_scope([slim.conv2d, bottleneck, resnet_utils.stack_blocks_dense],
                            outputs_collections=end_points_collection), \
             slim.arg_scope([slim.batch_norm], is_training=is_training):
            net = inputs
            if include_root_block:
                with slim.arg_scope([slim.conv2d], activation_fn=None, normalizer_fn=None):
                    net = resnet_utils.conv2d_same(net, 64, 7, stride=2, scope="conv1")
                net = slim.max_pool2d(net, [3, 3], stride=2, scope="pool1")
            net = resnet_utils.stack_blocks_dense(net, blocks)
            net = slim.batch_norm(net, activation_fn=tf.nn.relu, scope="postnorm")
            if global_pool:
                net = tf.reduce_mean(net, [1, 2], name="pool5", keepdims=True)
            if num_classes is not None:
                net = slim.conv2d(net, num_classes, [1, 1], activation_fn=None,
                                  normalizer_fn=None, scope="logits")
            end_points = compat.convert_collection_to_dict(end_points_collection)
            if num_classes is not None:
                end_points["predictions"] = slim.softmax(net, scope="predictions")
            return net, end_points


def plain_v2_block(scope, base_depth, num_units, stride):
    """Returns `resnet_v2.resnet_v2_block` with the plain unit."""
    block = resnet_v2.resnet_v2_block(scope, base_depth, num_units, stride)
    return block._replace(unit_fn=bottleneck)
