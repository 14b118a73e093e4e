"""Measures what this package costs over tf_slim.nets, in one run.

Forward latency on the same weights, time to build the graph and its number of ops,
interleaved, as ratios; and the time between the harness's steps that is not spent
inside session.run.
"""

import sys

from slim_resnet.commands import positive_int
from slim_resnet.common.tables import format_table

HELP = "measure what this package costs over tf_slim.nets"


def add_arguments(parser):
    parser.add_argument("--depth", type=int, choices=(50, 101, 152, 200), default=152)
    parser.add_argument("--batch-size", type=positive_int, default=1, metavar="N")
    parser.add_argument("--image-size", type=positive_int, default=224, metavar="PIXELS")
    parser.add_argument("--rounds", type=positive_int, default=7, metavar="N",
                        help="measurements of each kind (default: 7)")


def run(arguments):
    from slim_resnet import overhead

    def announce(message):
        print(f"slim-resnet overhead: {message}", file=sys.stderr, flush=True)

    announce(f"building resnet_v2_{arguments.depth} {3 * (arguments.rounds + 1)} times")
    builds = overhead.measure_builds(arguments.depth, arguments.rounds)
    announce("running the forward pass")
    forwards = overhead.measure_forward(arguments.depth, arguments.batch_size,
                                        arguments.image_size, arguments.rounds)
    rows = []
    for quantity, unit, measured in (("graph build", "s", builds.seconds),
                                     ("ops in the graph", "", builds.ops),
                                     ("forward", "s", forwards)):
        for name, values in measured.items():
            ratio = overhead.ratio(measured["slim_resnet"], values)
            low, middle, high = overhead.spread(values)
            digits = ".3f" if unit else ".0f"
            rows.append([f"{quantity}{unit and ', ' + unit}, {name}", f"{low:{digits}}",
                         f"{middle:{digits}}", f"{high:{digits}}", f"{ratio:.3f}"])
    print("\n".join(format_table(["", "min", "median", "max", "slim_resnet / it"], rows)))
    steps = 1000
    print(f"harness: {overhead.measure_harness(steps) * 1e6:.1f} us a step outside session.run "
          f"({steps} steps of an op that does nothing)")
