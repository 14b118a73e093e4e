"""One module a subcommand of ``slim-resnet``.

Each has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(arguments)``, which
returns the exit status or None for 0. They import TensorFlow within ``run``, so that
help and bad options are answered at once.
"""

import argparse
import collections
import contextlib
import dataclasses
import os
import sys
import time

from slim_resnet.cluster import read_cluster
from slim_resnet.environment import PRECISIONS
from slim_resnet.errors import SlimResnetError
from slim_resnet.files import sha256_of
from slim_resnet.results import Results, data_sha256, read_rows
from slim_resnet.settings import settings_of


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
    """Adds the options of commands that give images to a network.

    When they run, ``arguments`` has what the checkpoint was trained with in the place of
    what was not given.
    """
    parser.add_argument("--image-size", type=positive_int, metavar="PIXELS",
                        help="height and width that images are resized to (default: what "
                        "slim-resnet train had, if it wrote the checkpoint, else 299)")
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
        `add_optimize_arguments`, ``output`` and ``resume``.
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
