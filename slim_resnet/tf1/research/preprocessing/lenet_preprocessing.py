"""preprocessing/lenet_preprocessing.py: what research/slim prepares MNIST with."""

import tensorflow as tf

tf1 = tf.compat.v1


def preprocess_image(image, output_height, output_width, is_training, use_grayscale=False):
    """Prepares one image: central crop or padding, values to [-1, 1].

    Args:
      image: ``[height, width, channels]``, values in [0, 255].
      output_height: Height of the result, in pixels.
      output_width: Width of the result.
      is_training: Makes no difference.
      use_grayscale: Whether to make one channel of three.

    Returns:
      float32 ``[output_height, output_width, channels]``.
    """
    del is_training
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = tf.image.rgb_to_grayscale(image)
    # research/slim gives the width as the height and the other way round; followed.
    image = tf1.image.resize_image_with_crop_or_pad(image, output_width, output_height)
    return (image - 128.0) / 128.0
