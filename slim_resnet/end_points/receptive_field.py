"""Strides and receptive fields of tensors, followed through a graph's ops.

Along each axis, position ``p`` of a tensor sees the pixels ``stride * p + first`` to
``stride * p + last`` of the images: what the first convolution or pooling is given,
before any padding. A kernel widens that range, a stride multiplies the steps, and where
branches meet the range is the union of theirs.
"""

import typing

import tensorflow as tf

# Whose outputs at a position depend on their inputs at that position alone.
_POINTWISE = frozenset("""
    Add AddN AddV2 BiasAdd Cast CheckNumerics ConcatV2 Div DivNoNan Elu Erf Exp FusedBatchNorm
    FusedBatchNormV2 FusedBatchNormV3 Identity LRN LeakyRelu LogSoftmax Maximum Merge Minimum Mul
    Neg PlaceholderWithDefault Pow RealDiv Relu Relu6 Rsqrt Select SelectV2 Selu Sigmoid Snapshot
    Softmax Softplus Sqrt Square SquaredDifference StopGradient Sub Switch Tanh
    """.split())
# What else a batch norm has within the branches of a tf.cond: variables, their updates, and
# what is kept for gradients.
_BESIDE = frozenset("""
    AssignSubVariableOp AssignAddVariableOp Const NoOp OptionalFromValue OptionalNone
    ReadVariableOp
    """.split())
_CONDS = ("If", "StatelessIf")
_BRANCHES = ("then_branch", "else_branch")
_KERNELS = ("Conv2D", "DepthwiseConv2dNative")
_POOLS = ("MaxPool", "AvgPool")
_PADS = ("Pad", "PadV2", "MirrorPad")
_BATCHES = ("SpaceToBatchND", "BatchToSpaceND")


class Sight(typing.NamedTuple):
    """What one position of a tensor sees along one axis, see the module's text."""

    stride: int
    first: int
    last: int

    def moved(self, positions):
        """What a position sees whose number was ``positions`` higher before."""
        return self._replace(first=self.first + positions * self.stride,
                             last=self.last + positions * self.stride)


PIXEL = Sight(1, 0, 0)


def sights(ops):
    """Follows the images through a graph.

    Args:
      ops: Ops, each behind those that it depends on.

    Returns:
      A dict from each op that depends on a convolution or pooling to what its first
      output sees: a pair of `Sight`, of height and width, or None where it is not
      bounded or not the same at all positions, as behind global pooling. Where a size
      is not known, strides are taken to divide it.
    """
    found, functions = {}, None
    for op in ops:
        before = [found[tensor.op] for tensor in op.inputs if tensor.op in found]
        if op.type in _KERNELS + _POOLS:
            before = before or [_start(op.inputs[0].op)]
        if not before:
            continue
        if op.type in _CONDS:
            if functions is None:
                functions = {function.signature.name: function.node_def
                             for function in op.graph.as_graph_def().library.function}
            pointwise = all(node.op in _POINTWISE | _BESIDE for branch in _BRANCHES
                            for node in functions[op.get_attr(branch).name])
            found[op] = _union(before) if pointwise and None not in before else None
        else:
            found[op] = None if None in before else _through(op, before)
    return found


def _start(op):
    """Returns what the input of the first convolution or pooling sees, padding undone."""
    if op.type not in _PADS + _BATCHES:
        return PIXEL, PIXEL
    before = _start(op.inputs[0].op)
    return None if before is None else _through(op, [before])


def _through(op, before):
    if op.type in _POINTWISE:
        return _union(before)
    if len(before) > 1:
        return None
    if op.type in _KERNELS + _POOLS:
        return _through_kernel(op, before[0])
    if op.type in _PADS:
        pads = _starts(op.inputs[1])
        # Where the last of four axes is padded, height and width may be behind channels.
        return None if len(pads) != 4 or None in pads or pads[3] else tuple(
            sight.moved(-pad) for pad, sight in zip(pads[1:3], before[0]))
    if op.type in _BATCHES:
        return _through_batch(op, before[0])
    return None


def _union(before):
    axes = []
    for axis in zip(*before):
        if len({sight.stride for sight in axis}) > 1:
            return None
        axes.append(Sight(axis[0].stride, min(sight.first for sight in axis),
                          max(sight.last for sight in axis)))
    return tuple(axes)


def _through_kernel(op, before):
    axes = [op.get_attr("data_format").index(axis) for axis in b"HW"]
    if op.type in _KERNELS:
        reaches = [(size - 1) * op.get_attr("dilations")[axis]
                   for axis, size in zip(axes, op.inputs[1].shape.as_list())]
    else:
        reaches = [op.get_attr("ksize")[axis] - 1 for axis in axes]
    after = []
    for axis, reach, sight in zip(axes, reaches, before):
        stride, pad = op.get_attr("strides")[axis], 0
        if op.get_attr("padding") == b"SAME":
            rest = (op.inputs[0].shape.as_list()[axis] or 0) % stride or stride
            pad = max(reach + 1 - rest, 0) // 2
        elif op.get_attr("padding") == b"EXPLICIT":
            pad = op.get_attr("explicit_paddings")[2 * axis]
        sight = sight.moved(-pad)
        after.append(Sight(sight.stride * stride, sight.first, sight.last + reach * sight.stride))
    return tuple(after)


def _through_batch(op, before):
    """Through the reshaping that gives an atrous convolution a grid of every n-th position."""
    blocks, starts = tf.get_static_value(op.inputs[1]), _starts(op.inputs[2])
    if blocks is None or len(blocks) != 2 or len(starts) != 2 or None in starts:
        return None
    if op.type == "SpaceToBatchND":
        return tuple(sight.moved(-pad)._replace(stride=sight.stride * int(block))
                     for sight, block, pad in zip(before, blocks, starts))
    return tuple(sight._replace(stride=sight.stride // int(block)).moved(crop)
                 for sight, block, crop in zip(before, blocks, starts))


def _starts(tensor):
    """Returns the first of each pair of an ``[n, 2]`` tensor, None for one not known."""
    pairs = tf.get_static_value(tensor, partial=True)
    return [] if pairs is None else [
        None if pair is None or pair[0] is None else int(pair[0]) for pair in pairs]
