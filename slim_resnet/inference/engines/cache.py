"""Networks that are ready for an engine, kept in the user's own cache folder.

An entry is a folder, named by a hash of all that its contents follow from: contents of the
checkpoint's files, settings, versions. It holds what it was made from, once more, and the hash
of each of its files. It counts only if it is this user's alone, from the cache folder down to
each file, and is what was written; links are not followed. Needs no TensorFlow.
"""

import contextlib
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import slim_resnet
from slim_resnet.checkpoint.runs import run_of, takes_averages
from slim_resnet.checkpoint.selection import Selection
from slim_resnet.common import locks
from slim_resnet.common.files import sha256_of
from slim_resnet.errors import SlimResnetError

FORMAT = "slim_resnet network 1"
# Entries that were not used for the longest time go when all together have more.
MOST_BYTES = 2 << 30
_RECORD = "record.json"
_KEY_DIGITS = 32
_RECORD_BYTES = 1 << 24


class Refused(SlimResnetError):
    """What is in the cache is not used; the network can be made anew."""


class Entry(NamedTuple):
    """What was kept.

    Attributes:
      folder: Its folder; files in it are as they were written.
      record: Plain data.
    """

    folder: str
    record: dict[str, Any]


def cache_folder() -> str:
    """Returns ``$XDG_CACHE_HOME/slim-resnet``, or ``~/.cache/slim-resnet``."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(home):
        home = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "slim-resnet")


def identity(path: str | os.PathLike, files: Iterable[str], use_moving_averages: bool | None
             ) -> dict[str, Any]:
    """Returns what a checkpoint's network follows from, plain data.

    Args:
      path: The checkpoint, or a `Selection` of one.
      files: Its files, whose contents count.
      use_moving_averages: What was asked for, or None.
    """
    _, run = run_of(path)
    return {"files_sha256": sha256_of(files), "run": run and run["options"],
            "selection": path.record() if isinstance(path, Selection) else {},
            "moving_averages": [use_moving_averages, takes_averages(path, use_moving_averages)],
            "slim_resnet": slim_resnet.__version__}


def find(made_from: dict[str, Any]) -> Entry | None:
    """Returns the entry that was made from just that, or None.

    Raises:
      Refused: There is one, and it is not this user's alone, or not what was written.
    """
    cache = cache_folder()
    if not os.path.lexists(cache):
        return None
    _check_parents(cache)
    folder = os.path.join(cache, _key(made_from))
    if not os.path.lexists(folder):
        return None
    _check_own(folder, stat.S_ISDIR)
    record = _read_record(os.path.join(folder, _RECORD))
    if record.get("format") != FORMAT or record.get("made_from") != _plain(made_from):
        raise _damaged(folder)
    for name, digest in record["files"].items():
        if os.path.basename(name) != name or _sha256(os.path.join(folder, name)) != digest:
            raise _damaged(folder)
    # What is used is kept; a file system that is read only takes nothing ill.
    with contextlib.suppress(OSError):
        os.utime(folder)
    return Entry(folder, record["record"])


def keep(made_from: dict[str, Any], write: Callable[[str], dict[str, Any]]) -> Entry:
    """Makes an entry, or takes its place, whole or not at all.

    Args:
      made_from: All that it follows from, plain data.
      write: ``write(folder)`` writes its files and returns its record, plain data.

    Raises:
      Refused: The folder is not this user's alone, or cannot be written, or another process
        is making the same.
    """
    cache = cache_folder()
    folder = os.path.join(cache, _key(made_from))
    parts = locks.beside(folder, "parts")
    try:
        os.makedirs(os.path.dirname(cache), exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(cache, 0o700)
        _check_parents(cache)
        with locks.locked(folder, "is making it"):
            _remove(parts)
            os.mkdir(parts, 0o700)
            try:
                record = write(parts)
                digests = {}
                for name in sorted(os.listdir(parts)):
                    os.chmod(os.path.join(parts, name), 0o600)
                    digests[name] = _sha256(os.path.join(parts, name))
                _write_record(os.path.join(parts, _RECORD), {
                    "format": FORMAT, "made_from": made_from, "files": digests,
                    "record": record})
                _remove(folder)
                os.rename(parts, folder)
            finally:
                _remove(parts)
    except (OSError, locks.Busy) as error:
        raise Refused(f"{folder}: cannot be kept: "
                      f"{getattr(error, 'strerror', None) or error}") from error
    _make_room(cache, folder)
    return Entry(folder, record)


def _key(made_from):
    return hashlib.sha256(_text(made_from)).hexdigest()[:_KEY_DIGITS]


def _text(value):
    return json.dumps(value, sort_keys=True).encode()


def _plain(value):
    return json.loads(_text(value))


def _check_parents(cache):
    """Raises `Refused` unless nobody else can put something in the place of the cache."""
    _check_own(cache, stat.S_ISDIR)
    above = os.stat(os.path.dirname(cache))
    others_may_write = above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX
    if hasattr(os, "getuid") and (above.st_uid not in (0, os.getuid()) or others_may_write):
        raise Refused(f"{os.path.dirname(cache)}: others may write there, and the cache in it is "
                      "not used; name another folder by XDG_CACHE_HOME")


def _check_own(path, is_kind, status=None):
    """Raises `Refused` unless a path is this user's alone, and no link."""
    status = status or os.lstat(path)
    # Of a folder nobody else may read either: there is no reason to.
    others = 0o077 if is_kind is stat.S_ISDIR else 0o022
    if not is_kind(status.st_mode):
        why = "is no plain file or folder"
    elif hasattr(os, "getuid") and status.st_uid != os.getuid():
        why = "is another user's"
    elif hasattr(os, "getuid") and status.st_mode & others:
        why = "is open to others"
    elif is_kind is stat.S_ISREG and status.st_nlink > 1:
        why = "has a second name elsewhere"
    else:
        return
    raise Refused(f"{path}: {why}, and is not used; remove it")


@contextlib.contextmanager
def _opened(path):
    """Opens a file that is this user's alone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
                             | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise Refused(f"{path}: cannot be read, and is not used: {error.strerror}; "
                      "remove it") from error
    with open(descriptor, "rb") as file:
        _check_own(path, stat.S_ISREG, os.fstat(file.fileno()))
        yield file


def _sha256(path):
    digest = hashlib.sha256()
    with _opened(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read_record(path):
    with _opened(path) as file:
        text = file.read(_RECORD_BYTES)
    try:
        record = json.loads(text)
        digest = record.pop("sha256")
        right = digest == hashlib.sha256(_text(record)).hexdigest() and isinstance(
            record["files"], dict) and isinstance(record["record"], dict)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        right = False
    if not right:
        raise _damaged(os.path.dirname(path))
    return record


def _write_record(path, record):
    record = _plain(record)
    record["sha256"] = hashlib.sha256(_text(record)).hexdigest()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(record, file)


def _damaged(folder):
    return Refused(f"{folder}: is not what was written there, and is not used; remove it")


def _remove(path):
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.lexists(path):
        shutil.rmtree(path)


def _make_room(cache, kept):
    """Removes what was not used for the longest time, until the rest is small enough."""
    entries = []
    with os.scandir(cache) as found:
        for one in found:
            # What a killed process left is there too, and gets old.
            if one.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError), os.scandir(one.path) as files:
                    size = sum(file.stat(follow_symlinks=False).st_size for file in files)
                    entries.append((one.stat(follow_symlinks=False).st_mtime, size, one.path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= MOST_BYTES:
            break
        if path != kept:
            shutil.rmtree(path, ignore_errors=True)
            total -= size
