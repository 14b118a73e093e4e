"""Decoding image files: every format against known pixels."""

import os

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.images import decoding

DATA = os.path.join(os.path.dirname(__file__), "..", "data", "images")


def pattern(height=12, width=16):
    """The picture that the files in tests/data/images hold."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 15, y * 20, (x + y) * 9], -1).astype(np.uint8)


def contents_of(name):
    with open(os.path.join(DATA, name), "rb") as file:
        return file.read()


def decode(contents):
    image = decoding.decode(contents)
    assert image.dtype == tf.uint8
    return image.numpy().astype(int)


def random_image(seed, height=40, width=56):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3), np.uint8)


def test_jpeg_is_decoded_as_slim_decoded_it():
    contents = tf.io.encode_jpeg(random_image(0))
    np.testing.assert_array_equal(decode(contents), tf.io.decode_jpeg(contents, channels=3))


def test_grey_jpeg_has_three_equal_channels():
    contents = tf.io.encode_jpeg(random_image(10)[..., :1])
    grey = tf.io.decode_jpeg(contents, channels=1)
    np.testing.assert_array_equal(decode(contents), np.repeat(grey, 3, -1))


@pytest.mark.parametrize("name", ["cmyk.jpg", "progressive.jpg"])
def test_jpeg_kinds(name):
    assert np.abs(decode(contents_of(name)) - pattern()).mean() < 6


def test_exif_orientation_is_not_applied():
    # The file asks for a turn by 90 degrees.
    image = decode(contents_of("rotated_by_exif.jpg"))
    assert image.shape == (12, 16, 3)
    assert np.abs(image - pattern()).mean() < 6


def test_png_grey_alpha_and_16_bits():
    rgb = random_image(1)
    alpha = np.concatenate([rgb, np.zeros_like(rgb[..., :1])], -1)
    np.testing.assert_array_equal(decode(tf.io.encode_png(rgb)), rgb)
    np.testing.assert_array_equal(decode(tf.io.encode_png(alpha)), rgb)
    np.testing.assert_array_equal(decode(tf.io.encode_png(rgb[..., :1])),
                                  np.repeat(rgb[..., :1], 3, -1))
    sixteen = (rgb.astype(np.uint16) << 8) | 0x7f
    np.testing.assert_array_equal(decode(tf.io.encode_png(sixteen)), rgb)


def test_gif_gives_its_first_frame():
    image = decode(contents_of("two_frames.gif"))
    assert image.shape == (8, 10, 3)
    np.testing.assert_allclose(image, np.broadcast_to([200, 30, 40], image.shape), atol=2)


@pytest.mark.parametrize("name", ["rgb.bmp", "alpha.bmp"])
def test_bmp_of_24_and_32_bits(name):
    np.testing.assert_array_equal(decode(contents_of(name)), pattern())


def test_bmp_with_a_palette_has_the_palette_s_colours():
    contents = contents_of("palette.bmp")
    image = decode(contents)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 16
    assert np.abs(image - pattern()).mean() < 16
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        np.testing.assert_array_equal(session.run(decoding.decode(contents)), image)


@pytest.mark.parametrize("name", ["one_bit.bmp", "compressed"])
def test_bmp_that_tensorflow_would_misread_is_refused(name):
    contents = contents_of("palette.bmp" if name == "compressed" else name)
    if name == "compressed":
        contents = contents[:30] + b"\1" + contents[31:]
    with pytest.raises(tf.errors.InvalidArgumentError):
        decoding.decode(contents)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(decoding.decode(contents))
