"""Writing files so that a stop in the middle leaves the old one in place."""

import contextlib
import hashlib
import json
import os
import pathlib
import stat
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from slim_resnet.common import locks
from slim_resnet.errors import SlimResnetError

_KINDS = {bool: "true or false", int: "whole number", float: "number", str: "text",
          dict: "object"}


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


def read_json(path: str | os.PathLike, format: str, what: str, shape: Any = dict) -> dict:
    """Reads a JSON document of ours, an object whose ``format`` says what it is.

    Args:
      path: The file.
      format: What its ``format`` has to be.
      what: Such a document, for the message: "a record of ...".
      shape: What is in it, see `misfit`.

    Raises:
      SlimResnetError: The file cannot be read or is something else.
    """
    check_regular(path)
    try:
        with open(path, "rb") as file:
            document = parse_json(file.read(), path)
    except OSError as error:
        raise SlimResnetError(f"{path}: cannot be read: {error.strerror}") from error
    if not isinstance(document, dict) or document.get("format") != format:
        raise SlimResnetError(f"{path}: is not {what}")
    fault = misfit(document, shape)
    if fault:
        raise SlimResnetError(f"{path}: is damaged, or not {what}: {fault}")
    return document


def parse_json(text: str | bytes, source: str | os.PathLike) -> Any:
    """Returns what a JSON text says.

    Args:
      text: The text; bytes are UTF-8.
      source: Where it is from, for the message.

    Raises:
      SlimResnetError: It is no JSON, or nested deeper than Python can read.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise SlimResnetError(f"{source}: is not JSON: {error}") from error
    except RecursionError as error:
        raise SlimResnetError(f"{source}: is JSON that is nested too deeply") from error


def misfit(value: Any, shape: Any, name: str = "") -> str | None:
    """Returns what is wrong with a JSON value, a phrase, or None if it has the shape.

    Args:
      value: What `parse_json` returned.
      shape: A type (an ``int`` or a ``float``, which may be whole, is below 2**63 in size and
        no bool); None; a dict of the shapes of keys, which have to be there unless a ``?``
        ends their name; a list of the one shape of all elements; a tuple of shapes of which
        one has to fit; or a function, whether a value is right, whose docstring says what it
        looks for.
      name: What the value is called, for the phrase.
    """
    if isinstance(shape, tuple):
        faults = [misfit(value, one, name) for one in shape]
        return None if None in faults else faults[0]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{name or 'it'} is no object"
        for key, one in shape.items():
            below = f"{name}/{key.rstrip('?')}".lstrip("/")
            if key.rstrip("?") in value:
                fault = misfit(value[key.rstrip("?")], one, below)
            else:
                fault = None if key.endswith("?") else f"{below} is missing"
            if fault:
                return fault
        return None
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{name} is no list"
        below = (misfit(one, shape[0], f"{name}/{at}") for at, one in enumerate(value))
        return next(filter(None, below), None)
    if shape is None:
        return None if value is None else f"{name} is not null"
    if not isinstance(shape, type):
        return None if shape(value) else f"{name} is not {shape.__doc__}"
    if shape in (int, float):
        # Python writes and reads NaN, and integers of any length.
        right = (type(value) is int or type(value) is shape) and abs(value) < 2 ** 63
    else:
        right = isinstance(value, shape)
    return None if right else f"{name or 'it'} is no {_KINDS[shape]}"


def positive(value: Any) -> bool:
    """a positive number"""
    return misfit(value, float) is None and value > 0


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
def made_folder(path: str | os.PathLike) -> Iterator[None]:
    """Makes a folder and those above it; made ones that end the block empty go again.

    Args:
      path: The folder; it may be there, and then it stays.

    Raises:
      SlimResnetError: It cannot be made.
    """
    whole = pathlib.Path(os.path.abspath(path))
    made = [folder for folder in (whole, *whole.parents) if not folder.exists()]
    with writing_errors(path):
        whole.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


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
