"""A checkpoint in the format of today's ``tf.compat.v1.train.Saver``, V2: two files."""

import glob
from typing import Any

import tensorflow as tf

from slim_resnet.checkpoint.reader import CheckpointLike
from slim_resnet.export import checkpoints
from slim_resnet.export.formats import RECORD_SUFFIX


def check_target(output: str) -> None:
    """Raises `SlimResnetError` if an output cannot be written."""
    # Its two files cannot be replaced in one step.
    beside = set(glob.glob(glob.escape(output) + ".*")) - {output + RECORD_SUFFIX}
    checkpoints.check_rivals(output, [output, *sorted(beside)])


def write(checkpoint: CheckpointLike, path: str) -> dict[str, Any]:
    """Writes all variables, training leftovers included; ``path`` is the prefix of two files.

    Arguments, result and errors are `v1.write`'s.
    """
    return checkpoints.write(checkpoint, path, lambda path, names, tensors: tf.raw_ops.SaveV2(
        prefix=path, tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors))
