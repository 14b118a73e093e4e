"""Results of many images in a folder of parts, which may be done in any order and again.

``part-00000.jsonl``, ... have the results of successive images, as many in each;
``manifest.json`` says what made them and, once they are all there, how many images they are;
``SHA256SUMS`` has the hash of every part that is there, as ``sha256sum`` writes it. A part
is written under another name and renamed, and counts when its hash is there: a stop at any
moment loses those that were not. One that is done again takes the place of the first.

Nothing here needs TensorFlow.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from slim_resnet.common import locks
from slim_resnet.common.files import atomic_write, check_folder, writing_errors
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.identity import check_same

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
_SUM = re.compile(r"([0-9a-f]{64})  (part-\d{5,}\.\w+)")


class PartFiles:
    """The parts that are there, and those to come.

    Use it in a ``with`` statement: it looks for what is there, and keeps other processes
    from writing the same folder. Nothing is written before the first part is.

    Args:
      folder: Where the parts are.
      made_by: Plain data that says what makes them, see `identity.check_same`.
      suffix: What their names end in.
      resume: Whether to go on with parts that are there. Otherwise there may be none.

    Attributes:
      folder: The folder.
      done: Numbers of the parts that are there.
      finished: Whether all are; then ``images`` and ``unreadable`` are their numbers.

    Raises:
      SlimResnetError: There are parts already, or what is there was made by something else
        or changed, or another process writes the folder, or it cannot be written.
    """

    def __init__(self, folder: str | os.PathLike, made_by: dict[str, Any], suffix: str,
                 resume: bool = False) -> None:
        self.folder = os.fspath(folder).rstrip("/")
        self._made_by, self._suffix, self._resume = dict(made_by), suffix, resume
        self.done, self._sums = set(), {}
        self.finished, self.images, self.unreadable = False, None, None
        self._file = None
        if os.path.lexists(self.folder) and not os.path.isdir(self.folder):
            raise SlimResnetError(f"{self.folder}: is a file; name a folder for the parts")
        check_folder(self.folder)

    def __enter__(self) -> "PartFiles":
        with contextlib.ExitStack() as stack:
            stack.enter_context(locks.locked(self.folder, "is writing it"))
            if os.path.isdir(self.folder) and os.listdir(self.folder):
                self._look()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: Any) -> None:
        with self._stack, writing_errors(self.folder):
            if self._file:
                self._file.close()

    def path(self, number: int) -> str:
        """Returns the path of a part."""
        return os.path.join(self.folder, self._name(number))

    def write(self, number: int, content: bytes) -> None:
        """Writes a part, whether or not it was there."""
        self._open()
        with atomic_write(self.path(number), "wb") as file:
            file.write(content)
        self._sums[number] = hashlib.sha256(content).hexdigest()
        with writing_errors(self.folder):
            self._file.write(self._line(number))
            self._file.flush()
        self.done.add(number)

    def finish(self, images: int, unreadable: int) -> None:
        """Says that all parts are there, and of how many images."""
        self._open()
        with atomic_write(os.path.join(self.folder, SUMS)) as file:
            file.writelines(map(self._line, sorted(self._sums)))
        self.images, self.unreadable, self.finished = images, unreadable, True
        self._write_manifest()

    def contents(self) -> Iterator[bytes]:
        """Yields the parts that are there, in their order."""
        for number in sorted(self.done):
            yield self.content(number)

    def _name(self, number):
        return f"part-{number:05}{self._suffix}"

    def _line(self, number):
        return f"{self._sums[number]}  {self._name(number)}\n"

    def _open(self):
        if self._file:
            return
        with writing_errors(self.folder):
            os.makedirs(self.folder, exist_ok=True)
            self._write_manifest()
            # Whole lines only, each of a part that is what it says.
            with atomic_write(os.path.join(self.folder, SUMS)) as file:
                file.writelines(map(self._line, sorted(self._sums)))
            self._file = open(os.path.join(self.folder, SUMS), "a", encoding="ascii")

    def _write_manifest(self):
        with atomic_write(os.path.join(self.folder, MANIFEST)) as file:
            json.dump({**self._made_by, "parts": len(self.done) if self.finished else None,
                       "images": self.images, "unreadable": self.unreadable}, file, indent=1)
            file.write("\n")

    def _look(self):
        """Finds out which parts are there, unchanged and of the same results."""
        path = os.path.join(self.folder, MANIFEST)
        if not os.path.exists(path):
            raise SlimResnetError(f"{self.folder}: holds something else, and no {MANIFEST} that "
                                  "says what made it; name another folder")
        if not self._resume:
            raise SlimResnetError(f"{self.folder}: exists already; go on with it by --resume, or "
                                  "name another folder")
        damaged = SlimResnetError(f"{path}: is damaged; name another folder")
        try:
            with open(path, encoding="utf-8") as file:
                record = json.load(file)
            check_same(record, self._made_by, self.folder, "another folder")
            numbers = [record.get(name) for name in ("parts", "images", "unreadable")]
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise damaged from error
        if set(map(type, numbers)) not in ({int}, {type(None)}):
            raise damaged
        with contextlib.suppress(FileNotFoundError), open(
                os.path.join(self.folder, SUMS), encoding="ascii", errors="replace") as file:
            for line in file:
                match = _SUM.fullmatch(line.rstrip("\n"))
                if not (match and line.endswith("\n")):
                    continue
                number = int(match[2][5:].partition(".")[0])
                # One that was removed is done again.
                if match[2] == self._name(number) and os.path.exists(self.path(number)):
                    self._sums[number] = match[1]
        self.done = set(self._sums)
        for number in self.done:
            self.content(number)
        parts, images, unreadable = numbers
        if parts is not None and len(self.done) == parts:
            self.finished, self.images, self.unreadable = True, images, unreadable

    def content(self, number: int) -> bytes:
        """Returns a part that is there.

        Raises:
          SlimResnetError: It was changed.
        """
        path = self.path(number)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            raise SlimResnetError(f"{path}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != self._sums[number]:
            raise SlimResnetError(f"{path}: is not what was written; remove it, or name another "
                                  "folder")
        return content
