"""What goes from images to networks; needs no TensorFlow."""

import typing

import numpy as np


class Batch(typing.NamedTuple):
    """Successive images of a data set, ready for a network.

    Attributes:
      names: Path of each, or file and number of its record.
      images: float32 ``[readable, image_size, image_size, channels]``: those that could be
        read, in order.
      causes: For each, why it is unreadable, one line; None if it was read.
      labels: For each, its class number where the data set has one and it was read,
        else None.
    """

    names: list[str]
    images: np.ndarray
    causes: list[str | None]
    labels: list[int | None]
