"""Fetching a released checkpoint: downloaded, verified, unpacked."""

import os
import tempfile
from collections.abc import Callable, Iterable

from slim_resnet.checkpoint.reader import open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.common import archives
from slim_resnet.common.download import download
from slim_resnet.common.files import made_folder, writing_errors
from slim_resnet.errors import SlimResnetError
from slim_resnet.released import PLACE, find_released


def fetch(name: str, folder: str | os.PathLike, place: str = PLACE, *,
          progress: Callable[[Iterable[bytes], int | None, int], Iterable[bytes]]
          = lambda chunks, total, done: chunks,
          verifying: Callable[[Iterable[str], int], Iterable[str]]
          = lambda names, total: names) -> str:
    """Fetches a released checkpoint; what is there of it is not fetched again.

    No checksums of the archives are published. Verified are the archive's length and its own
    checksum, that it holds the network of this name with so many classes, and the checksum
    of every block of values.

    Args:
      name: A key of `released.RELEASED`.
      folder: Where it goes; made if it is not there.
      place: Where the archives are: what their URLs begin with.
      progress: See `download.download`.
      verifying: Called with the names of the variables and their number; yields them.

    Returns:
      The path of the checkpoint.

    Raises:
      SlimResnetError: It cannot be downloaded, is not what it should be, or the folder
        cannot be written to.
    """
    one, folder = find_released(name), os.fspath(folder)
    path = os.path.join(folder, f"{name}.ckpt")
    if os.path.lexists(path):
        _verify(path, one, verifying)
        return path
    archive = os.path.join(folder, one.archive)
    with made_folder(folder):
        if not os.path.exists(archive):
            download(f"{place.rstrip('/')}/{one.archive}", archive, progress=progress)
        with writing_errors(folder), \
             tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}.") as made:
            archives.extract(archive, made)
            _verify(made, one, verifying, shown=archive)
            with open_checkpoint(made) as opened:
                files, prefix = opened.files, opened.prefix
            if files != [prefix]:
                raise SlimResnetError(f"{archive}: holds no single file of the V1 format; open it "
                                      "as it is")
            os.replace(prefix, path)
        os.remove(archive)
    return path


def _verify(path, one, verifying, shown=None):
    """Raises `SlimResnetError` if a checkpoint is damaged or not the released one."""
    shown = shown or path
    with open_checkpoint(path) as opened:
        found = recognise(opened)
        if (found.model, found.num_classes) != (one.name, one.num_classes):
            raise SlimResnetError(
                f"{shown}: holds {found.model or found.title} of {found.num_classes} classes, and "
                f"not {one.name} of {one.num_classes}; move it away and fetch it again")
        for variable in verifying(opened.shapes, len(opened.shapes)):
            opened.tensor(variable)
