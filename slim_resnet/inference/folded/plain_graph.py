"""The folded form of a network without residual units, from the graph that tf_slim builds.

Its layers are tf_slim's own, op by op: the network is built without values, and every op is
written anew, a convolution together with the batch norm, biases and ReLU behind it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_slim as slim

from slim_resnet.checkpoint.building import with_global_pool
from slim_resnet.checkpoint.recognition import Recognised
from slim_resnet.inference.folded import folding

tf1 = tf.compat.v1

LOGITS, PREDICTIONS = "logits", "predictions"

_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")


def write_plain(network: Recognised, read: Callable[[str], np.ndarray], writer: Any, images: str,
                image_size: int) -> dict[str, str]:
    """Writes a network.

    Args:
      network: A `recognition.Recognised` without residual units.
      read: ``read(name)`` returns a variable's value, by its full name.
      writer: A `writer.Writer`.
      images: Node of the images, of the writer's dtype.
      image_size: Their height and width, in pixels.

    Returns:
      Node names, all of float32, by the keys of the unfolded network, and by `LOGITS` and
      `PREDICTIONS`, which are ``[N, 1, 1, classes]``.

    Raises:
      ValueError: The network has an op that is not known here.
    """
    placeholder, _, end_points = built(network, image_size)
    end_points = with_global_pool(end_points, network, placeholder.graph)
    return _Translator(network, read, writer, placeholder.op, images).write(end_points)


def built(network: Recognised, image_size: int
          ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
    """Builds a network without values in a graph of its own, auxiliary logits left out.

    Arguments are `write_plain`'s.

    Returns:
      The images' placeholder, and tf_slim's logits and end points.
    """
    with tf.Graph().as_default():
        placeholder = tf1.placeholder(
            tf.float32, [None, image_size, image_size, network.input_channels])
        kind = network.row.network
        options = {"create_aux_logits": False} if kind.aux else {}
        with slim.arg_scope(kind.arg_scope()):
            return placeholder, *kind.build(placeholder, network.num_classes, False,
                                            scope=network.scope, **options)


def variable_of(tensor: tf.Tensor) -> str | None:
    """Returns the name of the variable that a tensor reads; None for a constant."""
    if tf.get_static_value(tensor) is not None:
        return None
    op = tensor.op
    while op.type in ("ReadVariableOp", "Identity"):
        op = op.inputs[0].op
    return op.name


class _Translator:
    """Writes the ops that end points need, each once."""

    def __init__(self, network, read, writer, placeholder, images):
        self.network, self.read, self.writer = network, read, writer
        self.nodes = {placeholder: images}
        # Pooled features and what follows are float32.
        self.float32 = set()

    def write(self, end_points):
        start = f"{self.network.scope}/" if self.network.scope else ""
        predictions = end_points.pop("Predictions", None)
        logits = next(tensor.op for key, tensor in reversed(end_points.items())
                      if key in ("Logits", f"{start}{self.network.logits_scope}"))
        while logits.type == "Squeeze":
            logits = logits.inputs[0].op
        self.float32.add(logits)
        if "global_pool" in end_points:
            self.float32.add(end_points["global_pool"].op)
        written = {key: self._as_float32(tensor.op) for key, tensor in end_points.items()}
        written[LOGITS] = self.node(logits)
        written[PREDICTIONS] = self.writer.op("Softmax", f"{start}{PREDICTIONS}/folded",
                                              [written[LOGITS]], T=tf.float32)
        if predictions is not None:
            written["Predictions"] = self.writer.op(
                "Squeeze", f"{start}{PREDICTIONS}/squeezed", [written[PREDICTIONS]], T=tf.float32,
                squeeze_dims=[1, 2])
        return written

    def _dtype(self, op):
        """Returns the dtype of what is written for an op."""
        if op in self.float32:
            return tf.float32
        return self._dtype(op.inputs[0].op) if op.type in ("Squeeze", "Identity") else \
            self.writer.dtype

    def _as_float32(self, op):
        node = self.node(op)
        if self._dtype(op) == tf.float32:
            return node
        key = f"float32/{op.name}"
        if key not in self.nodes:
            self.nodes[key] = self.writer.cast(key, node, self.writer.dtype, tf.float32)
        return self.nodes[key]

    def node(self, op):
        """Returns the node of an op's output."""
        if op not in self.nodes:
            self.nodes[op] = self._written(op)
        return self.nodes[op]

    def _input(self, op, dtype):
        """Returns the node of an op's first input in a dtype."""
        before = op.inputs[0].op
        return self._as_float32(before) if dtype == tf.float32 else self.node(before)

    def _written(self, op):
        dtype = self._dtype(op)
        if op.type == "Identity":
            return self.node(op.inputs[0].op)
        if op.type in ("MaxPool", "AvgPool"):
            return self.writer.op(
                op.type, op.name, [self._input(op, dtype)], T=dtype, **_attributes(
                    op, "ksize", "strides", "padding"))
        if op.type == "ConcatV2":
            axis = self.writer.constant(f"{op.name}/axis", np.int32(3))
            parts = [self.node(tensor.op) for tensor in op.inputs[:-1]]
            return self.writer.op("ConcatV2", op.name, [*parts, axis], T=dtype, N=len(parts),
                                  Tidx=tf.int32)
        if op.type == "Squeeze":
            return self.writer.op("Squeeze", op.name, [self.node(op.inputs[0].op)], T=dtype,
                                  squeeze_dims=[1, 2])
        if op.type == "DepthwiseConv2dNative":
            weights = self.writer.rounded(f"{op.name}/weights", self._value(op.inputs[1]))
            return self.writer.op(op.type, op.name, [self._input(op, dtype), weights], T=dtype,
                                  **_attributes(op, "strides", "padding"))
        return self._convolution(op, dtype)

    def _convolution(self, op, dtype):
        """Writes a convolution with what is behind it: biases or batch norm, and ReLU."""
        last, relu = op, op.type == "Relu"
        if relu:
            op = op.inputs[0].op
        behind, conv = op, op.inputs[0].op if len(op.inputs) else None
        if conv is None or conv.type != "Conv2D" or behind.type not in ("BiasAdd", *_NORMS):
            raise ValueError(f"{last.name}, a {last.type}, is not known to the folded form")
        if behind.type == "BiasAdd":
            scale, biases = 1.0, self._value(behind.inputs[1])
        else:
            gamma, beta, mean, variance = map(self._value, behind.inputs[1:])
            scale, biases = folding.affine(gamma, beta, mean, variance,
                                           behind.get_attr("epsilon"))
        return self.writer.convolution(
            last.name, self._input(conv, dtype), self._value(conv.inputs[1]), biases, scale=scale,
            relu=relu, dtype=dtype, stride=conv.get_attr("strides")[1],
            padding=conv.get_attr("padding").decode())

    def _value(self, tensor):
        """Returns the value of a variable that a tensor reads, or of a constant."""
        name = variable_of(tensor)
        if name is None:
            return tf.get_static_value(tensor)
        # A dense layer's weights are those of the convolution that it equals.
        return np.reshape(self.read(name), tensor.shape.as_list())


def _attributes(op, *names):
    values = {name: op.get_attr(name) for name in names}
    return {name: value.decode() if isinstance(value, bytes) else value
            for name, value in values.items()}
