"""Compare engines on one network: the same weights and images, in turn, in one run.

    slim-resnet compare-peers --json peers.json --plot peers.png
    slim-resnet compare-peers --checkpoint resnet_v2_50.ckpt --peers optimised openvino

Each engine is a process of its own. Times are medians over the rounds; "time / ours" is
the median, round by round, of its time over that of our optimised network in whichever
oneDNN setting is faster; "of GEMM" is the rate of multiply-adds over that of a product of
4096 x 4096 matrices, in whichever setting is faster. Start-up is from the start of the
process to the first result of the smallest batch, memory the peak so far as batches grow.
Relative error and top-1 are against our plain session in float32.
"""

import json
import sys

from slim_resnet.commands import positive_int
from slim_resnet.common.environment import cpu
from slim_resnet.common.files import atomic_write, check_writable
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import MODELS
from slim_resnet.peers import ENGINES

HELP = "compare the network's speed in several engines (extra: peers)"


def add_arguments(parser):
    resnets = [name for name in MODELS if "resnet" in name]
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--model", choices=resnets, default="resnet_v2_152",
                      help="network to give random weights (default: resnet_v2_152)")
    what.add_argument("--checkpoint", metavar="PATH", help="network to use as it is")
    parser.add_argument("--peers", nargs="+", choices=ENGINES, default=list(ENGINES),
                        metavar="NAME", help=f"of {', '.join(ENGINES)} (default: all)")
    parser.add_argument("--batch-sizes", nargs="+", type=positive_int, default=[1, 8, 32],
                        metavar="N", help="images a step (default: 1 8 32)")
    parser.add_argument("--rounds", type=positive_int, default=5, metavar="N",
                        help="timed steps of each engine, after one untimed (default: 5)")
    parser.add_argument("--threads", type=positive_int, metavar="N",
                        help="threads of every engine (default: one a core)")
    parser.add_argument("--image-size", type=positive_int, default=224, metavar="PIXELS")
    parser.add_argument("--json", metavar="FILE", help="write the record")
    parser.add_argument("--plot", metavar="FILE",
                        help="images a second, as .png, .svg or .pdf (extra: plot)")


def run(arguments):
    from slim_resnet import peer_records, peers
    from slim_resnet.pictures import plots
    if arguments.checkpoint is None:
        MODELS[arguments.model].checked_image_size(arguments.image_size)
    for name in ("peers", "batch_sizes"):
        values = getattr(arguments, name)
        if len(set(values)) < len(values):
            raise SlimResnetError(f"--{name.replace('_', '-')} names one twice")
    for path in filter(None, (arguments.json, arguments.plot)):
        check_writable(path)
    if arguments.plot:
        plots.check_plot_file(arguments.plot)
    record = peers.compare(
        peers.Options(arguments.checkpoint or arguments.model, tuple(arguments.peers),
                      tuple(arguments.batch_sizes), arguments.rounds,
                      arguments.threads or cpu()["cores"], arguments.image_size),
        _announce, _count_round if sys.stderr.isatty() else None)
    print("\n".join([*peer_records.heading(record), "", *peer_records.table(record), "",
                     *peer_records.conclusions(record)]))
    if arguments.json:
        with atomic_write(arguments.json) as file:
            json.dump(record, file, indent=1)
            file.write("\n")
    if arguments.plot:
        plots.plot_peers(record, arguments.plot)
    if record["partial"]:
        print("slim-resnet compare-peers: interrupted; these are the rounds before",
              file=sys.stderr)
        return 130


def _announce(message):
    print(f"slim-resnet compare-peers: {message}", file=sys.stderr, flush=True)


def _count_round(done, total):
    print(f"round {done} of {total}", end="\r", file=sys.stderr, flush=True)
