"""A checkpoint in TensorFlow's first format, V1: one file."""

from typing import Any

import tensorflow as tf

from slim_resnet.checkpoint.reader import CheckpointLike
from slim_resnet.export import checkpoints


def check_target(output: str) -> None:
    """Raises `SlimResnetError` if an output cannot be written."""
    # Beside each other, V1's file and V2's would be taken for each other.
    checkpoints.check_rivals(output, [f"{output}.index"])


def write(checkpoint: CheckpointLike, path: str) -> dict[str, Any]:
    """Writes all variables, training leftovers included, as a V1 file.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      path: File to write.

    Returns:
      The `metadata`.

    Raises:
      SlimResnetError: The checkpoint cannot be read.
    """
    return checkpoints.write(checkpoint, path, lambda path, names, tensors: tf.raw_ops.Save(
        filename=path, tensor_names=names, data=tensors))
