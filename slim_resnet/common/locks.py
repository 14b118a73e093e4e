"""One process at a time: locks that the system gives free when their holder ends, however.

A lock is on a file, by ``flock``. Where there is no such thing, on Windows and on file
systems without locks, everybody is let in, and who writes has to notice others by itself.
"""

import contextlib
import os
import stat
from collections.abc import Iterator

from slim_resnet.errors import SlimResnetError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class Busy(SlimResnetError):
    """Another process has the lock."""


def beside(path: str | os.PathLike, suffix: str) -> str:
    """Returns the path of a hidden file beside ``path``: ``.NAME.suffix``."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, f".{name}.{suffix}")


def take(path: str) -> int | None:
    """Makes a file of ours, or takes one that was left behind, and locks it.

    Args:
      path: The file. What it holds is for who has the lock.

    Returns:
      A descriptor, open for writing; closing it frees the lock. None if another process
      has it.

    Raises:
      OSError: The file cannot be made or is no file of this user's.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            held = os.fstat(descriptor)
            # In a folder that all may write to, it may be a trap: a name for another's file.
            if not stat.S_ISREG(held.st_mode) or held.st_nlink > 1 or (
                    hasattr(os, "getuid") and held.st_uid != os.getuid()):
                raise PermissionError(0, f"{path} is there and not ours; remove it")
            if not _lock(descriptor):
                os.close(descriptor)
                return None
            # Who had it may have removed it in the meantime.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path, follow_symlinks=False), held):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: str | os.PathLike, what: str, shown: str | os.PathLike | None = None
           ) -> Iterator[None]:
    """Keeps other processes out for as long as the block lasts, by a file beside ``path``.

    Args:
      path: What is going to be written; it need not be there.
      what: What another process does to it, for the message: "is writing it".
      shown: What the message names instead of ``path``.

    Raises:
      Busy: Another process is within such a block.
      SlimResnetError: The folder cannot be written.
    """
    lock, shown = beside(path, "lock"), path if shown is None else shown
    try:
        descriptor = take(lock)
    except OSError as error:
        raise SlimResnetError(f"{shown}: cannot be written: {error.strerror or error}") from error
    if descriptor is None:
        raise busy(shown, what)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(descriptor)


def busy(path: str | os.PathLike, what: str) -> Busy:
    """Returns the error that another process has the lock of ``path``."""
    return Busy(f"{path}: another process {what}; wait for it, or write somewhere else")


def _lock(descriptor):
    """Locks an open file; returns whether nobody else has."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # A file system that knows no locks.
    return True
