"""Writing files so that a stop in the middle leaves the old one in place."""

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

from slim_resnet.common import locks
from slim_resnet.errors import SlimResnetError


def sha256_of(paths: Iterable[str | os.PathLike]) -> str:
    """Returns a hash of the contents of files, one behind the other, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def irregularity_of(path: str | bytes | os.PathLike, max_bytes: int | None = None) -> str | None:
    """Returns why a file is not to be opened: it is no regular file, or too large; or None.

    A pipe or a device can keep whoever opens it for ever, or feed him without end. A file
    that is missing is left to be found missing when it is opened.

    Args:
      path: The file; links are followed.
      max_bytes: The largest size, in bytes; None takes any.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if max_bytes is not None and status.st_size > max_bytes:
        return f"has {status.st_size} bytes, and {max_bytes} are the most"
    return None


def check_regular(path: str | os.PathLike, max_bytes: int | None = None) -> None:
    """Raises `SlimResnetError` for what `irregularity_of` finds."""
    why = irregularity_of(path, max_bytes)
    if why:
        raise SlimResnetError(f"{path}: cannot be read: {why}")


def read_json(path: str | os.PathLike, format: str, what: str) -> dict:
    """Reads a JSON document of ours, an object whose ``format`` says what it is.

    Args:
      path: The file.
      format: What its ``format`` has to be.
      what: Such a document, for the message: "a record of ...".

    Raises:
      SlimResnetError: The file cannot be read or is something else.
    """
    check_regular(path)
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise SlimResnetError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SlimResnetError(f"{path}: is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != format:
        raise SlimResnetError(f"{path}: is not {what}")
    return document


def check_writable(path: str | os.PathLike) -> None:
    """Raises `SlimResnetError` now if `atomic_write` could not write ``path`` later."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise SlimResnetError(f"{path}: is a folder; name a file to write")
    if not os.path.isdir(folder):
        raise SlimResnetError(f"{path}: the folder {folder} does not exist; make it first")
    # A probe, not os.access, which knows nothing of read-only or full file systems.
    with writing_errors(path), tempfile.TemporaryFile(dir=folder):
        pass


def check_folder(path: str | os.PathLike) -> None:
    """Raises `SlimResnetError` now if files could not be written into a folder later.

    Args:
      path: A folder, or where one can be made.
    """
    parent = os.path.abspath(path)
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    with writing_errors(path), tempfile.TemporaryFile(dir=parent):
        pass


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Opens a temporary file beside ``path`` that takes its place when all went well.

    Its name is always the same, so that the next writer takes what a killed one left.

    Args:
      path: File to write.
      mode: ``w`` (UTF-8 text) or ``wb``.

    Raises:
      SlimResnetError: The file cannot be written, or another process is writing it.
    """
    temporary = locks.beside(path, "part")
    with writing_errors(path):
        descriptor = locks.take(temporary)
        if descriptor is None:
            raise locks.busy(path, "is writing it")
        with open(descriptor, mode, encoding=None if "b" in mode else "utf-8") as file:
            try:
                file.truncate(0)
                yield file
                file.flush()
                # It is its owner's only until now; give what open() would have.
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(temporary, 0o666 & ~umask)
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise


@contextlib.contextmanager
def writing_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turns an ``OSError`` into the `SlimResnetError` that ``path`` cannot be written."""
    try:
        yield
    except OSError as error:
        raise SlimResnetError(f"{path}: cannot be written: {error.strerror or error}") from error
