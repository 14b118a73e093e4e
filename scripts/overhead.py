"""What this package costs over ``tf_slim.nets``: graph build, ops, forward, harness."""

import contextlib
import dataclasses
import io
import statistics
import time

import numpy as np
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v2 as tf_slim_resnet_v2

from slim_resnet import compat, resnet_v2, timing

tf1 = tf.compat.v1

NUM_CLASSES = 1000


@dataclasses.dataclass
class Builds:
    """Seconds and number of ops of every build, by who built."""

    seconds: dict
    ops: dict


def build(module, depth, image_size):
    """Builds a ResNet of either package; returns ``(graph, images, logits)``."""
    with tf.Graph().as_default() as graph, slim.arg_scope(module.resnet_arg_scope()):
        images = tf1.placeholder(tf.float32, [None, image_size, image_size, 3])
        network = getattr(module, f"resnet_v2_{depth}")
        logits, _ = network(images, NUM_CLASSES, is_training=False)
    return graph, images, logits


def measure_builds(depth, rounds):
    """Builds with this package, with tf_slim.nets, and with it over Keras' convolutions.

    Args:
      depth: A key of `resnet_v2.DEPTHS`.
      rounds: Counted builds of each, in turn, after one that is not counted.

    Returns:
      `Builds`.
    """
    builders = {
        "slim_resnet": (resnet_v2, contextlib.nullcontext),
        "tf_slim.nets": (tf_slim_resnet_v2, contextlib.nullcontext),
        "tf_slim.nets, Keras conv2d": (tf_slim_resnet_v2, compat.keras_convolutions),
    }
    result = Builds({name: [] for name in builders}, {name: [] for name in builders})
    for i in range(rounds + 1):
        for name, (module, context) in builders.items():
            with context():
                started = time.perf_counter()
                graph, _, _ = build(module, depth, resnet_v2.resnet_v2.default_image_size)
                seconds = time.perf_counter() - started
            if i:
                result.seconds[name].append(seconds)
                result.ops[name].append(len(graph.get_operations()))
    return result


def measure_forward(depth, batch_size, image_size, rounds):
    """Runs both packages' networks in turn on the same weights and images.

    Returns:
      ``{name: seconds of each round}``, after two rounds that are not counted.
    """
    images_fed = np.random.default_rng(0).random(
        [batch_size, image_size, image_size, 3], np.float32)
    runs, values = {}, None
    with contextlib.ExitStack() as stack:
        for name, module in (("slim_resnet", resnet_v2), ("tf_slim.nets", tf_slim_resnet_v2)):
            graph, images, logits = build(module, depth, image_size)
            session = stack.enter_context(tf1.Session(graph=graph))
            with graph.as_default():
                variables = tf1.global_variables()
                session.run(tf1.global_variables_initializer())
                if values is None:
                    values = dict(zip([v.name for v in variables], session.run(variables)))
                for variable in variables:
                    variable.load(values[variable.name], session)
            runs[name] = timing.Run(session, logits, name, {images: images_fed}, batch_size)
        with contextlib.redirect_stdout(io.StringIO()):
            results = timing.time_interleaved(list(runs.values()), rounds, 2)
    return {result.info_string: list(result.durations_s) for result in results}


def measure_harness(steps):
    """Returns the seconds a step that `time_tensorflow_run` spends outside session.run."""
    with tf.Graph().as_default(), tf1.Session() as session, \
            contextlib.redirect_stdout(io.StringIO()):
        target = tf.no_op()
        session.run(target)
        started = time.perf_counter()
        result = timing.time_tensorflow_run(session, target, "Nothing", steps, 0)
        return (time.perf_counter() - started - sum(result.durations_s)) / steps


def ratio(ours, theirs):
    """Returns the median of ours / theirs, round by round."""
    return statistics.median(a / b for a, b in zip(ours, theirs))


def spread(values):
    """Returns minimum, median and maximum."""
    return min(values), statistics.median(values), max(values)
