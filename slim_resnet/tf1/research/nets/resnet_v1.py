"""nets/resnet_v1.py: the residual networks of arXiv:1512.03385, as research/slim builds them.

Units are tf_slim's. The builder is written anew, as tf_slim's has neither research/slim's
``spatial_squeeze`` nor its ``global_pool`` end point. What stands behind ``output_stride`` is
taken by keyword only, see `resnet_v2`.
"""

import contextlib

import tensorflow as tf
import tf_slim as slim
from tf_slim.nets.resnet_v1 import bottleneck

from slim_resnet import compat, resnet_utils
from slim_resnet.resnet_utils import resnet_arg_scope  # noqa: F401
from slim_resnet.resnet_v2 import DEPTHS

tf1 = tf.compat.v1


def resnet_v1(inputs, blocks, num_classes=None, is_training=True, global_pool=True,
              output_stride=None, include_root_block=True, *, spatial_squeeze=True,
              store_non_strided_activations=False, reuse=None, scope=None):
    """Builds a ResNet V1 from any table of blocks.

    Args:
      inputs: ``[batch, height, width, channels]``.
      blocks: A list of `resnet_utils.Block`.
      num_classes: Number of logits; 0 or None stops at the features.
      is_training: Mode of all batch norms; None leaves it to the arg scope.
      global_pool: Whether to average over height and width.
      output_stride: Ratio of input to output resolution, None for the nominal one.
      include_root_block: Whether to begin with conv1 and pool1.
      spatial_squeeze: Whether logits lose their height and width of 1.
      store_non_strided_activations: Must be False.
      reuse: As in ``tf.compat.v1.variable_scope``.
      scope: Variable scope; None makes a unique ``resnet_v1``.

    Returns:
      ``(net, end_points)``.

    Raises:
      ValueError: ``output_stride`` cannot be reached, or
        ``store_non_strided_activations`` is set.
    """
    if store_non_strided_activations:
        raise ValueError("the stand-in for research/slim's resnet_v1 has no "
                         "store_non_strided_activations=True; put research/slim's folder nets "
                         "beside the script")
    with contextlib.ExitStack() as stack:
        sc = stack.enter_context(tf1.variable_scope(scope, "resnet_v1", [inputs], reuse=reuse))
        collection = sc.original_name_scope + "_end_points"
        stack.enter_context(slim.arg_scope(
            [slim.conv2d, bottleneck, resnet_utils.stack_blocks_dense],
            outputs_collections=collection))
        if is_training is not None:
            stack.enter_context(slim.arg_scope([slim.batch_norm], is_training=is_training))
        net = inputs
        if include_root_block:
            output_stride = resnet_utils.behind_root(output_stride)
            # Unlike in V2 batch norm and ReLU follow the first convolution.
            net = resnet_utils.conv2d_same(net, 64, 7, stride=2, scope="conv1")
            net = slim.max_pool2d(net, [3, 3], stride=2, scope="pool1")
        net = resnet_utils.stack_blocks_dense(net, blocks, output_stride)
        pooled = {}
        if global_pool:
            net = tf.reduce_mean(net, [1, 2], name="pool5", keepdims=True)
            pooled["global_pool"] = net
        if num_classes:
            net = slim.conv2d(net, num_classes, [1, 1], activation_fn=None, normalizer_fn=None,
                              scope="logits")
        end_points = {**compat.convert_collection_to_dict(collection), **pooled}
        if num_classes:
            if spatial_squeeze:
                net = tf.squeeze(net, [1, 2], name="SpatialSqueeze")
                end_points[f"{sc.name}/spatial_squeeze"] = net
            end_points["predictions"] = slim.softmax(net, scope="predictions")
        return net, end_points


resnet_v1.default_image_size = 224


def resnet_v1_block(scope, base_depth, num_units, stride):
    """Returns a `Block` of V1 units whose last one has the stride; see `resnet_v2_block`."""
    unit = {"depth": 4 * base_depth, "depth_bottleneck": base_depth, "stride": 1}
    return resnet_utils.Block(scope, bottleneck,
                              [unit] * (num_units - 1) + [dict(unit, stride=stride)])


def _network_of_depth(depth):
    name = f"resnet_v1_{depth}"

    def build(inputs, num_classes=None, is_training=True, global_pool=True, output_stride=None,
              *, spatial_squeeze=True, store_non_strided_activations=False, min_base_depth=8,
              depth_multiplier=1, reuse=None, scope=name):
        blocks = [
            resnet_v1_block(f"block{i + 1}",
                            max(int(64 * 2 ** i * depth_multiplier), min_base_depth),
                            num_units, stride)
            for i, (num_units, stride) in enumerate(zip(DEPTHS[depth], (2, 2, 2, 1)))]
        return resnet_v1(inputs, blocks, num_classes, is_training, global_pool, output_stride,
                         spatial_squeeze=spatial_squeeze,
                         store_non_strided_activations=store_non_strided_activations,
                         reuse=reuse, scope=scope)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = (f"Builds ResNet V1 {depth}; arguments and results are `resnet_v1`'s, and "
                     "``depth_multiplier`` scales the channels of all blocks.")
    build.default_image_size = resnet_v1.default_image_size
    return build


resnet_v1_50 = _network_of_depth(50)
resnet_v1_101 = _network_of_depth(101)
resnet_v1_152 = _network_of_depth(152)
resnet_v1_200 = _network_of_depth(200)
