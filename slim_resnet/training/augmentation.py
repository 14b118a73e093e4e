"""Training images: varied at random, each by its own seed and nothing else.

``inception`` is what research/slim trains its released checkpoints with, but for one
thing: images are resized bilinearly always, not by one of four methods at random.
"""

import tensorflow as tf

from slim_resnet.images import vgg
from slim_resnet.images.preparation import preparation, resize
from slim_resnet.images.settings import Preprocessing

# inception_preprocessing.py: brightness in units of 255, hue as a share of the circle.
BRIGHTNESS, HUE, SATURATION, CONTRAST = 32 / 255, 0.2, (0.5, 1.5), (0.5, 1.5)
CROPPED_AREA, CROPPED_ASPECT = (0.05, 1.0), (0.75, 1.33)

# The four orders of inception_preprocessing.distort_color.
ORDERS = ("bshc", "sbch", "chbs", "hscb")


def augment(image: tf.Tensor, image_size: int, preprocessing: str | Preprocessing,
            augmentation: str, seed: int, position: tf.Tensor) -> tf.Tensor:
    """Prepares one decoded image for training.

    Args:
      image: uint8 ``[height, width, 3]``.
      image_size: Height and width of the result, in pixels.
      preprocessing: See `images.preprocess`.
      augmentation: ``inception`` (distorted crop, flip, colours), ``vgg`` (see
        `vgg.prepare_for_training`; sides up to twice the evaluation's), ``flip`` (prepared as for
        evaluation and mirrored at random) or ``none``.
      seed: Seed of the run, an int.
      position: Number of the image in the whole run, an int64 scalar.

    Returns:
      float32 ``[image_size, image_size, 3]``, a function of the arguments alone.
    """
    def key(use):
        return tf.stack([tf.constant(seed * 16 + use, tf.int64), position])

    preprocessing = Preprocessing.of(preprocessing)
    prepare, scale, _ = preparation(preprocessing)
    if augmentation == "vgg":
        return _vgg(image, image_size, preprocessing, scale, key)
    if augmentation != "inception":
        image = prepare(image, image_size)
        return image if augmentation == "none" else \
            tf.image.stateless_random_flip_left_right(image, key(0))
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image), [[[0.0, 0.0, 1.0, 1.0]]], key(1), min_object_covered=0.1,
        aspect_ratio_range=CROPPED_ASPECT, area_range=CROPPED_AREA, max_attempts=100,
        use_image_if_no_bounding_boxes=True)
    image = tf.ensure_shape(tf.slice(image, begin, size), [None, None, 3])
    image = tf.image.convert_image_dtype(image, tf.float32)
    image = resize(image, image_size)
    image = tf.image.stateless_random_flip_left_right(image, key(0))
    image = _distort_colours(image, key)
    image = tf.ensure_shape(image, [image_size, image_size, 3])
    return scale(image)


def _vgg(image, image_size, preprocessing, scale, key):
    def draw(number, low, high):
        return tf.random.stateless_uniform([], key(7 + number), low, high, tf.int32)

    # In [0, 1] only for those who do not take units of 255, as vgg itself does.
    mean = preprocessing.means(3) if preprocessing.name == "vgg" else (0.0, 0.0, 0.0)
    image = vgg.prepare_for_training(
        image, image_size, image_size, draw, (preprocessing.side, 2 * preprocessing.side), mean)
    return image if preprocessing.name == "vgg" else scale(image / 255.0)


def _distort_colours(image, key):
    distortions = {
        "b": lambda image: tf.image.stateless_random_brightness(image, BRIGHTNESS, key(2)),
        "s": lambda image: tf.image.stateless_random_saturation(image, *SATURATION, key(3)),
        "h": lambda image: tf.image.stateless_random_hue(image, HUE, key(4)),
        "c": lambda image: tf.image.stateless_random_contrast(image, *CONTRAST, key(5)),
    }

    def in_order(order):
        distorted = image
        for distortion in order:
            distorted = distortions[distortion](distorted)
        return distorted

    chosen = tf.random.stateless_uniform([], key(6), 0, len(ORDERS), tf.int32)
    image = tf.switch_case(chosen, [lambda order=order: in_order(order) for order in ORDERS])
    return tf.clip_by_value(image, 0.0, 1.0)
