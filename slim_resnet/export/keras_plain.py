"""A functional Keras 3 model of a network without residual units, from tf_slim's own graph.

The network is built without values, and every op becomes a layer. Layers with weights are
called as slim's scopes, with dots for slashes, which Keras takes in no name.
"""

from typing import Any

import tensorflow as tf

from slim_resnet.checkpoint.recognition import Recognised
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.folded.plain_graph import built, variable_of


class PlainBuilder:
    """Writes the ops that the logits need, each once.

    Args:
      keras: What `keras_model.keras` returned.
      network: The network.
      image_size: Height and width in pixels.

    Attributes:
      end_points: See `keras_model.Builder`; known when it has built.
    """

    def __init__(self, keras: Any, network: Recognised, image_size: int) -> None:
        self.keras, self.layers, self.network = keras, keras.layers, network
        self.image_size, self.made, self.end_points = image_size, {}, []

    def build(self) -> Any:
        """Returns the model: images of the size to class probabilities."""
        size, channels = self.image_size, self.network.input_channels
        placeholder, logits, end_points = built(self.network, size)
        # VGG and its like have no end point for the probabilities.
        self.end_points = [next(key for key, tensor in end_points.items() if tensor is logits),
                           *({"Predictions"} & end_points.keys())]
        images = self.keras.Input((size, size, channels), name="images")
        self.made[placeholder.op] = images
        net = self.layer(logits.op)
        net = self.layers.Activation("softmax", name="predictions")(net)
        return self.keras.Model(images, net, name=_dotted(self.network.scope) or "network")

    def layer(self, op: tf.Operation) -> Any:
        """Returns what stands for an op's output."""
        if op not in self.made:
            self.made[op] = self._added(op)
        return self.made[op]

    def _added(self, op):
        layers, name = self.layers, _dotted(op.name)
        if op.type == "Identity":
            return self.layer(op.inputs[0].op)
        if op.type in ("MaxPool", "AvgPool"):
            pool = layers.MaxPooling2D if op.type == "MaxPool" else layers.AveragePooling2D
            return pool(tuple(op.get_attr("ksize")[1:3]), strides=op.get_attr("strides")[1],
                        padding=_padding(op), name=name)(self.layer(op.inputs[0].op))
        if op.type == "ConcatV2":
            return layers.Concatenate(name=name)(
                [self.layer(tensor.op) for tensor in op.inputs[:-1]])
        if op.type == "Squeeze":
            return layers.Reshape((self.network.num_classes,), name=name)(
                self.layer(op.inputs[0].op))
        if op.type == "DepthwiseConv2dNative":
            weights = op.inputs[1]
            return layers.DepthwiseConv2D(
                tuple(weights.shape.as_list()[:2]), strides=op.get_attr("strides")[1],
                padding=_padding(op), depth_multiplier=weights.shape.as_list()[3], use_bias=False,
                name=layer_of(variable_of(weights)))(self.layer(op.inputs[0].op))
        return self._convolution(op)

    def _convolution(self, last):
        """Adds a convolution with what is behind it: biases or batch norm, and ReLU."""
        behind = last.inputs[0].op if last.type == "Relu" else last
        conv = behind.inputs[0].op if len(behind.inputs) else None
        norm = behind.type.startswith("FusedBatchNorm")
        if conv is None or conv.type != "Conv2D" or not (norm or behind.type == "BiasAdd"):
            raise SlimResnetError(f"{last.name}, a {last.type}, cannot become a Keras layer")
        *size, _, filters = conv.inputs[1].shape.as_list()
        weights = variable_of(conv.inputs[1])
        net = self.layers.Conv2D(
            filters, tuple(size), strides=conv.get_attr("strides")[1], padding=_padding(conv),
            use_bias=not norm, name=layer_of(weights))(self.layer(conv.inputs[0].op))
        if norm:
            beta = variable_of(behind.inputs[2])
            net = self.layers.BatchNormalization(
                epsilon=behind.get_attr("epsilon"), momentum=self._momentum(),
                scale=variable_of(behind.inputs[1]) is not None, name=layer_of(beta))(net)
        if last.type == "Relu":
            net = self.layers.Activation("relu", name=_dotted(last.name))(net)
        return net

    def _momentum(self):
        return next(arguments["normalizer_params"]["decay"]
                    for arguments in self.network.row.network.arg_scope().values()
                    if arguments.get("normalizer_params"))


def layer_of(variable: str, separable: bool = False) -> str:
    """Returns the name of the layer that has one of slim's variables.

    The two convolutions of a ``separable`` one share a scope and are two layers; biases are the
    second's.
    """
    scope, _, name = variable.rpartition("/")
    part = "pointwise" if separable and name == "biases" else name.removesuffix("_weights")
    return _dotted(scope if part == name else f"{scope}/{part}")


def _dotted(name):
    return name.replace("/", ".")


def _padding(op):
    return op.get_attr("padding").decode().lower()
