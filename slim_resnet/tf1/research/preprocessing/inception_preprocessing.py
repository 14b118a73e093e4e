"""preprocessing/inception_preprocessing.py: what research/slim prepares Inception's images with.

Its last version is followed: with ``fast_mode`` brightness always comes before saturation,
where those before 2018 drew one of two orders.
"""

import tensorflow as tf

from slim_resnet.training import augmentation

tf1 = tf.compat.v1


def apply_with_random_selector(x, func, num_cases):
    """Returns ``func(x, case)`` for a case that is drawn when it runs.

    Args:
      x: A tensor.
      func: Called once for every case, an int.
      num_cases: Number of cases.
    """
    if num_cases == 1:
        return func(x, 0)
    drawn = tf.random.uniform([], maxval=num_cases, dtype=tf.int32)
    return tf.switch_case(drawn, [lambda case=case: func(x, case) for case in range(num_cases)])


def distort_color(image, color_ordering=0, fast_mode=True, scope=None):
    """Varies brightness and saturation, and without ``fast_mode`` hue and contrast.

    Args:
      image: float32 ``[height, width, 3]`` in [0, 1].
      color_ordering: In which of four orders, 0 to 3.
      fast_mode: Whether to leave out hue and contrast; order 0 begins with brightness
        then, all others with saturation.
      scope: Name scope.

    Returns:
      As ``image``, clipped to [0, 1].

    Raises:
      ValueError: There is no such order.
    """
    distortions = {
        "b": lambda image: tf.image.random_brightness(image, augmentation.BRIGHTNESS),
        "s": lambda image: tf.image.random_saturation(image, *augmentation.SATURATION),
        "h": lambda image: tf.image.random_hue(image, augmentation.HUE),
        "c": lambda image: tf.image.random_contrast(image, *augmentation.CONTRAST),
    }
    if not fast_mode and color_ordering not in range(len(augmentation.ORDERS)):
        raise ValueError("color_ordering must be in [0, 3]")
    with tf1.name_scope(scope, "distort_color", [image]):
        if fast_mode:
            order = "bs" if color_ordering == 0 else "sb"
        else:
            order = augmentation.ORDERS[color_ordering]
        for distortion in order:
            image = distortions[distortion](image)
        return tf.clip_by_value(image, 0.0, 1.0)


def distorted_bounding_box_crop(image, bbox, min_object_covered=0.1,
                                aspect_ratio_range=augmentation.CROPPED_ASPECT,
                                area_range=augmentation.CROPPED_AREA, max_attempts=100,
                                scope=None):
    """Crops a window of random place, size and aspect.

    Args:
      image: ``[height, width, channels]``.
      bbox: Boxes of objects, ``[1, boxes, 4]``: top, left, bottom, right in [0, 1].
      min_object_covered: What share of a box the window has to cover.
      aspect_ratio_range: Bounds of width / height.
      area_range: Bounds of the window's share of the image.
      max_attempts: Draws before the whole image is taken.
      scope: Name scope.

    Returns:
      ``(cropped image, its box)``, the box ``[1, 1, 4]``.
    """
    with tf1.name_scope(scope, "distorted_bounding_box_crop", [image, bbox]):
        begin, size, box = tf1.image.sample_distorted_bounding_box(
            tf.shape(image), bounding_boxes=bbox, min_object_covered=min_object_covered,
            aspect_ratio_range=aspect_ratio_range, area_range=area_range,
            max_attempts=max_attempts, use_image_if_no_bounding_boxes=True)
        return tf.slice(image, begin, size), box


def preprocess_for_train(image, height, width, bbox, fast_mode=True, scope=None,
                         add_image_summaries=True, random_crop=True):
    """Prepares one image for training: distorted crop, resizing, flip, colours.

    Args:
      image: ``[height, width, 3]``, float32 in [0, 1] or whole numbers.
      height: Height of the result, in pixels.
      width: Width of the result.
      bbox: See `distorted_bounding_box_crop`; None for the whole image.
      fast_mode: Whether to resize bilinearly always, and see `distort_color`.
      scope: Name scope.
      add_image_summaries: Whether to add summaries of the steps.
      random_crop: Whether to crop.

    Returns:
      float32 ``[height, width, 3]`` in [-1, 1].
    """
    def summarise(tag, image):
        if add_image_summaries:
            tf1.summary.image(tag, image)

    with tf1.name_scope(scope, "distort_image", [image, height, width, bbox]):
        if bbox is None:
            bbox = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
        image = tf.image.convert_image_dtype(image, tf.float32)
        summarise("image_with_bounding_boxes",
                  tf1.image.draw_bounding_boxes(image[tf.newaxis], bbox))
        distorted = image
        if random_crop:
            distorted, box = distorted_bounding_box_crop(image, bbox)
            distorted.set_shape([None, None, 3])
            summarise("images_with_distorted_bounding_box",
                      tf1.image.draw_bounding_boxes(image[tf.newaxis], box))

        def resize(image, method):
            # Cases are TensorFlow 1's methods: bilinear, nearest, bicubic, area.
            resized = tf1.image.resize_images(image, [height, width], method)
            return tf.ensure_shape(tf.cast(resized, tf.float32), [height, width, 3])

        distorted = apply_with_random_selector(distorted, resize, 1 if fast_mode else 4)
        summarise(("cropped_" if random_crop else "") + "resized_image", distorted[tf.newaxis])
        distorted = tf.image.random_flip_left_right(distorted)
        distorted = apply_with_random_selector(
            distorted, lambda image, ordering: distort_color(image, ordering, fast_mode),
            1 if fast_mode else len(augmentation.ORDERS))
        summarise("final_distorted_image", distorted[tf.newaxis])
        return tf.multiply(tf.subtract(distorted, 0.5), 2.0)


def preprocess_for_eval(image, height, width, central_fraction=0.875, scope=None,
                        central_crop=True):
    """Prepares one image for evaluation: central crop, then bilinear resizing.

    Args:
      image: ``[height, width, 3]``, float32 in [0, 1] or whole numbers.
      height: Height of the result, in pixels; 0 or None to leave the size.
      width: Width of the result.
      central_fraction: Share of each side to keep; 0 or None for all.
      scope: Name scope.
      central_crop: Whether to crop.

    Returns:
      float32 ``[height, width, 3]`` in [-1, 1].
    """
    with tf1.name_scope(scope, "eval_image", [image, height, width]):
        image = tf.image.convert_image_dtype(image, tf.float32)
        if central_crop and central_fraction:
            image = tf.image.central_crop(image, central_fraction)
        if height and width:
            image = tf1.image.resize_bilinear(image[tf.newaxis], [height, width],
                                              align_corners=False)[0]
        return tf.multiply(tf.subtract(image, 0.5), 2.0)


def preprocess_image(image, height, width, is_training=False, bbox=None, fast_mode=True,
                     add_image_summaries=True, crop_image=True):
    """Prepares one image.

    Args:
      image: ``[height, width, 3]``, float32 in [0, 1] or whole numbers.
      height: Height of the result, in pixels.
      width: Width of the result.
      is_training: Whether as `preprocess_for_train` or as `preprocess_for_eval`.
      bbox: See `preprocess_for_train`.
      fast_mode: See `preprocess_for_train`.
      add_image_summaries: See `preprocess_for_train`.
      crop_image: Whether to crop, in both.
    """
    if is_training:
        return preprocess_for_train(image, height, width, bbox, fast_mode,
                                    add_image_summaries=add_image_summaries,
                                    random_crop=crop_image)
    return preprocess_for_eval(image, height, width, central_crop=crop_image)
