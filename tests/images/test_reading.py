"""Finding and reading images: in order, whole, and going on behind unreadable ones."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.errors import SlimResnetError
from slim_resnet.images import display, finding, preparation, reading, sources


def write(path, contents):
    path.write_bytes(contents if isinstance(contents, bytes) else contents.numpy())
    return str(path)


def random_image(seed, height=40, width=56):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3), np.uint8)


def test_find_images(tmp_path):
    for name in ("b.JPG", "a.png", "sub/c.gif", "notes.txt", ".hidden.png", ".git/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = finding.find_images([tmp_path / "notes.txt", tmp_path])
    assert [os.path.relpath(path, tmp_path) for path in found] == [
        "notes.txt", "a.png", "b.JPG", "sub/c.gif"]


def test_find_images_names_what_is_missing(tmp_path):
    with pytest.raises(SlimResnetError, match="nowhere.png: no such file"):
        finding.find_images([tmp_path / "nowhere.png"])
    with pytest.raises(SlimResnetError, match=f"{tmp_path}: holds no image"):
        finding.find_images([tmp_path])


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
        assert batch.labels == [None if causes[i] else i for i in range(6 * k, min(6 * k + 6, 40))]
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


@pytest.mark.slow
def test_whole_batches_are_skipped(tmp_path):
    paths = [write(tmp_path / f"{i}.png", tf.io.encode_png(np.full((2, 2, 3), i, np.uint8)))
             for i in range(11)]

    def read(skip=0):
        return [(batch.names, batch.images[:, 0, 0, 0].tolist()) for batch in
                reading.read_images(paths, 2, "none", 2, skip=skip)]

    whole = read()
    assert whole == [(paths[i:i + 2], list(range(i, min(i + 2, 11)))) for i in range(0, 11, 2)]
    assert read(skip=2) == whole[2:] and read(skip=6) == []


def test_a_reader_reads_one_source_after_the_other(tmp_path):
    """A graph that was built for the first is fed the files of the others, however many."""
    paths = [write(tmp_path / f"{i}.png", tf.io.encode_png(np.full((2, 2, 3), i, np.uint8)))
             for i in range(5)]
    (tmp_path / "3.png").write_bytes(b"no image")
    with contextlib.closing(reading.Reader(sources.ImageFiles(paths[:1]), 2, "none", 2)) as reader:
        def read(files, labels=None, skip=0):
            return [(batch.names, batch.images[:, 0, 0, 0].tolist(), batch.labels,
                     [cause is None for cause in batch.causes])
                    for batch in reader.batches(sources.ImageFiles(files, labels), skip)]

        assert read(paths[:1]) == [(paths[:1], [0], [None], [True])]
        assert read(paths[1:], [7, 8, 9, 5]) == [
            (paths[1:3], [1, 2], [7, 8], [True] * 2),
            (paths[3:], [4], [None, 5], [False, True])]
        assert read(paths[2:], skip=1) == [(paths[4:], [4], [None], [True])]


def test_what_can_be_read_at_the_second_attempt_is_taken():
    attempts = []

    def flaky(number):
        attempts.append(int(number))
        if attempts.count(1) == 1 and number == 1:
            raise OSError("the network hangs")
        return np.full((2, 2, 3), int(number), np.float32)

    class Flaky(sources.ImageFiles):
        def open(self, channels, max_pixels):
            def read(number):
                image = tf.numpy_function(flaky, [number], tf.float32)
                return tf.ensure_shape(image, [2, 2, 3]), number

            return sources.Opened(lambda numbers: numbers, read, lambda number: number,
                                  lambda source: {})

    batch, = reading.read_source(Flaky(["a", "b", "c"], [0, 1, 2]), 2, "none", 3)
    assert sorted(attempts) == [0, 1, 1, 2] and batch.causes == [None] * 3
    assert batch.images[:, 0, 0, 0].tolist() == batch.labels == [0, 1, 2]


def test_load_images(tmp_path):
    pictures = [random_image(7), random_image(8)]
    paths = [write(tmp_path / f"{i}.png", tf.io.encode_png(p)) for i, p in enumerate(pictures)]
    loaded = reading.load_images(paths, 20)
    assert loaded.dtype == np.float32 and loaded.shape == (2, 20, 20, 3)
    np.testing.assert_array_equal(loaded, [preparation.preprocess(p, 20) for p in pictures])
    with tf.Graph().as_default():
        np.testing.assert_array_equal(reading.load_images(paths, 20), loaded)
    write(tmp_path / "1.png", b"")
    with pytest.raises(SlimResnetError, match=r"1\.png: cannot be read: Input is empty"):
        reading.load_images(paths, 20)
    with pytest.raises(SlimResnetError, match="no image"):
        reading.load_images([], 20)


@pytest.mark.slow
def test_load_images_with_eager_execution_off(tmp_path):
    path = write(tmp_path / "a.png", tf.io.encode_png(random_image(9)))
    script = ("import sys, tensorflow.compat.v1 as tf; tf.disable_v2_behavior()\n"
              "from slim_resnet import images\n"
              "sys.stdout.write(repr(float(images.load_images([sys.argv[1]], 20).sum())))")
    result = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True,
                            check=True, timeout=300)
    assert float(result.stdout) == float(reading.load_images([path], 20).sum())


def test_the_callers_default_graph_stays(tmp_path):
    """Batches are generated, and between two of them the caller builds graphs of its own."""
    path = write(tmp_path / "a.png", tf.io.encode_png(random_image(7)))
    with tf.Graph().as_default() as graph:
        for made in (reading.read_images([path, path], 16, batch_size=1),
                     display.read_displayed([path, path], 16)):
            next(made)
            assert tf.compat.v1.get_default_graph() is graph
        assert tf.compat.v1.get_default_session() is None
