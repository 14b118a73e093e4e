"""Whose end point a step of a session worked on: traced ops, by the graph's structure.

Ops that TensorFlow runs are not those that were built. Its rewrites put one op in the
place of several, under the name of one of them, and add ops of their own. So each op that
ran is led back to what it stands for, and that to the end point that owns it.
"""

import collections
import itertools
import typing

import tensorflow as tf

from slim_resnet.end_points.costs import VARIABLES, multiplies
from slim_resnet.end_points.table import own_ops
from slim_resnet.errors import SlimResnetError

# They wait for something that others make; what runs meanwhile is what the time is for.
_WAITING = ("Recv", "Dequeue", "IteratorGetNext", "Barrier")
# They hand on what they are given, or name it: no byte is moved.
_MOVING_NOTHING = frozenset({
    *VARIABLES, "_Arg", "_Retval", "Const", "ExpandDims", "Identity", "IdentityN", "NoOp",
    "PlaceholderWithDefault", "ReadVariableOp", "Reshape", "Shape", "Squeeze", "StopGradient"})


class Ran(typing.NamedTuple):
    """One op of a traced step.

    Attributes:
      name: Of its node in the graph that ran.
      start: When it began, in nanoseconds.
      end: When it had ended.
      waits: Whether it may have waited for other ops in between.
      bytes: Sizes of its outputs together with those of its inputs; 0 where it moves none.
      rows: First dimension of its output; None where there is none.
    """

    name: str
    start: int
    end: int
    waits: bool
    bytes: int
    rows: int | None


def owners(end_points: dict[str, tf.Tensor]) -> dict[str, str]:
    """Maps the names of ops to the end points that own them, see `table.summary`.

    An op that makes the images belongs to none: it depends on no variable, and its scope
    is not the network's.
    """
    shares = own_ops(end_points)
    graph = next(iter(end_points.values())).graph
    weighted = set()
    for op in graph.get_operations():
        if op.type in VARIABLES or any(tensor.op in weighted for tensor in op.inputs):
            weighted.add(op)
    found = {}
    for key, ops in shares.items():
        scope = end_points[key].op.name.partition("/")[0]
        found.update((op.name, key) for op in ops
                     if op in weighted or op.name.partition("/")[0] == scope)
    return found


def owners_of_nodes(end_points: dict[str, tf.Tensor], nodes: dict) -> dict[str, str]:
    """Maps the nodes of a rewritten graph to the end points that own what they stand for.

    Args:
      end_points: Of the graph as it was built.
      nodes: The ``NodeDef`` of each node of the graph that runs, by name.

    Returns:
      A dict without those that belong to no end point. A node that several ops were fused
      into belongs to the owner of the convolution or matrix product among them; one that
      a rewrite added, to the first end point behind it.
    """
    built = owners(end_points)
    order = {key: number for number, key in enumerate(dict.fromkeys(built.values()))}
    graph = next(iter(end_points.values())).graph
    known = {op.name: op for op in graph.get_operations()}
    found = {}
    for name in nodes:
        if name in known:
            fused = _fused_into(known[name], nodes)
            heavy = next((op for op in fused if multiplies(op)), known[name])
            if heavy.name in built:
                found[name] = built[heavy.name]
    consumers = collections.defaultdict(list)
    for name, node in nodes.items():
        for source in _sources(node):
            consumers[source].append(name)

    def owner_behind(name):
        seen, stack, behind = set(), [name], []
        while stack:
            for consumer in consumers[stack.pop()]:
                if consumer in known:
                    behind += [found[consumer]] if consumer in found else []
                elif consumer not in seen:
                    seen.add(consumer)
                    stack.append(consumer)
        return min(behind, key=order.get, default=None)

    for name, node in nodes.items():
        # An _Arg hands over what was fed.
        if name not in known and node.op != "_Arg" and (owner := owner_behind(name)):
            found[name] = owner
    return found


def _fused_into(op, nodes):
    """Returns an op and those right before it that are no nodes of their own."""
    found, stack = [op], [op]
    while stack:
        for tensor in stack.pop().inputs:
            if tensor.op.name not in nodes and tensor.op not in found:
                found.append(tensor.op)
                stack.append(tensor.op)
    return found


def _sources(node):
    return [text.lstrip("^").partition(":")[0] for text in node.input]


def ran_ops(metadata, nodes: dict) -> list[Ran]:
    """Returns the ops of a step that was run with a full trace.

    Args:
      metadata: Its ``RunMetadata``.
      nodes: As in `owners_of_nodes`.

    Raises:
      SlimResnetError: Ops ran on something else than a CPU, where their time is not that
        of their kernels.
    """
    others = [stats.device for stats in metadata.step_stats.dev_stats
              if stats.node_stats and "CPU" not in stats.device.upper()]
    if others:
        raise SlimResnetError(f"ops ran on {others[0]}, and only a CPU's are timed; hide it, for "
                              "example with CUDA_VISIBLE_DEVICES=-1")
    stats = [one for device in metadata.step_stats.dev_stats for one in device.node_stats]
    outputs = {(one.node_name, output.slot): output.tensor_description
               for one in stats for output in one.output}
    found = []
    for one in stats:
        node = nodes.get(one.node_name)
        kind = node.op if node else one.timeline_label.partition(" = ")[2].partition("(")[0]
        own = [outputs[one.node_name, output.slot] for output in one.output]
        moved = 0
        if node and kind not in _MOVING_NOTHING:
            taken = [outputs.get((source.partition(":")[0], int(source.partition(":")[2] or 0)))
                     for source in node.input if not source.startswith("^")]
            moved = sum(map(_bytes, [*own, *filter(None, taken)]))
        found.append(Ran(
            one.node_name, one.all_start_nanos, one.all_start_nanos + one.all_end_rel_nanos,
            any(word in kind for word in _WAITING), moved,
            own[0].shape.dim[0].size if own and own[0].shape.dim else None))
    return found


def _bytes(description):
    size = tf.dtypes.as_dtype(description.dtype).size or 0
    for dimension in description.shape.dim:
        size *= dimension.size
    return size


def divided(ops: list[Ran]) -> tuple[list[float], int, int]:
    """Divides the time of a step among its ops: each instant among those that run in it.

    So the parts of ops that run at the same time, on several threads, add up to the time
    that has passed. An op that waits counts only while none runs that does not.

    Args:
      ops: The step's, at least one.

    Returns:
      ``(parts, idle, span)`` in nanoseconds: of each op in their order, the time in which
      none ran, and the time from the begin of the first to the end of the last.
    """
    edges = collections.defaultdict(lambda: ([], []))
    for number, op in enumerate(ops):
        if op.end > op.start:
            edges[op.start][0].append(number)
            edges[op.end][1].append(number)
    parts, idle, running = [0.0] * len(ops), 0, set()
    times = sorted(edges)
    for time, after in itertools.pairwise(times):
        running.update(edges[time][0])
        running.difference_update(edges[time][1])
        at_work = [number for number in running if not ops[number].waits] or running
        for number in at_work:
            parts[number] += (after - time) / len(at_work)
        if not at_work:
            idle += after - time
    return parts, idle, times[-1] - times[0] if times else 0
