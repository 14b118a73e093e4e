"""The VGG preparation against numpy, one step after the other."""

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.images import vgg

MEANS = np.array([123.68, 116.78, 103.94])


def image_of(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def bilinear(image, height, width):
    """TensorFlow 1's bilinear resizing: pixel i of the result comes from i * old / new."""
    image = image.astype(np.float64)
    for axis, new in ((0, height), (1, width)):
        old = image.shape[axis]
        place = np.arange(new) * old / new
        low = np.floor(place).astype(int)
        share = (place - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        image = (np.take(image, low, axis) * (1 - share)
                 + np.take(image, np.minimum(low + 1, old - 1), axis) * share)
    return image


# 500 * 256 / 375 is 341.33; 333 * 256 / 500 would be less than 256. Halves go to the even
# side: 5 * 2 / 4 is 2.5, 7 * 2 / 4 is 3.5.
@pytest.mark.parametrize("height, width, side, expected", [
    (375, 500, 256, (256, 341)),
    (500, 375, 256, (341, 256)),
    (500, 333, 256, (384, 256)),
    (333, 500, 256, (256, 384)),
    (4, 5, 2, (2, 2)),
    (7, 4, 2, (4, 2)),
    (20, 20, 31, (31, 31)),
])
def test_the_longer_side_is_rounded(height, width, side, expected):
    image = image_of(height, width)
    resized = vgg.resize_shorter_side(image, side)
    assert resized.dtype == tf.float32
    assert resized.shape == (*expected, 3)
    np.testing.assert_allclose(resized, bilinear(image, *expected), atol=0.01)


def test_evaluation_takes_the_centre():
    image = image_of(60, 45)
    # 45 becomes 32, 60 becomes 42.67: 43. Of 43 - 24 = 19 spare rows 9 are above.
    expected = bilinear(image, 43, 32)[9:33, 5:27] - MEANS
    actual = vgg.prepare_for_evaluation(image, 24, 22, resize_side=32)
    assert actual.shape == (24, 22, 3)
    np.testing.assert_allclose(actual, expected, atol=0.01)


def test_evaluation_is_at_256():
    image = image_of(256, 300, seed=1)
    expected = image[16:240, 38:262] - MEANS
    np.testing.assert_allclose(vgg.prepare_for_evaluation(image, 224, 224), expected, atol=1e-4)


def test_a_batch_is_prepared_as_its_images():
    images = np.stack([image_of(30, 40, seed) for seed in range(3)])
    batch = vgg.prepare_for_evaluation(images, 12, 10, resize_side=16)
    singles = [vgg.prepare_for_evaluation(image, 12, 10, resize_side=16) for image in images]
    np.testing.assert_array_equal(batch, singles)


@pytest.mark.parametrize("mirrored", [0, 1])
def test_training_is_what_was_drawn(mirrored):
    image = image_of(40, 50)
    drawn = {0: 30, 1: 7, 2: 11, 3: mirrored}
    bounds = {}

    def draw(number, low, high):
        bounds[number] = int(low), int(high)
        return tf.constant(drawn[number])

    actual = vgg.prepare_for_training(image, 20, 22, draw, resize_sides=(24, 36))
    # 40 becomes 30 and 50 becomes 37.5, to the even 38.
    expected = (bilinear(image, 30, 38)[7:27, 11:33] - MEANS)[:, ::-1 if mirrored else 1]
    np.testing.assert_allclose(actual, expected, atol=0.01)
    assert bounds == {0: (24, 37), 1: (0, 11), 2: (0, 17), 3: (0, 2)}


def test_training_draws_sides_from_256_to_512():
    sides = []

    def draw(number, low, high):
        sides.append((int(low), int(high)))
        return tf.constant(0 if number else 256)

    vgg.prepare_for_training(image_of(20, 20), 224, 224, draw)
    assert sides[0] == (256, 513)


def test_in_a_graph_sizes_are_static(graph):
    image = tf.compat.v1.placeholder(tf.uint8, [None, None, 3])
    assert vgg.prepare_for_evaluation(image, 224, 220).shape == [224, 220, 3]


def test_a_crop_that_does_not_fit_is_said():
    with pytest.raises(tf.errors.InvalidArgumentError, match="smaller than the 40 x 32"):
        vgg.prepare_for_evaluation(image_of(30, 40), 40, 32, resize_side=32)


def test_a_crop_that_does_not_fit_is_said_in_a_graph(graph):
    image = tf.compat.v1.placeholder(tf.uint8, [None, None, 3])
    prepared = vgg.prepare_for_evaluation(image, 40, 32, resize_side=32)
    with tf.compat.v1.Session() as session, \
            pytest.raises(tf.errors.InvalidArgumentError, match="smaller than the 40 x 32"):
        session.run(prepared, {image: image_of(30, 40)})
