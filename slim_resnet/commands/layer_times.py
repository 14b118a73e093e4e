"""``end-points --time``: a network in a session, timed, as rows and words; no command itself."""

import argparse
import contextlib
import statistics
from collections.abc import Iterator
from typing import Any

from slim_resnet.commands import options, progress
from slim_resnet.models import Model

HEADERS = ("end point", "GMACs", "ms", "share %", "GMAC/s", "MB", "GB/s")
# Beyond this the steps were not alike, or the trace slows them.
_DIFFERENCE = 0.1


def measure(arguments: argparse.Namespace, model: Model | None) -> Any:
    """Times all end points of a network on random images.

    Args:
      arguments: The command line of ``end-points``.
      model: The network, with random weights; None for that of the checkpoint.

    Returns:
      An `end_points.Times`.

    Raises:
      SlimResnetError: A pattern fits no end point, or the network cannot be run.
    """
    from slim_resnet.end_points.keys import choose
    with contextlib.ExitStack() as stack:
        # What is not there is to be known before anything is said or run.
        if model:
            network = stack.enter_context(built(arguments, model))
            choose(arguments.end_points or (), network.end_points)
        else:
            from slim_resnet.inference.network import Network
            with options.opened_checkpoint(arguments, "end-points") as opened:
                network = stack.enter_context(Network(opened, arguments.image_size))
                choose(arguments.end_points or (), network.end_points)
        return measured(network, arguments.batch_size, num_batches=arguments.num_batches,
                        num_steps_burn_in=arguments.burn_in)


def measured(network: Any, batch_size: int, **steps: int) -> Any:
    """Times all end points of an `inference.BuiltNetwork` on random images.

    Args:
      network: The network.
      batch_size: Images a step.
      **steps: As in `end_points.time`.

    Returns:
      An `end_points.Times`.
    """
    import numpy as np

    from slim_resnet.end_points.times import time
    size = [batch_size, *network.images.shape.as_list()[1:]]
    batch = np.random.default_rng(0).uniform(-1, 1, size).astype(np.float32)
    return time(network.end_points, network.session, {network.images: batch},
                on_step=progress.step_counter("step"), **steps)


@contextlib.contextmanager
def built(arguments: argparse.Namespace, model: Model) -> Iterator[Any]:
    """Yields a model, with random weights, as an `inference.BuiltNetwork`."""
    import tensorflow as tf

    from slim_resnet.inference.network import BuiltNetwork
    with tf.Graph().as_default() as graph:
        images, end_points = build(arguments, model)
        initializer = tf.compat.v1.global_variables_initializer()
    with tf.compat.v1.Session(graph=graph) as session:
        session.run(initializer)
        yield BuiltNetwork(session, images, end_points)


def build(arguments: argparse.Namespace, model: Model) -> tuple[Any, dict[str, Any]]:
    """Builds a model in the default graph; returns its images and its end points."""
    import tensorflow as tf
    size = arguments.image_size
    images = tf.compat.v1.placeholder(tf.float32, [None, size, size, 3], "images")
    # The blog's network prints the name of its collection.
    with contextlib.redirect_stdout(None):
        _, end_points = model.build(images, arguments.num_classes or 1000, False)
    return images, end_points


def cells(times: Any, rows: list) -> list[list]:
    """Returns the cells of a table: end points, the rest of the step, and the whole of it.

    Args:
      times: An `end_points.Times` of all end points.
      rows: Those of its rows that are shown.
    """
    whole = whole_step(times)
    return [*([row.key, _amount(row.multiply_adds, 1e9, "{:.4f}"), *_time(times, row.time_s),
               _amount(row.multiply_adds_per_s, 1e9), _amount(row.bytes, 1e6),
               _amount(row.bytes_per_s, 1e9)] for row in rows),
            ["other ops", None, *_time(times, times.other_s), None, None, None],
            ["no op running", None, *_time(times, times.idle_s), None, None, None],
            ["whole step", _amount(whole["multiply_adds"], 1e9, "{:.4f}"),
             *_time(times, times.total_s), _amount(whole["multiply_adds_per_s"], 1e9),
             _amount(whole["bytes"], 1e6), _amount(whole["bytes_per_s"], 1e9)]]


def _time(times, seconds):
    return [f"{1e3 * seconds:,.2f}", f"{100 * seconds / times.total_s:.1f}"]


def _amount(value, unit, form="{:,.1f}"):
    return "?" if value is None else form.format(value / unit)


def whole_step(times: Any) -> dict[str, Any]:
    """Returns what an `end_points.Times` of all end points says of the step, as plain data."""
    tops = [row for row in times.rows if row.parent is None]
    known = all(row.multiply_adds is not None for row in tops)
    multiply_adds = sum(row.multiply_adds for row in tops) if known else None
    moved = sum(row.bytes for row in tops)
    return {"batch_size": times.batch_size, "total_s": times.total_s, "other_s": times.other_s,
            "idle_s": times.idle_s, "step_s": times.step_s, "traced_step_s": times.traced_step_s,
            "multiply_adds": multiply_adds,
            "multiply_adds_per_s": None if not known or times.batch_size is None else
            multiply_adds * times.batch_size / times.total_s,
            "bytes": moved, "bytes_per_s": moved / times.total_s,
            "durations_s": times.durations_s, "traced_durations_s": times.traced_durations_s,
            "spans_s": times.spans_s, "partial": times.partial}


def line(times: Any) -> str:
    """Returns the line that lays the sum of the parts beside the step."""
    step, traced = times.step_s, times.traced_step_s
    return (f"step of {times.batch_size} images: {1e3 * step:,.2f} ms, median of "
            f"{len(times.durations_s)}; with trace {1e3 * traced:,.2f} ms "
            f"({100 * (traced / step - 1):+.1f} %); the sum above is "
            f"{100 * times.total_s / step:.1f} % of the step")


def doubts(times: Any) -> list[str]:
    """Returns a line if the parts do not add up to the step, and why that may be."""
    apart = times.total_s / times.step_s - 1
    if abs(apart) <= _DIFFERENCE:
        return []
    spread = max(times.spans_s) / statistics.median(times.spans_s) - 1
    return [f"the parts add up to {100 * apart:+.0f} % of the step: their medians are of steps "
            f"that differ (the longest by {100 * spread:.0f} %), as on a busy machine; "
            "--num-batches takes more"]
