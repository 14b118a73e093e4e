"""Checkpoints in the formats of ``tf.compat.v1.train.Saver``: what `v1` and `v2` share."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.common import files
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.shared import metadata

tf1 = tf.compat.v1


def check_rivals(output: str, rivals: Iterable[str]) -> None:
    """Raises `SlimResnetError` if a file is there that would be taken for part of ``output``."""
    files.check_writable(output)
    for rival in rivals:
        if os.path.lexists(rival):
            raise SlimResnetError(f"{output}: {rival} exists already; choose another name")


def write(checkpoint: CheckpointLike, path: str, save: Callable[..., tf.Operation]
          ) -> dict[str, Any]:
    """Writes all variables by an op that ``save(path, names, tensors)`` makes."""
    with open_checkpoint(checkpoint) as opened:
        values = {name: opened.tensor(name) for name in opened.shapes}
        with tf.Graph().as_default() as graph:
            tensors = [tf1.placeholder(value.dtype, value.shape) for value in values.values()]
            saved = save(path, list(values), tensors)
        with tf1.Session(graph=graph) as session:
            session.run(saved, dict(zip(tensors, values.values())))
        return metadata(opened)
