"""Small models with the layers of Keras Applications' ResNets, made and saved by Keras itself."""

import keras
import numpy as np

from tests.helpers.checkpoints import distinct_value

layers = keras.layers


def resnet_v2(units=(2, 1), classes=10, width=1, pool1_pad=True, name="resnet50v2", top=True):
    """Returns a model with distinct weights, layers as in ``keras.applications``' ResNet V2.

    Args:
      units: Of each stack.
      classes: Of the logits.
      width: Channels of the first stack's 3x3 convolutions.
      pool1_pad: Whether pool1 pads zeros on both sides, as Keras' does.
      name: Of the model.
      top: Whether there are logits.
    """
    def norm(net, name):
        return layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_bn")(net)

    def norm_relu(net, name):
        return layers.Activation("relu", name=f"{name}_relu")(norm(net, name))

    images = keras.Input((32, 32, 3))
    net = layers.ZeroPadding2D(3, name="conv1_pad")(images)
    net = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(net)
    if pool1_pad:
        net = layers.ZeroPadding2D(1, name="pool1_pad")(net)
    net = layers.MaxPooling2D(3, strides=2, padding="valid" if pool1_pad else "same",
                              name="pool1_pool")(net)
    for stack, number in enumerate(units):
        filters = width * 2 ** stack
        for unit in range(1, number + 1):
            start = f"conv{stack + 2}_block{unit}"
            stride = 2 if unit == number and stack + 1 < len(units) else 1
            preact = norm_relu(net, f"{start}_preact")
            if unit == 1:
                net = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{start}_0_conv")(preact)
            elif stride > 1:
                net = layers.MaxPooling2D(1, strides=stride)(net)
            residual = layers.Conv2D(filters, 1, use_bias=False, name=f"{start}_1_conv")(preact)
            residual = norm_relu(residual, f"{start}_1")
            residual = layers.ZeroPadding2D(1, name=f"{start}_2_pad")(residual)
            residual = layers.Conv2D(filters, 3, strides=stride, use_bias=False,
                                     name=f"{start}_2_conv")(residual)
            residual = norm_relu(residual, f"{start}_2")
            residual = layers.Conv2D(4 * filters, 1, name=f"{start}_3_conv")(residual)
            net = layers.Add(name=f"{start}_out")([net, residual])
    net = layers.GlobalAveragePooling2D(name="avg_pool")(norm_relu(net, "post"))
    if top:
        net = layers.Dense(classes, activation="softmax", name="predictions")(net)
    return filled(keras.Model(images, net, name=name))


def filled(model):
    """Gives a model distinct weights; returns it."""
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([
                distinct_value(f"{layer.name}/{end}", value.shape, np.float32)
                for end, value in ((variable_of(weight), weight) for weight in layer.weights)])
    return model


def variable_of(weight):
    """Returns ``kernel`` of what Keras 2 calls ``conv1_conv/kernel:0`` and Keras 3 ``kernel``."""
    return weight.name.rpartition("/")[2].removesuffix(":0")


def slims_values(model, scope, unit="bottleneck_v2"):
    """Returns the weights by slim's names, spelt out here once more."""
    variables = {"kernel": "weights", "bias": "biases"}
    scopes = {"post_bn": "postnorm", "predictions": "logits", "conv1_conv": "conv1"}
    values = {}
    for layer in model.layers:
        for weight, value in zip(layer.weights, layer.get_weights()):
            place = scopes.get(layer.name)
            if place is None:
                block, number, *rest = layer.name.split("_")
                place = {"preact_bn": "preact", "0_conv": "shortcut", "1_conv": "conv1",
                         "1_bn": "conv1/BatchNorm", "2_conv": "conv2", "2_bn": "conv2/BatchNorm",
                         "3_conv": "conv3"}["_".join(rest)]
                place = (f"block{int(block.removeprefix('conv')) - 1}/"
                         f"unit_{number.removeprefix('block')}/{unit}/{place}")
            name = variable_of(weight)
            values[f"{scope}/{place}/{variables.get(name, name)}"] = \
                value[None, None] if value.ndim == 2 else value
    return values
