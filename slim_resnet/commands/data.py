"""Write data to try things on: images that packages ship, and released checkpoints.

    slim-resnet data digits digits
    slim-resnet train digits/train.npz --validation digits/test.npz --output run \\
        --model resnet_v2 --blocks 16x1,32x1,64x1 --image-size 32 --augmentation none --steps 400

    slim-resnet data photographs photographs
    slim-resnet train photographs/train --validation photographs/test --output seen \\
        --model resnet_v2 --blocks 16x2,32x2,64x2,128x2 --image-size 128 --steps 600
    slim-resnet report seen photographs/photographs --image-size 299 --output report.html

digits       scikit-learn's handwritten digits, as .npz files and as class folders of PNG
photographs  crops of scikit-image's photographs as class folders of PNG, and the photographs;
             a class is a photograph, so what is learnt is which one a crop is of
checkpoint   a checkpoint that research/slim released, downloaded (what is there of it is not
             fetched twice), verified and unpacked as DIR/NAME.ckpt:
             slim-resnet data checkpoint resnet_v2_50 checkpoints
"""

import argparse

from slim_resnet.commands import progress
from slim_resnet.common.text import printable
from slim_resnet.released import PLACE, RELEASED

HELP = "digits or photographs to train on (extra: experiments), released checkpoints"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND")
    for kind, text in (("digits", "scikit-learn's handwritten digits"),
                       ("photographs", "crops of scikit-image's photographs")):
        kinds.add_parser(kind, help=text, description=text).add_argument(
            "folder", metavar="DIR", help="folder to make")
    text = "a checkpoint that research/slim released"
    checkpoint = kinds.add_parser("checkpoint", help=text, description=text)
    checkpoint.add_argument("name", metavar="NAME", choices=RELEASED,
                            help=f"one of {', '.join(RELEASED)}")
    checkpoint.add_argument("folder", metavar="DIR", help="where it goes")
    checkpoint.add_argument("--place", default=PLACE, metavar="URL",
                            help="what the archives' addresses begin with (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    if arguments.kind == "checkpoint":
        _fetch(arguments)
        return
    if arguments.kind == "digits":
        from slim_resnet.experiments.digits import write_digits
        counts = write_digits(arguments.folder)
        what = "images", "as .npz and as class folders of PNG"
    else:
        from slim_resnet.experiments.photographs import write_photographs
        counts = write_photographs(arguments.folder)
        what = "crops", "as class folders of PNG, and the photographs"
    print(printable(f"{arguments.folder}: {counts['train']} {what[0]} to train on and "
                    f"{counts['test']} to test on, {what[1]}"))


def _fetch(arguments):
    from slim_resnet.checkpoint.fetching import fetch

    def megabytes(chunks, total, done):
        return progress.with_progress(chunks, total, "bytes", done, size=len)

    path = fetch(arguments.name, arguments.folder, arguments.place, progress=megabytes,
                 verifying=lambda names, total: progress.with_progress(names, total, "variables"))
    one = RELEASED[arguments.name]
    print(printable(f"{path}: {one.name}, {one.num_classes} classes, published top-1 {one.top_1} % "
                    f"and top-5 {one.top_5} %"))
