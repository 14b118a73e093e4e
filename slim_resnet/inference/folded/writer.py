"""Writes nodes straight into a GraphDef, and rounds the values of the folded network."""

import numpy as np
import tensorflow as tf

from slim_resnet.inference.folded import folding

tf1 = tf.compat.v1

# What is smaller is a constant in any case: a variable costs two ops more.
_MIN_VARIABLE_BYTES = 2 ** 14


class Writer:
    """Writes nodes; every method returns the name of the node that it added."""

    def __init__(self, dtype, with_variables):
        self.graph_def = tf1.GraphDef()
        self.graph_def.versions.producer = tf.version.GRAPH_DEF_VERSION
        self.dtype = dtype
        self.variables = {} if with_variables else None

    def op(self, kind, name, inputs, **attributes):
        node = self.graph_def.node.add(op=kind, name=name, input=inputs)
        for key, value in attributes.items():
            attribute = node.attr[key]
            if isinstance(value, tf.DType):
                attribute.type = value.as_datatype_enum
            elif isinstance(value, bool):
                attribute.b = value
            elif isinstance(value, int):
                attribute.i = value
            elif isinstance(value, str):
                attribute.s = value.encode()
            elif isinstance(value, tf.TensorShape):
                attribute.shape.CopyFrom(value.as_proto())
            else:
                attribute.list.i.extend(value)
        return name

    def constant(self, name, values):
        """Adds a constant of a numpy array's own dtype."""
        dtype = tf.as_dtype(values.dtype)
        self.op("Const", name, [], dtype=dtype)
        tensor = self.graph_def.node[-1].attr["value"].tensor
        tensor.dtype = dtype.as_datatype_enum
        tensor.tensor_shape.CopyFrom(tf.TensorShape(values.shape).as_proto())
        tensor.tensor_content = values.tobytes()
        return name

    def rounded(self, name, values, dtype=None, scale=1.0):
        """Adds ``values * scale``, rounded to the network's dtype or another."""
        values = folding.rounded(values, (dtype or self.dtype).as_numpy_dtype, scale)
        if not np.isfinite(values).all():
            raise ValueError(f"{name}, folded, is beyond the range of {values.dtype}")
        if self.variables is None or values.nbytes < _MIN_VARIABLE_BYTES:
            return self.constant(name, values)
        self.variables[name] = values
        dtype = tf.as_dtype(values.dtype)
        handle = self.op("VarHandleOp", f"{name}/handle", [], dtype=dtype, shared_name=name,
                         shape=tf.TensorShape(values.shape))
        return self.op("ReadVariableOp", name, [handle], dtype=dtype)

    def convolution(self, name, net, weights, biases, *, stride=1, rate=1, padding="SAME",
                    relu=False, dtype=None, scale=1.0):
        """Adds a convolution with biases, and ReLU behind it if wanted.

        Args:
          scale: What to multiply the weights with, by output.
          padding: ``SAME``, ``VALID``, or the pixels before and after, in height and in width.
        """
        dtype = dtype or self.dtype
        explicit = {}
        if not isinstance(padding, str):
            explicit = {"explicit_paddings": [0, 0, *padding, *padding, 0, 0]}
            padding = "EXPLICIT"
        conv = self.op("Conv2D", f"{name}/Conv2D",
                       [net, self.rounded(f"{name}/weights", weights, dtype, scale)], T=dtype,
                       strides=[1, stride, stride, 1], dilations=[1, rate, rate, 1],
                       padding=padding, **explicit)
        biased = self.op("BiasAdd", f"{name}/BiasAdd" if relu else name,
                         [conv, self.rounded(f"{name}/biases", biases, dtype)], T=dtype)
        return self.op("Relu", name, [biased], T=dtype) if relu else biased

    def affine_relu(self, name, net, scale, offset):
        """Adds ``relu(net * scale + offset)`` by channel, as oneDNN fuses it into one kernel."""
        scaled = self.op(
            "DepthwiseConv2dNative", f"{name}/depthwise",
            [net, self.rounded(f"{name}/scale", scale.reshape(1, 1, -1, 1))], T=self.dtype,
            strides=[1, 1, 1, 1], padding="VALID")
        return self.bias_relu(name, scaled, offset)

    def scaled_bias_relu(self, name, net, scale, offset):
        """The same in ops that Eigen runs fastest."""
        scaled = self.op("Mul", f"{name}/scaled", [net, self.rounded(f"{name}/scale", scale)],
                         T=self.dtype)
        return self.bias_relu(name, scaled, offset)

    def bias_relu(self, name, net, offset):
        """Adds ``relu(net + offset)`` by channel."""
        biased = self.op("BiasAdd", f"{name}/BiasAdd",
                         [net, self.rounded(f"{name}/offset", offset)], T=self.dtype)
        return self.op("Relu", name, [biased], T=self.dtype)

    def pool(self, name, net, size, stride):
        return self.op("MaxPool", name, [net], T=self.dtype, ksize=[1, size, size, 1],
                       strides=[1, stride, stride, 1], padding="SAME")

    def cast(self, name, net, source, target):
        return self.op("Cast", name, [net], SrcT=source, DstT=target)
