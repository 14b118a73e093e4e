"""The formats that a checkpoint can be written in, as one table; needs no TensorFlow.

A new format is a module beside this one, a function of `runtimes` that reads back what it
wrote, and a row here; the command takes it from the table. The module has

* ``write(checkpoint, path, **options)``, which writes to a path in a folder of its own and
  returns `shared.metadata`, for a network with `shared.interface`. Whatever else it leaves
  in that folder goes beside the output, too.
* ``check_target(output)``, if it does not replace a file that is there: raises what stands
  in the way.
"""

import dataclasses
import importlib
import importlib.util
import json
import os
from typing import TYPE_CHECKING, Any

from slim_resnet.common import files
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.engines import table

if TYPE_CHECKING:
    from slim_resnet.checkpoint.reader import CheckpointLike

# Of the record beside an output, and what its name ends with.
RECORD, RECORD_SUFFIX = "slim_resnet export 1", ".json"
# How far an end point may be from the session's, over its largest value.
FLOAT32, BFLOAT16 = 1e-3, 0.3


@dataclasses.dataclass(frozen=True)
class Format:
    """A form of a checkpoint: a row of the table.

    Attributes:
      name: What ``--format`` calls it, and the function of `runtimes` that reads it.
      module: Module of `slim_resnet.export` that writes it.
      options: Options that say something to it; ``optimize`` brings ``precision``, and
        ``engine`` says which of ``runtimes`` checks it.
      suffix: Ending of names that stand for it where no format is given; None for one that
        has to be named.
      runtimes: Packages that can read it back; the first that is installed checks it.
      bound: The largest error of end points; None for a format of variables, which are to
        be the same bit for bit.
    """

    name: str
    module: str
    options: tuple[str, ...] = ()
    suffix: str | None = None
    runtimes: tuple[str, ...] = ("tensorflow",)
    bound: float | None = None


FORMATS = {format.name: format for format in (
    Format("saved_model", "saved_model",
           ("end_points", "image_size", "preprocessing", "labels", "labels_offset", "optimize",
            "use_moving_averages", "no_decoding"), bound=FLOAT32),
    Format("frozen", "frozen", ("end_points", "image_size", "optimize", "use_moving_averages"),
           ".pb", bound=FLOAT32),
    Format("v1", "v1"),
    Format("v2", "v2"),
    Format("npz", "arrays", suffix=".npz", runtimes=("numpy",)),
    Format("onnx", "onnx", ("end_points", "image_size", "preprocessing", "labels", "labels_offset",
                            "use_moving_averages", "opset", "open_size", "pixels", "engine"),
           ".onnx", ("onnxruntime", "openvino"), FLOAT32),
    Format("keras", "keras_file", ("image_size", "preprocessing", "use_moving_averages"),
           ".keras", ("keras",), FLOAT32),
    Format("safetensors", "torch_file", ("image_size", "preprocessing", "use_moving_averages"),
           ".safetensors", ("torch",), FLOAT32),
)}


def format_of(output: str | os.PathLike) -> str:
    """Returns the key of `FORMATS` that an output's name ends with.

    Raises:
      SlimResnetError: It is none's.
    """
    for row in FORMATS.values():
        if row.suffix and os.fspath(output).lower().endswith(row.suffix):
            return row.name
    suffixes = ", ".join(row.suffix for row in FORMATS.values() if row.suffix)
    raise SlimResnetError(f"{output}: no format has this ending ({suffixes} have one); give "
                          f"--format, one of {', '.join(FORMATS)}")


def checker(row: Format, engine: str | None) -> str | None:
    """Returns the package that checks an export of a format, None if there is none.

    Args:
      row: The format.
      engine: One of ``row.runtimes``; ``auto``, the fastest of them that is installed, see
        `engines.table.FASTEST`; or None, the first that is installed.

    Raises:
      SlimResnetError: It is none of the format's, or is not installed.
    """
    if engine is None:
        return next((one for one in row.runtimes if importlib.util.find_spec(one)), None)
    if "engine" not in row.options:
        raise SlimResnetError(f"--engine has no effect on --format {row.name}; leave it out")
    choices = [one for one in table.FASTEST["float32"] if one in row.runtimes]
    if engine not in (*choices, table.AUTO):
        raise SlimResnetError(f"--engine {engine}: does not run {row.name}; choose one of "
                              f"{', '.join((*row.runtimes, table.AUTO))}")
    if engine == table.AUTO:
        engine = next((one for one in choices if importlib.util.find_spec(one)), choices[0])
    return table.choose(engine, "float32").name


def export_checkpoint(checkpoint: "CheckpointLike", output: str | os.PathLike,
                      format: str | None = None, verify: Any = None, engine: str | None = None,
                      **options: Any) -> dict[str, Any]:
    """Writes a checkpoint in another form, and checks that before it gets its name.

    Which network it holds is worked out from its variables and cannot be chosen. Values are
    unchanged unless the network is folded. Variables keep their names, training leftovers
    included. The format's own runtime reads what was written, in a process of its own, and
    what it gives is compared with the session's; see `checking.check`. Where the runtime is
    not installed, and was not asked for, the record says so.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      output: File or, for ``saved_model``, folder to make; for ``v2`` the prefix of two
        files. Beside it goes the record, its name and ``.json``.
      format: A key of `FORMATS`; None takes the one of the output's ending.
      verify: What `images.load_images` takes, to run beside images that are made up.
      engine: Which runtime checks it, see `checker`.
      **options: Those of the format's ``write``, such as `saved_model.write`'s.

    Returns:
      The record: of the network, see `shared.metadata`, and ``check``, of the check.

    Raises:
      SlimResnetError: There is no such format, the checkpoint cannot be read, the output
        cannot be written, or what was written does not give the session's numbers.
    """
    output = os.path.normpath(output)
    format = format or format_of(output)
    if format not in FORMATS:
        raise SlimResnetError(f"there is no format {format!r}; choose one of {', '.join(FORMATS)}")
    row = FORMATS[format]
    runtime = checker(row, engine)
    module = importlib.import_module(f"slim_resnet.export.{row.module}")
    check_target = getattr(module, "check_target", files.check_writable)
    check_target(output)
    _check_record(output)
    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.export import checking
    from slim_resnet.export.shared import temporary_folder
    with open_checkpoint(checkpoint, options.get("use_moving_averages")) as opened, \
         temporary_folder(output) as folder:
        path = os.path.join(folder, os.path.basename(output))
        record = {"format": RECORD, "written_as": format, **module.write(opened, path, **options)}
        record["check"] = checking.check(path, row, opened, record, verify, runtime)
        with open(path + RECORD_SUFFIX, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
        check_target(output)
        _publish(folder, output)
    return record


def export_saved_model(checkpoint: "CheckpointLike", output: str | os.PathLike, **options: Any
                       ) -> dict[str, Any]:
    """Writes a SavedModel by `export_checkpoint`; the options are `saved_model.write`'s."""
    return export_checkpoint(checkpoint, output, "saved_model", **options)


def export_frozen(checkpoint: "CheckpointLike", output: str | os.PathLike, **options: Any
                  ) -> dict[str, Any]:
    """Writes a frozen graph by `export_checkpoint`; the options are `frozen.write`'s."""
    return export_checkpoint(checkpoint, output, "frozen", **options)


def _check_record(output):
    """Raises `SlimResnetError` if a file that is no record of ours has the record's name."""
    if os.path.lexists(output + RECORD_SUFFIX):
        files.read_json(output + RECORD_SUFFIX, RECORD, "a record of slim-resnet export, and an "
                        "export would replace it; choose another name")


def _publish(folder, output):
    """Moves what is in a folder beside ``output``; the record comes last."""
    parent, record = os.path.dirname(output), os.path.basename(output) + RECORD_SUFFIX
    # A V2 checkpoint's index sorts behind its data: it is what makes a checkpoint of them.
    for name in sorted(os.listdir(folder), key=lambda name: (name == record, name)):
        os.replace(os.path.join(folder, name), os.path.join(parent, name))
