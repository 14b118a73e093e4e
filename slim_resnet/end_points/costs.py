"""What a forward pass costs, counted from the graph itself."""

import dataclasses
import math

import tensorflow as tf

from slim_resnet.common.counts import Counts, count, kind_of

VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")


@dataclasses.dataclass(frozen=True)
class Cost:
    """Cost of some ops.

    Attributes:
      multiply_adds: Multiply-accumulates an image of all convolutions and matrix
        products, the usual meaning of MACs; None where height or width of one's
        output is not known.
      counts: Of the variables among them; batch norms' moving statistics belong to them in
        training mode too, where a forward pass does not read them.
      ops: Number of ops.
    """

    multiply_adds: int | None
    counts: Counts
    ops: int

    @property
    def parameters(self) -> int:
        """Values of the network."""
        return self.counts.parameters


def forward_cost(output):
    """Returns the `Cost` of all that a tensor of a graph depends on."""
    return cost_of(ancestors(output.op))


def ancestors(op, seen=()):
    """Returns the set of ``op`` and the ops that it depends on, but for those ``seen``.

    Args:
      op: An op of a graph.
      seen: Ops to leave out, with all that only they depend on.
    """
    found, stack = set(), [op]
    while stack:
        current = stack.pop()
        if current in found or current in seen:
            continue
        found.add(current)
        stack += [tensor.op for tensor in current.inputs]
        stack += current.control_inputs
    return found


def multiplies(op):
    """Whether an op is a convolution or a matrix product."""
    return op.type in (*_CONVOLUTIONS, "MatMul")


def cost_of(ops):
    """Returns the `Cost` of a set of ops."""
    multiply_adds = [_multiply_adds(op) for op in ops]
    return Cost(
        None if None in multiply_adds else sum(multiply_adds),
        count((kind_of(op.name), tf.TensorShape(op.get_attr("shape")).num_elements())
              for op in _variables(ops)),
        len(ops))


def _variables(ops):
    """Returns the variables among ops, and the moving statistics of the batch norms among them."""
    found = {op for op in ops if op.type in VARIABLES}
    for op in list(found):
        scope, _, name = op.name.rpartition("/")
        # A batch norm always has a beta here, as slim's have by default.
        if name == "beta":
            for name in ("moving_mean", "moving_variance"):
                moving = _operation(op.graph, f"{scope}/{name}")
                if moving is not None and moving.type in VARIABLES:
                    found.add(moving)
    return found


def _operation(graph, name):
    try:
        return graph.get_operation_by_name(name)
    except KeyError:
        return None


def _multiply_adds(op):
    if op.type in _CONVOLUTIONS:
        height, width, in_channels, _ = op.inputs[1].shape.as_list()
        outputs = op.outputs[0].shape.as_list()[1:]
        if None in outputs:
            return None
        if op.type == "DepthwiseConv2dNative":
            in_channels = 1
        return math.prod(outputs) * height * width * in_channels * _images_of_one(op.inputs[0].op)
    if op.type == "MatMul":
        axis = 0 if op.get_attr("transpose_a") else 1
        factors = op.inputs[0].shape.as_list()[axis], op.outputs[0].shape.as_list()[1]
        return None if None in factors else math.prod(factors)
    return 0


def _images_of_one(op):
    """How many images a convolution sees for one: atrous ones are given a grid of them."""
    return math.prod(tf.get_static_value(op.inputs[1])) if op.type == "SpaceToBatchND" else 1
