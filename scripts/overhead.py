"""What this package costs over tf_slim.nets, in one run.

Forward latency on the same weights, time to build the graph and its number of ops, in
turn, as ratios; and the time between the harness's steps that is not spent inside
session.run.
"""

import argparse
import contextlib
import io
import pathlib
import sys
import time
from types import ModuleType
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from slim_resnet import cli
from slim_resnet.commands.options import positive_int
from slim_resnet.common.spread import median_ratio, spread
from slim_resnet.common.tables import format_table

NUM_CLASSES = 1000
OURS, THEIRS = "slim_resnet", "tf_slim.nets"


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="overhead.py", description=__doc__)
    parser.add_argument("--depth", type=int, choices=(50, 101, 152, 200), default=152)
    parser.add_argument("--batch-size", type=positive_int, default=1, metavar="N")
    parser.add_argument("--image-size", type=positive_int, default=224, metavar="PIXELS")
    parser.add_argument("--rounds", type=positive_int, default=7, metavar="N",
                        help="measurements of each kind (default: 7)")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> None:
    def announce(message):
        print(f"overhead.py: {message}", file=sys.stderr, flush=True)

    announce(f"building resnet_v2_{arguments.depth} {3 * (arguments.rounds + 1)} times")
    seconds, ops = measure_builds(arguments.depth, arguments.rounds)
    announce("running the forward pass")
    forwards = measure_forward(arguments.depth, arguments.batch_size, arguments.image_size,
                               arguments.rounds)
    rows = []
    for quantity, digits, measured in (("graph build, s", 3, seconds), ("ops in the graph", 0, ops),
                                       ("forward, s", 3, forwards)):
        for name, values in measured.items():
            numbers = [f"{value:.{digits}f}" for value in spread(values)]
            rows.append([f"{quantity}, {name}", *numbers,
                         f"{median_ratio(measured[OURS], values):.3f}"])
    print("\n".join(format_table(["", "min", "median", "max", "slim_resnet / it"], rows)))
    steps = 1000
    print(f"harness: {measure_harness(steps) * 1e6:.1f} us a step outside session.run "
          f"({steps} steps of an op that does nothing)")


def build(module: ModuleType, depth: int, image_size: int) -> tuple[Any, Any, Any]:
    """Builds a ResNet of either package; returns ``(graph, images, logits)``."""
    import tensorflow as tf
    import tf_slim as slim
    with tf.Graph().as_default() as graph, slim.arg_scope(module.resnet_arg_scope()):
        images = tf.compat.v1.placeholder(tf.float32, [None, image_size, image_size, 3])
        network = getattr(module, f"resnet_v2_{depth}")
        logits, _ = network(images, NUM_CLASSES, is_training=False)
    return graph, images, logits


def measure_builds(depth: int, rounds: int) -> tuple[dict, dict]:
    """Builds with this package, with tf_slim.nets, and with it over Keras' convolutions.

    Args:
      depth: A key of `resnet_v2.DEPTHS`.
      rounds: Counted builds of each, in turn, after one that is not counted.

    Returns:
      Seconds and numbers of ops of every build, by who built.
    """
    from tf_slim.nets import resnet_v2 as tf_slim_resnet_v2

    from slim_resnet import compat, resnet_v2
    builders = {
        OURS: (resnet_v2, contextlib.nullcontext),
        THEIRS: (tf_slim_resnet_v2, contextlib.nullcontext),
        f"{THEIRS}, Keras conv2d": (tf_slim_resnet_v2, compat.keras_convolutions),
    }
    durations, ops = {name: [] for name in builders}, {name: [] for name in builders}
    for i in range(rounds + 1):
        for name, (module, context) in builders.items():
            with context():
                started = time.perf_counter()
                graph, _, _ = build(module, depth, resnet_v2.resnet_v2.default_image_size)
                seconds = time.perf_counter() - started
            if i:
                durations[name].append(seconds)
                ops[name].append(len(graph.get_operations()))
    return durations, ops


def measure_forward(depth: int, batch_size: int, image_size: int, rounds: int) -> dict:
    """Runs both packages' networks in turn on the same weights and images.

    Returns:
      ``{name: seconds of each round}``, after two rounds that are not counted.
    """
    import numpy as np
    import tensorflow as tf
    from tf_slim.nets import resnet_v2 as tf_slim_resnet_v2

    from slim_resnet import resnet_v2, timing
    tf1 = tf.compat.v1
    images_fed = np.random.default_rng(0).random(
        [batch_size, image_size, image_size, 3], np.float32)
    runs, values = [], None
    with contextlib.ExitStack() as stack:
        for name, module in ((OURS, resnet_v2), (THEIRS, tf_slim_resnet_v2)):
            graph, images, logits = build(module, depth, image_size)
            session = stack.enter_context(tf1.Session(graph=graph))
            with graph.as_default():
                variables = tf1.global_variables()
                session.run(tf1.global_variables_initializer())
                if values is None:
                    values = dict(zip([v.name for v in variables], session.run(variables)))
                for variable in variables:
                    variable.load(values[variable.name], session)
            runs.append(timing.Run(session, logits, name, {images: images_fed}, batch_size))
        with contextlib.redirect_stdout(io.StringIO()):
            results = timing.time_interleaved(runs, rounds, 2)
    return {result.info_string: list(result.durations_s) for result in results}


def measure_harness(steps: int) -> float:
    """Returns the seconds a step that `time_tensorflow_run` spends outside session.run."""
    import tensorflow as tf

    from slim_resnet import timing
    with tf.Graph().as_default(), tf.compat.v1.Session() as session, \
            contextlib.redirect_stdout(io.StringIO()):
        target = tf.no_op()
        session.run(target)
        started = time.perf_counter()
        result = timing.time_tensorflow_run(session, target, "Nothing", steps, 0)
        return (time.perf_counter() - started - sum(result.durations_s)) / steps


if __name__ == "__main__":
    sys.exit(cli.run(build_parser()))
