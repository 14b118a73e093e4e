"""Results of many images in a file of JSON lines that a stop at any byte does no harm.

``FILE`` has a line an image, in the order of the images; ``FILE.run.json`` beside it
says what made it. The work is done in batches, and whole batches of lines are what
counts: a run that goes on behind a stop gives every image to the network in the same
company as one without a stop, so that the numbers are the same to the last bit.

Several tasks share the batches: of ``count`` tasks, the one of number ``index`` does
batches ``index``, ``index + count``, ... and writes ``FILE-<index>-of-<count>``, five
digits each. The task that finishes last finds all parts finished and merges them into
``FILE``, which is what a single task would have written, byte by byte.

Nothing here needs TensorFlow.
"""

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from slim_resnet.common.files import atomic_write, check_writable, writing_errors
from slim_resnet.errors import SlimResnetError

_DIFFERENCES = {
    "format": "another command or version",
    "checkpoint_sha256": "another checkpoint",
    "data_sha256": "other images",
    "shard": "another number of tasks",
}


def data_sha256(paths: Iterable[str]) -> str:
    """Returns a hash of the names and sizes of files, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            size = os.path.getsize(path)
        except OSError:
            size = None
        digest.update(json.dumps([path, size]).encode())
    return digest.hexdigest()


def read_rows(path: str) -> Iterator[dict[str, Any]]:
    """Yields the objects of a file of JSON lines."""
    with open(path, "rb") as file:
        yield from map(json.loads, file)


class Results:
    """One task's results: the lines that are there, and those to come.

    Use it in a ``with`` statement, which opens and closes the file.

    Args:
      path: ``FILE``.
      made_by: Plain data that says what makes the results: ``format``,
        ``checkpoint_sha256``, ``data_sha256`` and a dict ``options``.
      batch_size: Images a batch.
      shard: ``(index, count)`` of this task.
      resume: Whether to go on with results that are there. Otherwise there may be none.

    Attributes:
      path: ``FILE``.
      shard: ``(index, count)``.
      part: The file that this task writes; ``FILE`` itself for a single task.
      batches_done: Batches of this task whose results are there.
      images_done: Images in them.
      finished: Whether this task has nothing left to do.

    Raises:
      SlimResnetError: There are results already, or what is there was made by
        something else, or the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike, made_by: dict[str, Any], batch_size: int,
                 shard: tuple[int, int] = (0, 1), resume: bool = False) -> None:
        self.path = os.fspath(path)
        self._made_by, self._batch_size, self.shard = dict(made_by), batch_size, tuple(shard)
        self.part = self._part(self.shard[0])
        self.batches_done = self.images_done = 0
        self.finished = False
        self._kept_bytes, self._file = 0, None
        for file, its_shard in {self.part: self.shard, self.path: (0, 1)}.items():
            check_writable(file)
            if not os.path.exists(file):
                continue
            if not resume:
                raise SlimResnetError(f"{file}: exists already; go on with it by --resume, or "
                                      "name another file")
            lines = self._read_record(file, its_shard)["lines"]
            if file == self.part:
                self._scan(lines)

    def __enter__(self) -> "Results":
        with writing_errors(self.part):
            if not self.finished:
                self._write_record(self.part, self.shard, None)
            self._file = open(self.part, "ab")
            self._file.truncate(self._kept_bytes)
        return self

    def __exit__(self, *_: Any) -> None:
        # A full disk is told of a second time, by what could not be flushed.
        with writing_errors(self.part):
            self._file.close()

    def images_of(self, total: int) -> int:
        """Returns how many of ``total`` images are this task's."""
        index, count = self.shard
        starts = range(index * self._batch_size, total, count * self._batch_size)
        return sum(min(self._batch_size, total - start) for start in starts)

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds the rows of one batch, plain data, and hands them to the file system."""
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        with writing_errors(self.part):
            self._file.write(lines.encode())
            self._file.flush()
        self.images_done += len(rows)

    def finish(self) -> bool:
        """Ends this task's part, and merges all parts if it was the last.

        Returns:
          Whether ``FILE`` has the results of all tasks.

        Raises:
          SlimResnetError: Another task's part was made by something else.
        """
        if not self.finished:
            with writing_errors(self.part):
                os.fsync(self._file.fileno())
            self._write_record(self.part, self.shard, self.images_done)
            self.finished = True
        return self.shard[1] == 1 or self._merge()

    def _part(self, index):
        count = self.shard[1]
        return self.path if count == 1 else f"{self.path}-{index:05}-of-{count:05}"

    def _merge(self):
        shards = [(index, self.shard[1]) for index in range(self.shard[1])]
        parts = [self._part(index) for index, _ in shards]
        if not all(map(os.path.exists, parts)):
            return False
        lines = [self._read_record(part, shard)["lines"] for part, shard in zip(parts, shards)]
        if None in lines:
            return False
        self._write_record(self.path, (0, 1), sum(lines))
        files = [open(part, "rb") for part in parts]
        try:
            with atomic_write(self.path, "wb") as merged:
                left = sum(lines)
                for file in itertools.cycle(files):
                    if left <= 0:
                        break
                    batch = list(itertools.islice(file, min(self._batch_size, left)))
                    if not batch:
                        raise SlimResnetError(f"{file.name}: is shorter than it was when its task "
                                              "finished; run that task again with --resume")
                    merged.writelines(batch)
                    left -= len(batch)
        finally:
            for file in files:
                file.close()
        return True

    def _scan(self, lines):
        """Finds out how much of the file is whole batches of whole lines."""
        number = size = 0
        with open(self.part, "rb") as file:
            for line in file:
                if not _is_row(line):
                    break
                number += 1
                size += len(line)
                if number % self._batch_size == 0:
                    self.batches_done += 1
                    self.images_done, self._kept_bytes = number, size
            if number == lines:
                self.finished, self.images_done, self._kept_bytes = True, number, size

    def _write_record(self, file, shard, lines):
        with atomic_write(_record_path(file)) as record:
            json.dump({**self._made_by, "shard": shard, "lines": lines}, record, indent=1)
            record.write("\n")

    def _read_record(self, file, shard):
        """Returns what is recorded of a file, after checking that it is of this run."""
        path = _record_path(file)
        try:
            with open(path, encoding="utf-8") as opened:
                record = json.load(opened)
            options = dict(record["options"])
            record["lines"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise SlimResnetError(f"{file}: {path}, which says what made it, is missing or "
                                  "damaged; name another file") from error
        wanted = {**self._made_by, "shard": list(shard)}
        for key, what in _DIFFERENCES.items():
            if record.get(key) != wanted[key]:
                raise SlimResnetError(f"{file}: holds results of {what}; name another file")
        for name, value in wanted["options"].items():
            if options.get(name) != value:
                raise SlimResnetError(
                    f"{file}: holds results made with another {name.replace('_', ' ')} "
                    f"({options.get(name)}, now {value}); name another file")
        return record


def _record_path(file):
    return f"{file}.run.json"


def _is_row(line):
    if not line.endswith(b"\n"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
