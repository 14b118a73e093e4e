"""``tf.contrib.image``: flat projective transforms, by ``ImageProjectiveTransformV3``.

A transform is eight numbers ``a0 a1 a2 b0 b1 b2 c0 c1``: an output pixel (x, y) takes its value
from ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k) of the input, k = c0 x + c1 y + 1.
"""

import tensorflow as tf

tf1 = tf.compat.v1


def _batch(images):
    images = tf.convert_to_tensor(images)
    rank = images.shape.rank
    if rank is None:
        raise TypeError("tf.contrib.image: the images' rank must be known")
    if rank == 2:
        return images[None, :, :, None], lambda out: out[0, :, :, 0]
    if rank == 3:
        return images[None], lambda out: out[0]
    if rank == 4:
        return images, lambda out: out
    raise TypeError(f"tf.contrib.image: images have rank 2, 3 or 4, not {rank}")


def _rows(values, width):
    values = tf.cast(tf.convert_to_tensor(values), tf.float32)
    return tf.reshape(values, [-1, width]) if values.shape.rank != 1 or width == 1 \
        else values[None]


def angles_to_projective_transforms(angles, image_height, image_width, name=None):
    """Returns transforms ``[N, 8]`` that turn images about their centre, counterclockwise.

    Args:
      angles: Radians, a scalar or ``[N]``.
    """
    with tf1.name_scope(name, "angles_to_projective_transforms"):
        angles = tf.reshape(tf.cast(angles, tf.float32), [-1])
        x = (tf.cast(image_width, tf.float32) - 1) / 2
        y = (tf.cast(image_height, tf.float32) - 1) / 2
        cos, sin, zero = tf.cos(angles), tf.sin(angles), tf.zeros_like(angles)
        return tf.stack([cos, -sin, x - cos * x + sin * y,
                         sin, cos, y - sin * x - cos * y, zero, zero], axis=1)


def translations_to_projective_transforms(translations, name=None):
    """Returns transforms ``[N, 8]`` that move images by ``[dx, dy]``, one or ``[N, 2]``."""
    with tf1.name_scope(name, "translations_to_projective_transforms"):
        dx, dy = tf.unstack(_rows(translations, 2), axis=1)
        one, zero = tf.ones_like(dx), tf.zeros_like(dx)
        return tf.stack([one, zero, -dx, zero, one, -dy, zero, zero], axis=1)


def flat_transforms_to_matrices(transforms):
    """Returns ``[N, 3, 3]`` for transforms ``[8]`` or ``[N, 8]``."""
    transforms = _rows(transforms, 8)
    ones = tf.ones_like(transforms[:, :1])
    return tf.reshape(tf.concat([transforms, ones], axis=1), [-1, 3, 3])


def matrices_to_flat_transforms(transform_matrices):
    """Returns ``[N, 8]`` for matrices ``[3, 3]`` or ``[N, 3, 3]``, scaled so that the last is 1."""
    flat = tf.reshape(tf.cast(transform_matrices, tf.float32), [-1, 9])
    return (flat / flat[:, 8:])[:, :8]


def compose_transforms(*transforms):
    """Returns one transform that does as the given ones do, from left to right."""
    if not transforms:
        raise ValueError("tf.contrib.image.compose_transforms: no transforms")
    # An output pixel's origin is looked up, so the last transform acts on it first.
    composed = flat_transforms_to_matrices(transforms[0])
    for transform_ in transforms[1:]:
        composed = tf.matmul(composed, flat_transforms_to_matrices(transform_))
    return matrices_to_flat_transforms(composed)


def transform(images, transforms, interpolation="NEAREST", output_shape=None, name=None):
    """Transforms images; what comes from outside is zero.

    Args:
      images: ``[rows, columns]``, ``[rows, columns, channels]`` or a batch of the latter.
      transforms: ``[8]`` for all images or ``[N, 8]``.
      interpolation: ``"NEAREST"`` or ``"BILINEAR"``.
      output_shape: Height and width of the result; the images' own by default.
    """
    with tf1.name_scope(name, "transform"):
        batch, as_given = _batch(images)
        size = tf.shape(batch)[1:3] if output_shape is None else tf.cast(output_shape, tf.int32)
        out = tf.raw_ops.ImageProjectiveTransformV3(
            images=batch, transforms=_rows(transforms, 8), output_shape=size, fill_value=0.0,
            interpolation=interpolation.upper(), fill_mode="CONSTANT")
        if output_shape is None:
            out.set_shape(batch.shape)
        return as_given(out)


def rotate(images, angles, interpolation="NEAREST", name=None):
    """Turns images counterclockwise about their centre by angles in radians, one or ``[N]``."""
    with tf1.name_scope(name, "rotate"):
        batch, as_given = _batch(images)
        height, width = tf.shape(batch)[1], tf.shape(batch)[2]
        return as_given(transform(
            batch, angles_to_projective_transforms(angles, height, width), interpolation))


def translate(images, translations, interpolation="NEAREST", name=None):
    """Moves images by ``[dx, dy]``, one pair or ``[N, 2]``; to the right and down is positive."""
    with tf1.name_scope(name, "translate"):
        return transform(images, translations_to_projective_transforms(translations),
                         interpolation)
