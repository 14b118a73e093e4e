"""The preparation of images for VGG networks, as research/slim's vgg_preprocessing has it.

The shorter side is resized, keeping the aspect ratio, then a window is cropped and the
mean colour of ImageNet subtracted (arXiv:1409.1556). Values stay in units of 255. All
functions work in graphs, tf.data and eagerly.
"""

import typing
from collections.abc import Sequence

import tensorflow as tf

from slim_resnet.images import settings

# Red, green and blue of ImageNet's average pixel.
MEANS = settings.MEAN
# The shorter side in evaluation, and its bounds in training, in pixels.
RESIZE_SIDE = settings.RESIZE_SIDE
RESIZE_SIDES = (RESIZE_SIDE, 2 * RESIZE_SIDE)


def prepare_for_evaluation(image: tf.Tensor, height: int, width: int,
                           resize_side: int = RESIZE_SIDE,
                           mean: Sequence[float] = MEANS) -> tf.Tensor:
    """Prepares one decoded image: the centre of it.

    Args:
      image: ``[height, width, channels]``, or a batch of images of one size, values in
        [0, 255].
      height: Height of the result, in pixels.
      width: Width of the result.
      resize_side: What the shorter side is resized to first.
      mean: What is subtracted of each channel.

    Returns:
      float32 ``[height, width, channels]``, or a batch of it.

    Raises:
      tf.errors.InvalidArgumentError: When it runs, if the result does not fit into the
        resized image.
    """
    return central_window(image, height, width, resize_side) - tf.constant(mean, tf.float32)


def central_window(image: tf.Tensor, height: int, width: int, resize_side: int = RESIZE_SIDE
                   ) -> tf.Tensor:
    """Returns what `prepare_for_evaluation` subtracts the mean from; the same arguments."""
    image = resize_shorter_side(image, resize_side)
    spare = _spare(image, height, width)
    return _crop(image, spare // 2, height, width)


def prepare_for_training(image: tf.Tensor, height: int, width: int, draw: typing.Callable,
                         resize_sides: tuple[int, int] = RESIZE_SIDES,
                         mean: Sequence[float] = MEANS) -> tf.Tensor:
    """Prepares one decoded image: a window of it at a random scale, half of them mirrored.

    Args:
      image: See `prepare_for_evaluation`.
      height: Height of the result, in pixels.
      width: Width of the result.
      draw: ``draw(number, low, high)`` returns an int32 scalar drawn evenly from
        ``[low, high)``. It is called for numbers 0 (side), 1 (row), 2 (column) and
        3 (mirrored if 1); ``high`` may be a tensor.
      resize_sides: Least and largest shorter side, both included.
      mean: What is subtracted of each channel.

    Returns:
      As `prepare_for_evaluation`.

    Raises:
      tf.errors.InvalidArgumentError: As in `prepare_for_evaluation`.
    """
    least, largest = resize_sides
    image = resize_shorter_side(image, draw(0, least, largest + 1))
    spare = _spare(image, height, width)
    offsets = tf.stack([draw(1, 0, spare[0] + 1), draw(2, 0, spare[1] + 1)])
    image = _crop(image, offsets, height, width)
    mirrored = tf.reverse(image, axis=[-2])
    image = tf.where(tf.equal(draw(3, 0, 2), 1), mirrored, image)
    return image - tf.constant(mean, tf.float32)


def resize_shorter_side(image: tf.Tensor, side: int | tf.Tensor) -> tf.Tensor:
    """Resizes an image so that its shorter side is ``side`` and its aspect ratio is kept.

    The longer side is rounded, half to even; research/slim before 2018 cut it off. Bilinear,
    without anti-aliasing or half-pixel centres.

    Args:
      image: ``[height, width, channels]``, or a batch of images of one size.
      side: Length in pixels, an int or an int32 scalar.

    Returns:
      float32, of the rank of ``image``.
    """
    image = tf.convert_to_tensor(image)
    if image.shape.rank == 3:
        return resize_shorter_side(image[tf.newaxis], side)[0]
    size = tf.cast(tf.shape(image)[1:3], tf.float32)
    # One float32 division, then one product: the sizes that research/slim comes to.
    scale = tf.cast(side, tf.float32) / tf.reduce_min(size)
    return tf.raw_ops.ResizeBilinear(
        images=image, size=tf.cast(tf.math.rint(size * scale), tf.int32), align_corners=False,
        half_pixel_centers=False)


def _spare(image, height, width):
    """Returns by how many rows and columns an image is larger than what is cropped of it."""
    spare = tf.shape(image)[-3:-1] - [height, width]
    fits = tf.debugging.assert_non_negative(
        spare, f"the resized image is smaller than the {height} x {width} pixels to crop of it")
    # In eager mode the assertion has run by now and there is no op to wait for.
    with tf.control_dependencies([fits] if fits is not None else []):
        return tf.identity(spare)


def _crop(image, offsets, height, width):
    batch, channels = image.shape[:-3], image.shape[-1]
    begin = tf.concat([tf.zeros([len(batch)], tf.int32), offsets, [0]], axis=0)
    image = tf.slice(image, begin, [*[-1] * len(batch), height, width, -1])
    image.set_shape([*batch, height, width, channels])
    return image
