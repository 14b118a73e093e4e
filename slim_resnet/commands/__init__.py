"""One module a subcommand of ``slim-resnet``.

Each has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(arguments)``, which
returns the exit status or None for 0. They import TensorFlow within ``run``, so that
help and bad options are answered at once.
"""

import argparse
import sys


def positive_int(text):
    """An argparse type: a whole number from 1."""
    return _int_from(1, text)


def non_negative_int(text):
    """An argparse type: a whole number from 0."""
    return _int_from(0, text)


def _int_from(least, text):
    try:
        value = int(text)
    except ValueError:
        value = None
    if value is None or value < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return value


def add_image_arguments(parser):
    """Adds the options of commands that give images to a network."""
    parser.add_argument("--image-size", type=positive_int, default=299, metavar="PIXELS",
                        help="height and width that images are resized to (default: 299)")
    parser.add_argument("--preprocessing", choices=("inception", "none"), default="inception",
                        help="inception: central 0.875, bilinear, 2x-1, as slim evaluates; "
                        "none: resize only, values from 0 to 255 (default: inception)")
    parser.add_argument("--batch-size", type=positive_int, default=16, metavar="N",
                        help="images in a run of the network (default: 16)")


def add_cluster_arguments(parser):
    """Adds the options that `cluster.read_cluster` takes."""
    parser.add_argument("--cluster", metavar="SPEC.json",
                        help='the tasks that share the work: {"worker": ["HOST:PORT", ...]} '
                        "(default: the cluster in TF_CONFIG, if there is one)")
    parser.add_argument("--job", metavar="NAME", help="with --cluster: this process's job")
    parser.add_argument("--task", type=non_negative_int, metavar="N",
                        help="with --cluster: its number within the job, from 0")


def with_progress(items, total=None, noun="images"):
    """Yields ``items`` and counts them on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    of_total = "" if total is None else f" of {total}"
    try:
        for count, item in enumerate(items, 1):
            print(f"\r{count}{of_total} {noun}", end="", file=sys.stderr, flush=True)
            yield item
    finally:
        print(file=sys.stderr)


def report_unreadable(command, causes):
    """Prints a line on stderr for every unreadable image.

    Args:
      command: Name of the subcommand.
      causes: A list of ``(name, cause)``.

    Returns:
      The exit status: 2 if there is any, else 0.
    """
    for name, cause in causes:
        print(f"slim-resnet {command}: {printable(name)}: cannot be read: {cause}", file=sys.stderr)
    return 2 if causes else 0


def printable(text):
    """Returns text that any stdout in UTF-8 takes; names of files may not be."""
    return text.encode("utf-8", "replace").decode("utf-8")
