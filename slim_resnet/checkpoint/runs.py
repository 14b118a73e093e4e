"""What a training run leaves beside its checkpoints, and what they want to be used with.

``training.json``  options, class names, image size; fixed once the run has begun
``labels.txt``     class names, in slim's form: ``0:daisy``
``metrics.jsonl``  a line for each logged step
"""

import dataclasses
import os
import typing
from typing import TYPE_CHECKING, Any

from slim_resnet.common.files import read_json
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import Preprocessing

if TYPE_CHECKING:
    from slim_resnet.checkpoint.reader import CheckpointLike

FORMAT = "slim_resnet training 1"
RECORD, LABELS, METRICS = "training.json", "labels.txt", "metrics.jsonl"
_SHAPE = {"options": {"image_size": int, "preprocessing": str}, "classes": [str],
          "num_images": int, "made_with?": [dict]}
# Prefix of a checkpoint, before "-" and its step.
CHECKPOINT = "model.ckpt"


class Settings(typing.NamedTuple):
    """What `settings_of` returns.

    Attributes:
      image_size: Height and width in pixels.
      preprocessing: A `images.settings.Preprocessing`.
      labels: Labels file, or None.
    """

    image_size: int
    preprocessing: Preprocessing
    labels: str | None


def settings_of(checkpoint: "CheckpointLike", image_size: int | None = None,
                preprocessing: str | Preprocessing | None = None, labels: str | None = None,
                **changes: Any) -> Settings:
    """Fills in what was not asked for: as `training.train` recorded it, else as the table has it.

    The names and shapes of the checkpoint's variables are read where they decide: where a size
    or a preparation is not asked for and no run of ours has recorded them.

    Args:
      checkpoint: Anything that `slim_resnet.checkpoint` opens.
      image_size: Height and width in pixels, or None.
      preprocessing: An `images.settings.Preprocessing`, or the name of one, or None. The
        name that a run has itself stands for the run's, mean and rule included.
      labels: Labels file, or None.
      **changes: Fields of the `Preprocessing` that are to be others; None leaves one.

    Raises:
      SlimResnetError: A run's record beside the checkpoint is damaged; the checkpoint cannot
        be read; or the preparation does not go together.
    """
    folder, record = run_of(checkpoint)
    own = own_size = None
    if record is not None:
        options = record["options"]
        own_size, own = options["image_size"], Preprocessing(
            options["preprocessing"], *map(options.get, ("mean", "resize", "resize_side")))
    elif None in (image_size, preprocessing):
        from slim_resnet.checkpoint.reader import open_checkpoint
        from slim_resnet.checkpoint.recognition import recognise
        with open_checkpoint(checkpoint) as opened:
            row = recognise(opened).row
        own_size, own = row.evaluated_image_size, Preprocessing(row.preprocessing)
    if preprocessing is None or own is not None and preprocessing == own.name:
        preprocessing = own
    changes = {name: value for name, value in changes.items() if value is not None}
    if "resize" in changes:
        changes.setdefault("resize_side", None)
    chosen = dataclasses.replace(Preprocessing.of(preprocessing), **changes)
    if image_size is None:
        # Another rule than the released checkpoint's brings a size that it can give.
        image_size = own_size if record is not None or chosen.rule == own.rule \
            else chosen.image_size
    if labels is None and record is not None:
        labels = os.path.join(folder, LABELS)
    return Settings(image_size, chosen, labels)


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
