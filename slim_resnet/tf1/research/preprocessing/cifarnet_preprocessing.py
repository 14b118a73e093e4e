"""preprocessing/cifarnet_preprocessing.py: what research/slim prepares CIFAR-10 with."""

import tensorflow as tf

tf1 = tf.compat.v1

_PADDING = 4


def preprocess_for_train(image, output_height, output_width, padding=_PADDING,
                         add_image_summaries=True):
    """Prepares one image for training: padding, random crop, flip, brightness, contrast.

    Args:
      image: ``[height, width, 3]``, values in [0, 255].
      output_height: Height of the result, in pixels.
      output_width: Width of the result.
      padding: Zeros around the image before it is cropped.
      add_image_summaries: Whether to add summaries.

    Returns:
      float32 ``[output_height, output_width, 3]`` of mean 0 and variance 1.
    """
    if add_image_summaries:
        tf1.summary.image("image", image[tf.newaxis])
    image = tf.cast(image, tf.float32)
    if padding > 0:
        image = tf.pad(image, [[padding, padding], [padding, padding], [0, 0]])
    image = tf.image.random_crop(image, [output_height, output_width, 3])
    image = tf.image.random_flip_left_right(image)
    if add_image_summaries:
        tf1.summary.image("distorted_image", image[tf.newaxis])
    image = tf.image.random_brightness(image, 63)
    image = tf.image.random_contrast(image, 0.2, 1.8)
    return tf.image.per_image_standardization(image)


def preprocess_for_eval(image, output_height, output_width, add_image_summaries=True):
    """Prepares one image for evaluation: central crop or padding; see `preprocess_for_train`."""
    if add_image_summaries:
        tf1.summary.image("image", image[tf.newaxis])
    # research/slim gives the width as the height and the other way round; followed.
    image = tf1.image.resize_image_with_crop_or_pad(tf.cast(image, tf.float32), output_width,
                                                    output_height)
    if add_image_summaries:
        tf1.summary.image("resized_image", image[tf.newaxis])
    return tf.image.per_image_standardization(image)


def preprocess_image(image, output_height, output_width, is_training=False,
                     add_image_summaries=True):
    """Prepares one image, as `preprocess_for_train` or as `preprocess_for_eval`."""
    prepare = preprocess_for_train if is_training else preprocess_for_eval
    return prepare(image, output_height, output_width, add_image_summaries=add_image_summaries)
