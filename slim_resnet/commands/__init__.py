"""One module a subcommand of ``slim-resnet``.

Each has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(arguments)``, which
returns the exit status or None for 0. They import TensorFlow within ``run``, so that
help and bad options are answered at once.
"""

import argparse
import contextlib
import os
import sys

from slim_resnet.environment import PRECISIONS
from slim_resnet.errors import SlimResnetError


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


def add_image_arguments(parser, batch_size=16):
    """Adds the options of commands that give images to a network."""
    parser.add_argument("--image-size", type=positive_int, default=299, metavar="PIXELS",
                        help="height and width that images are resized to (default: 299)")
    parser.add_argument("--preprocessing", choices=("inception", "none"), default="inception",
                        help="inception: central 0.875, bilinear, 2x-1, as slim evaluates; "
                        "none: resize only, values from 0 to 255 (default: inception)")
    parser.add_argument("--batch-size", type=positive_int, default=batch_size, metavar="N",
                        help="images in a run of the network (default: %(default)s)")


def add_optimize_arguments(parser):
    """Adds the options of commands that can run the folded network."""
    parser.add_argument("--optimize", action="store_true",
                        help="fold the batch norms and fuse the layers: the same results but for "
                        "rounding, faster; sets TF_ENABLE_ONEDNN_OPTS=1 unless it is set, and "
                        "keeps the folded network in a folder beside the checkpoint")
    parser.add_argument("--precision", choices=PRECISIONS,
                        help="with --optimize; auto takes bfloat16 on CPUs that are faster in it "
                        "(default: auto)")


def prepare_optimize(arguments, command):
    """Checks the options of `add_optimize_arguments`; call it before TensorFlow is imported.

    Returns:
      What to pass on to ``network.open_network`` and to the exports.
    """
    if not arguments.optimize:
        if arguments.precision is not None:
            raise SlimResnetError("--precision goes with --optimize; give both or neither")
        return {}
    turn_onednn_on(arguments.verbose, command)
    return {"optimize": True, "precision": arguments.precision or "auto"}


def turn_onednn_on(verbose, command):
    """Sets TF_ENABLE_ONEDNN_OPTS=1 unless the user has set it; TensorFlow reads it when imported.

    Args:
      verbose: Whether to say so.
      command: Name of the subcommand.
    """
    if "tensorflow" not in sys.modules and "TF_ENABLE_ONEDNN_OPTS" not in os.environ:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
        if verbose:
            print(f"slim-resnet {command}: TF_ENABLE_ONEDNN_OPTS=1 is set", file=sys.stderr)


@contextlib.contextmanager
def opened_network(opened, image_size, options, arguments, command, end_points=()):
    """Yields the network of a checkpoint; with ``--verbose``, says how long it took.

    Args:
      opened: Anything that `checkpoint.open_checkpoint` opens.
      image_size: Height and width of images in pixels.
      options: What `prepare_optimize` returned.
      arguments: The command line.
      command: Name of the subcommand.
      end_points: Keys that features are wanted of.
    """
    from slim_resnet import inference_cache
    from slim_resnet.checkpoint_reader import files_of
    from slim_resnet.network import open_network
    if not options:
        with open_network(opened, image_size, end_points=end_points) as network:
            yield network
        return
    cache_dir = inference_cache.folder_beside(files_of(opened))
    with open_network(opened, image_size, end_points=end_points, cache_dir=cache_dir,
                      **options) as model:
        if options["precision"] == "auto" and model.precision != "float32":
            print(f"slim-resnet {command}: precision {model.precision}", file=sys.stderr)
        yield model
        if arguments.verbose:
            print("\n".join(_first_result(model, command)), file=sys.stderr)


def _first_result(model, command):
    """Returns lines: what the first result of an optimised network took."""
    yield (f"slim-resnet {command}: {model.precision}, "
           f"{'from the cache' if model.cached else 'made anew'}")
    if model.cache_problem:
        yield f"slim-resnet {command}: nothing was cached: {model.cache_problem}"
    for part, seconds in model.parts_s.items():
        yield f"  {seconds:7.3f} s  {part.replace('_', ' ')}"


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
