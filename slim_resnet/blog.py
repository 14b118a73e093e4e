"""ResNet V2 152 and its timing as the blog post published them, unmended.

The post (Hellcat, 2017-12-14, in Chinese) is a copy of slim's network with
differences that change variables and numbers. They are kept here, by name:

* ``conv3`` of a unit has batch norm and ReLU, and no biases, because it inherits
  the arg scope's defaults; slim's has biases and neither.
* ``conv2`` of a strided unit is SAME-padded by TensorFlow: on an even-sized input
  the odd pixel goes after; slim's pads alike on both sides.
* ``resnet_arg_scope`` takes ``is_training`` and sets ``zero_debias_moving_mean``.
* The end_points collection is ``<scope>/end_points``, printed when built.
* There is no ``output_stride``, and units are tuples.

So a released checkpoint does not fit this network: use `slim_resnet.resnet_v2`
for those. The post's script, with its imports changed::

    import tensorflow.compat.v1 as tf
    import tf_slim as slim
    from slim_resnet.blog import resnet_arg_scope, resnet_v2_152, time_tensorflow_run
    tf.disable_v2_behavior()

    inputs = tf.random_uniform([32, 224, 224, 3])
    with slim.arg_scope(resnet_arg_scope(is_training=False)):
        net, end_points = resnet_v2_152(inputs, 1000)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    time_tensorflow_run(sess, net, 'Forward')

It runs within ``tf.Graph().as_default()``, eager mode left on, just as well.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf
import tf_slim as slim

from slim_resnet import compat, resnet_utils
from slim_resnet.resnet_utils import Block, subsample, unit_arguments
from slim_resnet.timing import time_tensorflow_run

__all__ = ["Block", "bottleneck", "conv2d_same", "resnet_arg_scope", "resnet_v2",
           "resnet_v2_152", "stack_block_dense", "subsample", "time_tensorflow_run"]

tf1 = tf.compat.v1


def conv2d_same(inputs: tf.Tensor, num_outputs: int, kernel_size: int, stride: int,
                scope: str | None = None) -> tf.Tensor:
    """`resnet_utils.conv2d_same` with the blog's arguments, which have no ``rate``."""
    return resnet_utils.conv2d_same(inputs, num_outputs, kernel_size, stride, scope=scope)


@slim.add_arg_scope
def stack_block_dense(net: tf.Tensor, blocks: Sequence[Block],
                      outputs_collections: str | None = None) -> tf.Tensor:
    """`resnet_utils.stack_blocks_dense` under the blog's name, without ``output_stride``."""
    resnet_utils.check_graph(net)
    for block in blocks:
        with tf1.variable_scope(block.scope, "block", [net]) as sc:
            for i, unit in enumerate(block.args):
                with tf1.variable_scope(f"unit_{i + 1}", values=[net]):
                    net = block.unit_fn(net, **unit_arguments(unit))
            net = compat.collect_named_outputs(outputs_collections, sc.name, net)
    return net


@slim.add_arg_scope
def bottleneck(inputs: tf.Tensor, depth: int, depth_bottleneck: int, stride: int,
               outputs_collections: str | None = None, scope: str | None = None) -> tf.Tensor:
    """The blog's unit; arguments and result are `slim_resnet.resnet_v2.bottleneck`'s.

    Departs from slim's in conv2's padding and in conv3's batch norm and ReLU, see
    the module's text.
    """
    resnet_utils.check_graph(inputs)
    with tf1.variable_scope(scope, "bottleneck_v2", [inputs]) as sc:
        preact = slim.batch_norm(inputs, activation_fn=tf.nn.relu, scope="preact")
        if compat.last_dimension(inputs.shape, min_rank=4) == depth:
            shortcut = subsample(inputs, stride, "shortcut")
        else:
            shortcut = slim.conv2d(preact, depth, [1, 1], stride, normalizer_fn=None,
                                   activation_fn=None, scope="shortcut")
        residual = slim.conv2d(preact, depth_bottleneck, [1, 1], stride=1, scope="conv1")
        residual = slim.conv2d(residual, depth_bottleneck, 3, stride=stride, scope="conv2")
        residual = slim.conv2d(residual, depth, [1, 1], stride=1, scope="conv3")
        return compat.collect_named_outputs(outputs_collections, sc.name, shortcut + residual)


def resnet_arg_scope(is_training: bool = True, weight_decay: float = 0.0001,
                     batch_norm_decay: float = 0.997, batch_norm_epsilon: float = 1e-5,
                     batch_norm_scale: bool = True) -> dict:
    """Returns the blog's arg scope: slim's, plus the mode and a debiased moving mean.

    Args:
      is_training: Whether batch norms use the batch's statistics; the network
        itself does not take it.
      weight_decay: L2 regularisation of the convolutions' weights.
      batch_norm_decay: Decay of the moving mean and variance, per step.
      batch_norm_epsilon: Added to the variance before its square root.
      batch_norm_scale: Whether batch norm multiplies by a learned ``gamma``.
    """
    return resnet_utils.conv_and_norm_scope(weight_decay, {
        "is_training": is_training,
        "zero_debias_moving_mean": True,
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "scale": batch_norm_scale,
        "updates_collections": tf1.GraphKeys.UPDATE_OPS,
    })


def resnet_v2(inputs: tf.Tensor, blocks: Sequence[Block], num_classes: int | None = None,
              global_pool: bool = True, include_root_block: bool = True,
              reuse: bool | None = None, scope: str | None = None, *,
              announce: Callable[[str], object] | None = print
              ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the blog's network from a table of blocks and prints its collection's name.

    Arguments and results are `slim_resnet.resnet_v2.resnet_v2`'s of the same names;
    ``announce`` is called with the name of the end_points collection, unless None.
    """
    resnet_utils.check_graph(inputs)
    resnet_utils.warn_outside_arg_scope(
        "with slim.arg_scope(resnet_arg_scope(is_training=False)): ...")
    with tf1.variable_scope(scope, "resnet_v2", [inputs], reuse=reuse) as sc:
        end_points_collection = sc.original_name_scope + "end_points"
        if announce:
            announce(end_points_collection)
        with slim.arg_scope([slim.conv2d, bottleneck, stack_block_dense],
                            outputs_collections=end_points_collection):
            net = inputs
            if include_root_block:
                with slim.arg_scope([slim.conv2d], activation_fn=None, normalizer_fn=None):
                    net = conv2d_same(net, 64, 7, stride=2, scope="conv1")
                net = slim.max_pool2d(net, [3, 3], stride=2, scope="pool1")
            net = stack_block_dense(net, blocks)
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


def resnet_v2_152(inputs: tf.Tensor, num_classes: int | None = None, global_pool: bool = True,
                  reuse: bool | None = None, scope: str = "resnet_v2_152"
                  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the blog's ResNet V2 152; arguments and results are `resnet_v2`'s."""
    blocks = [
        Block("block1", bottleneck, [(256, 64, 1)] * 2 + [(256, 64, 2)]),
        Block("block2", bottleneck, [(512, 128, 1)] * 7 + [(512, 128, 2)]),
        Block("block3", bottleneck, [(1024, 256, 1)] * 35 + [(1024, 256, 2)]),
        Block("block4", bottleneck, [(2048, 512, 1)] * 3),
    ]
    return resnet_v2(inputs, blocks, num_classes, global_pool, include_root_block=True,
                     reuse=reuse, scope=scope)
