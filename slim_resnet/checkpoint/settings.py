"""What a checkpoint wants to be used with: size and preparation of images, names of classes."""

import dataclasses
import os
import typing
from typing import TYPE_CHECKING, Any

from slim_resnet.checkpoint.runs import LABELS, run_of
from slim_resnet.images.settings import Preprocessing

if TYPE_CHECKING:
    from slim_resnet.checkpoint.reader import Checkpoint, CheckpointLike

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


def prepared_text(checkpoint: "CheckpointLike", settings: Settings, image_size: int | None,
                  preprocessing: str | Preprocessing | None) -> str:
    """Returns in words how images are prepared, and how much of it nobody has said.

    Args:
      checkpoint: Anything that `slim_resnet.checkpoint` opens.
      settings: What `settings_of` returned for it.
      image_size: What was asked for, or None, as was ``preprocessing``.
      preprocessing: See there.
    """
    otherwise = ", assumed" if run_of(checkpoint)[1] is None else ", as trained"
    size, rest = (otherwise if asked is None else "" for asked in (image_size, preprocessing))
    return f"{settings.image_size} pixels{size}; {settings.preprocessing.described()}{rest}"


def assumed_of(opened: "Checkpoint") -> dict[str, str]:
    """Returns what is assumed of an open checkpoint's network, see `Recognised.assumed`."""
    from slim_resnet.checkpoint.recognition import recognise
    assumed = dict(recognise(opened).assumed)
    if run_of(opened)[1] is not None:
        # Those that slim-resnet train gives its networks.
        assumed.pop("strides", None)
    return assumed


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
