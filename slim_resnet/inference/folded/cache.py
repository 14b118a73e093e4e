"""Folded and fused networks kept on disk, so that the next process need not make them.

An entry is a V2 checkpoint in a folder of its own: the weights, and in two strings the
graph and a record. TensorFlow's checksums tell damage; what an entry was made from and
for is hashed into the folder's name. A folder appears complete, by renaming, and nothing
in it is ever changed, so that any number of processes can read and write.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

import slim_resnet
from slim_resnet import compat
from slim_resnet.common.environment import cpu
from slim_resnet.common.files import sha256_of

tf1 = tf.compat.v1

_GRAPH, _RECORD = "slim_resnet_graph", "slim_resnet_record"
_WRITING = ".writing-"


def folder_beside(files: Sequence[str]) -> str:
    """Returns the folder for the entries of a checkpoint that has these files."""
    return os.path.abspath(files[0]).removesuffix(".index") + ".slim_resnet_cache"


def key_of(files: Sequence[str], options: Any) -> str:
    """Returns the name of an entry.

    Args:
      files: The files of the checkpoint, whose contents are hashed.
      options: Plain data: what the network was folded for.

    Returns:
      A hash of contents and versions, a hyphen, and a hash of the rest.
    """
    content = hashlib.sha256(
        f"{slim_resnet.__version__} {tf.__version__} {sha256_of(files)}".encode())
    machine = cpu()
    made_for = [compat.onednn_enabled(), machine["model"], machine["flags"], options]
    made_for = hashlib.sha256(json.dumps(made_for).encode())
    return f"{content.hexdigest()[:32]}-{made_for.hexdigest()[:16]}"


class Entry:
    """An entry that is open for reading.

    Attributes:
      record: What `write` was given.
      graph_def: The ``GraphDef``.
      names: Names of the variables.
    """

    def __init__(self, path: str) -> None:
        self._reader = tf.train.load_checkpoint(os.path.join(path, "entry"))
        self.record = json.loads(self.tensor(_RECORD).item())
        self.graph_def = tf1.GraphDef.FromString(self.tensor(_GRAPH).item())
        self.names = [name for name in self._reader.get_variable_to_shape_map()
                      if name not in (_GRAPH, _RECORD)]

    def tensor(self, name: str) -> np.ndarray:
        """Reads a value and verifies its checksum."""
        return np.asarray(self._reader.get_tensor(name))


def read(folder: str, key: str) -> Entry | None:
    """Returns the `Entry` of a name, or None if there is none that can be read."""
    try:
        return Entry(os.path.join(folder, key))
    except Exception:  # TensorFlow's reader raises OpError, IndexError, ValueError and more.
        return None


def discard(folder: str, key: str) -> None:
    """Removes an entry that turned out to be damaged."""
    shutil.rmtree(os.path.join(folder, key), ignore_errors=True)


def write(folder: str, key: str, graph_def: tf1.GraphDef, session: tf1.Session,
          names: Sequence[str], record: dict[str, Any]) -> str | None:
    """Writes an entry, unless the folder cannot be written.

    Entries of other contents of the checkpoint, and of other versions, are removed.

    Args:
      folder: See `folder_beside`; it is made.
      key: See `key_of`.
      graph_def: A ``GraphDef``.
      session: A session that holds its variables; saved from there, they are not copied.
      names: The nodes of the session's graph that read them.
      record: Plain data.

    Returns:
      Why nothing was written, one line, or None.
    """
    strings = {_GRAPH: graph_def.SerializeToString(), _RECORD: json.dumps(record).encode()}
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=_WRITING) as temporary:
            made = os.path.join(temporary, key)
            os.mkdir(made)
            _save(os.path.join(made, "entry"), session, names, strings)
            try:
                os.rename(made, os.path.join(folder, key))
            except OSError:
                # Another process was faster.
                if not os.path.isdir(os.path.join(folder, key)):
                    raise
        content = key.partition("-")[0]
        for name in os.listdir(folder):
            if not name.startswith((content, _WRITING)):
                discard(folder, name)
    except (OSError, tf.errors.OpError) as error:
        return (getattr(error, "strerror", None) or str(error)).splitlines()[0]
    return None


def _save(path, session, names, strings):
    with session.graph.as_default():
        tensors = [session.graph.get_tensor_by_name(f"{name}:0") for name in names]
        placeholders = [tf1.placeholder(tf.string, []) for _ in strings]
        save = tf.raw_ops.SaveV2(prefix=path, tensor_names=[*names, *strings],
                                 shape_and_slices=[""] * (len(names) + len(strings)),
                                 tensors=tensors + placeholders)
    session.run(save, dict(zip(placeholders, strings.values())))
