"""One module a subcommand of ``slim-resnet``.

Each has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(arguments)``, which
returns the exit status or None for 0. They import TensorFlow within ``run``, so that
help and bad options are answered at once.
"""

import argparse
import collections
import dataclasses
import sys
import time

from slim_resnet.checkpoint.runs import settings_of
from slim_resnet.common.cluster import read_cluster
from slim_resnet.common.files import sha256_of
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.results import Results, data_sha256, read_rows


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


def add_image_arguments(parser, batch_size=16, else_size="299"):
    """Adds the options of commands that give images to a network.

    When they run, ``arguments`` has what the checkpoint was trained with in the place of
    what was not given.

    Args:
      parser: The command's.
      batch_size: Default of ``--batch-size``.
      else_size: What the help says that the image size is of a network not trained here.
    """
    parser.add_argument("--image-size", type=positive_int, metavar="PIXELS",
                        help="height and width that images are resized to (default: what "
                        f"slim-resnet train had, if it wrote the checkpoint, else {else_size})")
    parser.add_argument("--preprocessing", choices=("inception", "none"),
                        help="inception: central 0.875, bilinear, 2x-1, as slim evaluates; "
                        "none: resize only, values from 0 to 255 (default: as trained, else "
                        "inception)")
    parser.add_argument("--batch-size", type=positive_int, default=batch_size, metavar="N",
                        help="images in a run of the network (default: %(default)s)")
    parser.set_defaults(complete=_complete_image_arguments)


def _complete_image_arguments(arguments):
    arguments.image_size, arguments.preprocessing, _ = settings_of(
        arguments.checkpoint, arguments.image_size, arguments.preprocessing)


def add_cluster_arguments(parser):
    """Adds the options that `cluster.read_cluster` takes."""
    parser.add_argument("--cluster", metavar="SPEC.json",
                        help='the tasks that share the work: {"worker": ["HOST:PORT", ...]} '
                        "(default: the cluster in TF_CONFIG, if there is one)")
    parser.add_argument("--job", metavar="NAME", help="with --cluster: this process's job")
    parser.add_argument("--task", type=non_negative_int, metavar="N",
                        help="with --cluster: its number within the job, from 0")


def add_resume_argument(parser):
    """Adds the option that `open_results` takes beside ``--output``."""
    parser.add_argument("--resume", action="store_true",
                        help="go on with what --output holds, the same command's results, if "
                        "there are any")


def open_results(arguments, command, opened, files, **options):
    """Returns the `results.Results` that ``--output`` and a cluster ask for.

    Args:
      arguments: With `add_image_arguments`, `add_cluster_arguments`,
        `optimize.add_arguments`, ``output`` and ``resume``.
      command: Name of the subcommand.
      opened: The open `checkpoint.Checkpoint`.
      files: The files of all tasks' images.
      **options: What else the results depend on, plain data by option.

    Raises:
      SlimResnetError: See `cluster.read_cluster` and `results.Results`.
    """
    cluster = read_cluster(arguments.cluster, arguments.job, arguments.task)
    shard = cluster.shard if cluster else (0, 1)
    made_by = {
        "format": f"slim_resnet {command} 1", "checkpoint_sha256": sha256_of(opened.files),
        "data_sha256": data_sha256(files),
        "options": {**{name: getattr(arguments, name) for name in (
            "image_size", "preprocessing", "batch_size", "optimize", "precision")}, **options}}
    return Results(arguments.output, made_by, arguments.batch_size, shard, arguments.resume)


def refuse_results_options(arguments, why):
    """Raises `SlimResnetError` for an option that only `open_results` heeds."""
    for name in ("resume", "cluster", "job", "task"):
        value = getattr(arguments, name)
        # Not a test of truth: the first task is 0.
        if value is not None and value is not False:
            raise SlimResnetError(f"--{name} {why}")


def check_output_options(arguments):
    """Raises `SlimResnetError` if ``--output`` is no name for JSON lines, or missed."""
    if arguments.output is None:
        refuse_results_options(arguments, "needs --output FILE.jsonl, which keeps the results")
    elif not arguments.output.endswith(".jsonl"):
        raise SlimResnetError(f"--output {arguments.output}: holds JSON lines; name it .jsonl")


def write_results(command, results, batches, total, network):
    """Does what is left of a task, and merges the parts of all tasks after the last.

    Args:
      command: Name of the subcommand.
      results: A `results.Results`.
      batches: Yields lists of results, dataclasses with a ``cause``, a batch each.
      total: How many images all tasks have; None if unknown.
      network: What ``batches`` runs, for its ``busy_s``; None if nothing is left.

    Returns:
      ``(whole, status)``: whether FILE has the results of all tasks, and the exit
      status.
    """
    before, of_total = results.images_done, ""
    if total is not None:
        total = results.images_of(total)
        of_total = f" of {total}"
    started = time.perf_counter()
    with results:
        try:
            for _ in with_progress(_written(results, batches), total, done=before):
                pass
        except KeyboardInterrupt:
            print(f"slim-resnet {command}: interrupted after {results.images_done}{of_total} "
                  "images; the same command with --resume goes on", file=sys.stderr)
            return False, 130
        if network:
            report_busy(command, results.images_done - before, time.perf_counter() - started,
                        network.busy_s)
        whole = results.finish()
    if not whole:
        print(f"slim-resnet {command}: {results.part} is finished; the task that finishes last "
              f"writes {results.path}", file=sys.stderr)
    file = results.path if whole else results.part
    readable = collections.Counter(row["cause"] is None for row in read_rows(file))
    if readable[False]:
        print(f"slim-resnet {command}: {readable[False]} of {readable.total()} images could not be "
              f"read; their lines in {file} say why", file=sys.stderr)
    return whole, 2 if readable[False] else 0


def _written(results, batches):
    for batch in batches:
        results.write([dataclasses.asdict(result) for result in batch])
        yield from batch


def report_busy(command, images, seconds, busy_s):
    """Prints on stderr how fast images were done, and how much of the time the network ran."""
    print(f"slim-resnet {command}: {images} images in {seconds:.1f} s, {images / seconds:.2f} a "
          f"second; network busy {100 * busy_s / seconds:.1f} % of the time", file=sys.stderr)


def with_progress(items, total=None, noun="images", done=0, size=lambda item: 1):
    """Yields ``items`` and counts them on stderr, if that is a terminal.

    Args:
      items: What is counted.
      total: How many there will be; None if unknown.
      noun: What they are.
      done: How many were done before.
      size: Gives how many an item counts for.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    of_total = "" if total is None else f" of {total}"
    try:
        for item in items:
            done += size(item)
            print(f"\r{done}{of_total} {noun}", end="", file=sys.stderr, flush=True)
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
    for batch in batches_with_progress(arguments, paths):
        unreadable += [(name, cause) for name, cause in zip(batch.names, batch.causes) if cause]
        if len(batch.images):
            yield batch.images


def batches_with_progress(arguments, paths):
    """Yields the `images.Batch`es of files as `add_image_arguments` says, counted on stderr."""
    from slim_resnet.images import reading

    batches = reading.read_images(paths, arguments.image_size, arguments.preprocessing,
                                 arguments.batch_size)
    return with_progress(batches, len(paths), size=lambda batch: len(batch.names))


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


def write_features(command, checkpoint, names, end_points, output, arguments, options=None):
    """Writes end points of images to an .npz file, for a command that offers it.

    Args:
      command: Name of the subcommand.
      checkpoint: Of the network.
      names: Image files and folders.
      end_points: Maps names of arrays to keys of end points.
      output: File to write.
      arguments: With those of `add_image_arguments`.
      options: What `optimize.prepare` returned, for a command that has its options.

    Returns:
      The exit status.

    Raises:
      SlimResnetError: One of these is at fault.
    """
    from slim_resnet.commands import optimize
    from slim_resnet.common import files
    from slim_resnet.end_points.keys import check_end_points
    from slim_resnet.images import finding
    from slim_resnet.inference import features
    files.check_writable(output)
    paths = finding.find_images(names)
    with optimize.opened_network(checkpoint, arguments.image_size, options, arguments, command,
                                 end_points.values()) as network:
        check_end_points(end_points.values(), network.end_points)
        started = time.perf_counter()
        with files.atomic_write(output, "wb") as file:
            errors = features.write_features(file, network, end_points, paths,
                                             batches_with_progress(arguments, paths))
        seconds = time.perf_counter() - started
    reached = [error != features.INTERRUPTED for error in errors]
    report_busy(command, sum(reached), seconds, network.busy_s)
    status = report_unreadable(
        command, [(path, error) for path, error, was_reached in zip(paths, errors, reached)
                  if error and was_reached])
    return status if all(reached) else report_interrupted(command, sum(reached), len(paths))


def printable(text):
    """Returns text that any stdout in UTF-8 takes; names of files may not be."""
    return text.encode("utf-8", "replace").decode("utf-8")
