"""``--output FILE.jsonl``, ``--resume`` and ``--cluster`` of commands that go through images."""

import argparse
import collections
import dataclasses
import time
from collections.abc import Iterable
from typing import Any

from slim_resnet.commands import options
from slim_resnet.commands.progress import report_busy, say, with_progress
from slim_resnet.common.cluster import read_cluster
from slim_resnet.common.environment import PRECISIONS, made_with
from slim_resnet.common.files import sha256_of
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.results import Results, data_identity, read_rows


def add_arguments(parser: options.Container) -> None:
    """Adds all three options."""
    parser.add_argument("--output", metavar="FILE.jsonl",
                        help="write a line of JSON an image, as they come")
    parser.add_argument("--resume", action="store_true",
                        help="go on with what --output holds, the same command's results, if "
                        "there are any")
    options.add_cluster(parser)


def check(arguments: argparse.Namespace) -> None:
    """Raises `SlimResnetError` if ``--output`` is no name for JSON lines, or missed."""
    if arguments.output is None:
        options.refuse(arguments, ("resume", "cluster", "job", "task"),
                       "needs --output FILE.jsonl, which keeps the results")
    elif not arguments.output.endswith(".jsonl"):
        raise SlimResnetError(f"--output {arguments.output}: holds JSON lines; name it .jsonl")


def opened(arguments: argparse.Namespace, command: str, checkpoint: Any, source: Any,
           **depends_on: Any) -> Results:
    """Returns the `results.Results` that ``--output`` and a cluster ask for.

    Args:
      arguments: With those of `add_arguments`, `preparation.add_preparation`,
        `options.add_batch_size` and `options.add_optimize`.
      command: Name of the subcommand.
      checkpoint: The open `checkpoint.Checkpoint`.
      source: All tasks' images, see `images.sources`.
      **depends_on: What else the results depend on, plain data by option.

    Raises:
      SlimResnetError: See `cluster.read_cluster` and `results.Results`.
    """
    import tensorflow as tf

    from slim_resnet import compat
    cluster = read_cluster(arguments.cluster, arguments.job, arguments.task)
    shard = cluster.shard if cluster else (0, 1)
    chosen = checkpoint.selection.record()
    used = made_with(tf.__version__, compat.onednn_enabled(), arguments.precision or PRECISIONS[0],
                     "optimized" if arguments.optimize else "plain")
    made_by = {
        "format": f"slim_resnet {command} 2", "checkpoint_sha256": sha256_of(checkpoint.files),
        **data_identity(source.files),
        "options": {**{name: getattr(arguments, name) for name in (
            "image_size", "batch_size")}, **arguments.preprocessing.as_record(), **used,
            **{name: chosen.get(name) for name in (
                "scope", "exclude", "allow_missing", "output_stride", "blocks")},
            "moving_averages": checkpoint.use_moving_averages, **depends_on}}
    return Results(arguments.output, made_by, arguments.batch_size, shard, arguments.resume,
                   source.is_called)


def write(command: str, results: Results, batches: Iterable[list], total: int | None,
          network: Any) -> tuple[bool, int]:
    """Does what is left of a task, and merges the parts of all tasks after the last.

    Args:
      command: Name of the subcommand.
      results: A `results.Results`, within its ``with`` statement.
      batches: Yields lists of results, dataclasses with a ``cause``, a batch each.
      total: How many images all tasks have; None if unknown.
      network: What ``batches`` runs, for its ``busy_s``; None if nothing is left.

    Returns:
      ``(whole, status)``: whether FILE has the results of all tasks, and the exit
      status.
    """
    before = results.images_done
    own = None if total is None else results.images_of(total)
    started = time.perf_counter()
    try:
        for _ in with_progress(_written(results, batches), own, done=before):
            pass
    except KeyboardInterrupt:
        return False, stopped(command, results, total)
    if network:
        report_busy(command, results.images_done - before, time.perf_counter() - started,
                    network.busy_s)
    whole = results.finish()
    if not whole:
        say(command, f"{results.part} is finished; the task that finishes last writes "
            f"{results.path}")
    file = results.path if whole else results.part
    readable = collections.Counter(row["cause"] is None for row in read_rows(file))
    if readable[False]:
        say(command, f"{readable[False]} of {readable.total()} images could not be read; their "
            f"lines in {file} say why")
    return whole, 2 if readable[False] else 0


def stopped(command: str, results: Results, total: int | None) -> int:
    """Says how far a task came before Ctrl-C and how to go on; returns the exit status.

    Args:
      command: See `write`.
      results: See there.
      total: See there.
    """
    of_total = "" if total is None else f" of {results.images_of(total)}"
    say(command, f"interrupted after {results.images_done}{of_total} images; the same "
        "command with --resume goes on")
    return 130


def _written(results, batches):
    for batch in batches:
        results.write([dataclasses.asdict(result) for result in batch])
        yield from batch
