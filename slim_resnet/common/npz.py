"""Reading ``.npz`` and other zip files of foreign bytes, or refusing them."""

import contextlib
import math
import os
import zipfile
from collections.abc import Callable, Iterator

import numpy as np

from slim_resnet.common.files import check_regular
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError

# Arrays that are larger than this, and than so many times the file, are none of ours.
_FREE_BYTES, _MOST_EXPANSION = 1 << 30, 200


@contextlib.contextmanager
def opened_zip(path: str, what: str) -> Iterator[zipfile.ZipFile]:
    """Opens a zip file whose directory and members agree with each other.

    Args:
      path: The file.
      what: Such a file, for the message: "no .npz file".

    Raises:
      SlimResnetError: The file is damaged; of whatever is raised in the ``with`` block too.
    """
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            # A name that differs from the one in front of the array itself is found when it
            # is opened: of a damaged name nobody would know that it is wanted.
            for info in archive.infolist():
                archive.open(info).close()
            # A damaged length lets an entry of the directory take the next one for its own.
            if len(archive.infolist()) != _entries(path):
                raise ValueError("its directory has not as many entries as it says")
            if len(set(archive.namelist())) != len(archive.infolist()):
                raise ValueError("it holds two files of one name")
            yield archive
    except OSError as error:
        raise SlimResnetError(f"{path}: cannot be read: {error.strerror or error}") from error
    except SlimResnetError:
        raise
    # Whatever these libraries raise over foreign bytes: zlib.error, MemoryError, struct.error,
    # RuntimeError, NotImplementedError and more.
    except Exception as error:
        raise SlimResnetError(f"{path}: is damaged or {what}: "
                              + printable(str(error) or type(error).__name__)) from error


def read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str,
               check_shape: Callable[[tuple], None] = lambda shape: None) -> np.ndarray:
    """Reads one array, once its header is known to fit it; pickles are refused.

    Args:
      archive: What `opened_zip` gave.
      info: The member.
      name: What the array is called, for messages.
      check_shape: Called with its shape before memory is taken for it.

    Raises:
      ValueError: The array is another than its header says, or holds Python objects.
      SlimResnetError: It would take far more memory than the file.
    """
    with archive.open(info) as member:
        read_header = {(1, 0): np.lib.format.read_array_header_1_0,
                       (2, 0): np.lib.format.read_array_header_2_0}
        version = np.lib.format.read_magic(member)
        if version not in read_header:
            raise ValueError(f"{name} is of version {version} of the .npy format")
        shape, _, dtype = read_header[version](member)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > info.file_size:
        raise ValueError(f"{name} says that it has the shape {shape}, and holds "
                         f"{info.file_size} bytes")
    check_size(archive, info.file_size, name)
    check_shape(shape)
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def check_size(archive: zipfile.ZipFile, size: int, name: str) -> None:
    """Raises `SlimResnetError` if what is in a zip file is far larger than the file.

    Args:
      archive: What `opened_zip` gave.
      size: Of one member or of several, unpacked, in bytes.
      name: What they are called, for the message.
    """
    if size > max(_FREE_BYTES, _MOST_EXPANSION * os.path.getsize(archive.filename)):
        raise SlimResnetError(f"{archive.filename}: {printable(name)} would take {size} bytes, "
                              f"more than {_MOST_EXPANSION} times the file")


def _entries(path):
    """Returns how many entries the directory of a zip file says that it has."""
    with open(path, "rb") as file:
        file.seek(-min(os.path.getsize(path), 1 << 16), os.SEEK_END)
        end = file.read()
    # Signature, numbers of disks, entries of this disk, entries.
    return int.from_bytes(end[end.rindex(b"PK\5\6"):][10:12], "little")
