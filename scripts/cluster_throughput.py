"""How the throughput of training grows from one worker to two on one machine.

Every setting is ``slim-resnet train`` as it is, in processes of its own: alone, with a
parameter server and one worker, and with two. Times are those of the chief's summaries. A
worker is held to one core, so that a second one has another to work on: a process that has
all cores uses them by itself. Prints images a second.
"""

import argparse
import contextlib
import glob
import json
import math
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import typing
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from scripts import held
from slim_resnet import cli
from slim_resnet.commands.options import positive_int
from slim_resnet.common.environment import child_environment
from slim_resnet.common.spread import median_ratio, spread
from slim_resnet.common.tables import format_table
from slim_resnet.common.temporary import temporary_folder

BLOCKS, IMAGE_SIZE, BATCH_SIZE = "16x1,32x1,64x1", 32, 32
# Steps before the timed ones, and from one summary to the next.
WARM_UP, LOG_STEPS = 20, 10

_RUN = held.HOLD + "from slim_resnet.cli import main; sys.exit(main())"


class Setting(typing.NamedTuple):
    """One way of training.

    Attributes:
      name: What it is called.
      cores: Cores of each worker, numbers from 0.
      in_cluster: Whether there is a parameter server.
      arguments: More arguments of ``slim-resnet train``.
      batches: Batches in a step.
    """

    name: str
    cores: tuple
    in_cluster: bool = True
    arguments: tuple = ()
    batches: int = 1


SETTINGS = (
    Setting("alone, two cores", ((0, 1),), in_cluster=False),
    Setting("alone, one core", ((0,),), in_cluster=False),
    Setting("1 worker", ((0,),)),
    Setting("2 workers, synchronous", ((0,), (1,)), batches=2),
    Setting("2 workers, asynchronous", ((0,), (1,)), arguments=("--async",)),
)


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="cluster_throughput.py", description=__doc__)
    parser.add_argument("--rounds", type=positive_int, default=3, metavar="N",
                        help="runs of each setting, in turn (default: %(default)s)")
    parser.add_argument("--steps", type=positive_int, default=200, metavar="N",
                        help="timed, of each run (default: 200)")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> None:
    def announce(name, rate):
        print(f"cluster_throughput.py: {name}: {rate:.1f} images/s", file=sys.stderr, flush=True)

    results, parameters = measure(arguments.rounds, arguments.steps, announce)
    print("\n".join(format_table(
        ["images a second", "min", "median", "max", "/ alone on one core", "/ 1 worker"],
        [[name, *(f"{value:.1f}" for value in spread(values)),
          *(f"{median_ratio(values, results[other]):.2f}"
            for other in ("alone, one core", "1 worker"))]
         for name, values in results.items()])))
    print(f"{parameters} parameters, {4e-6 * parameters:.2f} MB, go to a worker in every step, and "
          f"as many gradients back: a step takes {1000 * exchange_seconds(results):.1f} ms more "
          "with a parameter server than alone on one core")


def measure(rounds: int, steps: int, on_row: Callable[[str, float], None] = lambda *row: None
            ) -> tuple[dict, int]:
    """Trains in each setting in turn, several times over.

    Args:
      rounds: How many times.
      steps: Timed steps of each run, a multiple of `LOG_STEPS`.
      on_row: Called with ``(name, images a second)`` after each run.

    Returns:
      ``(results, num_parameters)``: ``{name of a setting: [images a second of each
      round]}``, and how many numbers a worker fetches in every step; of all but the
      moving statistics among them it sends a gradient.

    Raises:
      SlimResnetError: There are no two cores to hold processes to, or a run failed.
    """
    held.cores()
    import numpy as np
    results = {setting.name: [] for setting in SETTINGS}
    with temporary_folder() as folder:
        rng = np.random.default_rng(0)
        data = os.path.join(folder, "data.npz")
        np.savez(data, labels=np.arange(1000) % 10,
                 images=rng.integers(0, 256, [1000, IMAGE_SIZE, IMAGE_SIZE, 3]).astype(np.uint8))
        for number in range(rounds):
            for k, setting in enumerate(SETTINGS):
                output = os.path.join(folder, f"run-{number}-{k}")
                _train(setting, data, output, steps)
                seconds = step_seconds(output)
                results[setting.name].append(BATCH_SIZE * setting.batches / seconds)
                on_row(setting.name, results[setting.name][-1])
        return results, num_parameters(output)


def num_parameters(folder: str) -> int:
    """Returns the number of values of a run's network, see `counts.Counts`."""
    from slim_resnet.checkpoint import open_checkpoint
    from slim_resnet.checkpoint.leftovers import Leftovers
    from slim_resnet.common import counts
    with open_checkpoint(folder) as opened:
        leftovers = Leftovers(opened.shapes)
        return counts.count((counts.kind_of(name, leftovers.kind(name)), math.prod(shape))
                            for name, shape in opened.shapes.items()).parameters


def _train(setting, data, output, steps):
    available = held.cores()
    command = ["train", data, "--output", output, "--model", "resnet_v2", "--blocks", BLOCKS,
               "--image-size", str(IMAGE_SIZE), "--augmentation", "none", "--batch-size",
               str(BATCH_SIZE), "--steps", str(WARM_UP + steps), "--log-steps", str(LOG_STEPS),
               *setting.arguments]
    tasks = [(cores, ["--job", "worker", "--task", str(task)])
             for task, cores in enumerate(setting.cores)]
    if setting.in_cluster:
        tasks.append((range(len(available)), ["--job", "ps", "--task", "0"]))
        command += ["--cluster", _write_spec(output + ".json", len(setting.cores))]
    else:
        tasks = [(cores, []) for cores in setting.cores]
    processes = []
    try:
        for cores, arguments in tasks:
            processes.append(subprocess.Popen(
                [sys.executable, "-c", _RUN, ",".join(str(available[core]) for core in cores),
                 *command, *arguments], env=child_environment(), text=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        for process in processes:
            _, said = process.communicate()
            held.check(setting.name, process.returncode, said)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _write_spec(path, num_workers):
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                 for _ in range(num_workers + 1)]
    addresses = [f"127.0.0.1:{port}" for port in ports]
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"ps": addresses[:1], "worker": addresses[1:]}, file)
    return path


def step_seconds(folder: str) -> float:
    """Returns the seconds a step of a run took, from its summaries after `WARM_UP` steps."""
    import tensorflow as tf
    times = sorted((event.step, event.wall_time)
                   for path in glob.glob(os.path.join(folder, "events.out.tfevents.*"))
                   for event in tf.compat.v1.train.summary_iterator(path)
                   if event.HasField("summary") and event.step >= WARM_UP)
    (first, started), (last, ended) = times[0], times[-1]
    return (ended - started) / (last - first)


def exchange_seconds(results: dict) -> float:
    """Returns how much longer a step is with a parameter server than alone on one core."""
    return statistics.median(BATCH_SIZE / with_server - BATCH_SIZE / alone for with_server, alone
                             in zip(results["1 worker"], results["alone, one core"]))


if __name__ == "__main__":
    sys.exit(cli.run(build_parser()))
