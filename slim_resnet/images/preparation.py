"""From pixels to what a network was trained on: what becomes of values, and of sizes.

A further preparation is a row of `VALUES` or of `RULES` and its name in `settings`.
"""

import typing
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from slim_resnet.images import vgg
from slim_resnet.images.settings import Preprocessing

# research/slim's inception_preprocessing.preprocess_for_eval.
CENTRAL_FRACTION = 0.875

Seen = tuple[float, float, float, float]


class Preparation(typing.NamedTuple):
    """One way to prepare images.

    Attributes:
      prepare: From a decoded image, uint8 ``[height, width, channels]`` or a batch of images
        of one size, and an image size in pixels to float32
        ``[image_size, image_size, channels]`` or a batch of it, for evaluation.
      scale: From values in [0, 1] to those that the network takes; what is left to do
        behind the crops of a training.
      seen: From an image's height and width and an image size to left, top, right and
        bottom of what ``prepare`` keeps of it, as shares of its width and height.
    """

    prepare: Callable[[tf.Tensor, int], tf.Tensor]
    scale: Callable[[tf.Tensor], tf.Tensor]
    seen: Callable[[int, int, int], Seen]


class _Values(typing.NamedTuple):
    """What becomes of values.

    Attributes:
      convert: From uint8 to float32, before images are resized.
      finish: From what ``convert`` gives, and the means of the channels, to the network's.
      unit: What ``convert`` makes of 255.
    """

    convert: Callable[[tf.Tensor], tf.Tensor]
    finish: Callable[[tf.Tensor, tuple | None], tf.Tensor]
    unit: float


class _Rule(typing.NamedTuple):
    """How an image comes to its size.

    Attributes:
      resized: ``resized(image, convert, image_size, side)``: the image, converted, at its
        size.
      seen: ``seen(height, width, image_size, side)``, see `Preparation`.
    """

    resized: Callable[..., tf.Tensor]
    seen: Callable[[int, int, int, int], Seen]


def _to_float(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(image, tf.float32)


def _central(image, convert, image_size, side):
    # The crop comes first: it is cheaper, and the numbers are the same.
    return resize(convert(tf.image.central_crop(image, CENTRAL_FRACTION)), image_size)


def _seen_by_central(height: int, width: int, image_size: int, side: int) -> Seen:
    def cut_away(length):
        # As tf.image.central_crop rounds.
        return int((length - length * CENTRAL_FRACTION) / 2) / length

    x, y = cut_away(width), cut_away(height)
    return x, y, 1 - x, 1 - y


def _shorter_side(image, convert, image_size, side):
    return vgg.central_window(convert(image), image_size, image_size, side)


def _seen_by_shorter_side(height: int, width: int, image_size: int, side: int) -> Seen:
    def window(length):
        # As vgg.resize_shorter_side rounds.
        scale = np.float32(side) / np.float32(min(height, width))
        resized = int(np.rint(np.float32(length) * scale))
        begin = (resized - image_size) // 2
        return begin / resized, (begin + image_size) / resized

    (left, right), (top, bottom) = window(width), window(height)
    return left, top, right, bottom


def _whole(image, convert, image_size, side):
    return resize(convert(image), image_size)


def _whole_half_pixel(image, convert, image_size, side):
    return tf.image.resize(convert(image), [image_size, image_size])


def _seen_whole(height: int, width: int, image_size: int, side: int) -> Seen:
    return 0.0, 0.0, 1.0, 1.0


VALUES = {
    "inception": _Values(lambda image: tf.image.convert_image_dtype(image, tf.float32),
                         lambda image, _: tf.multiply(tf.subtract(image, 0.5), 2.0), 1.0),
    "vgg": _Values(_to_float, lambda image, mean: image - tf.constant(mean, tf.float32), 255.0),
    "none": _Values(_to_float, lambda image, _: image, 255.0),
}
RULES = {
    "central": _Rule(_central, _seen_by_central),
    "shorter-side": _Rule(_shorter_side, _seen_by_shorter_side),
    "whole": _Rule(_whole, _seen_whole),
    "whole-half-pixel": _Rule(_whole_half_pixel, _seen_whole),
}


def preparation(preprocessing: str | Preprocessing, channels: int = 3) -> Preparation:
    """Returns the `Preparation` of that name.

    Args:
      preprocessing: A `settings.Preprocessing`, or the name of one.
      channels: Of the images.

    Raises:
      SlimResnetError: There is none, or its mean is of other channels.
    """
    chosen = Preprocessing.of(preprocessing)
    values, rule, side = VALUES[chosen.name], RULES[chosen.rule], chosen.side
    mean = chosen.means(channels) if chosen.name == "vgg" else None

    def prepare(image: tf.Tensor, image_size: int) -> tf.Tensor:
        chosen.check_size(image_size)
        return values.finish(rule.resized(image, values.convert, image_size, side), mean)

    def scale(image: tf.Tensor) -> tf.Tensor:
        return values.finish(image if values.unit == 1.0 else values.unit * image, mean)

    return Preparation(prepare, scale, lambda height, width, image_size: rule.seen(
        height, width, image_size, side))


def of_values(pixels: tf.Tensor, preprocessing: str | Preprocessing) -> tf.Tensor:
    """Returns what becomes of the values of pixels alone, whose size stays.

    Args:
      pixels: uint8, ``[..., channels]``.
      preprocessing: A `settings.Preprocessing`, or the name of one; its rule of resizing is
        not looked at.

    Raises:
      SlimResnetError: Its mean is of other channels.
    """
    chosen = Preprocessing.of(preprocessing)
    values = VALUES[chosen.name]
    mean = chosen.means(pixels.shape[-1]) if chosen.name == "vgg" else None
    return values.finish(values.convert(pixels), mean)


def preprocess(image: tf.Tensor, image_size: int,
               preprocessing: str | Preprocessing = "inception") -> tf.Tensor:
    """Prepares one decoded image for a network; works in graphs, tf.data and eagerly.

    ``inception`` is what research/slim evaluates its released checkpoints with:
    values to [0, 1], the central 0.875 of each side, bilinear resizing without
    anti-aliasing or half-pixel centres, and ``2 * (value - 0.5)``. ``vgg`` is what
    research/slim's own table gives ``resnet_v2_*``: the shorter side to 256 in the same way,
    the window at the centre, less the mean colour. ``none`` only resizes and keeps values
    in [0, 255]. `settings.Preprocessing` has other means and rules.

    Args:
      image: uint8 ``[height, width, channels]``, or a batch of images of one size.
      image_size: Height and width of the result, in pixels.
      preprocessing: A `settings.Preprocessing`, or the name of one.

    Returns:
      float32 ``[image_size, image_size, channels]``, or a batch of it.

    Raises:
      SlimResnetError: There is no such preprocessing, or it does not go with the image.
    """
    image = tf.convert_to_tensor(image)
    return preparation(preprocessing, image.shape[-1]).prepare(image, image_size)


def resize(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes ``[height, width, channels]``, or a batch of it, bilinearly as TensorFlow 1."""
    if image.shape.rank == 3:
        return resize(image[tf.newaxis], size)[0]
    # tf.image.resize puts pixel centres at halves, which changes every value:
    # tests/images/test_preparation.py::test_inception_preprocessing_by_hand.
    return tf.raw_ops.ResizeBilinear(images=image, size=[size, size], align_corners=False,
                                     half_pixel_centers=False)
