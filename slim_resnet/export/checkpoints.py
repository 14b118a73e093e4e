"""Checkpoints in the formats of ``tf.compat.v1.train.Saver``, V1 and V2."""

import glob
import os
from typing import Any

import tensorflow as tf

from slim_resnet.checkpoint.reader import Checkpoint, CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.common import files
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.shared import metadata, temporary_folder

tf1 = tf.compat.v1


def export_v1(checkpoint: CheckpointLike, output: str | os.PathLike) -> dict[str, Any]:
    """Writes all variables, training leftovers included, as a V1 file.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      output: File to write.

    Returns:
      The `metadata`.

    Raises:
      SlimResnetError: The checkpoint cannot be read, or the file cannot be written.
    """
    # Beside each other, V1's file and V2's would be taken for each other.
    return _export(checkpoint, output, lambda path: [f"{path}.index"], _save_v1)


def export_v2(checkpoint: CheckpointLike, output: str | os.PathLike) -> dict[str, Any]:
    """Writes all variables, training leftovers included, as a V2 checkpoint.

    Arguments, result and errors are `export_v1`'s; ``output`` is the prefix of two files.
    """
    # Its two files cannot be replaced in one step either.
    return _export(checkpoint, output,
                   lambda path: [path, *glob.glob(glob.escape(path) + ".*")], _save_v2)


def _export(checkpoint, output, rivals, save):
    output = os.fspath(output)
    files.check_writable(output)
    _check_rivals(output, rivals)
    with open_checkpoint(checkpoint) as opened:
        record = metadata(recognise(opened))
        with temporary_folder(output) as folder:
            _write(os.path.join(folder, "checkpoint"), opened, save)
            _check_rivals(output, rivals)
            # The index last: it is what makes a checkpoint of the data.
            for part in sorted(os.listdir(folder)):
                os.replace(os.path.join(folder, part), output + part.removeprefix("checkpoint"))
    return record


def _check_rivals(output, rivals):
    for rival in rivals(output):
        if os.path.lexists(rival):
            raise SlimResnetError(f"{output}: {rival} exists already; choose another name")


def _write(path: str, opened: Checkpoint, save) -> None:
    values = {name: opened.tensor(name) for name in opened.shapes}
    with tf.Graph().as_default() as graph:
        tensors = [tf1.placeholder(value.dtype, value.shape) for value in values.values()]
        saved = save(path, list(values), tensors)
    with tf1.Session(graph=graph) as session:
        session.run(saved, dict(zip(tensors, values.values())))


def _save_v1(path, names, tensors):
    return tf.raw_ops.Save(filename=path, tensor_names=names, data=tensors)


def _save_v2(path, names, tensors):
    return tf.raw_ops.SaveV2(prefix=path, tensor_names=names, shape_and_slices=[""] * len(names),
                             tensors=tensors)
