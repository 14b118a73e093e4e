"""What folding and a precision change in networks of random weights, on given images.

    python scripts/accuracy.py photographs/photographs --image-size 224

A row a network: how many images keep their class and their five classes, and the largest
relative error of the logits and of any layer. Of your own checkpoint slim-resnet evaluate
--compare tells the same. Exit status 2 if an image could not be read.
"""

import argparse
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from scripts import random_checkpoint
from slim_resnet import cli
from slim_resnet.commands import optimize, options
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.common.tables import format_table
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.models import MODELS

NUM_CLASSES = 1001


def build_parser() -> cli.Parser:
    networks = [name for name, model in MODELS.items() if model.depth is not None]
    parser = cli.Parser(prog="accuracy.py", description=__doc__)
    options.add_images(parser)
    parser.add_argument("--models", nargs="+", choices=networks, default=networks, metavar="NAME",
                        help=f"of {', '.join(networks)} (default: all)")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32",
                        help="of the folded network (default: %(default)s)")
    parser.add_argument("--image-size", type=options.positive_int, default=224, metavar="PIXELS")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> int:
    optimize.turn_onednn_on(False, "accuracy.py")
    from slim_resnet.images import finding
    from slim_resnet.inference import accuracy
    paths, rows = finding.find_images(arguments.images), []
    for name in arguments.models:
        with temporary_folder() as folder:
            checkpoint = random_checkpoint.write(os.path.join(folder, "net.ckpt"), name,
                                                 arguments.image_size, NUM_CLASSES)
            found = accuracy.measure(checkpoint, paths, precision=arguments.precision,
                                     image_size=arguments.image_size)
        rows.append([name, found.precision, found.agreement.num_images,
                     f"{100 * found.agreement.top_1:.1f}", f"{100 * found.agreement.top_5:.1f}",
                     f"{found.agreement.logits.largest:.1e}",
                     f"{max(error.largest for error in found.layers.values()):.1e}"])
    print("\n".join(format_table(["network", "precision", "images", "top-1 %", "top-5 %", "logits",
                                 "any layer"], rows)))
    for name, cause in found.unreadable:
        print(f"accuracy.py: {name}: cannot be read: {cause}", file=sys.stderr)
    return 2 if found.unreadable else 0


if __name__ == "__main__":
    sys.exit(cli.run(build_parser()))
