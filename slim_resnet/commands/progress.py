"""What commands say on stderr, and on stdout while work goes on."""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from slim_resnet.commands.progress_line import Progress, set_aside
from slim_resnet.common.files import atomic_write
from slim_resnet.common.locks import locked
from slim_resnet.common.text import printable


def say(command: str, line: str) -> None:
    """Prints a line on stderr, with the name of the subcommand before it."""
    with set_aside():
        print(printable(f"slim-resnet {command}: {line}"), file=sys.stderr, flush=True)


def show(line: str) -> None:
    """Prints a line on stdout while work goes on."""
    with set_aside():
        print(printable(line), flush=True)


def with_progress(items: Iterable, total: int | None = None, noun: str = "images", done: int = 0,
                  size: Callable[[Any], int] = lambda item: 1) -> Iterator:
    """Yields ``items`` and shows on stderr how many there were.

    Args:
      items: What is counted.
      total: How many there will be; None if unknown.
      noun: What they are.
      done: How many were done before.
      size: Gives how many an item counts for.
    """
    with Progress(noun, total, done) as shown:
        shown.at(done)
        for item in items:
            shown.at(shown.done + size(item))
            yield item


def any_read(results: Iterable) -> bool:
    """Whether any of some images' results, dataclasses with a ``cause``, is of one read."""
    return any(result.cause is None for result in results)


def saying(items: Iterable, command: str, *lines: str,
           when: Callable[[Any], bool] = lambda item: True) -> Iterator:
    """Yields ``items``, and says lines before the first of those ``when`` is true of.

    So what is said of all of them comes when there is something to say it of, and an error
    before that stands alone.
    """
    said = False
    for item in items:
        if not said and when(item):
            for line in lines:
                say(command, line)
            said = True
        yield item


def batches_with_progress(arguments: argparse.Namespace, paths: Collection[str],
                          channels: int, said: bool = False) -> Iterator:
    """Yields the `images.Batch`es of files as `options.add_preparation` says, counted.

    How they are prepared is said before the first, unless it was ``said`` before.
    """
    from slim_resnet.images import reading
    batches = reading.read_images(paths, arguments.image_size, arguments.preprocessing,
                                  arguments.batch_size, channels=channels)
    if not said:
        batches = saying(batches, arguments.command, arguments.prepared,
                         when=lambda batch: len(batch.images) > 0)
    return with_progress(batches, len(paths), size=lambda batch: len(batch.names))


def readable_batches(arguments: argparse.Namespace, paths: Collection[str], channels: int,
                     unreadable: list, said: bool = False) -> Iterator:
    """Yields the readable images of files as arrays, with progress.

    Args:
      arguments: With those of `options.add_preparation` and ``batch_size``.
      paths: Image files.
      channels: As many as the network takes.
      unreadable: A list that ``(name, cause)`` of each unreadable image is added to.
      said: Whether the command has said before how images are prepared.
    """
    for batch in batches_with_progress(arguments, paths, channels, said):
        unreadable += [(name, cause) for name, cause in zip(batch.names, batch.causes) if cause]
        if len(batch.images):
            yield batch.images


def report_busy(command: str, images: int, seconds: float, busy_s: float) -> None:
    """Says how fast images were done, and how much of the time the network ran."""
    say(command, f"{images} images in {seconds:.1f} s, {images / seconds:.2f} a second; network "
        f"busy {100 * busy_s / seconds:.1f} % of the time")


def report_unreadable(command: str, causes: Collection[tuple[str, str]]) -> int:
    """Says a line for every unreadable image.

    Args:
      command: Name of the subcommand.
      causes: ``(name, cause)`` of each.

    Returns:
      The exit status: 2 if there is any, else 0.
    """
    for name, cause in causes:
        say(command, f"{name}: cannot be read: {cause}")
    return 2 if causes else 0


def report_interrupted(command: str, done: int, total: int) -> int:
    """Says how far a command came before Ctrl-C; returns the exit status."""
    say(command, f"interrupted after {done} of {total} images")
    return 130


def written_alone(path: str | None) -> AbstractContextManager:
    """Keeps other processes from a record for as long as the ``with`` block lasts, if any.

    Args:
      path: The record; or None.
    """
    return locked(path, "is writing it") if path else contextlib.nullcontext()


def write_record(record: dict, path: str | None) -> None:
    """Writes the record of a measurement as JSON, if there is a path."""
    if path:
        with atomic_write(path) as file:
            json.dump(record, file, indent=1)
            file.write("\n")
