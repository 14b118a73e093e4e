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
from slim_resnet.images.vgg import MEANS
from slim_resnet.inference.folded import folding, plain_graph
from slim_resnet.inference.folded.writer import Writer
from slim_resnet.models import VARIANTS

tf1 = tf.compat.v1

IMAGES, RAW_IMAGES, SCALED_IMAGES = "images", "raw_images", "scaled_images"
# protobuf's bound on one message.
_MAX_BYTES = 2 ** 31 - 1


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
      output_stride: As in `resnet_v2.resnet_v2`; for residual networks.
      image_size: Height and width in pixels; None leaves them open, and for a network
        without residual units takes what its released checkpoint is evaluated at.
      with_variables: Whether large weights become variables and not constants.
      onednn: Whether to write what oneDNN runs fastest, or what Eigen does. The values
        are the same but for rounding.
      epsilon: Added to the variances of residual networks; those of others are tf_slim's.

    Returns:
      A `Folded`.

    Raises:
      ValueError: ``output_stride`` cannot be reached, the graph would be larger than a
        GraphDef can be, or a folded value is beyond the range of ``dtype``.
    """
    writer = Writer(dtype, with_variables)
    if network.variant is None:
        image_size = image_size or network.row.evaluated_image_size
        images = _images(writer, network, image_size)
        end_points = plain_graph.write_plain(network, read, writer, images, image_size)
        logits = plain_graph.LOGITS
    else:
        builder = _Builder(network, read, writer, onednn, epsilon)
        builder.build(output_stride, image_size)
        end_points = builder.end_points
        logits = None if network.num_classes is None else f"{builder.start}logits"
    if writer.graph_def.ByteSize() > _MAX_BYTES:
        raise ValueError("folded, it takes more than the 2 GiB that a GraphDef can hold; use it "
                         "unfolded")
    return Folded(writer.graph_def, end_points, logits, writer.variables or {})


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

    def convolution(self, scope, net, *, norm=False, relu=None, scale=None, **options):
        """Adds a convolution with its batch norm and ReLU, or with its biases.

        Args:
          norm: Whether it has the former.
          relu: Whether it has ReLU; None for where it has batch norm.
          scale: What its input has yet to be multiplied with, by channel, or None.
        """
        weights, by_output = self.read(f"{scope}/weights"), 1.0
        if scale is not None:
            weights = np.asarray(weights, np.float64) * scale[:, np.newaxis]
        if norm:
            by_output, biases = self.norm(f"{scope}/BatchNorm")
        else:
            biases = self.read(f"{scope}/biases")
        net = self.writer.convolution(scope, net, weights, biases, scale=by_output,
                                      relu=norm if relu is None else relu, **options)
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

    def unit(self, scope, net, channels, depth, depth_bottleneck, stride, rate=1, unit_rate=1):
        """Adds one unit; ``depth_bottleneck`` is in the weights' shapes."""
        norm_last, rate = not self.variant.norm_first, rate * unit_rate
        preact, scale = (net, None) if norm_last else self.preact(f"{scope}/preact", net)
        if depth != channels:
            shortcut = self.convolution(f"{scope}/shortcut", preact, norm=norm_last, relu=False,
                                        scale=scale, stride=stride)
        elif stride == 1:
            shortcut = net
        else:
            shortcut = self.writer.pool(f"{scope}/shortcut", net, 1, stride)
        residual = self.convolution(f"{scope}/conv1", preact, norm=True, scale=scale)
        residual = self.convolution(
            f"{scope}/conv2", residual, norm=True, stride=stride, rate=rate,
            padding="SAME" if self.variant.conv2_same or stride == 1 else [rate, rate])
        residual = self.convolution(f"{scope}/conv3", residual, norm=self.variant.conv3_norm,
                                    relu=False if norm_last else None)
        # AddN, not AddV2: TensorFlow fuses that one into conv3 without having to prove
        # that the shapes are equal, which it cannot for open sizes.
        net = self.writer.op("AddN", f"{scope}/sum" if norm_last else scope, [residual, shortcut],
                             T=self.writer.dtype, N=2)
        if norm_last:
            net = self.writer.op("Relu", scope, [net], T=self.writer.dtype)
        self.collect(scope, net)
        return net

    def build(self, output_stride, image_size):
        writer, start, network = self.writer, self.start, self.network
        net = _images(writer, network, image_size)
        channels = network.input_channels
        if network.root_block:
            for scope, size, stride in self.variant.root:
                net = self.convolution(
                    f"{start}{scope}", net, norm=not self.variant.norm_first, stride=stride,
                    padding="SAME" if stride == 1 else [size // 2, size // 2])
                channels = self.read(f"{start}{scope}/weights").shape[-1]
            net = writer.pool(f"{start}pool1", net, 3, 2)
            output_stride = resnet_utils.behind_root(output_stride)
        for block, units in resnet_utils.planned_units(network.blocks, output_stride):
            for number, arguments in enumerate(units, 1):
                net = self.unit(f"{start}{block.scope}/unit_{number}/{self.variant.unit}", net,
                                channels, **arguments)
                channels = arguments["depth"]
            self.collect(f"{start}{block.scope}", net)
        if self.variant.norm_first:
            affine_relu = writer.affine_relu if self.onednn else writer.scaled_bias_relu
            net = affine_relu(f"{start}postnorm", net, *self.norm(f"{start}postnorm"))
        if writer.dtype != tf.float32:
            net = writer.cast(f"{start}pool5/float32", net, writer.dtype, tf.float32)
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


def _images(writer, network, image_size):
    """Adds the placeholders; returns the node of prepared images in the writer's dtype."""
    shape = tf.TensorShape([None, image_size, image_size, network.input_channels])
    raw = writer.op("Placeholder", RAW_IMAGES, [], dtype=tf.uint8, shape=shape)
    if network.row.preprocessing == "vgg":
        _subtract_means(writer, raw, network.input_channels)
    else:
        _scale(writer, raw)
    net = writer.op("Placeholder", IMAGES, [], dtype=tf.float32, shape=shape)
    return net if writer.dtype == tf.float32 else writer.cast(
        f"{IMAGES}/{writer.dtype.name}", net, tf.float32, writer.dtype)


def _subtract_means(writer, raw, channels):
    """Adds what VGG's preparation makes of pixels, whose channels are red, green and blue."""
    if channels != len(MEANS):
        raise ValueError(f"VGG's preparation is for {len(MEANS)} channels, and its images have "
                         f"{channels}")
    net = writer.cast(f"{SCALED_IMAGES}/float32", raw, tf.uint8, tf.float32)
    writer.op("Sub", SCALED_IMAGES, [net, writer.rounded(
        f"{SCALED_IMAGES}/means", np.array(MEANS), tf.float32)], T=tf.float32)


def _scale(writer, raw):
    """Adds what `images.preprocess` makes of pixels, ``2 * (x / 255 - 0.5)``."""
    net = writer.cast(f"{SCALED_IMAGES}/float32", raw, tf.uint8, tf.float32)
    for kind, value, name in (("Mul", 1 / 255, "to_1"), ("Sub", 0.5, "centred"), ("Mul", 2, "")):
        name = f"{SCALED_IMAGES}/{name}".rstrip("/")
        net = writer.op(kind, name, [net, writer.rounded(f"{name}/by", value, tf.float32)],
                        T=tf.float32)
