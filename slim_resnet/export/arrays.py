"""An ``.npz`` file: an array for every variable."""

import json
import os
import zipfile
from typing import Any

import numpy as np

from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.shared import METADATA, metadata


def write(checkpoint: CheckpointLike, path: str | os.PathLike) -> dict[str, Any]:
    """Writes all variables, training leftovers included, and a string, `shared.METADATA`.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      path: File to write.

    Returns:
      The `metadata`.

    Raises:
      SlimResnetError: The checkpoint cannot be read, or holds what ``.npz`` cannot.
    """
    # One variable in memory at a time, which np.savez cannot do.
    with open_checkpoint(checkpoint) as opened, zipfile.ZipFile(path, "w") as archive:
        for name, dtype in opened.dtypes.items():
            value = opened.tensor(name)
            if value.dtype.kind not in "biufc":
                raise SlimResnetError(f"{opened.path}: {name} is of dtype {dtype}, which .npz "
                                      "cannot hold; choose v2")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, value)
        record = metadata(opened)
        with archive.open(f"{METADATA}.npy", "w") as entry:
            np.lib.format.write_array(entry, np.array(json.dumps(record)))
    return record
