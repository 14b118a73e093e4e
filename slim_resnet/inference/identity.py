"""What tells results from those of another command, checkpoint, options or images.

Nothing here needs TensorFlow.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from typing import Any

from slim_resnet.errors import SlimResnetError

_DIFFERENCES = {
    "format": "another command or version",
    "checkpoint_sha256": "another checkpoint",
    "data_sha256": "other images",
    "times_sha256": "images that were changed since, as their times say",
}


def identity_of(files: Iterable[tuple[str, int | None, int | None]]) -> dict[str, str]:
    """Returns what tells images from others without reading them.

    Args:
      files: Name, size in bytes and time of change of each; None where it is not known.

    Returns:
      ``data_sha256``, a hash of names and sizes, which is the same on all machines that
      have them; and ``times_sha256``, of the times at which they were changed, which may
      be a machine's own. Files of the same name, size and time are not told apart.
    """
    data, times = hashlib.sha256(), hashlib.sha256()
    for path, size, time in files:
        data.update(json.dumps([path, size]).encode())
        times.update(json.dumps(time).encode())
    return {"data_sha256": data.hexdigest(), "times_sha256": times.hexdigest()}


def data_identity(paths: Iterable[str]) -> dict[str, str]:
    """Returns the `identity_of` files of this machine."""
    return identity_of((path, *_size_and_time(path)) for path in paths)


def _size_and_time(path):
    try:
        status = os.stat(path)
    except OSError:
        return None, None
    return status.st_size, status.st_mtime_ns


def check_same(record: Any, wanted: dict[str, Any], path: str, other: str) -> None:
    """Raises `SlimResnetError` if a record says that something else made results.

    Args:
      record: Plain data, as it was read.
      wanted: What makes results now, plain data: ``format``, ``checkpoint_sha256``, what
        `identity_of` returns, and a dict ``options``.
      path: Where the results are, for the message.
      other: What else to name: "another file".

    Raises:
      KeyError, TypeError: It is no such record.
    """
    options = dict(record["options"])
    for key, what in _DIFFERENCES.items():
        if record.get(key) != wanted[key]:
            raise SlimResnetError(f"{path}: holds results of {what}; name {other}")
    for name, value in wanted["options"].items():
        if options.get(name) != value:
            raise SlimResnetError(
                f"{path}: holds results made with another {name.replace('_', ' ')} "
                f"({options.get(name)}, now {value}); name {other}")
