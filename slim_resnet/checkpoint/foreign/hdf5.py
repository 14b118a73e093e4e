"""HDF5 files, read by h5py in a process of its own: a damaged one can end it, or never end."""

import json
import os
import subprocess
import sys
import typing

import numpy as np

from slim_resnet.common.files import check_regular
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError

# The path is this process's: a package may be somewhere that only it knows.
_CODE = ("import sys; sys.path[:] = sys.argv.pop(1).split(chr(10)); "
         "from slim_resnet.checkpoint.foreign.hdf5_child import main; main(*sys.argv[1:])")
_FREE_BYTES, _MOST_EXPANSION = 64 << 20, 20
_FREE_SECONDS, _LEAST_BYTES_A_SECOND = 60, 4 << 20


class Contents(typing.NamedTuple):
    """What an HDF5 file holds.

    Attributes:
      arrays: By path.
      names: The attribute ``name`` of all groups, by path; empty where there is none.
      layers: Names of layers that attributes list.
      mentions_pool1_pad: Whether the model's configuration has such a layer.
    """

    arrays: dict[str, np.ndarray]
    names: dict[str, str]
    layers: list[str]
    mentions_pool1_pad: bool


def read(path: str, shown: str) -> Contents:
    """Reads all arrays of a file.

    Args:
      path: The file.
      shown: What messages call it.

    Raises:
      SlimResnetError: It is damaged, has links, or arrays that are none of numbers.
    """
    check_regular(path)
    size = os.path.getsize(path)
    seconds = _FREE_SECONDS + size / _LEAST_BYTES_A_SECOND
    with temporary_folder() as folder:
        output = os.path.join(folder, "arrays")
        words = [sys.executable, "-c", _CODE, "\n".join(sys.path), os.path.abspath(path), output,
                 str(_FREE_BYTES + _MOST_EXPANSION * size)]
        try:
            done = subprocess.run(words, capture_output=True, timeout=seconds,
                                  stdin=subprocess.DEVNULL,
                                  env={**os.environ, "HDF5_USE_FILE_LOCKING": "FALSE"})
        except subprocess.TimeoutExpired:
            raise SlimResnetError(f"{shown}: not read after {seconds:.0f} s; no file of Keras'"
                                  ) from None
        found = _said(done, shown)
        return Contents(_arrays(output, found["datasets"]), found["names"], found["layers"],
                        found["mentions_pool1_pad"])


def _said(done, shown):
    try:
        found = json.loads(done.stdout)
    except ValueError:
        if b"No module named 'h5py'" in done.stderr:
            raise SlimResnetError(f"{shown}: an HDF5 file, and h5py, which reads them, is not "
                                  "there: pip install h5py") from None
        raise SlimResnetError(f"{shown}: is damaged: HDF5's own reader ended with status "
                              f"{done.returncode} over it") from None
    if "error" in found:
        raise SlimResnetError(f"{shown}: {printable(found['error'])}")
    return found


def _arrays(output, datasets):
    arrays, at = {}, 0
    for name, shape, dtype in datasets:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.fromfile(output, dtype, count, offset=at).reshape(shape)
        at += arrays[name].nbytes
    return arrays
