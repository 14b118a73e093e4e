"""Writes scikit-learn's handwritten digits as .npz files and as class folders of PNG.

    slim-resnet digits digits
    slim-resnet train digits/train.npz --validation digits/test.npz --output run \\
        --model resnet_v2 --blocks 16x1,32x1,64x1 --image-size 32 --augmentation none --steps 400
"""

HELP = "write scikit-learn's digits as data to train on"


def add_arguments(parser):
    parser.add_argument("output", metavar="OUTPUT", help="folder to make")


def run(arguments):
    from slim_resnet.experiments.digits import write_digits
    counts = write_digits(arguments.output)
    print(f"{arguments.output}: {counts['train']} images to train on and {counts['test']} to test "
          "on, as .npz and as class folders of PNG")
