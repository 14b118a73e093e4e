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


# Images at 299 are what the released checkpoints are evaluated with.
IMAGE_DEFAULTS = {"image_size": 299, "preprocessing": "inception", "batch_size": 16}


def add_image_arguments(parser, default_size="299"):
    """Adds the options of commands that give images to a network.

    Args:
      parser: The command's.
      default_size: What the help says that the default image size is.
    """
    parser.add_argument("--image-size", type=positive_int, metavar="PIXELS",
                        help="height and width that images are resized to (default: "
                        f"{default_size})")
    parser.add_argument("--preprocessing", choices=("inception", "none"),
                        help="inception: central 0.875, bilinear, 2x-1, as slim evaluates; "
                        "none: resize only, values from 0 to 255 (default: inception)")
    parser.add_argument("--batch-size", type=positive_int, metavar="N",
                        help="images in a run of the network (default: 16)")
    parser.set_defaults(**IMAGE_DEFAULTS)


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


def readable_batches(arguments, paths, unreadable):
    """Yields the readable images of files as arrays, with progress.

    Args:
      arguments: With those of `add_image_arguments`.
      paths: Image files.
      unreadable: A list that ``(name, cause)`` of each unreadable image is added to.
    """
    from slim_resnet import images

    examples = images.read_images(paths, arguments.image_size, arguments.preprocessing)
    for batch in images.in_batches(with_progress(examples, len(paths)), arguments.batch_size):
        unreadable += [(example.name, example.cause) for example in batch
                       if example.image is None]
        if any(example.image is not None for example in batch):
            yield images.stack(batch)


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


def report_interrupted(command, done, total):
    """Says on stderr how far a command came before Ctrl-C; returns the exit status."""
    print(f"slim-resnet {command}: interrupted after {done} of {total} images", file=sys.stderr)
    return 130


def write_features(command, checkpoint, names, end_points, output, arguments):
    """Writes end points of images to an .npz file, for a command that offers it.

    Args:
      command: Name of the subcommand.
      checkpoint: Of the network.
      names: Image files and folders.
      end_points: Maps names of arrays to keys of end points.
      output: File to write.
      arguments: With those of `add_image_arguments`.

    Returns:
      The exit status.

    Raises:
      SlimResnetError: One of these is at fault.
    """
    from slim_resnet import features, files, images
    from slim_resnet.network import Network
    files.check_writable(output)
    paths = images.find_images(names)
    with Network(checkpoint, arguments.image_size) as network:
        features.check_end_points(end_points.values(), network.end_points)
        examples = images.read_images(paths, arguments.image_size, arguments.preprocessing)
        with files.atomic_write(output, "wb") as file:
            errors = features.write_features(
                file, network, end_points, paths, with_progress(examples, len(paths)),
                arguments.batch_size)
    reached = [error != features.INTERRUPTED for error in errors]
    status = report_unreadable(
        command, [(path, error) for path, error, was_reached in zip(paths, errors, reached)
                  if error and was_reached])
    return status if all(reached) else report_interrupted(command, sum(reached), len(paths))


def printable(text):
    """Returns text that any stdout in UTF-8 takes; names of files may not be."""
    return text.encode("utf-8", "replace").decode("utf-8")
