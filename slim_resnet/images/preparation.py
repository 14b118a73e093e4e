"""From pixels to what a network was trained on: a table of preparations, by name.

A further preparation is one row of `PREPARATIONS` and its name in `settings`.
"""

import typing
from collections.abc import Callable

import tensorflow as tf

from slim_resnet.errors import SlimResnetError

# research/slim's inception_preprocessing.preprocess_for_eval.
CENTRAL_FRACTION = 0.875


class Preparation(typing.NamedTuple):
    """One way to prepare images.

    Attributes:
      prepare: From a decoded image, uint8 ``[height, width, 3]`` or a batch of images of
        one size, and an image size in pixels to float32 ``[image_size, image_size, 3]`` or
        a batch of it, for evaluation.
      scale: From values in [0, 1] to those that the network takes; what is left to do
        behind the crops of a training.
      seen: From an image's height and width to left, top, right and bottom of what
        ``prepare`` keeps of it, as shares of its width and height.
    """

    prepare: Callable[[tf.Tensor, int], tf.Tensor]
    scale: Callable[[tf.Tensor], tf.Tensor]
    seen: Callable[[int, int], tuple[float, float, float, float]]


def _inception(image: tf.Tensor, image_size: int) -> tf.Tensor:
    image = tf.image.central_crop(image, CENTRAL_FRACTION)
    image = resize(tf.image.convert_image_dtype(image, tf.float32), image_size)
    return _scale_to_signed(image)


def _scale_to_signed(image: tf.Tensor) -> tf.Tensor:
    return tf.multiply(tf.subtract(image, 0.5), 2.0)


def _seen_by_inception(height: int, width: int) -> tuple[float, float, float, float]:
    def cut_away(length):
        # As tf.image.central_crop rounds.
        return int((length - length * CENTRAL_FRACTION) / 2) / length

    x, y = cut_away(width), cut_away(height)
    return x, y, 1 - x, 1 - y


def _only_resized(image: tf.Tensor, image_size: int) -> tf.Tensor:
    return resize(tf.cast(image, tf.float32), image_size)


PREPARATIONS = {
    "inception": Preparation(_inception, _scale_to_signed, _seen_by_inception),
    "none": Preparation(_only_resized, lambda image: 255.0 * image,
                        lambda height, width: (0.0, 0.0, 1.0, 1.0)),
}


def preparation(name: str) -> Preparation:
    """Returns the `Preparation` of that name.

    Raises:
      SlimResnetError: There is none.
    """
    if name not in PREPARATIONS:
        raise SlimResnetError(f"there is no preprocessing {name!r}; "
                              f"choose one of {', '.join(PREPARATIONS)}")
    return PREPARATIONS[name]


def preprocess(image: tf.Tensor, image_size: int, preprocessing: str = "inception") -> tf.Tensor:
    """Prepares one decoded image for a network; works in graphs, tf.data and eagerly.

    ``inception`` is what research/slim evaluates its released checkpoints with:
    values to [0, 1], the central 0.875 of each side, bilinear resizing without
    anti-aliasing or half-pixel centres, and ``2 * (value - 0.5)``. ``none`` only
    resizes, in the same way, and keeps values in [0, 255].

    Args:
      image: uint8 ``[height, width, 3]``, or a batch of images of one size.
      image_size: Height and width of the result, in pixels.
      preprocessing: A key of `PREPARATIONS`.

    Returns:
      float32 ``[image_size, image_size, 3]``, or a batch of it.

    Raises:
      SlimResnetError: There is no such preprocessing.
    """
    return preparation(preprocessing).prepare(image, image_size)


def resize(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes ``[height, width, 3]``, or a batch of it, bilinearly as TensorFlow 1 does."""
    if image.shape.rank == 3:
        return resize(image[tf.newaxis], size)[0]
    # tf.image.resize puts pixel centres at halves, which changes every value:
    # tests/images/test_preparation.py::test_inception_preprocessing_by_hand.
    return tf.raw_ops.ResizeBilinear(images=image, size=[size, size], align_corners=False,
                                     half_pixel_centers=False)
