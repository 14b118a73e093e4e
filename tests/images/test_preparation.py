"""Preparing pixels for a network, against numpy."""

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.errors import SlimResnetError
from slim_resnet.images import preparation, settings


def random_image(seed, height=40, width=56):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3), np.uint8)


def bilinear(image, size):
    """Bilinear resizing with corners not aligned: source = index * in / out."""
    for axis in (0, 1):
        length = image.shape[axis]
        at = np.arange(size, dtype=np.float32) * np.float32(length / size)
        low = np.minimum(np.floor(at).astype(int), length - 1)
        high = np.minimum(low + 1, length - 1)
        part = (at - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        image = (np.take(image, low, axis) * (1 - part) + np.take(image, high, axis) * part)
    return image


@pytest.mark.parametrize("height, width, size", [(40, 56, 29), (40, 56, 70), (200, 160, 35)])
def test_inception_preprocessing_by_hand(height, width, size):
    image = random_image(2, height, width)
    top, left = int((height - height * 0.875) / 2), int((width - width * 0.875) / 2)
    cropped = image[top:height - top, left:width - left]
    expected = 2 * (bilinear(cropped.astype(np.float64) / 255, size) - 0.5)
    actual = preparation.preprocess(image, size)
    assert actual.dtype == tf.float32
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_preprocessing_is_exact_where_nothing_is_resized():
    image = random_image(3, 32, 32)
    expected = (image[2:30, 2:30] * np.float32(1 / 255) - np.float32(0.5)) * np.float32(2)
    np.testing.assert_array_equal(preparation.preprocess(image, 28), expected)


def test_preprocessing_none_only_resizes():
    image = random_image(4)
    np.testing.assert_allclose(preparation.preprocess(image, 23, "none"),
                               bilinear(image.astype(np.float64), 23), atol=1e-3)
    np.testing.assert_array_equal(preparation.preprocess(image[:, :40], 40, "none"), image[:, :40])


def test_unknown_preprocessing_is_named():
    with pytest.raises(SlimResnetError, match="no preprocessing 'vgg'.*inception, none"):
        preparation.preprocess(random_image(5), 10, "vgg")


def test_the_names_that_need_no_tensorflow_are_the_table_s():
    assert settings.PREPROCESSING == tuple(preparation.PREPARATIONS)
