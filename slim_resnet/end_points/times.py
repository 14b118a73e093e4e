"""How long each end point of a network takes, measured.

Of any slim network in a session, with what it is fed::

    from slim_resnet import end_points as ep

    times = ep.time(end_points, session, {images: batch})
    for row in times.rows:
        print(row.key, row.time_s, row.share, row.multiply_adds_per_s)
"""

import dataclasses
import statistics
import time as clock
import typing
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from slim_resnet.common.rows import Column, Rows
from slim_resnet.common.units import short_bytes, short_count
from slim_resnet.end_points.attribution import divided, owners_of_nodes, ran_ops
from slim_resnet.end_points.costs import ancestors
from slim_resnet.end_points.table import select, summary
from slim_resnet.errors import SlimResnetError, cause_of

tf1 = tf.compat.v1

NUM_BATCHES, BURN_IN = 5, 2


class EndPointTime(typing.NamedTuple):
    """What one end point takes of a step; a unit's or a block's, all that is inside.

    Attributes:
      key: Its key.
      time_s: Seconds of a step, see `time`.
      share: The part of the whole step that they are, from 0 to 1.
      multiply_adds: Multiply-accumulates an image, see `table.EndPoint`.
      multiply_adds_per_s: Of all images of the step; None where they are not known, or
        the end point takes no time.
      bytes: What its ops read and write in a step: their inputs and outputs, as they ran;
        what is fused into one op is not written in between.
      bytes_per_s: The same a second; None where the end point takes no time.
      level, parent: See `table.EndPoint`.
    """

    key: str
    time_s: float
    share: float
    multiply_adds: int | None
    multiply_adds_per_s: float | None
    bytes: int
    bytes_per_s: float | None
    level: str
    parent: str | None


class TimedRows(Rows):
    """End points' times: a list of `EndPointTime`, which notebooks show as a table."""

    noun = "end points' times"
    columns = (
        Column("end point", lambda row: row.key),
        Column("ms", lambda row: 1e3 * row.time_s, "{:,.2f}".format),
        Column("% of the step", lambda row: 100 * row.share, "{:.1f}".format),
        Column("MACs an image", lambda row: row.multiply_adds, short_count),
        Column("MACs a second", lambda row: row.multiply_adds_per_s,
               lambda rate: short_count(round(rate))),
        Column("bytes a step", lambda row: row.bytes, short_bytes),
        Column("bytes a second", lambda row: row.bytes_per_s,
               lambda rate: short_bytes(round(rate))))


@dataclasses.dataclass(frozen=True)
class Times:
    """What `time` measured.

    Attributes:
      rows: An `EndPointTime` for each end point asked for, in graph order; see `rows.Rows`.
      batch_size: Images a step.
      other_s: Seconds of a step that ops took which belong to no end point, such as those
        that make the images.
      idle_s: Seconds of a step, from its first op to its last, in which no op ran.
      whole: The whole step as one row: the time of all end points, asked for or not, with
        ``other_s`` and ``idle_s``; multiply-adds and bytes of all end points.
      durations_s: Seconds of each step that was not traced, around ``session.run``.
      traced_durations_s: The same of those that were.
      spans_s: Seconds of each traced step from its first op to its last.
      partial: Whether Ctrl-C ended the run before its last step.
    """

    rows: TimedRows
    batch_size: int | None
    other_s: float
    idle_s: float
    whole: EndPointTime
    durations_s: tuple[float, ...]
    traced_durations_s: tuple[float, ...]
    spans_s: tuple[float, ...]
    partial: bool

    @property
    def step_s(self) -> float:
        """Median seconds of a step that was not traced."""
        return statistics.median(self.durations_s)

    @property
    def traced_step_s(self) -> float:
        """Median seconds of a step that was traced, as those are that ``rows`` tell of."""
        return statistics.median(self.traced_durations_s)


def time(end_points: dict[str, tf.Tensor], session: Any, feed_dict: dict | None = None, *,
         keys: str | Iterable[str] = (), num_batches: int = NUM_BATCHES,
         num_steps_burn_in: int = BURN_IN,
         on_step: Callable[[int, int], object] | None = None) -> Times:
    """Times the end points of a network in steps of a session that TensorFlow traces.

    Steps with and without trace take turns. A step runs all end points, and nothing is
    fetched. Each instant of a traced step is divided among the ops that run in it, and an
    op's time is its end point's, which is the one that it counts for in `table.summary`:
    the first behind it. Where TensorFlow runs several ops as one, that is the end point of
    the convolution among them: so a unit's sum may be within its conv3. What belongs to
    an end point itself is the median over the steps; rows of a unit or a block add up, and
    so do all with ``other_s`` and ``idle_s`` to ``whole``.

    Args:
      end_points: Maps keys to tensors of one graph.
      session: A ``tf.compat.v1.Session`` of the graph, whose variables have their values.
      feed_dict: Fed in every step, images first of all.
      keys: End points that are wanted, see `keys.choose`; none at all take all.
      num_batches: Steps that are traced, and as many that are not.
      num_steps_burn_in: Steps before them, beside one that is traced.
      on_step: As in `timing.time_interleaved`.

    Returns:
      A `Times`.

    Raises:
      KeyboardInterrupt: Ctrl-C came before a step was traced.
      SlimResnetError: A key fits no end point, there is none, TensorFlow could not run
        them, or it ran them on something else than a CPU.
      ValueError: A count is out of range.
    """
    if num_batches < 1 or num_steps_burn_in < 0:
        raise ValueError(f"num_batches must be at least 1 and num_steps_burn_in at least 0, "
                         f"not {num_batches} and {num_steps_burn_in}")
    if not end_points:
        raise SlimResnetError("there are no end points to time")
    described = summary(end_points)
    select(described, keys)
    if session.graph is not end_points[described[0].key].graph:
        raise SlimResnetError("the session is of another graph than the end points")
    try:
        nodes, steps, durations, traced, partial = _run(
            session, _last_ops(end_points), feed_dict, num_batches, num_steps_burn_in, on_step)
    except tf.errors.OpError as error:
        raise SlimResnetError("TensorFlow could not run the network: "
                              f"{cause_of(error.message)}") from error
    owner_of = owners_of_nodes(end_points, nodes)
    first = ran_ops(steps[0], nodes)
    rows_of = {op.name: op.rows for op in first}
    batch_size = next(filter(None, (rows_of.get(row.op_name) for row in described)), None)
    own, other, idle, spans = [], [], [], []
    for step in steps:
        ops = ran_ops(step, nodes)
        parts, idle_ns, span_ns = divided(ops)
        sums = dict.fromkeys([None, *end_points], 0.0)
        for op, part in zip(ops, parts):
            sums[owner_of.get(op.name)] += part
        other.append(sums.pop(None))
        own.append(sums)
        idle.append(idle_ns)
        spans.append(span_ns / 1e9)
    seconds = {key: statistics.median(sums[key] for sums in own) / 1e9 for key in end_points}
    moved = dict.fromkeys(end_points, 0)
    for op in first:
        if op.name in owner_of:
            moved[owner_of[op.name]] += op.bytes
    other_s, idle_s = statistics.median(other) / 1e9, statistics.median(idle) / 1e9
    total_s = sum(seconds.values()) + other_s + idle_s
    rows = _rows(described, seconds, moved, total_s, batch_size)
    tops = [row for row in rows if row.parent is None]
    multiply_adds = [row.multiply_adds for row in tops]
    whole = _row("whole step", total_s, total_s,
                 None if None in multiply_adds else sum(multiply_adds),
                 sum(row.bytes for row in tops), batch_size, "network", None)
    return Times(TimedRows(select(rows, keys)), batch_size, other_s, idle_s, whole,
                 tuple(durations), tuple(traced), tuple(spans), partial)


def _run(session, ops, feed_dict, num_batches, burn_in, on_step):
    """Runs the steps.

    Returns:
      ``(nodes, steps, durations, traced durations, partial)``: the ``NodeDef`` of the graph
      that runs, by name, and the ``RunMetadata`` of the traced steps.
    """
    trace = tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE)
    # What TensorFlow sets up for the first trace is not to be in a time, nor is the graph.
    metadata = tf1.RunMetadata()
    session.run(ops, feed_dict, tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE,
                                               output_partition_graphs=True), metadata)
    nodes = {node.name: node for graph in metadata.partition_graphs for node in graph.node}
    steps, durations, traced, partial = [], [], [], False
    kinds = [None] * burn_in + [durations, traced] * num_batches
    try:
        for number, kind in enumerate(kinds, 1):
            options = trace if kind is traced else None
            metadata = tf1.RunMetadata() if options else None
            started = clock.perf_counter()
            session.run(ops, feed_dict, options, metadata)
            seconds = clock.perf_counter() - started
            if kind is not None:
                kind.append(seconds)
            if options:
                steps.append(metadata)
            if on_step:
                on_step(number, len(kinds))
    except KeyboardInterrupt:
        if not steps:
            raise
        partial = True
    return nodes, steps, durations, traced, partial


def _last_ops(end_points):
    """Returns the ops of the end points that no other depends on: to run them is to run all."""
    ops = {tensor.op: None for tensor in end_points.values()}
    graph = next(iter(ops)).graph
    order = {op: number for number, op in enumerate(graph.get_operations())}
    last, seen = [], set()
    for op in sorted(ops, key=order.get, reverse=True):
        if op not in seen:
            last.append(op)
            seen |= ancestors(op, seen)
    return last


def _rows(described, seconds, moved, total_s, batch_size):
    seconds, moved = dict(seconds), dict(moved)
    # Whoever is held comes before its holder.
    for row in described:
        if row.parent is not None:
            seconds[row.parent] += seconds[row.key]
            moved[row.parent] += moved[row.key]

    return [_row(row.key, seconds[row.key], total_s, row.multiply_adds, moved[row.key],
                 batch_size, row.level, row.parent) for row in described]


def _row(key, time_s, total_s, multiply_adds, moved, batch_size, level, parent):
    def rate(amount):
        return None if amount is None or time_s == 0 else amount / time_s

    of_step = (None if multiply_adds is None or batch_size is None
               else multiply_adds * batch_size)
    return EndPointTime(key, time_s, time_s / total_s if total_s else 0.0, multiply_adds,
                        rate(of_step), moved, rate(moved), level, parent)
