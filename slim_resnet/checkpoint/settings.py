"""What a checkpoint wants to be used with: size and preparation of images, names of classes."""

import os
import typing

from slim_resnet import training_folder

# The released checkpoints are evaluated at 299, not at their default_image_size 224.
IMAGE_SIZE = 299


class Settings(typing.NamedTuple):
    """What `settings_of` returns.

    Attributes:
      image_size: Height and width in pixels.
      preprocessing: One of `images.PREPROCESSING`.
      labels: Labels file, or None.
    """

    image_size: int
    preprocessing: str
    labels: str | None


def settings_of(checkpoint, image_size=None, preprocessing=None, labels=None):
    """Fills in what was not asked for: as `training.train` recorded it, else as slim has it.

    Args:
      checkpoint: Anything that `slim_resnet.checkpoint` opens.
      image_size: Height and width in pixels, or None.
      preprocessing: One of `images.PREPROCESSING`, or None.
      labels: Labels file, or None.

    Raises:
      SlimResnetError: A run's record beside the checkpoint is damaged.
    """
    folder, record = training_folder.run_of(checkpoint)
    known = (IMAGE_SIZE, "inception", None) if record is None else (
        record["options"]["image_size"], record["options"]["preprocessing"],
        os.path.join(folder, training_folder.LABELS))
    return Settings(*(asked if asked is not None else own for asked, own in
                      zip((image_size, preprocessing, labels), known)))
