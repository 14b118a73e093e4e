"""``--time`` of ``end-points``, and what else times end points; no command itself."""

import argparse
import contextlib
import statistics
from collections.abc import Iterator
from typing import Any

from slim_resnet.commands import options
from slim_resnet.commands.progress_line import counted_steps
from slim_resnet.models import Model

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
    with counted_steps() as on_step:
        return time(network.end_points, network.session, {network.images: batch},
                    on_step=on_step, **steps)


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


def step_record(times: Any) -> dict[str, Any]:
    """Returns what an `end_points.Times` says of the step as a whole, as plain data."""
    whole = times.whole
    return {"batch_size": times.batch_size, "total_s": whole.time_s, "other_s": times.other_s,
            "idle_s": times.idle_s, "step_s": times.step_s, "traced_step_s": times.traced_step_s,
            "multiply_adds": whole.multiply_adds,
            "multiply_adds_per_s": whole.multiply_adds_per_s, "bytes": whole.bytes,
            "bytes_per_s": whole.bytes_per_s, "durations_s": times.durations_s,
            "traced_durations_s": times.traced_durations_s, "spans_s": times.spans_s,
            "partial": times.partial}


def line(times: Any) -> str:
    """Returns the line that lays the sum of the parts beside the step."""
    step, traced = times.step_s, times.traced_step_s
    return (f"step of {times.batch_size} images: {1e3 * step:,.2f} ms, median of "
            f"{len(times.durations_s)}; with trace {1e3 * traced:,.2f} ms "
            f"({100 * (traced / step - 1):+.1f} %); the sum above is "
            f"{100 * times.whole.time_s / step:.1f} % of the step")


def doubts(times: Any) -> list[str]:
    """Returns a line if the parts do not add up to the step, and why that may be."""
    apart = times.whole.time_s / times.step_s - 1
    if abs(apart) <= _DIFFERENCE:
        return []
    spread = max(times.spans_s) / statistics.median(times.spans_s) - 1
    return [f"the parts add up to {100 * apart:+.0f} % of the step: their medians are of steps "
            f"that differ (the longest by {100 * spread:.0f} %), as on a busy machine; "
            "--num-batches takes more"]
