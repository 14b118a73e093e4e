"""nets/resnet_v2.py: this package's network with research/slim's defaults.

Logits are ``[batch, num_classes]``, and ``end_points`` has ``global_pool`` and
``<scope>/spatial_squeeze``. What stands behind ``output_stride`` is taken by keyword only:
it has been ``reuse`` in one version and ``spatial_squeeze`` in another.
"""

from slim_resnet import resnet_v2 as ours
from slim_resnet.resnet_v2 import (  # noqa: F401
    DEPTHS,
    bottleneck,
    resnet_arg_scope,
    resnet_v2_block,
)


def resnet_v2(inputs, blocks, num_classes=None, is_training=True, global_pool=True,
              output_stride=None, include_root_block=True, *, spatial_squeeze=True, reuse=None,
              scope=None):
    """Builds a ResNet V2 from any table of blocks, see `slim_resnet.resnet_v2.resnet_v2`.

    Args:
      inputs: ``[batch, height, width, channels]``.
      blocks: A list of `resnet_utils.Block`.
      num_classes: Number of logits; 0 or None stops at the features.
      is_training: Mode of all batch norms; None leaves it to the arg scope.
      global_pool: Whether to average over height and width.
      output_stride: Ratio of input to output resolution, None for the nominal one.
      include_root_block: Whether to begin with conv1 and pool1.
      spatial_squeeze: Whether logits lose their height and width of 1.
      reuse: As in ``tf.compat.v1.variable_scope``.
      scope: Variable scope; None makes a unique ``resnet_v2``.

    Returns:
      ``(net, end_points)``.
    """
    net, end_points = ours.resnet_v2(
        inputs, blocks, num_classes or None, is_training, global_pool, output_stride,
        include_root_block, reuse, scope, spatial_squeeze=spatial_squeeze or not num_classes)
    if global_pool and "global_pool" not in end_points:
        name_scope = net.op.name.rpartition("/logits/")[0]
        end_points["global_pool"] = net.graph.get_tensor_by_name(f"{name_scope}/pool5:0")
    return net, end_points


resnet_v2.default_image_size = 224


def _network_of_depth(depth):
    name = f"resnet_v2_{depth}"

    def build(inputs, num_classes=None, is_training=True, global_pool=True, output_stride=None,
              *, spatial_squeeze=True, reuse=None, scope=name):
        return resnet_v2(inputs, ours.blocks_of_depth(depth), num_classes, is_training,
                         global_pool, output_stride, spatial_squeeze=spatial_squeeze,
                         reuse=reuse, scope=scope)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"Builds ResNet V2 {depth}; arguments and results are `resnet_v2`'s."
    build.default_image_size = resnet_v2.default_image_size
    return build


resnet_v2_50 = _network_of_depth(50)
resnet_v2_101 = _network_of_depth(101)
resnet_v2_152 = _network_of_depth(152)
resnet_v2_200 = _network_of_depth(200)
