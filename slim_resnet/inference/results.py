"""Results of many images in a file of JSON lines that a stop at any byte does no harm.

``FILE`` has a line an image, in the order of the images; ``FILE.run.json`` beside it
says what made it and, once it is finished, its hash. The work is done in batches, and
whole batches of lines are what counts: a run that goes on behind a stop gives every image
to the network in the same company as one without a stop, so that the numbers are the same
to the last bit. Until it is finished, ``FILE.run.sums`` has a hash for every batch, of all
lines up to its end: what was changed meanwhile is noticed, and is not gone on from.

Nothing here needs TensorFlow.
"""

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from slim_resnet.common import locks
from slim_resnet.common.files import atomic_write, check_writable, writing_errors
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.identity import check_same

# Hexadecimal digits of a batch's hash.
_SUM_DIGITS = 32


def read_rows(path: str) -> Iterator[dict[str, Any]]:
    """Yields the objects of a file of JSON lines."""
    with open(path, "rb") as file:
        yield from map(json.loads, file)


class Results:
    """The lines of results that are there, and those to come.

    Use it in a ``with`` statement: it looks for what is there, and keeps other processes
    from writing the same file. Nothing is written before the first batch is.

    Args:
      path: ``FILE``.
      made_by: Plain data that says what makes the results, see `identity.check_same`.
      batch_size: Images a batch.
      resume: Whether to go on with results that are there. Otherwise there may be none.
      is_called: ``is_called(number, path, previous)`` tells whether the image of that
        number, from 0, may have a row of that ``path``; ``previous`` is the path of the
        image before it, or None.

    Attributes:
      path: ``FILE``.
      batches_done: Batches whose results are there.
      images_done: Images in them.
      finished: Whether nothing is left to do.
      noted: Plain data that is recorded, and not compared, with what makes the results.

    Raises:
      SlimResnetError: There are results already, or what is there was made by
        something else or changed, or another process writes the file, or it cannot be
        written.
    """

    def __init__(self, path: str | os.PathLike, made_by: dict[str, Any], batch_size: int,
                 resume: bool = False,
                 is_called: Callable[[int, str, str | None], bool] = lambda *_: True) -> None:
        self.path = os.fspath(path)
        self._made_by, self._batch_size = dict(made_by), batch_size
        self._resume, self._is_called = resume, is_called
        self.batches_done = self.images_done = 0
        self.finished, self.noted = False, {}
        self._kept_bytes, self._digest = 0, hashlib.sha256()
        self._file = self._sums = None
        check_writable(self.path)

    def __enter__(self) -> "Results":
        with contextlib.ExitStack() as stack:
            stack.enter_context(locks.locked(self.path, "is writing it"))
            if os.path.exists(self.path):
                if not self._resume:
                    raise SlimResnetError(f"{self.path}: exists already; go on with it by "
                                          "--resume, or name another file")
                self._scan(self._read_record())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: Any) -> None:
        # A full disk is told of a second time, by what could not be flushed.
        with self._stack, writing_errors(self.path):
            for file in filter(None, (self._file, self._sums)):
                file.close()

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds the rows of one batch, plain data, and hands them to the file system."""
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        self._open()
        with writing_errors(self.path):
            self._file.write(lines)
            self._file.flush()
            self._kept_bytes += len(lines)
            self._check_alone()
            self._digest.update(lines)
            self._sums.write(f"{self._sum()}\n".encode())
            self._sums.flush()
        self.images_done += len(rows)

    def finish(self) -> None:
        """Says that all results are there."""
        self._open()
        if not self.finished:
            self._check_alone()
            with writing_errors(self.path):
                os.fsync(self._file.fileno())
            self._write_record(self.images_done, self._digest.hexdigest())
            os.unlink(_sums_path(self.path))
            self.finished = True

    def _open(self):
        """Opens the files behind what is kept of them."""
        if self._file:
            return
        with writing_errors(self.path):
            if not self.finished:
                self._sums = open(_sums_path(self.path), "ab")
                self._sums.truncate(self.batches_done * (_SUM_DIGITS + 1))
                self._write_record()
            self._file = open(self.path, "ab")
            self._file.truncate(self._kept_bytes)

    def _check_alone(self):
        # Not every file system has locks.
        if os.fstat(self._file.fileno()).st_size != self._kept_bytes:
            raise SlimResnetError(f"{self.path}: another process has written to it; name another "
                                  "file")

    def _sum(self):
        return self._digest.hexdigest()[:_SUM_DIGITS]

    def _scan(self, record):
        """Finds out how much of the file is whole batches of whole lines, unchanged."""
        lines, sums, previous = record["lines"], [], None
        # What is finished has one hash, which is checked at the end, in place of the sums.
        if lines is None:
            with contextlib.suppress(FileNotFoundError), open(_sums_path(self.path), "rb") as file:
                sums = file.read().decode("ascii", "replace").split("\n")[:-1]
        with open(self.path, "rb") as file:
            for done in itertools.count():
                wanted = self._batch_size if lines is None else min(
                    self._batch_size, lines - self.images_done)
                batch = list(itertools.islice(file, wanted))
                rows = [_row(line) for line in batch]
                if not batch or None in rows or len(batch) < wanted or (
                        lines is None and done >= len(sums)):
                    break
                self._digest.update(b"".join(batch))
                if lines is None and sums[done] != self._sum():
                    raise self._changed(f"lines {self.images_done + 1} to "
                                        f"{self.images_done + len(batch)} are")
                for number, row in enumerate(rows, self.images_done):
                    path = row.get("path")
                    if lines is None and not self._is_called(number, path, previous):
                        raise SlimResnetError(
                            f"{self.path}: line {self.images_done + 1} is not of the image that "
                            "belongs there: rows are missing, or there twice; name another file")
                    previous = path
                    self.images_done += 1
                self.batches_done += 1
                self._kept_bytes += sum(map(len, batch))
        if lines is not None:
            if self.images_done != lines or self._digest.hexdigest() != record["sha256"]:
                raise self._changed("it was")
            self.finished = True

    def _changed(self, what):
        return SlimResnetError(f"{self.path}: {what} not what was written; remove it, or name "
                               "another file")

    def _write_record(self, lines=None, digest=None):
        with atomic_write(_record_path(self.path)) as record:
            json.dump({**self._made_by, **self.noted, "lines": lines, "sha256": digest}, record,
                      indent=1)
            record.write("\n")

    def _read_record(self):
        """Returns what is recorded of the file, after checking that it is of this run."""
        path = _record_path(self.path)
        try:
            with open(path, encoding="utf-8") as opened:
                record = json.load(opened)
            check_same(record, self._made_by, self.path, "another file")
            kinds = type(record.get("lines")), type(record.get("sha256"))
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._damaged() from error
        if kinds not in ((int, str), (type(None), type(None))):
            raise self._damaged()
        return record

    def _damaged(self):
        return SlimResnetError(f"{self.path}: {_record_path(self.path)}, which says what made it, "
                               "is missing or damaged; name another file")


def _record_path(file):
    return f"{file}.run.json"


def _sums_path(file):
    return f"{file}.run.sums"


def _row(line):
    """Returns the object of a line; None for a line that is none, or not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
