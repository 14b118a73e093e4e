"""Results of many images in a file of JSON lines that a stop at any byte does no harm.

``FILE`` has a line an image, in the order of the images; ``FILE.run.json`` beside it
says what made it and, once it is finished, its hash. The work is done in batches, and
whole batches of lines are what counts: a run that goes on behind a stop gives every image
to the network in the same company as one without a stop, so that the numbers are the same
to the last bit. Until it is finished, ``FILE.run.sums`` has a hash for every batch, of all
lines up to its end: what was changed meanwhile is noticed, and is not gone on from.

Several tasks share the batches: of ``count`` tasks, the one of number ``index`` does
batches ``index``, ``index + count``, ... and writes ``FILE-<index>-of-<count>``, five
digits each. The task that finishes last finds all parts finished and merges them into
``FILE``, which is what a single task would have written, byte by byte.

Nothing here needs TensorFlow.
"""

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from slim_resnet.common import locks
from slim_resnet.common.files import atomic_write, check_writable, writing_errors
from slim_resnet.errors import SlimResnetError

_DIFFERENCES = {
    "format": "another command or version",
    "checkpoint_sha256": "another checkpoint",
    "data_sha256": "other images",
    "shard": "another number of tasks",
    "times_sha256": "images that were changed since, as their times say",
}
# Hexadecimal digits of a batch's hash.
_SUM_DIGITS = 32


def data_identity(paths: Iterable[str]) -> dict[str, str]:
    """Returns what tells images from others without reading them.

    Args:
      paths: Their files.

    Returns:
      ``data_sha256``, a hash of names and sizes, which is the same on all machines that
      have them; and ``times_sha256``, of the times at which they were changed, which may
      be a machine's own. Files of the same name, size and time are not told apart.
    """
    data, times = hashlib.sha256(), hashlib.sha256()
    for path in paths:
        try:
            status = os.stat(path)
            size, time = status.st_size, status.st_mtime_ns
        except OSError:
            size = time = None
        data.update(json.dumps([path, size]).encode())
        times.update(json.dumps(time).encode())
    return {"data_sha256": data.hexdigest(), "times_sha256": times.hexdigest()}


def read_rows(path: str) -> Iterator[dict[str, Any]]:
    """Yields the objects of a file of JSON lines."""
    with open(path, "rb") as file:
        yield from map(json.loads, file)


class Results:
    """One task's results: the lines that are there, and those to come.

    Use it in a ``with`` statement: it looks for what is there, and keeps other processes
    from writing the same file. Nothing is written before the first batch is.

    Args:
      path: ``FILE``.
      made_by: Plain data that says what makes the results: ``format``,
        ``checkpoint_sha256``, what `data_identity` returns, and a dict ``options``.
      batch_size: Images a batch.
      shard: ``(index, count)`` of this task.
      resume: Whether to go on with results that are there. Otherwise there may be none.
      is_called: ``is_called(number, path, previous)`` tells whether the image of that
        number, from 0, may have a row of that ``path``; ``previous`` is the path of the
        image before it, None where that is in another task's part.

    Attributes:
      path: ``FILE``.
      shard: ``(index, count)``.
      part: The file that this task writes; ``FILE`` itself for a single task.
      batches_done: Batches of this task whose results are there.
      images_done: Images in them.
      finished: Whether this task has nothing left to do.
      noted: Plain data that is recorded, and not compared, with what makes the results.

    Raises:
      SlimResnetError: There are results already, or what is there was made by
        something else or changed, or another process writes the file, or it cannot be
        written.
    """

    def __init__(self, path: str | os.PathLike, made_by: dict[str, Any], batch_size: int,
                 shard: tuple[int, int] = (0, 1), resume: bool = False,
                 is_called: Callable[[int, str, str | None], bool] = lambda *_: True) -> None:
        self.path = os.fspath(path)
        self._made_by, self._batch_size, self.shard = dict(made_by), batch_size, tuple(shard)
        self._resume, self._is_called = resume, is_called
        self.part = self._part(self.shard[0])
        self.batches_done = self.images_done = 0
        self.finished, self.noted = False, {}
        self._kept_bytes, self._digest = 0, hashlib.sha256()
        self._file = self._sums = None
        for file in (self.part, self.path):
            check_writable(file)

    def __enter__(self) -> "Results":
        with contextlib.ExitStack() as stack:
            stack.enter_context(locks.locked(self.part, "is writing it"))
            for file, its_shard in {self.part: self.shard, self.path: (0, 1)}.items():
                if not os.path.exists(file):
                    continue
                if not self._resume:
                    raise SlimResnetError(f"{file}: exists already; go on with it by --resume, or "
                                          "name another file")
                record = self._read_record(file, its_shard)
                if file == self.part:
                    self._scan(record)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: Any) -> None:
        # A full disk is told of a second time, by what could not be flushed.
        with self._stack, writing_errors(self.part):
            for file in filter(None, (self._file, self._sums)):
                file.close()

    def images_of(self, total: int) -> int:
        """Returns how many of ``total`` images are this task's."""
        index, count = self.shard
        starts = range(index * self._batch_size, total, count * self._batch_size)
        return sum(min(self._batch_size, total - start) for start in starts)

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds the rows of one batch, plain data, and hands them to the file system."""
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        self._open()
        with writing_errors(self.part):
            self._file.write(lines)
            self._file.flush()
            self._kept_bytes += len(lines)
            self._check_alone()
            self._digest.update(lines)
            self._sums.write(f"{self._sum()}\n".encode())
            self._sums.flush()
        self.images_done += len(rows)

    def finish(self) -> bool:
        """Ends this task's part, and merges all parts if it was the last.

        Returns:
          Whether ``FILE`` has the results of all tasks.

        Raises:
          SlimResnetError: Another task's part was made by something else or changed.
        """
        self._open()
        if not self.finished:
            self._check_alone()
            with writing_errors(self.part):
                os.fsync(self._file.fileno())
            self._write_record(self.part, self.shard, self.images_done, self._digest.hexdigest())
            os.unlink(_sums_path(self.part))
            self.finished = True
        if self.shard[1] == 1:
            return True
        try:
            with locks.locked(self.path, "is writing it"):
                return self._merge()
        except locks.Busy:  # another task that finished last, too
            return False

    def _part(self, index):
        count = self.shard[1]
        return self.path if count == 1 else f"{self.path}-{index:05}-of-{count:05}"

    def _open(self):
        """Opens the files behind what is kept of them."""
        if self._file:
            return
        with writing_errors(self.part):
            if not self.finished:
                self._sums = open(_sums_path(self.part), "ab")
                self._sums.truncate(self.batches_done * (_SUM_DIGITS + 1))
                self._write_record(self.part, self.shard)
            self._file = open(self.part, "ab")
            self._file.truncate(self._kept_bytes)

    def _check_alone(self):
        # Not every file system has locks.
        if os.fstat(self._file.fileno()).st_size != self._kept_bytes:
            raise SlimResnetError(f"{self.part}: another process has written to it; name another "
                                  "file")

    def _sum(self):
        return self._digest.hexdigest()[:_SUM_DIGITS]

    def _merge(self):
        shards = [(index, self.shard[1]) for index in range(self.shard[1])]
        parts = [self._part(index) for index, _ in shards]
        if not all(map(os.path.exists, parts)):
            return False
        records = [self._read_record(part, shard) for part, shard in zip(parts, shards)]
        if any(record["lines"] is None for record in records):
            return False
        left = sum(record["lines"] for record in records)
        whole, lines = hashlib.sha256(), left
        with contextlib.ExitStack() as stack:
            merged = stack.enter_context(atomic_write(self.path, "wb"))
            files = [stack.enter_context(open(part, "rb")) for part in parts]
            digests = {file: hashlib.sha256() for file in files}
            for file in itertools.cycle(files):
                wanted = min(self._batch_size, left)
                batch = b"".join(itertools.islice(file, wanted))
                if batch.count(b"\n") < wanted:
                    raise self._spoilt(file.name)
                merged.write(batch)
                whole.update(batch)
                digests[file].update(batch)
                left -= wanted
                if not left:
                    break
            for file, record in zip(files, records):
                if digests[file].hexdigest() != record["sha256"]:
                    raise self._spoilt(file.name)
            # Before the file appears: who finds it finds its record.
            self._write_record(self.path, (0, 1), lines, whole.hexdigest())
        return True

    def _scan(self, record):
        """Finds out how much of the file is whole batches of whole lines, unchanged."""
        lines, sums, previous = record["lines"], [], None
        # What is finished has one hash, which is checked at the end, in place of the sums.
        if lines is None:
            with contextlib.suppress(FileNotFoundError), open(_sums_path(self.part), "rb") as file:
                sums = file.read().decode("ascii", "replace").split("\n")[:-1]
        index, count = self.shard
        with open(self.part, "rb") as file:
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
                for number, row in enumerate(rows, (index + done * count) * self._batch_size):
                    path = row.get("path")
                    if lines is None and not self._is_called(number, path, previous):
                        raise SlimResnetError(
                            f"{self.part}: line {self.images_done + 1} is not of the image that "
                            "belongs there: rows are missing, or there twice; name another file")
                    previous = path
                    self.images_done += 1
                if count > 1:
                    previous = None
                self.batches_done += 1
                self._kept_bytes += sum(map(len, batch))
        if lines is not None:
            if self.images_done != lines or self._digest.hexdigest() != record["sha256"]:
                raise self._changed("it was")
            self.finished = True

    def _changed(self, what):
        return SlimResnetError(f"{self.part}: {what} not what was written; remove it, or name "
                               "another file")

    @staticmethod
    def _spoilt(part):
        return SlimResnetError(f"{part}: is not what it was when its task finished; remove it, "
                               "and run that task again")

    def _write_record(self, file, shard, lines=None, digest=None):
        with atomic_write(_record_path(file)) as record:
            json.dump({**self._made_by, **self.noted, "shard": shard, "lines": lines,
                       "sha256": digest}, record, indent=1)
            record.write("\n")

    def _read_record(self, file, shard):
        """Returns what is recorded of a file, after checking that it is of this run."""
        path = _record_path(file)
        try:
            with open(path, encoding="utf-8") as opened:
                record = json.load(opened)
            options = dict(record["options"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._damaged(file) from error
        wanted = {**self._made_by, "shard": list(shard)}
        for key, what in _DIFFERENCES.items():
            # Files of the same images may have other times where another task runs.
            if record.get(key) != wanted[key] and (key != "times_sha256" or file == self.part):
                raise SlimResnetError(f"{file}: holds results of {what}; name another file")
        for name, value in wanted["options"].items():
            if options.get(name) != value:
                raise SlimResnetError(
                    f"{file}: holds results made with another {name.replace('_', ' ')} "
                    f"({options.get(name)}, now {value}); name another file")
        kinds = type(record.get("lines")), type(record.get("sha256"))
        if kinds not in ((int, str), (type(None), type(None))):
            raise self._damaged(file)
        return record

    @staticmethod
    def _damaged(file):
        return SlimResnetError(f"{file}: {_record_path(file)}, which says what made it, is missing "
                               "or damaged; name another file")


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
