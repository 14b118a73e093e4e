"""What a forward pass costs, counted from the graph itself."""

import dataclasses
import math

import tensorflow as tf

_VARIABLES = ("VarHandleOp", "VariableV2", "Variable")


@dataclasses.dataclass(frozen=True)
class Cost:
    """Cost of computing one tensor.

    Attributes:
      multiply_adds: Multiply-accumulates an image of all convolutions and matrix
        products, the usual meaning of MACs.
      parameters: Values of all variables that the tensor depends on, batch norms'
        moving statistics included.
      ops: Ops that the tensor depends on.
    """

    multiply_adds: int
    parameters: int
    ops: int


def forward_cost(output):
    """Returns the `Cost` of ``output``, whose ancestors need static shapes but for the batch.

    Args:
      output: A tensor of a graph.

    Raises:
      ValueError: Height or width of a convolution's output is unknown.
    """
    ancestors = _ancestors(output.op)
    variables = {op.name: op for op in ancestors if op.type in _VARIABLES}
    return Cost(
        sum(_multiply_adds(op) for op in ancestors),
        sum(tf.TensorShape(op.get_attr("shape")).num_elements() for op in variables.values()),
        len(ancestors))


def _ancestors(op):
    seen, stack = {op}, [op]
    while stack:
        current = stack.pop()
        for before in [t.op for t in current.inputs] + list(current.control_inputs):
            if before not in seen:
                seen.add(before)
                stack.append(before)
    return seen


def _multiply_adds(op):
    if op.type in ("Conv2D", "DepthwiseConv2dNative"):
        height, width, in_channels, out_channels = op.inputs[1].shape.as_list()
        outputs = op.outputs[0].shape.as_list()[1:]
        if None in outputs:
            raise ValueError(f"{op.name}: height and width have to be known to count its cost")
        if op.type == "DepthwiseConv2dNative":
            in_channels = 1
        return math.prod(outputs) * height * width * in_channels
    if op.type == "MatMul":
        axis = 0 if op.get_attr("transpose_a") else 1
        return op.inputs[0].shape.as_list()[axis] * op.outputs[0].shape.as_list()[1]
    return 0
