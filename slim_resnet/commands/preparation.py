"""Options of how images are prepared, and what of it nobody has said."""

import argparse

from slim_resnet.checkpoint.runs import run_of
from slim_resnet.checkpoint.settings import prepared_text, settings_of
from slim_resnet.commands import optimize, options
from slim_resnet.images.settings import (
    IMAGE_SIZE,
    MAX_PIXELS,
    MEAN,
    PREPROCESSING,
    RESIZE,
    RESIZE_SIDE,
    VGG_IMAGE_SIZE,
)
from slim_resnet.inference.engines.table import TENSORFLOW


def add_preparation(parser: options.Container, note: str = "") -> None:
    """Adds ``--image-size``, ``--preprocessing`` and what goes with it; see `complete`.

    Args:
      parser: The command's.
      note: What the help adds to the default of the size.
    """
    parser.add_argument("--image-size", type=options.positive_int, metavar="PIXELS",
                        help="height and width that images are resized to (default: what "
                        "slim-resnet train had, if it wrote the checkpoint, else what the released "
                        f"checkpoint is evaluated at, {IMAGE_SIZE} for ResNet V2, or "
                        f"{VGG_IMAGE_SIZE} for another's shorter-side{note})")
    parser.add_argument("--preprocessing", choices=PREPROCESSING,
                        help="inception: central 0.875, bilinear, 2x-1; vgg: shorter side to "
                        f"{RESIZE_SIDE}, central crop, less --mean; none: resize only, values from "
                        "0 to 255 (default: as trained, else as the network's released checkpoint "
                        "was; slim's table gives vgg to resnet_v2)")
    add_preparation_details(parser)
    parser.set_defaults(complete=complete)


def add_preparation_details(parser: options.Container) -> None:
    """Adds the options that are fields of a `images.settings.Preprocessing`; see `details`."""
    parser.add_argument("--mean", type=float, nargs="+", metavar="X",
                        help="what vgg subtracts: R G B, or a number for each channel of the "
                        f"network (default: {' '.join(map(str, MEAN))})")
    parser.add_argument("--resize", choices=RESIZE,
                        help="another rule of resizing than the preprocessing's own: central: the "
                        "central 0.875, resized; shorter-side: the shorter side to --resize-side, "
                        "and the central window; whole: resized whatever the aspect ratio; "
                        "whole-half-pixel: the same as tf.image.resize of TensorFlow 2 does it")
    parser.add_argument("--resize-side", type=options.positive_int, metavar="PIXELS",
                        help=f"of shorter-side (default: {RESIZE_SIDE})")
    parser.add_argument("--max-pixels", type=options.positive_int, metavar="N",
                        help="images of more pixels are refused before they are decoded "
                        f"(default: {MAX_PIXELS})")


# Those of `add_preparation_details`.
DETAILS = ("mean", "resize", "resize_side", "max_pixels")


def dashed(name: str) -> str:
    """Returns an argument's name as its option has it, without the two dashes before it."""
    return name.replace("_", "-")


def details(arguments: argparse.Namespace) -> dict:
    """Returns what was given of `DETAILS`, by field of a `images.settings.Preprocessing`."""
    return {name: getattr(arguments, name) for name in DETAILS
            if getattr(arguments, name) is not None}


def complete(arguments: argparse.Namespace) -> None:
    """Puts what the checkpoint was trained with in the place of what was not given.

    ``preprocessing`` becomes a `images.settings.Preprocessing`, and ``prepared`` a line that
    says what is done to images and how much of it nobody has said. A checkpoint that had to be
    opened for it is ``opened``, which `options.opened_checkpoint` goes on with.
    """
    options.select(arguments)
    row = optimize.resolve(arguments) if hasattr(arguments, "optimize") else None
    if row and row.name == TENSORFLOW:
        # Looking into the checkpoint imports TensorFlow, which takes its kernels then.
        optimize.turn_onednn_on(arguments.verbose, arguments.command)
    asked = arguments.image_size, arguments.preprocessing
    # What is kept of a checkpoint that was used before; see commands/cached.py.
    known = getattr(arguments, "known", lambda arguments: None)(arguments)
    if None in asked and not known and run_of(arguments.checkpoint)[1] is None:
        from slim_resnet.checkpoint.reader import open_checkpoint
        # For the command too: an archive is unpacked once.
        arguments.opened = open_checkpoint(arguments.checkpoint)
    settings = settings_of(
        getattr(arguments, "opened", arguments.checkpoint), *asked,
        released=known and (known["image_size"], known["preprocessing"]), **details(arguments))
    arguments.image_size, arguments.preprocessing, _ = settings
    arguments.prepared = "images: " + prepared_text(arguments.checkpoint, settings, *asked)
