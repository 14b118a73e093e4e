"""What a run keeps of its evaluations, and of its checkpoints the best.

``evaluation.json``  what the last checkpoint was found to be worth at the end of the run
``metrics.jsonl``    has a line for each evaluation on the way, with ``evaluated_on``
``best/``            the best checkpoint of those evaluated, with an evaluation.json of its own

The best is that of the highest top-1, of equal ones the first. Which it is follows from
metrics.jsonl alone, whose lines are on the disk before a checkpoint is copied: a run that was
killed in between copies it when it goes on.
"""

import json
import os
import shutil
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slim_resnet import compat
from slim_resnet.checkpoint import runs
from slim_resnet.common.environment import made_with
from slim_resnet.common.files import atomic_write, misfit, read_json
from slim_resnet.errors import SlimResnetError
from slim_resnet.training.evaluation import AVERAGED, BATCH, Evaluated
from slim_resnet.training.options import TrainingOptions

FORMAT = "slim_resnet evaluation 1"
EVALUATION, BEST = "evaluation.json", "best"
CRITERION = "highest top-1, of equal ones the first"

VALIDATION, TRAINING = "validation images", "training images"


def measured_on(data: Sequence[str | os.PathLike], validation: Sequence[str | os.PathLike] | None
                ) -> str:
    """Returns `VALIDATION`, or `TRAINING` where any of the images are those trained on."""
    if not validation:
        return TRAINING
    shared = set(map(os.path.realpath, data)) & set(map(os.path.realpath, validation))
    return TRAINING if shared else VALIDATION


def heading(on: str, paths: Sequence[str | os.PathLike]) -> str:
    """Returns a line that says what figures were measured on."""
    names = ", ".join(map(os.fspath, paths))
    if on == TRAINING:
        return (f"measured on images that the network was trained on, of {names}; --validation "
                "measures on others")
    return f"measured on {VALIDATION}, of {names}"


def write_evaluation(folder: str | os.PathLike, step: int, options: TrainingOptions, on: str,
                     paths: Sequence[str | os.PathLike], results: Sequence[Evaluated]) -> None:
    """Writes ``evaluation.json``.

    Args:
      folder: Where to.
      step: Step of the checkpoint.
      options: Of the run.
      on: What `measured_on` returned.
      paths: The images' files or folders.
      results: What was measured.
    """
    document = {
        "format": FORMAT, "checkpoint": f"{runs.CHECKPOINT}-{step}", "step": step,
        "steps": options.steps, "measured_on": on, "data": list(map(os.fspath, paths)),
        "image_size_pixels": options.image_size, **options.prepared.as_record(),
        "labels_offset": options.labels_offset,
        "batch_size": options.batch_size, "trained_in": options.precision,
        "made_with": made_with(tf.__version__, compat.onednn_enabled()),
        "results": [as_record(one) for one in results]}
    with atomic_write(os.path.join(folder, EVALUATION)) as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def as_record(one: Evaluated) -> dict[str, Any]:
    """Returns what was measured as plain data."""
    return {"weights": "averaged" if one.how == AVERAGED else "raw",
            "batch_norm_statistics": "batch" if one.how == BATCH else "moving",
            "num_images": one.num_images, "unreadable": one.unreadable,
            "top_1_percent": 100 * one.top_1, "top_5_percent": 100 * one.top_5}


def metrics_row(step: int, on: str, one: Evaluated) -> dict[str, Any]:
    """Returns the line of metrics.jsonl for an evaluation."""
    return {"step": step, "evaluated_on": on, **as_record(one)}


_ROW = {"evaluated_on": str, "top_1_percent": float}


def evaluated_rows(folder: str | os.PathLike) -> list[dict[str, Any]]:
    """Returns the lines of metrics.jsonl that are of evaluations, in order."""
    path = os.path.join(folder, runs.METRICS)
    return [row for _, row in runs.metrics_lines(path, lambda row: misfit(row, _ROW)
                                                 if "evaluated_on" in row else None)
            if "evaluated_on" in row]


def add_metrics_row(folder: str | os.PathLike, row: dict[str, Any]) -> None:
    """Adds a line to metrics.jsonl, on the disk when this returns."""
    with open(os.path.join(folder, runs.METRICS), "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def best_row(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the best of `evaluated_rows`, at least one, by `CRITERION`."""
    return max(rows, key=lambda row: row["top_1_percent"])


def keep_best(folder: str | os.PathLike) -> None:
    """Copies the best of the evaluated checkpoints to ``best/``, unless it is there.

    Args:
      folder: Folder of the run.
    """
    rows = evaluated_rows(folder)
    if not rows:
        return
    best = best_row(rows)
    target, step = os.path.join(folder, BEST), best["step"]
    name = f"{runs.CHECKPOINT}-{step}"
    files = [one for one in os.listdir(folder) if one.startswith(name + ".")]
    # Gone where an older checkpoint was gone back to; the run comes by it again.
    if _kept_step(target) == step or f"{name}.index" not in files:
        return
    os.makedirs(target, exist_ok=True)
    # The index last, as in a checkpoint that is saved.
    for one in sorted(files, key=lambda file: file.endswith(".index")):
        _copy(os.path.join(folder, one), os.path.join(target, one))
    for one in (runs.LABELS, runs.RECORD):
        _copy(os.path.join(folder, one), os.path.join(target, one))
    with atomic_write(os.path.join(target, EVALUATION)) as file:
        json.dump({"format": FORMAT, "checkpoint": name, "criterion": CRITERION, **best}, file,
                  indent=1)
        file.write("\n")
    tf.compat.v1.train.update_checkpoint_state(os.path.abspath(target), name, [name])
    for one in os.listdir(target):
        # Older ones, and parts of copies that were killed.
        if one.startswith((runs.CHECKPOINT, f".{runs.CHECKPOINT}")) \
                and not one.startswith(name + "."):
            os.unlink(os.path.join(target, one))


def _kept_step(folder):
    """Returns the step of the checkpoint that ``best/`` holds whole, or None."""
    state = tf.train.get_checkpoint_state(folder)
    try:
        record = read_json(os.path.join(folder, EVALUATION), FORMAT, "an evaluation of a run",
                           {"step": int, "checkpoint": str})
    except SlimResnetError:
        return None
    kept = state and os.path.basename(state.model_checkpoint_path)
    return record["step"] if kept == record["checkpoint"] else None


def _copy(source, target):
    with open(source, "rb") as file, atomic_write(target, "wb") as copy:
        shutil.copyfileobj(file, copy)
