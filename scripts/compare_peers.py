"""Compare engines: the same network, weights and images, in turn, in one run.

    python scripts/compare_peers.py --json peers.json --plot peers.png
    python scripts/compare_peers.py --model resnet_v1_50 vgg_16 inception_v3 --json peers.json
    python scripts/compare_peers.py --checkpoint resnet_v2_50.ckpt --peers optimised openvino
    python scripts/compare_peers.py --rounds 3 --batch-sizes 1 32 --precisions float32 int8

Every measurement is a process of its own: a round has each engine start, give its first
result, and take one step or more of each batch size behind an untimed one. Times are medians
over the rounds; "time / ours" is the median, round by round, of its time over that of the
fastest of our engines; "of GEMM" is the rate of multiply-adds over that of a product of 4096 x
4096 matrices, in whichever oneDNN setting is faster. Start-up is from the start of the process
to the first result of the smallest batch: our other engines than TensorFlow take their network
from a cache, as slim-resnet classify does. Memory is the peak so far as batches grow. Relative
error and top-1 are against our plain session in float32; int8 is calibrated with random pixels,
which tells its speed and not its accuracy. A second table shows where the time of a step of the
smallest batch goes: CPU time, and how often threads go to sleep. What cannot be run, an engine
or one precision of it, is a line with the reason. Several networks are timed one after the
other, each at its own image size; the record has all of them, and each has its own picture,
such as peers_vgg_16.png.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from scripts.peers.comparison import Comparison, compare
from scripts.peers.table import DEFAULT, ENGINES, PRECISIONS
from slim_resnet import cli
from slim_resnet.commands import options
from slim_resnet.commands.options import positive_int
from slim_resnet.commands.progress import write_record
from slim_resnet.commands.progress_line import counted_steps, set_aside
from slim_resnet.common.environment import cpu
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import MODELS


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="compare_peers.py", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--model", nargs="+", choices=MODELS, default=list(Comparison.networks),
                      metavar="NAME", help=f"networks to give random weights, of "
                      f"{', '.join(MODELS)} (default: resnet_v2_152)")
    what.add_argument("--checkpoint", nargs="+", metavar="PATH", help="networks to use as they "
                      "are")
    parser.add_argument("--peers", nargs="+", choices=ENGINES, default=list(DEFAULT),
                        metavar="NAME", help=f"of {', '.join(ENGINES)} (default: all but tf_slim "
                        "and keras)")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS),
                        metavar="NAME", help=f"of {', '.join(PRECISIONS)} (default: all that "
                        "there are)")
    parser.add_argument("--batch-sizes", nargs="+", type=positive_int, default=[1, 8, 32],
                        metavar="N", help="images a step (default: 1 8 32)")
    parser.add_argument("--rounds", type=positive_int, default=5, metavar="N",
                        help="measurements of each engine and precision (default: 5)")
    parser.add_argument("--threads", type=positive_int, metavar="N",
                        help="cores that every engine is held to (default: all)")
    parser.add_argument("--image-size", type=positive_int, metavar="PIXELS",
                        help="height and width (default: those that each network is timed at)")
    options.add_record(parser, "write the record", "images a second")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> int | None:
    from scripts.peers import plot, records
    for name in () if arguments.checkpoint else arguments.model:
        MODELS[name].checked_image_size(arguments.image_size)
    for name in ("model", "checkpoint", "peers", "batch_sizes", "precisions"):
        values = getattr(arguments, name) or []
        if len(set(values)) < len(values):
            raise SlimResnetError(f"--{name.replace('_', '-')} names one twice")
    networks = arguments.checkpoint or arguments.model
    pictures = [plot.path_of(arguments.plot, name, len(networks)) for name in networks] \
        if arguments.plot else []
    if len(set(pictures)) < len(pictures):
        raise SlimResnetError("--plot: a picture bears its checkpoint's file name, and two of them "
                              "have the same")
    options.check_files(arguments, arguments.json, *pictures)
    with counted_steps() as on_step:
        record = compare(
            Comparison(tuple(networks), tuple(arguments.peers),
                       tuple(arguments.batch_sizes), arguments.rounds,
                       arguments.threads or cpu()["cores"], arguments.image_size,
                       precisions=tuple(arguments.precisions)), _announce, on_step)
    print("\n".join(records.lines(record)))
    write_record(record, arguments.json)
    for network, picture in zip(record["networks"], pictures):
        plot.plot(network, picture, arguments.theme)
    if record["partial"]:
        _announce("interrupted; these are the rounds before")
        return 130


def _announce(message):
    with set_aside():
        print(f"compare_peers.py: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(cli.run(build_parser()))
