"""Writes crops of scikit-image's photographs as class folders of PNG, and the photographs.

    slim-resnet photographs photographs
    slim-resnet train photographs/train --validation photographs/test --output run \\
        --model resnet_v2 --blocks 16x2,32x2,64x2,128x2 --image-size 128 --steps 600
    slim-resnet report run photographs/photographs --image-size 299 --output report.html

A class is a photograph, so what a network learns from them is which one a crop is of.
"""

HELP = "write crops of scikit-image's photographs as data to train on"


def add_arguments(parser):
    parser.add_argument("output", metavar="OUTPUT", help="folder to make")


def run(arguments):
    from slim_resnet.experiments.photographs import write_photographs
    counts = write_photographs(arguments.output)
    print(f"{arguments.output}: {counts['train']} crops to train on and {counts['test']} to test "
          "on, as class folders of PNG, and the photographs")
