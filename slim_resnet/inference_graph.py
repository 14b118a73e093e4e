"""The folded network as a GraphDef of stock TensorFlow ops.

It walks the same table of blocks as `resnet_utils.stack_units`. Nodes are written
straight into the GraphDef: ops made through TensorFlow's Python API would copy every
constant several times and take ten times as long.

Every value that the unfolded network has as an end point is a node here.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from slim_resnet import folding, resnet_utils
from slim_resnet.errors import SlimResnetError

tf1 = tf.compat.v1

IMAGES, RAW_IMAGES, SCALED_IMAGES = "images", "raw_images", "scaled_images"
# protobuf's bound on one message is 2 GiB, signed.
_MAX_BYTES = 2 ** 31 - 1


@dataclasses.dataclass(frozen=True)
class Folded:
    """A folded network.

    Attributes:
      graph_def: Reads ``images`` (float32 ``[N, H, W, channels]``, prepared); maps
        ``raw_images`` (uint8, likewise) to ``scaled_images``.
      end_points: Maps the keys of the unfolded network, and ``global_pool``, to node
        names; in the order of computation.
    """

    graph_def: tf1.GraphDef
    end_points: dict


class _Writer:
    """Writes nodes; every method returns the name of the node that it added."""

    def __init__(self, dtype):
        self.graph_def = tf1.GraphDef()
        self.graph_def.versions.producer = tf.version.GRAPH_DEF_VERSION
        self.dtype = dtype

    def op(self, kind, name, inputs, **attributes):
        node = self.graph_def.node.add(op=kind, name=name, input=inputs)
        for key, value in attributes.items():
            attribute = node.attr[key]
            if isinstance(value, tf.DType):
                attribute.type = value.as_datatype_enum
            elif isinstance(value, bool):
                attribute.b = value
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

    def rounded(self, name, values, dtype=None):
        """Adds a constant of float64 values, rounded to the network's dtype or another."""
        return self.constant(name, folding.rounded(
            values, (dtype or self.dtype).as_numpy_dtype))

    def convolution(self, name, net, weights, biases, *, stride=1, rate=1, padding="SAME",
                    relu=False, dtype=None):
        """Adds a convolution with biases, and ReLU behind it if wanted.

        Args:
          padding: ``SAME``, or the pixels before and after, in height and in width.
        """
        dtype = dtype or self.dtype
        explicit = {}
        if padding != "SAME":
            explicit = {"explicit_paddings": [0, 0, *padding, *padding, 0, 0]}
            padding = "EXPLICIT"
        conv = self.op("Conv2D", f"{name}/Conv2D",
                       [net, self.rounded(f"{name}/weights", weights, dtype)], T=dtype,
                       strides=[1, stride, stride, 1], dilations=[1, rate, rate, 1],
                       padding=padding, **explicit)
        biased = self.op("BiasAdd", f"{name}/BiasAdd" if relu else name,
                         [conv, self.rounded(f"{name}/biases", biases, dtype)], T=dtype)
        return self.op("Relu", name, [biased], T=dtype) if relu else biased

    def affine_relu(self, name, net, scale, offset):
        """Adds ``relu(net * scale + offset)`` by channel."""
        scaled = self.op(
            "DepthwiseConv2dNative", f"{name}/depthwise",
            [net, self.rounded(f"{name}/scale", scale.reshape(1, 1, -1, 1))], T=self.dtype,
            strides=[1, 1, 1, 1], padding="VALID")
        biased = self.op("BiasAdd", f"{name}/BiasAdd",
                         [scaled, self.rounded(f"{name}/offset", offset)], T=self.dtype)
        return self.op("Relu", name, [biased], T=self.dtype)

    def pool(self, name, net, size, stride):
        return self.op("MaxPool", name, [net], T=self.dtype, ksize=[1, size, size, 1],
                       strides=[1, stride, stride, 1], padding="SAME")

    def cast(self, name, net, source, target):
        return self.op("Cast", name, [net], SrcT=source, DstT=target)


def folded_graph(network, read, *, output_stride=None, image_size=None,
                 dtype=tf.float32, epsilon=folding.EPSILON):
    """Folds a network and writes it as a graph.

    Args:
      network: A `recognise.Recognised`, or alike: ``variant``, ``blocks``, ``scope``,
        ``num_classes``, ``input_channels`` and ``root_block``.
      read: ``read(name)`` returns a variable's value, by its full name.
      output_stride: As in `resnet_v2.resnet_v2`.
      image_size: ``(height, width)`` in pixels; None leaves them open.
      dtype: Of weights and layers, ``tf.float32`` or ``tf.bfloat16``. Pooled features
        and what follows are float32.
      epsilon: Added to the variances.

    Returns:
      A `Folded`.

    Raises:
      SlimResnetError: The graph would be larger than a GraphDef can be.
      ValueError: ``output_stride`` cannot be reached.
    """
    writer = _Writer(dtype)
    start = f"{network.scope}/" if network.scope else ""
    end_points = {}

    def norm(scope):
        return folding.affine(*(read(f"{scope}/{name}") for name in (
            "gamma", "beta", "moving_mean", "moving_variance")), epsilon)

    def convolution(scope, net, **options):
        """Adds the convolution of a scope with its batch norm and ReLU, or with its biases."""
        weights = read(f"{scope}/weights")
        if scope.endswith(with_norm):
            weights, biases = folding.fold_into(weights, *norm(f"{scope}/BatchNorm"))
        else:
            biases = read(f"{scope}/biases")
        net = writer.convolution(scope, net, weights, biases,
                                 relu=scope.endswith(with_norm), **options)
        end_points[scope] = net
        return net

    blog = network.variant == "blog"
    with_norm = ("/conv1", "/conv2", "/conv3") if blog else ("/conv1", "/conv2")

    def unit(net, channels, scope, depth, depth_bottleneck, stride, rate=1):
        preact = writer.affine_relu(f"{scope}/preact", net, *norm(f"{scope}/preact"))
        if depth != channels:
            shortcut = convolution(f"{scope}/shortcut", preact, stride=stride)
        elif stride == 1:
            shortcut = net
        else:
            shortcut = writer.pool(f"{scope}/shortcut", net, 1, stride)
        residual = convolution(f"{scope}/conv1", preact)
        residual = convolution(f"{scope}/conv2", residual, stride=stride, rate=rate,
                               padding="SAME" if blog or stride == 1 else [rate, rate])
        residual = convolution(f"{scope}/conv3", residual)
        end_points[scope] = writer.op("AddV2", scope, [residual, shortcut], T=dtype)
        return scope

    size = list(image_size or (None, None))
    shape = tf.TensorShape([None, *size, network.input_channels])
    raw = writer.op("Placeholder", RAW_IMAGES, [], dtype=tf.uint8, shape=shape)
    _scale(writer, raw)
    net = writer.op("Placeholder", IMAGES, [], dtype=tf.float32, shape=shape)
    if dtype != tf.float32:
        net = writer.cast(f"{start}cast", net, tf.float32, dtype)
    channels = network.input_channels
    if network.root_block:
        weights, biases = read(f"{start}conv1/weights"), read(f"{start}conv1/biases")
        net = writer.convolution(f"{start}conv1", net, weights, biases, stride=2, padding=[3, 3])
        end_points[net] = net
        net, channels = writer.pool(f"{start}pool1", net, 3, 2), weights.shape[-1]
        output_stride = resnet_utils.behind_root(output_stride)
    for block, units in resnet_utils.planned_units(network.blocks, output_stride):
        for number, arguments in enumerate(units, 1):
            net = unit(net, channels, f"{start}{block.scope}/unit_{number}/bottleneck_v2",
                       **arguments)
            channels = arguments["depth"]
        end_points[f"{start}{block.scope}"] = net
    net = writer.affine_relu(f"{start}postnorm", net, *norm(f"{start}postnorm"))
    if dtype != tf.float32:
        net = writer.cast(f"{start}postnorm/float32", net, dtype, tf.float32)
    axes = writer.constant(f"{start}pool5/axes", np.array([1, 2], np.int32))
    net = writer.op("Mean", f"{start}pool5", [net, axes], T=tf.float32, Tidx=tf.int32,
                    keep_dims=True)
    end_points["global_pool"] = net
    if network.num_classes is not None:
        net = writer.convolution(f"{start}logits", net, read(f"{start}logits/weights"),
                                 read(f"{start}logits/biases"), dtype=tf.float32)
        end_points[net] = net
        end_points["predictions"] = writer.op("Softmax", f"{start}predictions", [net],
                                              T=tf.float32)
    if dtype != tf.float32:
        _as_float32(writer, end_points, dtype)
    if writer.graph_def.ByteSize() > _MAX_BYTES:
        raise SlimResnetError("the folded network takes more than the 2 GiB that a GraphDef can "
                              "hold; use it unfolded")
    return Folded(writer.graph_def, end_points)


def _scale(writer, raw):
    """Adds what `images.preprocess` makes of pixels, ``2 * (x / 255 - 0.5)``."""
    net = writer.cast(f"{SCALED_IMAGES}/float32", raw, tf.uint8, tf.float32)
    for kind, value, name in (("Mul", 1 / 255, "to_1"), ("Sub", 0.5, "centred"), ("Mul", 2, "")):
        name = f"{SCALED_IMAGES}/{name}".rstrip("/")
        net = writer.op(kind, name, [net, writer.rounded(f"{name}/by", value, tf.float32)],
                        T=tf.float32)


def _as_float32(writer, end_points, dtype):
    """Puts casts behind the end points that are not float32, under names of their own."""
    in_float32 = {"global_pool", "predictions"}
    for key, node in end_points.items():
        if key not in in_float32 and not key.endswith("logits"):
            name = f"float32/{key}"
            end_points[key] = writer.cast(name, node, dtype, tf.float32)
