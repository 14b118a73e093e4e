"""ResNet V2 as tf-slim builds it and as the released checkpoints hold it.

The full pre-activation networks of He et al., "Identity Mappings in Deep Residual
Networks" (arXiv:1603.05027). A drop-in for ``tf_slim.nets.resnet_v2``::

    import tensorflow.compat.v1 as tf
    import tf_slim as slim
    from slim_resnet import resnet_v2

    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 224, 224, 3])
        with slim.arg_scope(resnet_v2.resnet_arg_scope()):
            net, end_points = resnet_v2.resnet_v2_50(images, 1001, is_training=False)

The graph is tf_slim 1.1.0's, op for op (tests/networks/test_resnet_v2.py). Two things go
beyond it: ``spatial_squeeze=True`` gives what research/slim's version of the file
gives, and ``is_training=None`` leaves the mode to the arg scope.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf
import tf_slim as slim

from slim_resnet import compat, resnet_utils
from slim_resnet.resnet_utils import Block, resnet_arg_scope  # noqa: F401 (slim has it here)

tf1 = tf.compat.v1

# Units a block. 50, 101 and 152 are the depths of Table 1 of arXiv:1512.03385,
# 200 that of arXiv:1603.05027.
DEPTHS = {
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}


@slim.add_arg_scope
def bottleneck(inputs: tf.Tensor, depth: int, depth_bottleneck: int, stride: int, rate: int = 1,
               outputs_collections: str | None = None, scope: str | None = None) -> tf.Tensor:
    """A pre-activation unit: 1x1, 3x3 and 1x1 convolutions beside a shortcut.

    Args:
      inputs: ``[batch, height, width, channels]``.
      depth: Channels of the output.
      depth_bottleneck: Channels of the first two convolutions.
      stride: Step of the 3x3 convolution and of the shortcut, in pixels.
      rate: Atrous rate of the 3x3 convolution.
      outputs_collections: Collection that the output is added to.
      scope: Variable scope; None makes a unique ``bottleneck_v2``.

    Returns:
      ``[batch, ceil(height / stride), ceil(width / stride), depth]``.
    """
    resnet_utils.check_graph(inputs)
    with tf1.variable_scope(scope, "bottleneck_v2", [inputs]) as sc:
        preact = slim.batch_norm(inputs, activation_fn=tf.nn.relu, scope="preact")
        if compat.last_dimension(inputs.shape, min_rank=4) == depth:
            shortcut = resnet_utils.subsample(inputs, stride, "shortcut")
        else:
            shortcut = slim.conv2d(preact, depth, [1, 1], stride=stride, normalizer_fn=None,
                                   activation_fn=None, scope="shortcut")
        residual = slim.conv2d(preact, depth_bottleneck, [1, 1], stride=1, scope="conv1")
        residual = resnet_utils.conv2d_same(residual, depth_bottleneck, 3, stride, rate=rate,
                                            scope="conv2")
        residual = slim.conv2d(residual, depth, [1, 1], stride=1, normalizer_fn=None,
                               activation_fn=None, scope="conv3")
        return compat.collect_named_outputs(outputs_collections, sc.name, shortcut + residual)


def resnet_v2(inputs: tf.Tensor, blocks: Sequence[Block], num_classes: int | None = None,
              is_training: bool | tf.Tensor | None = True, global_pool: bool = True,
              output_stride: int | None = None, include_root_block: bool = True,
              reuse: bool | None = None, scope: str | None = None, *,
              spatial_squeeze: bool = False) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds a ResNet V2 from any table of blocks.

    Args:
      inputs: ``[batch, height, width, channels]``; all but channels may be unknown.
      blocks: A list of `resnet_utils.Block`.
      num_classes: Number of logits; None stops at the features.
      is_training: Whether batch norms use the batch's statistics and collect
        updates; a bool, a boolean tensor, or None for what the arg scope says.
      global_pool: Whether to average over height and width.
      output_stride: Ratio of input to output resolution, a multiple of 4 if there
        is a root block; None keeps the nominal one (32 for the released depths).
      include_root_block: Whether to begin with conv1 and pool1.
      reuse: As in ``tf.compat.v1.variable_scope``.
      scope: Variable scope; None makes a unique ``resnet_v2``.
      spatial_squeeze: Whether to return logits as ``[batch, num_classes]``, as
        research/slim does, and to add its ``global_pool`` and
        ``<scope>/spatial_squeeze`` end points.

    Returns:
      ``(net, end_points)``. ``net`` is ``[batch, 1, 1, num_classes]``, or the
      features without ``num_classes``, or a map without ``global_pool``.
      ``end_points`` maps the scope of each convolution, unit and block to its
      output, and ``predictions`` to the softmax of the logits.

    Raises:
      ValueError: ``output_stride`` cannot be reached, or the variables exist and
        ``reuse`` is not set.
    """
    resnet_utils.check_graph(inputs)
    resnet_utils.warn_outside_arg_scope(
        "with slim.arg_scope(resnet_v2.resnet_arg_scope()): ...")
    mode = {} if is_training is None else {"is_training": is_training}
    with tf1.variable_scope(scope, "resnet_v2", [inputs], reuse=reuse) as sc:
        end_points_collection = sc.original_name_scope + "_end_points"
        with slim.arg_scope([slim.conv2d, bottleneck, resnet_utils.stack_blocks_dense],
                            outputs_collections=end_points_collection), \
             slim.arg_scope([slim.batch_norm], **mode):
            net = inputs
            if include_root_block:
                output_stride = resnet_utils.behind_root(output_stride)
                with slim.arg_scope([slim.conv2d], activation_fn=None, normalizer_fn=None):
                    net = resnet_utils.conv2d_same(net, 64, 7, stride=2, scope="conv1")
                net = slim.max_pool2d(net, [3, 3], stride=2, scope="pool1")
            net = resnet_utils.stack_blocks_dense(net, blocks, output_stride)
            net = slim.batch_norm(net, activation_fn=tf.nn.relu, scope="postnorm")
            squeezed_end_points = {}
            if global_pool:
                net = tf.reduce_mean(net, [1, 2], name="pool5", keepdims=True)
                squeezed_end_points["global_pool"] = net
            if num_classes is not None:
                net = slim.conv2d(net, num_classes, [1, 1], activation_fn=None,
                                  normalizer_fn=None, scope="logits")
                if spatial_squeeze:
                    net = tf.squeeze(net, [1, 2], name="SpatialSqueeze")
                    squeezed_end_points[sc.name + "/spatial_squeeze"] = net
            end_points = compat.convert_collection_to_dict(end_points_collection)
            if spatial_squeeze:
                end_points.update(squeezed_end_points)
            if num_classes is not None:
                end_points["predictions"] = slim.softmax(net, scope="predictions")
            return net, end_points


resnet_v2.default_image_size = 224


def resnet_v2_block(scope: str, base_depth: int, num_units: int, stride: int) -> Block:
    """Returns a `Block` of bottleneck units whose last one has the stride.

    Args:
      scope: Variable scope of the block.
      base_depth: Channels of the bottleneck; the output has four times as many.
      num_units: Number of units.
      stride: Stride of the last unit.
    """
    unit = {"depth": 4 * base_depth, "depth_bottleneck": base_depth, "stride": 1}
    return Block(scope, bottleneck, [unit] * (num_units - 1) + [dict(unit, stride=stride)])


def blocks_of_depth(depth: int) -> list[Block]:
    """Returns the four `Block` of a released depth: a key of `DEPTHS`."""
    return [resnet_v2_block(f"block{i + 1}", 64 * 2 ** i, num_units, stride)
            for i, (num_units, stride) in enumerate(zip(DEPTHS[depth], (2, 2, 2, 1)))]


def _network_of_depth(depth: int) -> Callable[..., tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    name = f"resnet_v2_{depth}"

    def build(inputs: tf.Tensor, num_classes: int | None = None,
              is_training: bool | tf.Tensor | None = True, global_pool: bool = True,
              output_stride: int | None = None, reuse: bool | None = None, scope: str = name, *,
              spatial_squeeze: bool = False) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return resnet_v2(inputs, blocks_of_depth(depth), num_classes, is_training, global_pool,
                         output_stride, include_root_block=True, reuse=reuse, scope=scope,
                         spatial_squeeze=spatial_squeeze)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"Builds ResNet V2 {depth}; arguments and results are `resnet_v2`'s."
    build.default_image_size = resnet_v2.default_image_size
    return build


resnet_v2_50 = _network_of_depth(50)
resnet_v2_101 = _network_of_depth(101)
resnet_v2_152 = _network_of_depth(152)
resnet_v2_200 = _network_of_depth(200)
