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
    with pytest.raises(SlimResnetError, match="no preprocessing 'caffe'.*inception, vgg, none"):
        preparation.preprocess(random_image(5), 10, "caffe")


def test_the_names_that_need_no_tensorflow_are_the_table_s():
    assert settings.PREPROCESSING == tuple(preparation.VALUES)
    assert settings.RESIZE == tuple(preparation.RULES)


def kept(image, size, side):
    """The central window of an image whose shorter side became ``side``, and where it is."""
    height, width = image.shape[:2]
    scale = np.float32(side) / np.float32(min(height, width))
    new = [int(np.rint(np.float32(length) * scale)) for length in (height, width)]
    resized = image.astype(np.float64)
    for axis in (0, 1):
        length = image.shape[axis]
        at = np.arange(new[axis]) * (length / new[axis])
        low = np.minimum(np.floor(at).astype(int), length - 1)
        part = (at - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        resized = (np.take(resized, low, axis) * (1 - part)
                   + np.take(resized, np.minimum(low + 1, length - 1), axis) * part)
    top, left = ((length - size) // 2 for length in new)
    return resized[top:top + size, left:left + size], (
        left / new[1], top / new[0], (left + size) / new[1], (top + size) / new[0])


@pytest.mark.parametrize("height, width, size, side", [
    (40, 57, 29, 32), (57, 40, 29, 32), (33, 33, 28, 32), (31, 64, 31, 31), (75, 113, 24, 41)])
def test_vgg_by_hand(height, width, size, side):
    image = random_image(12, height, width)
    expected, seen = kept(image, size, side)
    preprocessing = settings.Preprocessing("vgg", resize_side=side)
    actual = preparation.preprocess(image, size, preprocessing)
    assert actual.dtype == tf.float32
    np.testing.assert_allclose(actual, expected - [123.68, 116.78, 103.94], atol=2e-3)
    mean = settings.Preprocessing("vgg", resize_side=side, mean=(1, 2, 3.5))
    np.testing.assert_allclose(preparation.preprocess(image, size, mean), expected - [1, 2, 3.5],
                               atol=2e-3)
    assert preparation.preparation(preprocessing).seen(height, width, size) == pytest.approx(seen)


def test_vgg_takes_256_and_slim_s_mean_by_itself():
    image = random_image(13, 256, 301)
    np.testing.assert_allclose(preparation.preprocess(image, 224, "vgg"),
                               image[16:240, 38:262] - np.array([123.68, 116.78, 103.94]),
                               atol=1e-4)


def test_values_and_rules_go_together():
    image = random_image(14, 45, 60)
    expected, _ = kept(image, 24, 28)
    rules = {"resize": "shorter-side", "resize_side": 28}
    np.testing.assert_allclose(
        preparation.preprocess(image, 24, settings.Preprocessing("inception", **rules)),
        expected / 127.5 - 1, atol=1e-4)
    np.testing.assert_allclose(
        preparation.preprocess(image, 24, settings.Preprocessing("none", **rules)), expected,
        atol=2e-3)
    whole = settings.Preprocessing("inception", resize="whole")
    np.testing.assert_allclose(preparation.preprocess(image, 24, whole),
                               bilinear(image / 127.5, 24) - 1, atol=1e-5)
    half = settings.Preprocessing("none", resize="whole-half-pixel")
    np.testing.assert_array_equal(preparation.preprocess(image, 24, half),
                                  tf.image.resize(image, [24, 24]))
    # Half as large, each pixel is between two: their mean, and not the first of them.
    small = image[:44, :44].astype(float).reshape(22, 2, 22, 2, 3).mean((1, 3))
    np.testing.assert_allclose(preparation.preprocess(image[:44, :44], 22, half), small, atol=1e-3)


@pytest.mark.parametrize("arguments, words", [
    (dict(name="inception", mean=(1, 2, 3)), "--mean: is what vgg subtracts"),
    (dict(name="vgg", mean=(1, 2, float("nan"))), "must be finite"),
    (dict(name="none", resize_side=300), "--resize-side: is of the rule shorter-side"),
    (dict(name="none", resize="cubic"), "no rule of resizing 'cubic'"),
])
def test_what_does_not_go_together_is_one_line(arguments, words):
    with pytest.raises(SlimResnetError, match=words):
        settings.Preprocessing(**arguments)


def test_a_window_that_does_not_fit_is_said_before_anything_runs():
    with pytest.raises(SlimResnetError, match="--image-size 299.*give --resize-side 342"):
        preparation.preprocess(random_image(1), 299, "vgg")


def test_a_mean_is_of_the_network_s_channels():
    gray = random_image(15)[..., :1]
    with pytest.raises(SlimResnetError, match="subtracts 3 numbers.*takes images of 1"):
        preparation.preprocess(gray, 20, "vgg")
    mean = settings.Preprocessing("vgg", mean=(100,), resize="whole")
    np.testing.assert_allclose(preparation.preprocess(gray[:, :40], 40, mean),
                               gray[:, :40].astype(float) - 100, atol=1e-4)
