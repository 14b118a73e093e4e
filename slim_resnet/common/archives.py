"""Unpacking tar archives that came from somewhere else, or refusing them."""

import gzip
import os
import shutil
import tarfile
import time
import zlib

from slim_resnet.errors import SlimResnetError

# Weights hardly compress, the zeros of optimizer slots do: a real archive unpacks to
# a few times its size. What goes far beyond that is a bomb.
_FREE_BYTES = 64 << 20
_MOST_EXPANSION = 20

# A checkpoint's archive holds a handful of files, whose headers are short. Each member
# costs time, long headers in older Pythons quadratic time, chains of them the stack.
_MOST_MEMBERS = 1000
_MOST_HEADER_BYTES = 64 << 10
_MOST_HEADERS_OF_A_MEMBER = 8
# What is left in time: this much, and more for what is large.
_FREE_SECONDS, _LEAST_BYTES_A_SECOND = 60, 1 << 20

_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


class _Bounded:
    """A reader that raises once more than ``limit`` bytes came out of it, or it took too long."""

    def __init__(self, file, limit, path):
        self._file, self._left, self._path = file, limit, path
        self._seconds = _FREE_SECONDS + os.path.getsize(path) / _LEAST_BYTES_A_SECOND
        self._until = time.monotonic() + self._seconds

    def read(self, size):
        if time.monotonic() > self._until:
            raise SlimResnetError(f"{self._path}: not unpacked after {self._seconds:.0f} s; "
                                  "not the archive of a checkpoint")
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise SlimResnetError(f"{self._path}: unpacks to more than {_MOST_EXPANSION} times "
                                  "its size; not the archive of a checkpoint")
        return data


def _bounded_headers(path):
    """Returns a class for the headers of an archive that refuses too many and too long ones."""
    members = chained = 0

    class Header(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf, encoding, errors):
            nonlocal members, chained
            header = super().frombuf(buf, encoding, errors)
            if header.type == tarfile.GNUTYPE_SPARSE:
                raise SlimResnetError(f"{path}: its member {header.name!r} is no plain file")
            is_extension = not header.isdev() and header.type not in (
                *tarfile.REGULAR_TYPES, tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE)
            chained = chained + 1 if is_extension else 0
            members += not is_extension
            if members > _MOST_MEMBERS or chained > _MOST_HEADERS_OF_A_MEMBER or (
                    is_extension and header.size > _MOST_HEADER_BYTES):
                raise SlimResnetError(
                    f"{path}: has more than {_MOST_MEMBERS:,} members, or headers beyond reason; "
                    "not the archive of a checkpoint")
            return header

    return Header


def is_archive(path: str | os.PathLike) -> bool:
    """Whether the file is a gzip or a tar file; judged by its content, not its name."""
    with open(path, "rb") as file:
        start = file.read(262)
    return start.startswith(_GZIP) or start[257:] == b"ustar"


def extract(path: str | os.PathLike, folder: str) -> None:
    """Unpacks the files of a ``.tar`` or ``.tar.gz`` side by side into ``folder``.

    Folders inside the archive are dropped: the files of a checkpoint lie beside each
    other anyway, and no name can lead out of ``folder``.

    Args:
      path: The archive.
      folder: An existing, empty folder.

    Raises:
      SlimResnetError: The archive is damaged, expands beyond reason, or holds a
        link, a device, a name that leads elsewhere, or one name twice.
    """
    limit = _FREE_BYTES + _MOST_EXPANSION * os.path.getsize(path)
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == _GZIP
            raw.seek(0)
            stream = _Bounded(gzip.GzipFile(fileobj=raw) if zipped else raw, limit, path)
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK,
                              tarinfo=_bounded_headers(path)) as archive:
                for member in archive:
                    # macOS puts a file of its own beside each.
                    if not member.isdir() and not member.name.rpartition("/")[2].startswith("._"):
                        _extract_member(archive, member, path, folder)
            # gzip's checksum comes last, behind what tar needs.
            while stream.read(_CHUNK):
                pass
    except (gzip.BadGzipFile, tarfile.TarError, EOFError, ValueError, OverflowError,
            zlib.error) as error:
        raise SlimResnetError(f"{path}: damaged archive, or none: {error}") from error
    except OSError as error:
        raise SlimResnetError(
            f"{path}: cannot be unpacked: {error.strerror or error}") from error


def _extract_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str,
                    folder: str) -> None:
    # Not tarfile.data_filter: it lets links within the archive pass and takes the slash off
    # absolute names, and Python has it from 3.10.12 and 3.11.4 on only.
    parts = member.name.split("/")
    if not member.isreg() or member.issparse():
        raise SlimResnetError(f"{path}: its member {member.name!r} is no plain file; links and "
                              "devices are not unpacked")
    if member.name.startswith("/") or ".." in parts or "\0" in member.name or not parts[-1]:
        raise SlimResnetError(f"{path}: its member {member.name!r} leads out of the archive")
    # Messages show the name.
    name = "".join(character if character.isprintable() else "_" for character in parts[-1])
    try:
        target = open(os.path.join(folder, name), "xb")
    except FileExistsError:
        raise SlimResnetError(f"{path}: holds two files named {name!r}") from None
    with target, archive.extractfile(member) as source:
        shutil.copyfileobj(source, target, _CHUNK)
        if target.tell() != member.size:
            raise tarfile.ReadError(f"{member.name!r} is cut short")
