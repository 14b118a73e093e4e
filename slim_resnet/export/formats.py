"""The formats that a checkpoint can be written in, as one table; needs no TensorFlow.

A new format is a module beside this one with a function of a checkpoint, an output and
options that returns `shared.metadata`, and a row here. The command takes it from the table.
"""

import dataclasses
import importlib
import os
from typing import TYPE_CHECKING, Any

from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError

if TYPE_CHECKING:
    from slim_resnet.checkpoint.reader import CheckpointLike


@dataclasses.dataclass(frozen=True)
class Format:
    """A form of a checkpoint: a row of the table.

    Attributes:
      name: What ``--format`` calls it.
      module: Module of `slim_resnet.export` that writes it.
      function: Writes it: ``function(checkpoint, output, **options)``.
      options: Options that say something to it; ``optimize`` brings ``precision``.
    """

    name: str
    module: str
    function: str
    options: tuple[str, ...] = ()


FORMATS = {format.name: format for format in (
    Format("saved_model", "saved_model", "export_saved_model",
           ("end_points", "image_size", "preprocessing", "labels", "labels_offset", "optimize",
            "use_moving_averages")),
    Format("frozen", "frozen", "export_frozen",
           ("end_points", "image_size", "optimize", "use_moving_averages")),
    Format("v1", "checkpoints", "export_v1"),
    Format("v2", "checkpoints", "export_v2"),
    Format("npz", "arrays", "export_npz"),
    Format("keras", "keras_file", "export_keras",
           ("image_size", "preprocessing", "use_moving_averages")),
    Format("safetensors", "torch_file", "export_safetensors",
           ("image_size", "preprocessing", "use_moving_averages")),
)}


def export_checkpoint(checkpoint: "CheckpointLike", output: str | os.PathLike, format: str,
                      **options: Any) -> dict[str, Any]:
    """Writes a checkpoint in another form, values unchanged unless it is optimised.

    Which network it holds is worked out from its variables and cannot be chosen. Variables
    keep their names, training leftovers included; what has no variables carries the record
    as JSON text.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      output: File or, for ``saved_model``, folder to make; for ``v2`` the prefix of two
        files.
      format: A key of `FORMATS`.
      **options: Those of the format's function, such as `export_saved_model`'s.

    Returns:
      What is recorded of the network, see `shared.metadata`.

    Raises:
      SlimResnetError: There is no such format, the checkpoint cannot be read, or the
        output cannot be written.
    """
    if format not in FORMATS:
        raise SlimResnetError(f"there is no format {format!r}; choose one of {', '.join(FORMATS)}")
    row = FORMATS[format]
    write = getattr(importlib.import_module(f"slim_resnet.export.{row.module}"), row.function)
    return write(checkpoint, output, **options)


def summary(output: str | os.PathLike, format: str, record: dict[str, Any]) -> str:
    """Returns a line that says what was written, by what `export_checkpoint` returned."""
    classes = record["num_classes"]
    return (printable(os.fspath(output)) + f": {format} of {record['title']}"
            f"{'' if record['depth'] is None else ' ' + str(record['depth'])}, "
            f"{'no logits' if classes is None else f'{classes} classes'}"
            f"{', optimised' if record.get('optimized') else ''}"
            f"{', ' + record['precision'] if 'precision' in record else ''}")
