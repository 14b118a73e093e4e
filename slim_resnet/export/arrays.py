"""An ``.npz`` file: an array for every variable."""

import json
import os
import zipfile
from typing import Any

import numpy as np

from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.common import files
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.shared import METADATA, metadata


def export_npz(checkpoint: CheckpointLike, output: str | os.PathLike) -> dict[str, Any]:
    """Writes all variables, training leftovers included, and a string, `shared.METADATA`.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      output: File to write.

    Returns:
      The `metadata`.

    Raises:
      SlimResnetError: The checkpoint cannot be read, holds what ``.npz`` cannot, or the
        file cannot be written.
    """
    output = os.fspath(output)
    files.check_writable(output)
    with open_checkpoint(checkpoint) as opened:
        record = metadata(recognise(opened))
        with files.atomic_write(output, "wb") as file:
            _write(file, opened, record)
    return record


def _write(file, opened, record):
    # One variable in memory at a time, which np.savez cannot do.
    with zipfile.ZipFile(file, "w") as archive:
        for name, dtype in opened.dtypes.items():
            value = opened.tensor(name)
            if value.dtype.kind not in "biufc":
                raise SlimResnetError(f"{opened.path}: {name} is of dtype {dtype}, which .npz "
                                      "cannot hold; choose v2")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, value)
        with archive.open(f"{METADATA}.npy", "w") as entry:
            np.lib.format.write_array(entry, np.array(json.dumps(record)))
