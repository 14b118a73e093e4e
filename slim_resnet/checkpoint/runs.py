"""What a training run leaves beside its checkpoints, and what they want to be used with.

``training.json``  options, class names, image size; fixed once the run has begun
``labels.txt``     class names, in slim's form: ``0:daisy``
``metrics.jsonl``  a line for each logged step
"""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from slim_resnet.common.files import misfit, parse_json, read_json
from slim_resnet.errors import SlimResnetError

if TYPE_CHECKING:
    from slim_resnet.checkpoint.reader import CheckpointLike

FORMAT = "slim_resnet training 1"
RECORD, LABELS, METRICS = "training.json", "labels.txt", "metrics.jsonl"
_SHAPE = {"options": {"image_size": int, "preprocessing": str}, "classes": [str],
          "num_images": int, "made_with?": [dict]}
# Prefix of a checkpoint, before "-" and its step.
CHECKPOINT = "model.ckpt"


def takes_averages(checkpoint: "CheckpointLike", asked: bool | None = None) -> bool:
    """Whether a checkpoint's network takes the averages of its weights.

    Args:
      checkpoint: Anything that `slim_resnet.checkpoint` opens.
      asked: The answer, unless None; then it is whether the run that wrote the checkpoint
        keeps averages, which it is evaluated with.
    """
    if asked is not None:
        return asked
    _, record = run_of(checkpoint)
    return record is not None and record["options"].get("ema_decay") is not None


def read_record(folder: str) -> dict[str, Any] | None:
    """Returns what `write_record` wrote as a dict; None if the folder has no such file.

    Raises:
      SlimResnetError: It cannot be read or is something else.
    """
    path = os.path.join(folder, RECORD)
    try:
        return read_json(path, FORMAT, "the record of a slim-resnet train run", _SHAPE)
    except SlimResnetError as error:
        if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
            return None
        raise


def run_of(checkpoint: "CheckpointLike") -> tuple[str, dict[str, Any] | None]:
    """Returns the folder and the record of the run that wrote a checkpoint.

    Args:
      checkpoint: The folder of a run, a checkpoint in it, or anything else.

    Returns:
      ``(folder, record)``; the record is None where no run of ours wrote it.
    """
    path = folder = os.fsdecode(getattr(checkpoint, "path", checkpoint))
    if not os.path.isdir(path):
        folder, name = os.path.split(path)
        if not name.startswith(CHECKPOINT + "-"):
            return folder, None
    return folder, read_record(folder)


def classes_of_run(checkpoint: "CheckpointLike") -> list[str] | None:
    """Returns the names of classes of the run that wrote a checkpoint, or None."""
    _, record = run_of(checkpoint)
    return record and record["classes"]


def labels_offset_of_run(checkpoint: "CheckpointLike") -> int | None:
    """Returns what label class 0 has in the data of the run that wrote a checkpoint, or None."""
    _, record = run_of(checkpoint)
    return record and record["options"].get("labels_offset", 0)


def metrics_lines(path: str | os.PathLike, fault_of: Callable[[dict], str | None] = lambda row: None
                  ) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yields each whole line of a metrics file and what it holds.

    Args:
      path: The file; one that is missing has no lines.
      fault_of: Says what is wrong with a row besides its step, or None.

    Raises:
      SlimResnetError: A line is damaged.
    """
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            # Cut off where the run was killed.
            if not line.endswith(b"\n"):
                return
            row = parse_json(line, f"{path}: line {number}")
            fault = misfit(row, {"step": int}) or fault_of(row)
            if fault:
                raise SlimResnetError(f"{path}: line {number} is damaged: {fault}; mend or remove "
                                      "the file")
            yield line, row
