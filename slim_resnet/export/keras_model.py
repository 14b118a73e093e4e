"""A functional Keras 3 model of a residual network, layer by layer as Keras Applications has it.

Names of layers are those of ``keras.applications``' ResNet50V2 and its like. It departs from
them where slim's network is another: pool1 pads SAME, at the end and with minus infinity.
"""

from collections.abc import Sequence
from typing import Any

from slim_resnet.checkpoint.foreign.keras_names import unit_start
from slim_resnet.checkpoint.recognition import Recognised
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.places import head
from slim_resnet.inference.folded.folding import EPSILON
from slim_resnet.models import VARIANTS

# slim's batch_norm_decay.
MOMENTUM = 0.997


def keras() -> Any:
    """Imports and returns Keras.

    Raises:
      SlimResnetError: It is older than 3.
    """
    try:
        import keras
    except ImportError as error:
        raise SlimResnetError("a Keras model needs Keras 3, which TensorFlow brings from 2.16 on: "
                              f"{str(error).splitlines()[0]}") from error
    if int(keras.__version__.split(".")[0]) < 3:
        raise SlimResnetError("a Keras model needs Keras 3, which TensorFlow brings from 2.16 on; "
                              f"here is Keras {keras.__version__}")
    return keras


class Builder:
    """Adds layers to a model.

    Args:
      keras: What `keras` returned.
      network: The network, with residual units.
      root_channels: Of the root's convolutions, one after the other.

    Attributes:
      end_points: What the model gives: logits, before the softmax of the layer
        ``predictions``, and its probabilities; or pooled features.
    """

    def __init__(self, keras: Any, network: Recognised, root_channels: Sequence[int]) -> None:
        self.keras, self.layers, self.network = keras, keras.layers, network
        self.variant, self.root_channels = VARIANTS[network.variant], root_channels
        self.end_points = head(network)

    def norm(self, name, net, relu=True):
        net = self.layers.BatchNormalization(
            epsilon=EPSILON, momentum=MOMENTUM, scale=self.network.batch_norm_scale,
            name=f"{name}_bn")(net)
        return self.relu(name, net) if relu else net

    def relu(self, name, net):
        return self.layers.Activation("relu", name=f"{name}_relu")(net)

    def conv(self, name, net, filters, size=1, stride=1, rate=1, bias=False, same=False):
        """Adds a convolution; behind zeros on all sides, unless ``same``, if it is not 1x1."""
        if stride > 1 and rate > 1:
            raise SlimResnetError(f"{name} would have stride {stride} and rate {rate}, and Keras' "
                                  "convolutions have one of the two")
        if size > 1 and not same:
            pad = rate * (size - 1) // 2
            net = self.layers.ZeroPadding2D(pad, name=f"{name}_pad")(net)
        return self.layers.Conv2D(filters, size, strides=stride, dilation_rate=rate,
                                  padding="same" if same else "valid", use_bias=bias,
                                  name=f"{name}_conv")(net)

    def unit(self, name, net, depth, depth_bottleneck, stride, rate=1, unit_rate=1):
        variant, norm_last = self.variant, not self.variant.norm_first
        preact = net if norm_last else self.norm(f"{name}_preact", net)
        if net.shape[-1] != depth:
            net = self.conv(f"{name}_0", preact, depth, stride=stride, bias=not norm_last)
            if norm_last:
                net = self.norm(f"{name}_0", net, relu=False)
        elif stride > 1:
            net = self.layers.MaxPooling2D(1, strides=stride, name=f"{name}_0_pool")(net)
        residual = self.norm(f"{name}_1", self.conv(f"{name}_1", preact, depth_bottleneck))
        residual = self.norm(f"{name}_2", self.conv(
            f"{name}_2", residual, depth_bottleneck, 3, stride, rate * unit_rate,
            same=variant.conv2_same))
        residual = self.conv(f"{name}_3", residual, depth, bias=not variant.conv3_norm)
        if variant.conv3_norm:
            residual = self.norm(f"{name}_3", residual, relu=not norm_last)
        if not norm_last:
            return self.layers.Add(name=f"{name}_out")([net, residual])
        return self.layers.Activation("relu", name=f"{name}_out")(
            self.layers.Add(name=f"{name}_add")([net, residual]))

    def build(self) -> Any:
        """Returns the model: images of any size to class probabilities, or pooled features."""
        network, variant = self.network, self.variant
        net = images = self.keras.Input((None, None, network.input_channels), name="images")
        if network.root_block:
            for (scope, kernel, stride), channels in zip(variant.root, self.root_channels):
                net = self.conv(scope, net, channels, kernel, stride, bias=variant.norm_first)
                if not variant.norm_first:
                    net = self.norm(scope, net)
            net = self.layers.MaxPooling2D(3, strides=2, padding="same", name="pool1_pool")(net)
        for number, block in enumerate(network.blocks, 1):
            for unit, arguments in enumerate(block.args, 1):
                net = self.unit(unit_start(number, unit), net, **arguments)
        if variant.norm_first:
            net = self.norm("post", net)
        net = self.layers.GlobalAveragePooling2D(name="avg_pool")(net)
        if network.num_classes is not None:
            net = self.layers.Dense(network.num_classes, activation="softmax",
                                    name="predictions")(net)
        name = network.scope.replace("/", ".") or network.row.scope
        return self.keras.Model(images, net, name=name)
