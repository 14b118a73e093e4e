"""ResNet V1 as tf-slim builds it and as the released checkpoints hold it.

The networks of He et al., "Deep Residual Learning for Image Recognition"
(arXiv:1512.03385), with batch norm behind every convolution. A drop-in for
``tf_slim.nets.resnet_v1``::

    import tensorflow.compat.v1 as tf
    import tf_slim as slim
    from slim_resnet import resnet_v1

    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 224, 224, 3])
        with slim.arg_scope(resnet_v1.resnet_arg_scope()):
            net, end_points = resnet_v1.resnet_v1_50(images, 1000, is_training=False)

The graph is tf_slim 1.1.0's, op for op (tests/networks/test_resnet_v1.py). Four things go
beyond it: ``spatial_squeeze``, ``store_non_strided_activations``, ``min_base_depth`` and
``depth_multiplier`` give what research/slim's version of the file gives; ``is_training=None``
leaves the mode to the arg scope; ``root_block_fn``, ``unit_rate`` and ``resnet_v1_50_beta``
are those of research/deeplab.

The stride of a block is in the 3x3 convolution of its last unit. The paper's is in the first
1x1 convolution of the next block's first unit, and so is that of the networks in Caffe that
the released weights came from: they give the same numbers there, since a 1x1 convolution
takes a pixel to a pixel.
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
               outputs_collections: str | None = None, scope: str | None = None, *,
               unit_rate: int = 1) -> tf.Tensor:
    """A unit: 1x1, 3x3 and 1x1 convolutions beside a shortcut, and ReLU behind their sum.

    Args:
      inputs: ``[batch, height, width, channels]``.
      depth: Channels of the output.
      depth_bottleneck: Channels of the first two convolutions.
      stride: Step of the 3x3 convolution and of the shortcut, in pixels.
      rate: Atrous rate of the 3x3 convolution.
      outputs_collections: Collection that the output is added to.
      scope: Variable scope; None makes a unique ``bottleneck_v1``.
      unit_rate: What ``rate`` is multiplied with: the unit's place in a multi-grid.

    Returns:
      ``[batch, ceil(height / stride), ceil(width / stride), depth]``.
    """
    resnet_utils.check_graph(inputs)
    with tf1.variable_scope(scope, "bottleneck_v1", [inputs]) as sc:
        if compat.last_dimension(inputs.shape, min_rank=4) == depth:
            shortcut = resnet_utils.subsample(inputs, stride, "shortcut")
        else:
            shortcut = slim.conv2d(inputs, depth, [1, 1], stride=stride, activation_fn=None,
                                   scope="shortcut")
        residual = slim.conv2d(inputs, depth_bottleneck, [1, 1], stride=1, scope="conv1")
        residual = resnet_utils.conv2d_same(residual, depth_bottleneck, 3, stride,
                                            rate=rate * unit_rate, scope="conv2")
        residual = slim.conv2d(residual, depth, [1, 1], stride=1, activation_fn=None,
                               scope="conv3")
        output = tf.nn.relu(shortcut + residual)
        return compat.collect_named_outputs(outputs_collections, sc.name, output)


def root_block(net: tf.Tensor) -> tf.Tensor:
    """Adds the root's convolution: 7x7, stride 2, 64 channels."""
    return resnet_utils.conv2d_same(net, 64, 7, stride=2, scope="conv1")


def root_block_fn_for_beta_variant(net: tf.Tensor) -> tf.Tensor:
    """Adds DeepLab's root: three 3x3 convolutions, the first of stride 2, 128 channels."""
    net = resnet_utils.conv2d_same(net, 64, 3, stride=2, scope="conv1_1")
    net = resnet_utils.conv2d_same(net, 64, 3, stride=1, scope="conv1_2")
    return resnet_utils.conv2d_same(net, 128, 3, stride=1, scope="conv1_3")


def resnet_v1(inputs: tf.Tensor, blocks: Sequence[Block], num_classes: int | None = None,
              is_training: bool | tf.Tensor | None = True, global_pool: bool = True,
              output_stride: int | None = None, include_root_block: bool = True,
              reuse: bool | None = None, scope: str | None = None, *,
              spatial_squeeze: bool = False, store_non_strided_activations: bool = False,
              root_block_fn: Callable[[tf.Tensor], tf.Tensor] = root_block
              ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds a ResNet V1 from any table of blocks.

    Args:
      inputs: ``[batch, height, width, channels]``; all but channels may be unknown.
      blocks: A list of `resnet_utils.Block`.
      num_classes: Number of logits; None stops at the features.
      is_training: Whether batch norms use the batch's statistics and collect
        updates; a bool, a boolean tensor, or None for what the arg scope says.
      global_pool: Whether to average over height and width.
      output_stride: Ratio of input to output resolution, a multiple of 4 if there
        is a root block; None keeps the nominal one (32 for the released depths).
      include_root_block: Whether to begin with the root's convolution and pool1.
      reuse: As in ``tf.compat.v1.variable_scope``.
      scope: Variable scope; None makes a unique ``resnet_v1``.
      spatial_squeeze: Whether to return logits as ``[batch, num_classes]``, as
        research/slim does, and to add its ``global_pool`` and
        ``<scope>/spatial_squeeze`` end points.
      store_non_strided_activations: See `resnet_utils.stack_blocks_dense`.
      root_block_fn: Adds the root's convolution, before pool1.

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
        "with slim.arg_scope(resnet_v1.resnet_arg_scope()): ...")
    mode = {} if is_training is None else {"is_training": is_training}
    with tf1.variable_scope(scope, "resnet_v1", [inputs], reuse=reuse) as sc:
        end_points_collection = sc.original_name_scope + "_end_points"
        with slim.arg_scope([slim.conv2d, bottleneck, resnet_utils.stack_blocks_dense],
                            outputs_collections=end_points_collection), \
             slim.arg_scope([slim.batch_norm], **mode):
            net = inputs
            if include_root_block:
                output_stride = resnet_utils.behind_root(output_stride)
                net = root_block_fn(net)
                net = slim.max_pool2d(net, [3, 3], stride=2, scope="pool1")
            net = resnet_utils.stack_blocks_dense(
                net, blocks, output_stride,
                store_non_strided_activations=store_non_strided_activations)
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


resnet_v1.default_image_size = 224


def resnet_v1_block(scope: str, base_depth: int, num_units: int, stride: int) -> Block:
    """Returns a `Block` of bottleneck units whose last one has the stride.

    Args:
      scope: Variable scope of the block.
      base_depth: Channels of the bottleneck; the output has four times as many.
      num_units: Number of units.
      stride: Stride of the last unit.
    """
    unit = {"depth": 4 * base_depth, "depth_bottleneck": base_depth, "stride": 1}
    return Block(scope, bottleneck, [unit] * (num_units - 1) + [dict(unit, stride=stride)])


def blocks_of_depth(depth: int, min_base_depth: int = 8, depth_multiplier: float = 1,
                    multi_grid: Sequence[int] | None = None) -> list[Block]:
    """Returns the four `Block` of a depth.

    Args:
      depth: A key of `DEPTHS`.
      min_base_depth: The least base depth that ``depth_multiplier`` makes.
      depth_multiplier: What the base depths 64, 128, 256 and 512 are multiplied with.
      multi_grid: The ``unit_rate`` of each of the last block's three units; None for 1.

    Raises:
      ValueError: ``multi_grid`` has not three rates.
    """
    blocks = [resnet_v1_block(f"block{i + 1}",
                              max(int(64 * 2 ** i * depth_multiplier), min_base_depth),
                              num_units, stride)
              for i, (num_units, stride) in enumerate(zip(DEPTHS[depth], (2, 2, 2, 1)))]
    if multi_grid is None:
        return blocks
    if len(multi_grid) != len(blocks[-1].args):
        raise ValueError(f"multi_grid needs {len(blocks[-1].args)} rates, not {multi_grid}")
    blocks[-1] = blocks[-1]._replace(args=[
        dict(unit, unit_rate=rate) for unit, rate in zip(blocks[-1].args, multi_grid)])
    return blocks


def _network_of_depth(depth: int) -> Callable[..., tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    name = f"resnet_v1_{depth}"

    def build(inputs: tf.Tensor, num_classes: int | None = None,
              is_training: bool | tf.Tensor | None = True, global_pool: bool = True,
              output_stride: int | None = None, reuse: bool | None = None, scope: str = name, *,
              spatial_squeeze: bool = False, store_non_strided_activations: bool = False,
              min_base_depth: int = 8, depth_multiplier: float = 1
              ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return resnet_v1(inputs, blocks_of_depth(depth, min_base_depth, depth_multiplier),
                         num_classes, is_training, global_pool, output_stride,
                         include_root_block=True, reuse=reuse, scope=scope,
                         spatial_squeeze=spatial_squeeze,
                         store_non_strided_activations=store_non_strided_activations)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"Builds ResNet V1 {depth}; arguments and results are `resnet_v1`'s."
    build.default_image_size = resnet_v1.default_image_size
    return build


resnet_v1_50 = _network_of_depth(50)
resnet_v1_101 = _network_of_depth(101)
resnet_v1_152 = _network_of_depth(152)
resnet_v1_200 = _network_of_depth(200)


def _beta_network_of_depth(depth: int) -> Callable[..., tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    def build(inputs: tf.Tensor, num_classes: int | None = None,
              is_training: bool | tf.Tensor | None = None, global_pool: bool = False,
              output_stride: int | None = None, multi_grid: Sequence[int] | None = None,
              reuse: bool | None = None, scope: str = f"resnet_v1_{depth}"
              ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return resnet_v1(inputs, blocks_of_depth(depth, multi_grid=multi_grid), num_classes,
                         is_training, global_pool, output_stride, reuse=reuse, scope=scope,
                         root_block_fn=root_block_fn_for_beta_variant)

    build.__name__ = build.__qualname__ = f"resnet_v1_{depth}_beta"
    build.__doc__ = (f"Builds DeepLab's ResNet V1 {depth} with `root_block_fn_for_beta_variant`; "
                     "arguments, their defaults and results are DeepLab's.")
    build.default_image_size = resnet_v1.default_image_size
    return build


resnet_v1_50_beta = _beta_network_of_depth(50)
resnet_v1_101_beta = _beta_network_of_depth(101)
