"""Temporary folders that do not outlive their process for long.

Who is killed leaves its folder behind, and what is in it may be large. So each process
locks its folders, and the next that makes one removes those that nobody holds.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # no POSIX
    fcntl = None

_NAME = re.compile(r"slim_resnet-(\d+)-")


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
    """Makes a folder for as long as the ``with`` block lasts, and yields its path."""
    _sweep()
    # What a child process still wrote there goes with the next that is made.
    with tempfile.TemporaryDirectory(prefix=f"slim_resnet-{os.getpid()}-",
                                     ignore_cleanup_errors=True) as folder, _locked(folder):
        yield folder


@contextlib.contextmanager
def _locked(folder):
    """Locks a folder; yields whether nobody else has."""
    if fcntl is None:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_free = True
        except OSError:  # locked, or on a file system that locks no folders
            is_free = False
        yield is_free
    finally:
        os.close(descriptor)


def _sweep():
    """Removes folders of our user whose process has ended."""
    if fcntl is None:
        return
    with os.scandir(tempfile.gettempdir()) as found:
        folders = [(entry, _NAME.match(entry.name)) for entry in found]
    for entry, match in folders:
        # Between making and locking it a folder has its process's number only.
        if match and not _is_running(int(match[1])):
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False) and \
                        entry.stat(follow_symlinks=False).st_uid == os.getuid():
                    with _locked(entry.path) as is_free:
                        if is_free:
                            shutil.rmtree(entry.path, ignore_errors=True)


def _is_running(process):
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
