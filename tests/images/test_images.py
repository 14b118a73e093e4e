"""Reading images: formats against known pixels, preprocessing against numpy."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.errors import SlimResnetError
from slim_resnet.images import reading

DATA = os.path.join(os.path.dirname(__file__), "..", "data", "images")


def pattern(height=12, width=16):
    """The picture that the files in tests/data/images hold."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 15, y * 20, (x + y) * 9], -1).astype(np.uint8)


def contents_of(name):
    with open(os.path.join(DATA, name), "rb") as file:
        return file.read()


def decode(contents):
    image = reading.decode(contents)
    assert image.dtype == tf.uint8
    return image.numpy().astype(int)


def write(path, contents):
    path.write_bytes(contents if isinstance(contents, bytes) else contents.numpy())
    return str(path)


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
        np.testing.assert_array_equal(session.run(reading.decode(contents)), image)


@pytest.mark.parametrize("name", ["one_bit.bmp", "compressed"])
def test_bmp_that_tensorflow_would_misread_is_refused(name):
    contents = contents_of("palette.bmp" if name == "compressed" else name)
    if name == "compressed":
        contents = contents[:30] + b"\1" + contents[31:]
    with pytest.raises(tf.errors.InvalidArgumentError):
        reading.decode(contents)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(reading.decode(contents))


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
    actual = reading.preprocess(image, size)
    assert actual.dtype == tf.float32
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_preprocessing_is_exact_where_nothing_is_resized():
    image = random_image(3, 32, 32)
    expected = (image[2:30, 2:30] * np.float32(1 / 255) - np.float32(0.5)) * np.float32(2)
    np.testing.assert_array_equal(reading.preprocess(image, 28), expected)


def test_preprocessing_none_only_resizes():
    image = random_image(4)
    np.testing.assert_allclose(reading.preprocess(image, 23, "none"),
                               bilinear(image.astype(np.float64), 23), atol=1e-3)
    np.testing.assert_array_equal(reading.preprocess(image[:, :40], 40, "none"), image[:, :40])


def test_unknown_preprocessing_is_named():
    with pytest.raises(SlimResnetError, match="no preprocessing 'vgg'.*inception, none"):
        reading.preprocess(random_image(5), 10, "vgg")


def test_find_images(tmp_path):
    for name in ("b.JPG", "a.png", "sub/c.gif", "notes.txt", ".hidden.png", ".git/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = reading.find_images([tmp_path / "notes.txt", tmp_path])
    assert [os.path.relpath(path, tmp_path) for path in found] == [
        "notes.txt", "a.png", "b.JPG", "sub/c.gif"]


def test_find_images_names_what_is_missing(tmp_path):
    with pytest.raises(SlimResnetError, match="nowhere.png: no such file"):
        reading.find_images([tmp_path / "nowhere.png"])
    with pytest.raises(SlimResnetError, match=f"{tmp_path}: holds no image"):
        reading.find_images([tmp_path])


def test_reading_keeps_order_and_goes_on_behind_unreadable_files(tmp_path):
    paths, expected = [], []
    for i in range(40):
        picture = np.full((64 if i % 5 else 600, 64, 3), i, np.uint8)
        paths.append(write(tmp_path / f"{i}.png", tf.io.encode_png(picture)))
        expected.append(i)
    jpeg = tf.io.encode_jpeg(random_image(6)).numpy()
    broken = {3: jpeg[:len(jpeg) // 2], 4: b"", 17: b"just words", 39: jpeg[:20]}
    for i, contents in broken.items():
        write(tmp_path / f"{i}.png", contents)
    os.remove(paths[20])

    batches = list(reading.read_images(paths, 8, "none", batch_size=6, labels=range(40)))
    assert [name for batch in batches for name in batch.names] == paths
    assert [len(batch.names) for batch in batches] == [6] * 6 + [4]
    causes = sum((batch.causes for batch in batches), [])
    assert [i for i, cause in enumerate(causes) if cause] == [3, 4, 17, 20, 39]
    for k, batch in enumerate(batches):
        readable = [i for i in range(6 * k, min(6 * k + 6, 40)) if not causes[i]]
        assert batch.images.dtype == np.float32 and batch.images.shape[1:] == (8, 8, 3)
        np.testing.assert_array_equal(batch.images[:, 7, 7, 2], readable)
        assert batch.labels == list(range(6 * k, min(6 * k + 6, 40)))
    assert causes[4] == "Input is empty."
    assert causes[17].startswith("Unknown image file format")
    assert "No such file" in causes[20]
    assert not any("\n" in cause for cause in causes if cause)


def test_names_that_are_not_utf_8(tmp_path):
    good, bad = (os.fsdecode(os.fsencode(tmp_path) + name) for name in (b"/\xff.png", b"/\xfe.png"))
    with open(good, "wb") as file:
        file.write(tf.io.encode_png(random_image(11)).numpy())
    batch, = reading.read_images([good, bad], 8)
    assert batch.names == [good, bad] and len(batch.images) == 1
    assert batch.causes[0] is None and "No such file" in batch.causes[1]


def test_shards_are_whole_batches_and_complete(tmp_path):
    paths = [write(tmp_path / f"{i}.png", tf.io.encode_png(np.full((2, 2, 3), i, np.uint8)))
             for i in range(11)]

    def read(shard, skip=0):
        return [(batch.names, batch.images[:, 0, 0, 0].tolist()) for batch in
                reading.read_images(paths, 2, "none", 2, shard=shard, skip=skip)]

    whole = read((0, 1))
    assert whole == [(paths[i:i + 2], list(range(i, min(i + 2, 11)))) for i in range(0, 11, 2)]
    assert [read((index, 4)) for index in range(4)] == [whole[index::4] for index in range(4)]
    assert read((1, 2), skip=2) == whole[5:] and read((0, 2), skip=3) == []


def test_what_can_be_read_at_the_second_attempt_is_taken():
    attempts = []

    def flaky(number):
        attempts.append(int(number))
        if attempts.count(1) == 1 and number == b"1":
            raise OSError("the network hangs")
        return np.full((2, 2, 3), int(number), np.float32)

    def prepare(number):
        return tf.numpy_function(flaky, [number], tf.float32), tf.strings.to_number(number)

    def elements():
        return tf.data.Dataset.from_tensor_slices(["0", "1", "2"]).enumerate()

    (_, pictures, causes, labels), = reading.run_batches(elements, prepare, 2, 3)
    assert sorted(attempts) == [0, 1, 1, 2] and causes == [None] * 3
    assert pictures[:, 0, 0, 0].tolist() == labels.tolist() == [0, 1, 2]


def test_load_images(tmp_path):
    pictures = [random_image(7), random_image(8)]
    paths = [write(tmp_path / f"{i}.png", tf.io.encode_png(p)) for i, p in enumerate(pictures)]
    loaded = reading.load_images(paths, 20)
    assert loaded.dtype == np.float32 and loaded.shape == (2, 20, 20, 3)
    np.testing.assert_array_equal(loaded, [reading.preprocess(p, 20) for p in pictures])
    with tf.Graph().as_default():
        np.testing.assert_array_equal(reading.load_images(paths, 20), loaded)
    write(tmp_path / "1.png", b"")
    with pytest.raises(SlimResnetError, match=r"1\.png: cannot be read: Input is empty"):
        reading.load_images(paths, 20)
    with pytest.raises(SlimResnetError, match="no image"):
        reading.load_images([], 20)


def test_load_images_with_eager_execution_off(tmp_path):
    path = write(tmp_path / "a.png", tf.io.encode_png(random_image(9)))
    script = ("import sys, tensorflow.compat.v1 as tf; tf.disable_v2_behavior()\n"
              "from slim_resnet import images\n"
              "sys.stdout.write(repr(float(images.load_images([sys.argv[1]], 20).sum())))")
    result = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True,
                            check=True, timeout=300)
    assert float(result.stdout) == float(reading.load_images([path], 20).sum())
