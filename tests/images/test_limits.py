"""What is refused before it is opened, decoded or held in memory."""

import io
import os
import struct
import threading
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.errors import SlimResnetError
from slim_resnet.images import (
    decoding,
    find_data,
    finding,
    labels,
    npz,
    read_source,
    reading,
    records,
)
from slim_resnet.images.display import read_displayed
from slim_resnet.images.gif import frame_sizes
from slim_resnet.images.settings import MAX_PIXELS, Preprocessing, most_bytes
from slim_resnet.images.sources import Records
from tests.helpers import damage, pictures
from tests.images.test_decoding import DATA

BOUND = Preprocessing("none", max_pixels=40 * 48)


def causes_of(paths, preprocessing="none"):
    read, = reading.read_images(paths, 8, preprocessing, len(paths))
    shown = [image.cause for image in read_displayed(paths, 8, preprocessing)]
    assert [bool(cause) for cause in shown] == [bool(cause) for cause in read.causes]
    return read.causes


@pytest.fixture
def irregular(tmp_path):
    """A pipe, a device through a link, and a folder: nothing of it may be opened."""
    os.mkfifo(tmp_path / "pipe.png")
    os.symlink("/dev/zero", tmp_path / "device.png")
    os.mkdir(tmp_path / "folder.png")
    return [str(tmp_path / f"{name}.png") for name in ("pipe", "device", "folder")]


@pytest.fixture(autouse=True)
def not_for_ever():
    """Feeds a pipe that somebody opened after all, so that the test fails and does not hang."""
    yield
    assert threading.active_count() < 200


def test_only_regular_files_are_opened(irregular, tmp_path):
    good = pictures.write_png(tmp_path / "good.png", 0)
    os.symlink(good, tmp_path / "link.png")
    causes = causes_of([*irregular, good, str(tmp_path / "link.png")])
    assert causes == ["is not a regular file"] * 3 + [None] * 2


def test_data_of_other_kinds_is_not_opened_either(irregular, tmp_path):
    os.mkfifo(tmp_path / "data.npz")
    for path in (irregular[0], irregular[1], tmp_path / "data.npz"):
        with pytest.raises(SlimResnetError, match="not a regular file"):
            find_data([path], 10)
        with pytest.raises(SlimResnetError, match="not a regular file"):
            labels.read_labels(path)


def png_of(height, width):
    """Returns a PNG that says it has some size and has nothing behind."""
    contents = bytearray(tf.io.encode_png(np.zeros([2, 2, 3], np.uint8)).numpy())
    contents[16:24] = struct.pack(">II", width, height)
    return bytes(contents)


def jpeg_of(height, width):
    contents = bytearray(tf.io.encode_jpeg(np.zeros([2, 2, 3], np.uint8)).numpy())
    at = contents.index(b"\xff\xc0") + 5
    contents[at:at + 4] = struct.pack(">HH", height, width)
    return bytes(contents)


def gif_of(height, width):
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(40)


def bmp_of(height, width):
    return b"BM" + bytes(16) + struct.pack("<ii", width, height) + bytes(40)


@pytest.mark.parametrize("made", [png_of, jpeg_of, gif_of, bmp_of])
def test_pixels_are_counted_before_they_are_decoded(made, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(made(60000, 50000))
    assert causes_of([str(path)]) == [
        f"the image has 60000 x 50000 pixels, more than {MAX_PIXELS} in all; --max-pixels takes "
        "more"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="60000 x 50000 pixels, more than"):
        decoding.decode(made(60000, 50000))


def test_frames_of_a_gif_are_counted_and_not_only_its_screen(tmp_path):
    with open(os.path.join(DATA, "two_frames.gif"), "rb") as file:
        contents = file.read()
    assert [int(value) for value in frame_sizes(tf.constant(contents))] == [8, 10, 160]
    second = contents.rindex(b"\x2c\0\0\0\0\x0a\0\x08\0")
    large = contents[:second + 5] + struct.pack("<HH", 50000, 60000) + contents[second + 9:]
    path = tmp_path / "large.gif"
    path.write_bytes(large)
    assert "60000 x 50000 pixels" in causes_of([str(path)])[0]


def test_rows_from_the_top_count_as_many(tmp_path):
    path = tmp_path / "large.bmp"
    path.write_bytes(bmp_of(-60000, 50000))
    assert "60000 x 50000 pixels" in causes_of([str(path)])[0]


@pytest.mark.slow
def test_the_bound_is_what_is_asked_for(tmp_path):
    good = pictures.write_png(tmp_path / "a.png", 0)
    large = tmp_path / "b.png"
    large.write_bytes(tf.io.encode_png(np.zeros([41, 48, 3], np.uint8)).numpy())
    assert causes_of([good, str(large)], BOUND)[0] is None
    assert "41 x 48 pixels, more than 1920" in causes_of([good, str(large)], BOUND)[1]
    assert causes_of([str(large)]) == [None]
    path = pictures.write_records(tmp_path / "a.tfrecord", [
        pictures.record(large.read_bytes(), 0)])
    batch, = read_source(find_data([path], 10), 8, BOUND)
    assert "41 x 48 pixels" in batch.causes[0]


def test_bytes_are_bounded(tmp_path):
    path = tmp_path / "large.png"
    with open(path, "wb") as file:
        file.truncate(most_bytes(BOUND.max_pixels) + 1)
    assert "bytes, and" in causes_of([str(path)], BOUND)[0]


@pytest.mark.parametrize("length", [1 << 40, 1 << 62, (1 << 64) - 1])
def test_a_record_is_not_believed_how_long_it_is(length, tmp_path):
    # TensorFlow takes the memory for it, and the process ends.
    path = tmp_path / "a.tfrecord"
    payload = pictures.record(tf.io.encode_png(damage.image_of(0)).numpy(), 1)
    path.write_bytes(damage.record_of(payload) + damage.record_of(payload, length))
    assert f"record 1: it says that it has {length} bytes" in records.fault_of(str(path), 1 << 30)
    for read in (lambda: list(read_source(find_data([path], 10), 8)),
                 lambda: Records([str(path)]).counted()):
        with pytest.raises(SlimResnetError, match=f"a.tfrecord: .*record 1: .*{length} bytes"):
            read()


def test_labels_that_are_no_classes_are_one_line(tmp_path):
    image = tf.io.encode_png(damage.image_of(0)).numpy()
    for label in (2 ** 40, 2 ** 63 - 1, -1):
        path = pictures.write_records(tmp_path / "a.tfrecord", [pictures.record(image, label)])
        with pytest.raises(SlimResnetError, match=f"has the label {label}"):
            Records([path]).counted()
        np.savez(tmp_path / "a.npz", images=np.zeros([1, 4, 4], np.uint8), labels=[label])
        with pytest.raises(SlimResnetError, match="label"):
            npz.read_arrays(str(tmp_path / "a.npz"))


def npz_of(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, contents in members.items():
            file.writestr(f"{name}.npy", contents)
    return str(path)


def npy(array, shape=None):
    made = io.BytesIO()
    np.lib.format.write_array_header_1_0(made, {
        "descr": array.dtype.str, "fortran_order": False, "shape": shape or array.shape})
    return made.getvalue() + array.tobytes()


def test_an_array_is_not_believed_how_large_it_is(tmp_path):
    images, numbers = np.zeros([2, 4, 4], np.uint8), np.zeros([2], np.int64)
    path = npz_of(tmp_path / "a.npz", images=npy(images, (1 << 30, 1 << 20, 4)),
                  labels=npy(numbers))
    with pytest.raises(SlimResnetError, match="images says that it has the shape"):
        npz.read_arrays(path)


def test_pixels_of_arrays_are_bounded(tmp_path):
    path = npz_of(tmp_path / "a.npz", images=npy(np.zeros([1, 41, 48], np.uint8)),
                  labels=npy(np.zeros([1], np.int64)))
    with pytest.raises(SlimResnetError, match="41 x 48 pixels, more than 1920 in all"):
        find_data([path], 10, max_pixels=1920)
    assert find_data([path], 10).num_images == 1


def test_damaged_names_of_arrays_are_found(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=np.zeros([1, 4, 4], np.uint8), labels=[0], classes=["cat"])
    contents = path.read_bytes()
    # In the directory at the end, and before the array.
    for at in (contents.rindex(b"classes.npy"), contents.index(b"classes.npy")):
        path.write_bytes(contents[:at] + b"k" + contents[at + 1:])
        with pytest.raises(SlimResnetError, match="is damaged or no .npz file"):
            npz.read_arrays(str(path))


def test_every_flipped_bit_of_an_npz_is_one_line_or_harmless(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3), labels=[0],
                        classes=["cat"])
    contents = path.read_bytes()
    refused = 0
    for bit in range(0, 8 * len(contents), 3):
        damaged = bytearray(contents)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            pixels, numbers, classes = npz.read_arrays(str(path))
        except SlimResnetError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert pixels.ravel().tolist() == list(range(48)) and numbers.tolist() == [0]
            assert classes == ["cat"]
    assert refused > len(contents)


def test_finding_names_no_device_in_a_folder(irregular, tmp_path):
    # They are found by name, and refused when they are to be read.
    assert set(irregular[:2]) <= set(finding.find_images([tmp_path]))
