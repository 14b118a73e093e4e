"""Finding files by patterns, here and in object stores; needs no TensorFlow.

An address such as ``s3://bucket/folder`` or ``gs://bucket/*.jpg`` is opened by pyarrow, which
takes credentials and options as it documents them: from the environment, or from the address.
"""

import fnmatch
import glob
import os
import re
import typing
from typing import Any

from slim_resnet.common.listing import Paths, listed
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.finding import EXTENSIONS, find_images, is_record_file

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://")
KINDS = ("images", "parquet", "records")


class File(typing.NamedTuple):
    """A file, here or in an object store.

    Attributes:
      name: What it is called, for people.
      path: Its path on its file system.
      size: In bytes; None if unknown.
      time: When it was changed, in nanoseconds; None if unknown.
      filesystem: A ``pyarrow.fs.FileSystem``; None for this machine's own.
    """

    name: str
    path: str
    size: int | None = None
    time: int | None = None
    filesystem: Any = None

    def open(self) -> Any:
        """Opens it for reading bytes, with ``seek``."""
        if self.filesystem is None:
            return open(self.path, "rb")
        return self.filesystem.open_input_file(self.path)


def is_address(path: str) -> bool:
    """Whether a path is of another store than this machine's files."""
    return bool(_ADDRESS.match(path))


def kind_of_name(name: str) -> str | None:
    """Returns which of `KINDS` a file's name says it is, or None."""
    name = name.rpartition("/")[2]
    if name.startswith("."):
        return None
    if name.lower().endswith(EXTENSIONS):
        return "images"
    if name.lower().endswith(".parquet"):
        return "parquet"
    return "records" if is_record_file(name) else None


def expanded(paths: Paths) -> list[str]:
    """Returns paths with the shell's patterns among them replaced by what they fit here.

    Raises:
      SlimResnetError: A pattern fits no file.
    """
    found = []
    for path in map(os.fsdecode, listed(paths)):
        if is_address(path) or os.path.lexists(path) or not glob.has_magic(path):
            found.append(path)
            continue
        fitting = sorted(glob.glob(path, recursive=True))
        if not fitting:
            raise SlimResnetError(f"{path}: fits no file")
        found += fitting
    return found


def find_files(paths: Paths) -> tuple[str, list[File]]:
    """Finds images, or files that hold images, in folders, by patterns and by name.

    Args:
      paths: One or several files, folders, patterns and addresses. In a folder and those
        within it images are taken; if there is none, Parquet files; then TFRecord files.

    Returns:
      Which of `KINDS` they are, and the files, each folder's in sorted order.

    Raises:
      SlimResnetError: There is no such file, nothing to take, or more than one kind.
    """
    found, kinds = [], {}
    for path in expanded(paths):
        files = _in_store(path) if is_address(path) else _here(path)
        for kind, some in files.items():
            kinds.setdefault(kind, path)
            found += some
    if len(kinds) > 1:
        (first, one), (second, other) = list(kinds.items())[:2]
        raise SlimResnetError(f"{one} is of the kind {first} and {other} of the kind {second}; "
                              "name one kind")
    if not found:
        raise SlimResnetError("no image to read: the list is empty")
    return next(iter(kinds)), found


def _here(path):
    if not os.path.isdir(path):
        # For its error; a file is taken whatever its name is.
        find_images([path])
        return {kind_of_name(path) or "images": [file_here(path)]}
    by_kind = {}
    for parent, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            by_kind.setdefault(kind_of_name(name), []).append(os.path.join(parent, name))
    for kind in KINDS[1:]:
        if kind in by_kind and KINDS[0] not in by_kind:
            return {kind: [file_here(one) for one in sorted(by_kind[kind])]}
    return {KINDS[0]: [file_here(one) for one in find_images([path])]}


def file_here(path: str) -> File:
    """Returns a file of this machine."""
    try:
        status = os.stat(path)
    except OSError:
        return File(path, path)
    return File(path, path, status.st_size, status.st_mtime_ns)


def file_system(address: str) -> tuple[Any, str]:
    """Returns the ``pyarrow.fs.FileSystem`` of an address, and the path there.

    Raises:
      SlimResnetError: There is none for it, or no pyarrow.
    """
    try:
        import pyarrow.fs
    except ImportError as error:
        raise SlimResnetError(f"{address}: needs pyarrow, which is not installed; pip install "
                              "'slim-resnet[cluster]'") from error
    try:
        return pyarrow.fs.FileSystem.from_uri(address)
    # ArrowInvalid is a ValueError; what stores raise is an OSError.
    except (ValueError, OSError) as error:
        raise SlimResnetError(f"{address}: cannot be opened: {_line(error)}") from error


def _in_store(address):
    import pyarrow.fs
    scheme, _, rest = address.partition("://")
    steps = rest.split("/")
    first = next((k for k, step in enumerate(steps) if re.search(r"[*\[]", step)), len(steps))
    filesystem, base = file_system(f"{scheme}://{'/'.join(steps[:first])}")
    pattern = [*base.rstrip("/").split("/"), *steps[first:]] if first < len(steps) else None
    try:
        infos = filesystem.get_file_info([base])
        if infos[0].type == pyarrow.fs.FileType.Directory:
            infos = filesystem.get_file_info(pyarrow.fs.FileSelector(base, recursive=True))
        elif infos[0].type == pyarrow.fs.FileType.NotFound:
            raise SlimResnetError(f"{address}: no such file or folder")
        elif pattern is None:
            return {kind_of_name(base) or "images": [_stored(infos[0], scheme, filesystem)]}
    except OSError as error:
        raise SlimResnetError(f"{address}: cannot be listed: {_line(error)}") from error
    by_kind = {}
    for info in sorted(infos, key=lambda info: info.path):
        hidden = any(step.startswith(".") for step in info.path[len(base):].split("/"))
        if info.type == pyarrow.fs.FileType.File and not hidden and (
                pattern is None or _fits(info.path.split("/"), pattern)):
            by_kind.setdefault(kind_of_name(info.path), []).append(
                _stored(info, scheme, filesystem))
    for kind in KINDS:
        if kind in by_kind:
            return {kind: by_kind[kind]}
    raise SlimResnetError(f"{address}: " + ("fits no file of images" if pattern else
                                            "holds no image, Parquet or TFRecord file"))


def _stored(info, scheme, filesystem):
    return File(f"{scheme}://{info.path}", info.path, info.size, info.mtime_ns, filesystem)


def _fits(steps, pattern):
    """Whether the steps of a path fit those of a pattern, where ``**`` is any number of them."""
    if not pattern:
        return not steps
    if pattern[0] == "**":
        return any(_fits(steps[k:], pattern[1:]) for k in range(len(steps) + 1))
    return bool(steps) and fnmatch.fnmatchcase(steps[0], pattern[0]) and _fits(
        steps[1:], pattern[1:])


def _line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
