"""The folded network as a GraphDef of stock TensorFlow ops.

It walks the same table of blocks as `resnet_utils.stack_blocks_dense`. Nodes are written
straight into the GraphDef: ops made through TensorFlow's Python API would copy every
constant several times and take ten times as long.

Every value that the unfolded network has as an end point is a node here.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from slim_resnet import resnet_utils
from slim_resnet.checkpoint.recognition import Recognised
from slim_resnet.inference.folded import folding
from slim_resnet.models import VARIANTS

tf1 = tf.compat.v1

IMAGES, RAW_IMAGES, SCALED_IMAGES = "images", "raw_images", "scaled_images"
# protobuf's bound on one message.
_MAX_BYTES = 2 ** 31 - 1
# What is smaller is a constant in any case: a variable costs two ops more.
_MIN_VARIABLE_BYTES = 2 ** 14


@dataclasses.dataclass(frozen=True)
class Folded:
    """A folded network.

    Attributes:
      graph_def: Reads ``images`` (float32 ``[N, H, W, channels]``, prepared); maps
        ``raw_images`` (uint8, likewise) to ``scaled_images``.
      end_points: Maps the keys of the unfolded network, and ``global_pool``, to node
        names; in the order of computation.
      logits: Key of the logits; None if there are none.
      variables: Maps the names of the variables of ``graph_def`` to their values; empty
        where all values are constants in it.
    """

    graph_def: tf1.GraphDef
    end_points: dict[str, str]
    logits: str | None
    variables: dict[str, np.ndarray]


class _Writer:
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
          padding: ``SAME``, or the pixels before and after, in height and in width.
        """
        dtype = dtype or self.dtype
        explicit = {}
        if padding != "SAME":
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


def folded_graph(network: Recognised, read: Callable[[str], np.ndarray], *,
                 dtype: tf.DType = tf.float32, output_stride: int | None = None,
                 image_size: int | None = None, with_variables: bool = False,
                 onednn: bool = False, epsilon: float = folding.EPSILON) -> Folded:
    """Folds a network and writes it as a graph.

    Args:
      network: A `recognise.Recognised`.
      read: ``read(name)`` returns a variable's value, by its full name.
      dtype: Of weights and layers, ``tf.float32`` or ``tf.bfloat16``. Pooled features
        and what follows are float32.
      output_stride: As in `resnet_v2.resnet_v2`.
      image_size: Height and width in pixels; None leaves them open.
      with_variables: Whether large weights become variables and not constants.
      onednn: Whether to write what oneDNN runs fastest, or what Eigen does. The values
        are the same but for rounding.
      epsilon: Added to the variances.

    Returns:
      A `Folded`.

    Raises:
      ValueError: ``output_stride`` cannot be reached, the graph would be larger than a
        GraphDef can be, or a folded value is beyond the range of ``dtype``.
    """
    builder = _Builder(network, read, _Writer(dtype, with_variables), onednn, epsilon)
    builder.build(output_stride, image_size)
    writer = builder.writer
    if writer.graph_def.ByteSize() > _MAX_BYTES:
        raise ValueError("folded, it takes more than the 2 GiB that a GraphDef can hold; use it "
                         "unfolded")
    logits = None if network.num_classes is None else f"{builder.start}logits"
    return Folded(writer.graph_def, builder.end_points, logits, writer.variables or {})


class _Builder:
    """Walks the table of blocks of one network."""

    def __init__(self, network, read, writer, onednn, epsilon):
        self.network, self.read, self.writer = network, read, writer
        self.onednn, self.epsilon = onednn, epsilon
        self.start = f"{network.scope}/" if network.scope else ""
        self.variant = VARIANTS[network.variant]
        self.end_points = {}

    def norm(self, scope):
        """Returns scale and offset of a batch norm."""
        return folding.affine(*(self.read(f"{scope}/{name}") for name in (
            "gamma", "beta", "moving_mean", "moving_variance")), self.epsilon)

    def collect(self, key, node):
        """Makes a node an end point, in float32 whatever the network's dtype."""
        dtype = self.writer.dtype
        self.end_points[key] = node if dtype == tf.float32 else self.writer.cast(
            f"float32/{key}", node, dtype, tf.float32)

    def convolution(self, scope, net, *, norm=False, scale=None, **options):
        """Adds a convolution with its batch norm and ReLU, or with its biases.

        Args:
          norm: Whether it has the former.
          scale: What its input has yet to be multiplied with, by channel, or None.
        """
        weights, by_output = self.read(f"{scope}/weights"), 1.0
        if scale is not None:
            weights = np.asarray(weights, np.float64) * scale[:, np.newaxis]
        if norm:
            by_output, biases = self.norm(f"{scope}/BatchNorm")
        else:
            biases = self.read(f"{scope}/biases")
        net = self.writer.convolution(scope, net, weights, biases, relu=norm, scale=by_output,
                                      **options)
        self.collect(scope, net)
        return net

    def preact(self, scope, net):
        """Adds a unit's first batch norm and ReLU.

        Returns:
          The node, and what is left for the convolutions behind it to multiply with.
        """
        scale, offset = self.norm(scope)
        if self.onednn:
            return self.writer.affine_relu(scope, net, scale, offset), None
        if not (scale > 0).all():
            return self.writer.scaled_bias_relu(scope, net, scale, offset), None
        # relu(a x + b) = a relu(x + b / a), and the convolutions are 1x1: they pad nothing.
        with np.errstate(over="ignore"):
            shifted = offset / scale
        if np.abs(shifted).max() > np.finfo(np.float32).max / 2:
            return self.writer.scaled_bias_relu(scope, net, scale, offset), None
        return self.writer.bias_relu(scope, net, shifted), scale

    def unit(self, scope, net, channels, depth, depth_bottleneck, stride, rate=1):
        """Adds one unit; ``depth_bottleneck`` is in the weights' shapes."""
        preact, scale = self.preact(f"{scope}/preact", net)
        if depth != channels:
            shortcut = self.convolution(f"{scope}/shortcut", preact, scale=scale, stride=stride)
        elif stride == 1:
            shortcut = net
        else:
            shortcut = self.writer.pool(f"{scope}/shortcut", net, 1, stride)
        residual = self.convolution(f"{scope}/conv1", preact, norm=True, scale=scale)
        residual = self.convolution(
            f"{scope}/conv2", residual, norm=True, stride=stride, rate=rate,
            padding="SAME" if self.variant.conv2_same or stride == 1 else [rate, rate])
        residual = self.convolution(f"{scope}/conv3", residual, norm=self.variant.conv3_norm)
        # AddN, not AddV2: TensorFlow fuses that one into conv3 without having to prove
        # that the shapes are equal, which it cannot for open sizes.
        net = self.writer.op("AddN", scope, [residual, shortcut], T=self.writer.dtype, N=2)
        self.collect(scope, net)
        return net

    def build(self, output_stride, image_size):
        writer, start, network = self.writer, self.start, self.network
        shape = tf.TensorShape([None, image_size, image_size, network.input_channels])
        _scale(writer, writer.op("Placeholder", RAW_IMAGES, [], dtype=tf.uint8, shape=shape))
        net = writer.op("Placeholder", IMAGES, [], dtype=tf.float32, shape=shape)
        if writer.dtype != tf.float32:
            net = writer.cast(f"{start}{IMAGES}", net, tf.float32, writer.dtype)
        channels = network.input_channels
        if network.root_block:
            net = self.convolution(f"{start}conv1", net, stride=2, padding=[3, 3])
            net = writer.pool(f"{start}pool1", net, 3, 2)
            channels = self.read(f"{start}conv1/biases").size
            output_stride = resnet_utils.behind_root(output_stride)
        for block, units in resnet_utils.planned_units(network.blocks, output_stride):
            for number, arguments in enumerate(units, 1):
                net = self.unit(f"{start}{block.scope}/unit_{number}/bottleneck_v2", net,
                                channels, **arguments)
                channels = arguments["depth"]
            self.collect(f"{start}{block.scope}", net)
        affine_relu = writer.affine_relu if self.onednn else writer.scaled_bias_relu
        net = affine_relu(f"{start}postnorm", net, *self.norm(f"{start}postnorm"))
        if writer.dtype != tf.float32:
            net = writer.cast(f"{start}postnorm/float32", net, writer.dtype, tf.float32)
        axes = writer.constant(f"{start}pool5/axes", np.array([1, 2], np.int32))
        net = writer.op("Mean", f"{start}pool5", [net, axes], T=tf.float32, Tidx=tf.int32,
                        keep_dims=True)
        self.end_points["global_pool"] = net
        if network.num_classes is not None:
            net = writer.convolution(f"{start}logits", net, self.read(f"{start}logits/weights"),
                                     self.read(f"{start}logits/biases"), dtype=tf.float32)
            self.end_points[net] = net
            self.end_points["predictions"] = writer.op(
                "Softmax", f"{start}predictions", [net], T=tf.float32)


def _scale(writer, raw):
    """Adds what `images.preprocess` makes of pixels, ``2 * (x / 255 - 0.5)``."""
    net = writer.cast(f"{SCALED_IMAGES}/float32", raw, tf.uint8, tf.float32)
    for kind, value, name in (("Mul", 1 / 255, "to_1"), ("Sub", 0.5, "centred"), ("Mul", 2, "")):
        name = f"{SCALED_IMAGES}/{name}".rstrip("/")
        net = writer.op(kind, name, [net, writer.rounded(f"{name}/by", value, tf.float32)],
                        T=tf.float32)
