"""preprocessing/vgg_preprocessing.py: this package's preparation under research/slim's names.

Its last version is followed, which rounds the longer side; those before 2018 cut it off, so
that a crop may be one pixel aside.
"""

import tensorflow as tf

from slim_resnet.images import vgg

_RESIZE_SIDE_MIN, _RESIZE_SIDE_MAX = vgg.RESIZE_SIDES


def preprocess_for_train(image, output_height, output_width, resize_side_min=_RESIZE_SIDE_MIN,
                         resize_side_max=_RESIZE_SIDE_MAX, use_grayscale=False):
    """Prepares one image for training, see `slim_resnet.images.vgg.prepare_for_training`.

    Args:
      image: ``[height, width, 3]``, values in [0, 255].
      output_height: Height of the result, in pixels.
      output_width: Width of the result.
      resize_side_min: The least shorter side before cropping.
      resize_side_max: The largest.
      use_grayscale: Must be False.

    Returns:
      float32 ``[output_height, output_width, 3]``.

    Raises:
      ValueError: ``use_grayscale`` is set.
    """
    _refuse_grayscale(use_grayscale)

    def draw(_, low, high):
        return tf.random.uniform([], low, high, tf.int32)

    return vgg.prepare_for_training(image, output_height, output_width, draw,
                                    (resize_side_min, resize_side_max))


def preprocess_for_eval(image, output_height, output_width, resize_side, use_grayscale=False):
    """Prepares one image for evaluation, see `preprocess_for_train`.

    Args:
      image: ``[height, width, 3]``, values in [0, 255].
      output_height: Height of the result, in pixels.
      output_width: Width of the result.
      resize_side: The shorter side before cropping.
      use_grayscale: Must be False.
    """
    _refuse_grayscale(use_grayscale)
    return vgg.prepare_for_evaluation(image, output_height, output_width, resize_side)


def preprocess_image(image, output_height, output_width, is_training=False,
                     resize_side_min=_RESIZE_SIDE_MIN, resize_side_max=_RESIZE_SIDE_MAX,
                     use_grayscale=False):
    """Prepares one image; evaluation resizes to ``resize_side_min``.

    Args:
      image: ``[height, width, 3]``, values in [0, 255].
      output_height: Height of the result, in pixels.
      output_width: Width of the result.
      is_training: Whether for training.
      resize_side_min: See `preprocess_for_train`.
      resize_side_max: See `preprocess_for_train`.
      use_grayscale: Must be False.
    """
    if is_training:
        return preprocess_for_train(image, output_height, output_width, resize_side_min,
                                    resize_side_max, use_grayscale)
    return preprocess_for_eval(image, output_height, output_width, resize_side_min, use_grayscale)


def _refuse_grayscale(use_grayscale):
    if use_grayscale:
        # research/slim fails here too: it subtracts three means from one channel.
        raise ValueError("len(means) must match the number of channels: use_grayscale=True "
                         "leaves one of the three")
