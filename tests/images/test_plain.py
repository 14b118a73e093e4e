"""Preparing and reading images without TensorFlow, against TensorFlow, to the last bit."""

import io
import zlib

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.errors import SlimResnetError
from slim_resnet.images import decoding, plain, plain_reading, preparation, reading
from slim_resnet.images.settings import MEAN, RESIZE, Preprocessing

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def picture(seed, height, width):
    """Returns a uint8 picture of smooth colours and noise."""
    rng = np.random.RandomState(seed)
    coarse = rng.randint(0, 256, (max(2, height // 9), max(2, width // 9), 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC), int)
    return np.clip(smooth + rng.randint(-20, 20, smooth.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("rule", RESIZE)
@pytest.mark.parametrize("name", ["inception", "vgg", "none"])
def test_preparation_is_tensorflows_to_the_last_bit(name, rule):
    chosen = Preprocessing(name, (1.5, 2.5, 3.5) if name == "vgg" else None, rule,
                           48 if rule == "shorter-side" else None)
    rng = np.random.RandomState(0)
    sizes = [(1, 1), (7, 301), (32, 32), (47, 48), *rng.randint(2, 200, (8, 2))]
    for seed, size in enumerate(sizes):
        image = picture(seed, *size)
        np.testing.assert_array_equal(plain.prepare(image, 32, chosen),
                                      preparation.preprocess(image, 32, chosen), err_msg=str(size))


def test_pixels_are_tensorflows_to_the_last_bit():
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    for name in ("inception", "vgg", "none"):
        scaled = preparation.preparation(Preprocessing(name)).scale(
            tf.image.convert_image_dtype(pixels, tf.float32))
        got = plain.values_of(pixels, name)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, scaled, atol=2e-5)
    np.testing.assert_array_equal(
        plain.values_of(pixels, "inception"),
        (pixels.astype(np.float32) * np.float32(1 / 255) - np.float32(0.5)) * np.float32(2))
    np.testing.assert_array_equal(plain.values_of(pixels, "vgg")[0, 0, 5],
                                  np.float32(5) - np.asarray(MEAN, np.float32))


def test_a_crop_that_is_not_there_is_refused():
    with pytest.raises(SlimResnetError, match="is more than the 48 that the shorter side"):
        plain.prepare(picture(0, 60, 60), 50, Preprocessing("none", None, "shorter-side", 48))


def encoded(seed, kind, mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(picture(seed, 37 + seed, 50)).convert(mode).save(file, kind, **options)
    return file.getvalue()


def read(tmp_path, contents, max_pixels=10 ** 6):
    path = tmp_path / "image"
    path.write_bytes(contents)
    return plain_reading.decode(str(path), max_pixels)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_is_decoded_as_tensorflow_does(tmp_path, subsampling, progressive, mode):
    pytest.importorskip("simplejpeg", reason="simplejpeg is not installed")
    for seed, quality in enumerate((10, 60, 95)):
        contents = encoded(seed, "JPEG", mode, quality=quality, subsampling=subsampling,
                           progressive=progressive)
        pixels = read(tmp_path, contents)
        np.testing.assert_array_equal(pixels, decoding.decode(contents))
        # Pillow's own decoder is not the same.
        with Image.open(io.BytesIO(contents)) as image:
            assert (np.asarray(image.convert("RGB")) != pixels).any()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "LA"])
def test_png_is_decoded_as_tensorflow_does(tmp_path, mode):
    contents = encoded(1, "PNG", mode)
    np.testing.assert_array_equal(read(tmp_path, contents), decoding.decode(contents))


def test_what_is_left_to_tensorflow(tmp_path, monkeypatch):
    png, jpeg = encoded(0, "PNG"), encoded(0, "JPEG")
    assert read(tmp_path, png) is not None
    for contents in (b"", b"text", png[:-30], png[:60] + b"\0" + png[61:], jpeg[:-200],
                     encoded(0, "JPEG", "CMYK"), encoded(0, "GIF", "P"), encoded(0, "BMP"),
                     encoded(0, "PNG", "1")):
        assert read(tmp_path, contents) is None
    # libpng checks the last chunk, which Pillow does not read.
    assert zlib.crc32(png[-8:-4]) and read(tmp_path, png[:-1] + b"\0") is None
    assert read(tmp_path, png, 100) is None and read(tmp_path, jpeg, 100) is None
    sixteen = tf.io.encode_png(np.zeros([3, 4, 3], np.uint16)).numpy()
    assert read(tmp_path, sixteen) is None
    assert plain_reading.decode(str(tmp_path), 100) is None
    monkeypatch.setitem(__import__("sys").modules, "simplejpeg", None)
    assert read(tmp_path, jpeg) is None


def batches(read, paths, **options):
    found = list(read(paths, 32, Preprocessing(), 2, **options))
    return [(batch.names, batch.causes, batch.labels) for batch in found], np.concatenate(
        [batch.images for batch in found])


def test_batches_are_those_of_tensorflow(tmp_path):
    paths = []
    for number in range(5):
        paths.append(str(tmp_path / f"{number}.png"))
        (tmp_path / f"{number}.png").write_bytes(encoded(number, "PNG"))
    (tmp_path / "3.png").write_bytes(b"damaged")
    expected, images = batches(reading.read_images, paths)
    got, own = batches(plain_reading.read_images, paths)
    assert got == expected and expected[1][1][1] is not None
    np.testing.assert_array_equal(own, images)


def test_many_files_are_tensorflows(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_reading, "MOST_FILES", 1)
    monkeypatch.setattr(plain_reading, "decode", None)
    paths = []
    for number in range(2):
        paths.append(str(tmp_path / f"{number}.png"))
        (tmp_path / f"{number}.png").write_bytes(encoded(number, "PNG"))
    assert batches(plain_reading.read_images, paths)[1].shape == (2, 32, 32, 3)
