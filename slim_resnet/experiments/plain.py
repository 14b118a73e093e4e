"""ResNet V2 without its shortcuts: the unit of the networks that residual ones are compared with.

Not of slim or the post. Width, depth, strides and batch norms are the residual
networks' own, and so is what builds them, `resnet_v2.resnet_v2`. Take a residual unit's
shortcut away, its projection included, and what is left is this unit.
"""

import tensorflow as tf
import tf_slim as slim

from slim_resnet import resnet_utils, resnet_v2

tf1 = tf.compat.v1


def bottleneck(inputs, depth, depth_bottleneck, stride, rate=1, scope=None):
    """The residual branch of `resnet_v2.bottleneck`, with its arguments and result, alone.

    Its scope is a unique ``plain_v2``, so that no checkpoint of one fits the other.
    """
    with tf1.variable_scope(scope, "plain_v2", [inputs]):
        net = slim.batch_norm(inputs, activation_fn=tf.nn.relu, scope="preact")
        net = slim.conv2d(net, depth_bottleneck, [1, 1], stride=1, scope="conv1")
        net = resnet_utils.conv2d_same(net, depth_bottleneck, 3, stride, rate=rate, scope="conv2")
        return slim.conv2d(net, depth, [1, 1], stride=1, normalizer_fn=None, activation_fn=None,
                           scope="conv3")


def plain_v2_block(scope, base_depth, num_units, stride):
    """Returns `resnet_v2.resnet_v2_block` with the plain unit."""
    block = resnet_v2.resnet_v2_block(scope, base_depth, num_units, stride)
    return block._replace(unit_fn=bottleneck)
