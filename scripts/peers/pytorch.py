"""An ONNX file that this package wrote, run by PyTorch node by node; needs torch and onnx.

Tensors are ``[N, channels, height, width]``, channels last in memory. PyTorch is as it comes:
nothing is compiled.
"""

import collections
from collections.abc import Callable

import onnx
import torch
from torch.nn import functional

from slim_resnet.errors import SlimResnetError

# What gives a tensor of its own, which the node behind it may write over.
_OWN = ("Conv", "Add", "Mul")


def load(path: str, precision: str, threads: int) -> Callable:
    """Returns a function from images ``[N, H, W, 3]`` to the file's one output; see `engines`.

    Args:
      path: An ONNX file of float32 whose output is logits.
      precision: ``float32`` or ``bfloat16``: of all layers but the pooled features and the
        logits, which are float32 in any case.
      threads: How many PyTorch uses.

    Raises:
      SlimResnetError: The file has a node that is not known here.
    """
    torch.set_num_threads(threads)
    graph = onnx.load(path).graph
    steps = _steps(graph, getattr(torch, precision))
    first, last = graph.input[0].name, graph.output[0].name

    @torch.inference_mode()
    def run(images):
        values = {first: torch.from_numpy(images)}
        for function, inputs, output, used_up in steps:
            values[output] = function(*(values[name] for name in inputs))
            for name in used_up:
                del values[name]
        return values[last].numpy()
    return run


def _steps(graph, dtype):
    """Returns ``[(function, names of its inputs, of its output, of what is used up)]``."""
    constants = {}
    for initializer in graph.initializer:
        constants[initializer.name] = torch.from_numpy(
            onnx.numpy_helper.to_array(initializer).copy())
        # Weights are held once.
        initializer.ClearField("raw_data")
    uses = collections.Counter(name for node in graph.node for name in node.input)
    makers = {node.output[0]: node.op_type for node in graph.node}
    logits = [node.output[0] for node in graph.node if node.op_type == "Conv"][-1]
    seen, steps = {one.name for one in graph.output}, []
    for node in reversed(graph.node):
        if node.op_type not in _NODES:
            raise SlimResnetError(f"{node.op_type} is not known to scripts/peers/pytorch.py")
        inputs = [name for name in node.input if name not in constants]
        options = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        function = _NODES[node.op_type](
            options, *(_constant(constants[name], torch.float32 if node.output[0] == logits
                                 else dtype) for name in node.input if name in constants),
            in_place=makers.get(inputs[0]) in _OWN and uses[inputs[0]] == 1)
        steps.append((function, inputs, node.output[0], set(inputs) - seen))
        seen.update(inputs)
    return steps[::-1]


def _constant(values, dtype):
    return values.to(dtype, memory_format=torch.channels_last if values.ndim == 4 else
                     torch.preserve_format)


def _convolution(options, weights, biases=None, **_):
    padding, pad = _padding(options, 0.0)
    settings = options["strides"], padding, options["dilations"], options["group"]

    def run(net):
        return functional.conv2d(pad(net.to(weights.dtype)), weights, biases, *settings)
    return run


def _max_pool(options, **_):
    size, strides = options["kernel_shape"], options["strides"]
    if size == [1, 1]:
        return lambda net: net[:, :, ::strides[0], ::strides[1]]
    padding, pad = _padding(options, float("-inf"))
    return lambda net: functional.max_pool2d(pad(net), size, strides, padding)


def _average_pool(options, **_):
    padding, pad = _padding(options, None)
    return lambda net: functional.avg_pool2d(pad(net), options["kernel_shape"],
                                             options["strides"], padding, count_include_pad=False)


def _padding(options, value):
    """Returns what the layer itself pads, and a function for what it cannot: uneven pads."""
    top, left, bottom, right = options["pads"]
    if (top, left) == (bottom, right):
        return (top, left), lambda net: net
    if value is None:
        raise SlimResnetError("PyTorch's average pool has no uneven pads")
    return (0, 0), lambda net: functional.pad(net, (left, right, top, bottom), value=value)


def _pairwise(out_of_place, within):
    def node(options, constant=None, in_place=False):
        function = within if in_place else out_of_place
        return function if constant is None else lambda net: function(net, constant)
    return node


_NODES = {
    "Conv": _convolution, "MaxPool": _max_pool, "AveragePool": _average_pool,
    "Add": _pairwise(torch.add, torch.Tensor.add_), "Mul": _pairwise(torch.mul, torch.Tensor.mul_),
    "Relu": lambda options, in_place: torch.relu_ if in_place else torch.relu,
    "GlobalAveragePool": lambda options, **_: lambda net: net.float().mean((2, 3), keepdim=True),
    "Concat": lambda options, **_: lambda *parts: torch.cat(parts, options["axis"]),
    "Transpose": lambda options, **_: lambda net: net.permute(options["perm"]),
}
