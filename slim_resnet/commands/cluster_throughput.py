"""Measures how training grows from one worker to two on this machine.

Runs slim-resnet train in processes of its own: alone, with a parameter server and one
worker, and with two; each worker is held to one core. Prints images a second.
"""

import sys

from slim_resnet.commands import positive_int
from slim_resnet.common.tables import format_table

HELP = "measure how training grows from one worker to two"


def add_arguments(parser):
    parser.add_argument("--rounds", type=positive_int, default=3, metavar="N",
                        help="runs of each setting, in turn (default: 3)")
    parser.add_argument("--steps", type=positive_int, default=200, metavar="N",
                        help="timed, of each run (default: 200)")


def run(arguments):
    from slim_resnet import cluster_throughput

    def announce(name, rate):
        print(f"slim-resnet cluster-throughput: {name}: {rate:.1f} images/s", file=sys.stderr,
              flush=True)

    results, parameters = cluster_throughput.measure(arguments.rounds, arguments.steps, announce)
    print("\n".join(format_table(
        ["images a second", "min", "median", "max", "/ alone on one core", "/ 1 worker"],
        [[name, *(f"{value:.1f}" for value in numbers[:3]),
          *(f"{value:.2f}" for value in numbers[3:])]
         for name, *numbers in cluster_throughput.table(results)])))
    print(f"{parameters} parameters, {4e-6 * parameters:.2f} MB, go to a worker in every step, and "
          "as many gradients back: a step takes "
          f"{1000 * cluster_throughput.exchange_seconds(results):.1f} ms more with a parameter "
          "server than alone on one core")
