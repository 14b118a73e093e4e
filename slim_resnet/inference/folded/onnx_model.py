"""The folded network as an ONNX model; the extra ``onnx`` is all that it needs.

    folded = fold(path, network, read, "float32", image_size=224, with_variables=True,
                  onednn=False)
    model = onnx_model(folded, ["global_pool", folded.logits, "predictions"])

Images go in and end points come out as in a session, ``[N, height, width, channels]``;
in between it has the layout of ONNX, ``[N, channels, height, width]``. Sizes that are known
have explicit pads: ONNX's pooling pads with minus infinity as TensorFlow's, and not every
runtime that takes ``auto_pad`` gives the right numbers with it.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

import slim_resnet
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import Preprocessing
from slim_resnet.inference.folded.graph import IMAGES, Folded

if TYPE_CHECKING:
    import onnx

# The first opset whose Squeeze and Softmax are those that are written here, and a version of
# files that all of today's runtimes read.
OPSET, IR_VERSION = 13, 8
# Input of models that take pixels.
PIXELS = "pixels"
# protobuf's bound on one message, less what is not weights.
_MAX_BYTES = 2 ** 31 - 2 ** 24
_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def check_opset(opset: int) -> None:
    """Raises `SlimResnetError` unless models can be written for an opset, and onnx is there."""
    try:
        import onnx
    except (ImportError, AttributeError) as error:  # the latter where its ml_dtypes is too old
        raise SlimResnetError(f"ONNX needs the package onnx, which cannot be imported ({error}); "
                              "pip install 'slim-resnet[onnx]'") from error
    newest = onnx.defs.onnx_opset_version()
    if not OPSET <= opset <= newest:
        raise SlimResnetError(f"opset {opset}: models are written for {OPSET} to {newest} with "
                              f"onnx {onnx.__version__}; give one of them")


def onnx_model(folded: Folded, end_points: Iterable[str], *, opset: int = OPSET,
               pixels: Preprocessing | None = None, metadata: Mapping[str, str] | None = None
               ) -> "onnx.ModelProto":
    """Translates a folded network of float32.

    Args:
      folded: What `network.fold` returned, with variables or without.
      end_points: Keys of ``folded.end_points`` that are outputs, under these names.
      opset: From `OPSET` on.
      pixels: None for an input ``images``, float32, prepared. Else the input is `PIXELS`,
        uint8, and what this preparation makes of values is in the model; sizes are not.
      metadata: Texts that the model carries.

    Returns:
      A ``ModelProto`` with any batch size ``N``, and the image size of ``folded``.

    Raises:
      SlimResnetError: The package onnx is missing or has no such opset.
      ValueError: The model would be larger than a file can be, or has a layer that is not
        known here.
    """
    check_opset(opset)
    import onnx
    translator = _Translator(folded)
    inputs = translator.images(pixels)
    wanted = list(end_points)
    translator.translate({folded.end_points[key] for key in wanted})
    outputs = [translator.output(key, folded.end_points[key]) for key in wanted]
    graph = onnx.helper.make_graph(translator.nodes, "slim_resnet", inputs, outputs,
                                   translator.initializers)
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(
        graph, opset_imports=opsets, producer_name="slim_resnet",
        producer_version=slim_resnet.__version__,
        ir_version=max(IR_VERSION, onnx.helper.find_min_ir_version_for(opsets)))
    onnx.helper.set_model_props(model, dict(metadata or {}))
    return model


class _Translator:
    """Writes ONNX nodes for the nodes of a folded GraphDef, in their order.

    Attributes:
      shapes: Maps nodes to ``(channels, height, width)``, None for a size that is open, or
        to ``(channels,)`` for what is squeezed.
    """

    def __init__(self, folded):
        import onnx
        self.onnx, self.folded = onnx, folded
        self.by_name = {node.name: node for node in folded.graph_def.node}
        self.nodes, self.initializers, self.shapes, self.bytes = [], [], {}, 0
        # What a convolution's biases are added by, and whether they have been.
        self.biases = {node.input[0]: node for node in folded.graph_def.node
                       if node.op == "BiasAdd" and self._is_convolution(node.input[0])}

    def _is_convolution(self, name):
        return self.by_name[name].op in ("Conv2D", "DepthwiseConv2dNative")

    def images(self, pixels):
        """Adds the input; returns what describes it."""
        shape = [dim.size for dim in self.by_name[IMAGES].attr["shape"].shape.dim]
        height, width = (None if size < 0 else size for size in shape[1:3])
        channels = shape[3]
        self.shapes[IMAGES] = channels, height, width
        name, kind = IMAGES, self.onnx.TensorProto.FLOAT
        if pixels is not None:
            name, kind = PIXELS, self.onnx.TensorProto.UINT8
        self._add("Transpose", [self._prepared(pixels, channels)], IMAGES, perm=_TO_NCHW)
        return [self.onnx.helper.make_tensor_value_info(
            name, kind, ["N", height or "height", width or "width", channels])]

    def _prepared(self, pixels, channels):
        """Adds what becomes of the values of pixels; returns the name of what results.

        The same numbers as `images.preparation`, op by op.
        """
        if pixels is None:
            return IMAGES
        name, steps = "pixels/float32", ()
        self._node("Cast", [PIXELS], name, to=self.onnx.TensorProto.FLOAT)
        if pixels.name == "inception":
            steps = ("Mul", "to_1", 1 / 255), ("Sub", "centred", 0.5), ("Mul", "scaled", 2.0)
        elif pixels.name == "vgg":
            steps = ("Sub", "less_mean", pixels.means(channels)),
        for kind, step, value in steps:
            by = self._constant(f"pixels/{step}/by", np.asarray(value, np.float32))
            self._node(kind, [name, by], f"pixels/{step}")
            name = f"pixels/{step}"
        return name

    def translate(self, wanted):
        """Adds all that the nodes ``wanted`` need."""
        needed, nodes = set(wanted), self.folded.graph_def.node
        for node in reversed(nodes):
            if node.name in needed and node.name != IMAGES:
                needed.update(node.input)
        for node in nodes:
            if node.name in needed and node.op in _WRITERS:
                _WRITERS[node.op](self, node)
            elif node.name in needed and node.op not in _VALUES:
                raise ValueError(f"{node.name}, a {node.op}, is not known to the ONNX form")

    def output(self, key, node):
        """Adds an output in TensorFlow's layout; returns what describes it."""
        channels, *sizes = self.shapes[node]
        if sizes:
            self._node("Transpose", [_nchw(node)], key, perm=_TO_NHWC)
        else:
            self._node("Identity", [_nchw(node)], key)
        return self.onnx.helper.make_tensor_value_info(
            key, self.onnx.TensorProto.FLOAT, ["N", *sizes, channels])

    def _node(self, kind, inputs, name, **attributes):
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [name], name, **attributes))

    def _add(self, kind, inputs, name, **attributes):
        """Adds a node for the GraphDef's node of that name."""
        self._node(kind, inputs, _nchw(name), **attributes)

    def _constant(self, name, values):
        self.bytes += values.nbytes
        if self.bytes > _MAX_BYTES:
            raise ValueError("folded, it takes more than the 2 GiB that an ONNX file can hold; "
                             "export it as v2, npz or saved_model")
        self.initializers.append(self.onnx.numpy_helper.from_array(
            np.ascontiguousarray(values), name))
        return name

    def _value(self, name):
        """Returns the array that a node of the GraphDef holds or reads."""
        if name in self.folded.variables:
            return self.folded.variables[name]
        node = self.by_name[name]
        tensor = node.attr["value"].tensor
        return np.frombuffer(tensor.tensor_content, np.float32 if tensor.dtype == 1 else np.int32
                             ).reshape([dim.size for dim in tensor.tensor_shape.dim])

    def _by_channel(self, node):
        """Adds the constant of an op by channel; returns its name."""
        return self._constant(node.input[1], self._value(node.input[1]).reshape(-1, 1, 1))

    def convolution(self, node):
        weights, groups = self._value(node.input[1]), 1
        if node.op == "DepthwiseConv2dNative":
            height, width, groups, multiplier = weights.shape
            weights = weights.reshape(height, width, 1, groups * multiplier)
        inputs = [_nchw(node.input[0]),
                  self._constant(node.input[1], weights.transpose(3, 2, 0, 1))]
        behind = self.biases.get(node.name)
        if behind is not None:
            inputs.append(self._constant(behind.input[1], self._value(behind.input[1])))
        dilations = list(node.attr["dilations"].list.i)[1:3] or [1, 1]
        name = node.name if behind is None else behind.name
        sizes, pads = self._window(node, weights.shape[:2], dilations)
        self.shapes[node.name] = self.shapes[name] = weights.shape[3], *sizes
        self._add("Conv", inputs, name, group=groups, dilations=dilations,
                  kernel_shape=weights.shape[:2], **pads)

    def pool(self, node):
        kernel = list(node.attr["ksize"].list.i)[1:3]
        sizes, pads = self._window(node, kernel, [1, 1])
        self.shapes[node.name] = self.shapes[node.input[0]][0], *sizes
        self._add({"MaxPool": "MaxPool", "AvgPool": "AveragePool"}[node.op],
                  [_nchw(node.input[0])], node.name, kernel_shape=kernel, **pads)

    def _window(self, node, kernel, dilations):
        """Returns height and width behind a window, and ONNX's strides and pads of it."""
        strides = list(node.attr["strides"].list.i)[1:3]
        padding, explicit = node.attr["padding"].s.decode(), node.attr["explicit_paddings"].list.i
        sizes, before, after, is_open = [], [], [], False
        for axis, size in enumerate(self.shapes[node.input[0]][1:]):
            reach, stride = dilations[axis] * (kernel[axis] - 1) + 1, strides[axis]
            first, last = explicit[2 + 2 * axis:4 + 2 * axis] if explicit else (0, 0)
            if padding != "SAME":
                result = None if size is None else (size + first + last - reach) // stride + 1
            elif size is None:
                result, total = None, reach - 1
                # What is padded depends on the size, but for these.
                is_open |= stride > 1 and reach > 1
                first, last = total // 2, total - total // 2
            else:
                result = -(-size // stride)
                total = max((result - 1) * stride + reach - size, 0)
                first, last = total // 2, total - total // 2
            sizes.append(result)
            before.append(first)
            after.append(last)
        pads = {"auto_pad": "SAME_UPPER"} if is_open else {"pads": [*before, *after]}
        return sizes, {"strides": strides, **pads}

    def bias(self, node):
        if not self._is_convolution(node.input[0]):
            self.elementwise(node, "Add", [self._by_channel(node)])

    def scale(self, node):
        self.elementwise(node, "Mul", [self._by_channel(node)])

    def sum(self, node):
        self.elementwise(node, "Add", [_nchw(node.input[1])])

    def relu(self, node):
        self.elementwise(node, "Relu")

    def softmax(self, node):
        self.elementwise(node, "Softmax", axis=1)

    def elementwise(self, node, kind, more=(), **attributes):
        self.shapes[node.name] = self.shapes[node.input[0]]
        self._add(kind, [_nchw(node.input[0]), *more], node.name, **attributes)

    def mean(self, node):
        self.shapes[node.name] = self.shapes[node.input[0]][0], 1, 1
        self._add("GlobalAveragePool", [_nchw(node.input[0])], node.name)

    def concat(self, node):
        parts = node.input[:-1]
        self.shapes[node.name] = (sum(self.shapes[part][0] for part in parts),
                                  *self.shapes[parts[0]][1:])
        self._add("Concat", list(map(_nchw, parts)), node.name, axis=1)

    def squeeze(self, node):
        self.shapes[node.name] = self.shapes[node.input[0]][:1]
        axes = self._constant(f"{node.name}/axes", np.array([2, 3], np.int64))
        self._add("Squeeze", [_nchw(node.input[0]), axes], node.name)


def _nchw(name):
    """Returns the name of a value in ONNX's layout; the plain name is an end point's."""
    return f"nchw/{name}"


# What constants and variables are read from, and the images, which `images` adds.
_VALUES = ("Const", "VarHandleOp", "ReadVariableOp", "Placeholder")
_WRITERS = {
    "Conv2D": _Translator.convolution, "DepthwiseConv2dNative": _Translator.convolution,
    "BiasAdd": _Translator.bias, "Mul": _Translator.scale, "AddN": _Translator.sum,
    "Relu": _Translator.relu, "MaxPool": _Translator.pool, "AvgPool": _Translator.pool,
    "Mean": _Translator.mean, "ConcatV2": _Translator.concat, "Squeeze": _Translator.squeeze,
    "Softmax": _Translator.softmax,
}
