"""Write data to try things on: images, real and free of rights, that packages ship.

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
"""

import argparse

from slim_resnet.common.text import printable

HELP = "write digits or photographs as data to train on (extra: experiments)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND")
    for kind, text in (("digits", "scikit-learn's handwritten digits"),
                       ("photographs", "crops of scikit-image's photographs")):
        kinds.add_parser(kind, help=text, description=text).add_argument(
            "folder", metavar="DIR", help="folder to make")


def run(arguments: argparse.Namespace) -> None:
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
