"""``--output FILE.jsonl`` and ``--resume`` of commands that go through images."""

import argparse
import collections
import dataclasses
import time
from collections.abc import Iterable
from typing import Any

from slim_resnet.commands import optimize, options
from slim_resnet.commands.progress import report_busy, say, with_progress
from slim_resnet.common.environment import PRECISIONS, made_with
from slim_resnet.common.files import sha256_of
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.engines.table import TENSORFLOW
from slim_resnet.inference.identity import data_identity
from slim_resnet.inference.results import Results, read_rows


def add_arguments(parser: options.Container) -> None:
    """Adds both options."""
    parser.add_argument("--output", metavar="FILE.jsonl",
                        help="write a line of JSON an image, as they come; with --ray a folder of "
                        "parts: JSON lines, or Parquet if its name ends in .parquet")
    add_resume(parser)


def add_resume(parser: options.Container) -> None:
    """Adds ``--resume``."""
    parser.add_argument("--resume", action="store_true",
                        help="go on with what is there of the same command's results, if there "
                        "are any")


def check(arguments: argparse.Namespace) -> None:
    """Raises `SlimResnetError` if ``--output`` is no name for JSON lines, or missed."""
    if arguments.output is None:
        options.refuse(arguments, ("resume",),
                       "needs --output FILE.jsonl, which keeps the results")
    elif not arguments.output.endswith(".jsonl"):
        raise SlimResnetError(f"--output {arguments.output}: holds JSON lines; name it .jsonl")


def opened(arguments: argparse.Namespace, command: str, checkpoint: Any, source: Any,
           **depends_on: Any) -> Results:
    """Returns the `results.Results` that ``--output`` asks for.

    Args:
      arguments: As of `made_by`.
      command: Name of the subcommand.
      checkpoint: The open `checkpoint.Checkpoint`.
      source: The images, see `images.sources`.
      **depends_on: What else the results depend on, plain data by option.

    Raises:
      SlimResnetError: See `results.Results`.
    """
    return Results(arguments.output, made_by(
        arguments, f"slim_resnet {command} 2", checkpoint, data_identity(source.files),
        **depends_on), arguments.batch_size, arguments.resume, source.is_called)


def made_by(arguments: argparse.Namespace, format: str, checkpoint: Any,
            identity: dict[str, str], **depends_on: Any) -> dict[str, Any]:
    """Returns what makes results, see `identity.check_same`.

    Args:
      arguments: With those of `add_arguments`, `preparation.add_preparation`,
        `options.add_batch_size` and `options.add_engine`.
      format: Of the results.
      checkpoint: The open `checkpoint.Checkpoint`.
      identity: The images' `identity.identity_of`.
      **depends_on: What else the results depend on, plain data by option.
    """
    import tensorflow as tf

    from slim_resnet import compat
    chosen = checkpoint.selection.record()
    row = optimize.resolve(arguments)
    engine = "plain" if row is None else (
        "optimized" if row.name == TENSORFLOW else row.described)
    used = made_with(tf.__version__, compat.onednn_enabled(), arguments.precision or PRECISIONS[0],
                     engine)
    return {
        "format": format, "checkpoint_sha256": sha256_of(checkpoint.files), **identity,
        "options": {**{name: getattr(arguments, name) for name in (
            "image_size", "batch_size")}, **arguments.preprocessing.as_record(), **used,
            **{name: chosen.get(name) for name in (
                "scope", "exclude", "allow_missing", "output_stride", "blocks")},
            "moving_averages": checkpoint.use_moving_averages,
            "calibration": optimize.calibration_of(arguments), **depends_on}}


def write(command: str, results: Results, batches: Iterable[list], total: int | None,
          network: Any) -> int:
    """Does what is left, and writes it.

    Args:
      command: Name of the subcommand.
      results: A `results.Results`, within its ``with`` statement; it is ``finished`` then,
        unless Ctrl-C came.
      batches: Yields lists of results, dataclasses with a ``cause``, a batch each.
      total: How many images there are; None if unknown.
      network: What ``batches`` runs, for its ``busy_s``; None if nothing is left.

    Returns:
      The exit status.
    """
    before = results.images_done
    started = time.perf_counter()
    try:
        for _ in with_progress(_written(results, batches), total, done=before):
            pass
    except KeyboardInterrupt:
        return stopped(command, results, total)
    if network:
        report_busy(command, results.images_done - before, time.perf_counter() - started,
                    network.busy_s)
    results.finish()
    readable = collections.Counter(row["cause"] is None for row in read_rows(results.path))
    if readable[False]:
        say(command, f"{readable[False]} of {readable.total()} images could not be read; their "
            f"lines in {results.path} say why")
    return 2 if readable[False] else 0


def stopped(command: str, results: Results, total: int | None) -> int:
    """Says how far a command came before Ctrl-C and how to go on; returns the exit status.

    Args:
      command: See `write`.
      results: See there.
      total: See there.
    """
    of_total = "" if total is None else f" of {total}"
    say(command, f"interrupted after {results.images_done}{of_total} images; the same "
        "command with --resume goes on")
    return 130


def _written(results, batches):
    for batch in batches:
        results.write([dataclasses.asdict(result) for result in batch])
        yield from batch
