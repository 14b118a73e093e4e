"""Order and augmentation as functions of seed and step, from folders, TFRecords and arrays."""

import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.errors import SlimResnetError
from slim_resnet.images import vgg
from slim_resnet.images.preparation import preprocess
from slim_resnet.training import data as training_data
from slim_resnet.training.options import TrainingOptions, check
from tests.helpers import pictures

tf1 = tf.compat.v1

SIZE, BATCH = 16, 4
OPTIONS = TrainingOptions(steps=10, model="resnet_v2", blocks=((1, 1),), image_size=SIZE,
                          preprocessing="inception", batch_size=BATCH, augmentation="none", seed=3)
CLASSES = ("ash", "birch", "cedar")


@pytest.fixture(scope="module")
def pixels():
    return np.stack([pictures.picture(i) for i in range(10)])


@pytest.fixture(scope="module")
def sources(pixels, tmp_path_factory):
    """The same ten pictures as class folders, as two TFRecord files, and as arrays."""
    folder = tmp_path_factory.mktemp("data")
    paths = [pictures.write_png(folder / "folders" / CLASSES[i % 3] / f"{i}.png", i)
             for i in range(10)]
    (folder / "records").mkdir()
    for shard in range(2):
        with tf.io.TFRecordWriter(str(folder / "records" / f"x-0000{shard}-of-00002")) as writer:
            for i in range(shard * 5, shard * 5 + 5):
                writer.write(record(open(paths[i], "rb").read(), i % 3))
    (folder / "records" / "labels.txt").write_text("0:ash\n1:birch\n2:cedar\n")
    np.savez(folder / "x.npz", images=pixels, labels=np.arange(10) % 3, classes=CLASSES)
    return {"folders": [folder / "folders"], "records": [folder / "records"],
            "npz": [str(folder / "x.npz")]}


def record(encoded, label):
    return tf.train.Example(features=tf.train.Features(feature={
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
        "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    })).SerializeToString()


def batches(data, first=0, count=5, options=OPTIONS, **task):
    """Returns ``count`` batches as ``(images, labels)``, arrays ``[count, batch, ...]``."""
    with tf.Graph().as_default(), tf1.Session() as session:
        batch = training_data.Input(training_data.open_data(data), options, **task)
        assert batch.images.shape.as_list() == [options.batch_size, SIZE, SIZE, 3]
        batch.start(session, first)
        return tuple(map(np.stack, zip(*(session.run([batch.images, batch.labels])
                                         for _ in range(count)))))


def which(prepared, pixels):
    """Returns the number of the picture that each prepared image is."""
    known = np.stack([preprocess(picture, SIZE) for picture in pixels])
    flat = prepared.reshape(-1, 1, *known.shape[1:])
    distances = np.abs(flat - known).max(axis=(2, 3, 4))
    assert (distances.min(axis=1) < 1e-6).all()
    return distances.argmin(axis=1).tolist()


@pytest.mark.parametrize("kind", ["folders", "records", "npz"])
def test_every_epoch_has_every_image_once_with_its_label(kind, sources, pixels):
    source = training_data.open_data(sources[kind])
    assert (tuple(source.classes), source.num_images) == (CLASSES, 10)
    prepared, labels = batches(sources[kind])
    numbers = which(prepared, pixels)
    assert sorted(numbers[:10]) == sorted(numbers[10:]) == list(range(10))
    assert numbers[:10] != numbers[10:] and numbers[:10] != list(range(10))
    assert labels.ravel().tolist() == [number % 3 for number in numbers]


# Each kind once in a fast run; the rest of the pairs is slow, all of Inception too.
@pytest.mark.parametrize("kind, augmentation", [
    ("folders", "flip"), ("records", "none"), ("npz", "none"),
    *(pytest.param(kind, augmentation, marks=pytest.mark.slow) for kind, augmentation in [
        ("folders", "inception"), ("records", "inception"), ("npz", "flip"),
        ("npz", "inception")])])
def test_going_on_at_a_step_gives_what_would_have_come(kind, augmentation, sources):
    options = dataclasses.replace(OPTIONS, augmentation=augmentation)
    straight, labels = batches(sources[kind], options=options)
    # Step 2 begins within the first epoch, step 3 within the second.
    for first in (2, 3):
        later, later_labels = batches(sources[kind], first, 5 - first, options)
        np.testing.assert_array_equal(later, straight[first:])
        np.testing.assert_array_equal(later_labels, labels[first:])


# Folders have the order that arrays have.
@pytest.mark.parametrize("kind", ["records", "npz"])
def test_other_seeds_give_other_orders(kind, sources, pixels):
    first, second = (which(batches(sources[kind], options=dataclasses.replace(
        OPTIONS, seed=seed))[0], pixels)[:10] for seed in (3, 4))
    assert first != second


@pytest.mark.parametrize("kind, augmentation", [
    ("npz", "none"), pytest.param("records", "inception", marks=pytest.mark.slow)])
def test_tasks_share_what_one_would_have(kind, augmentation, sources):
    options = dataclasses.replace(OPTIONS, augmentation=augmentation)
    together, _ = batches(sources[kind], options=dataclasses.replace(options, batch_size=8))
    parts = [batches(sources[kind], options=options, task=task, num_tasks=2)[0]
             for task in range(2)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), together)


def test_arrays_at_once_are_arrays_one_by_one(sources, pixels):
    """Batches of arrays are prepared together; files of the same pictures one at a time."""
    prepared, _ = batches(sources["npz"])
    expected = np.stack([preprocess(pixels[k], SIZE) for k in which(prepared, pixels)])
    np.testing.assert_allclose(prepared.reshape(expected.shape), expected, atol=1e-6)


def test_flip_mirrors_about_half_of_the_images(sources, pixels):
    options = dataclasses.replace(OPTIONS, augmentation="flip")
    flipped, _ = batches(sources["npz"], count=15, options=options)
    plain, _ = batches(sources["npz"], count=15)
    same = np.isclose(flipped, plain).all(axis=(2, 3, 4))
    mirrored = np.isclose(flipped, plain[:, :, :, ::-1]).all(axis=(2, 3, 4))
    assert (same ^ mirrored).all() and 15 < same.sum() < 45


def test_inception_crops_and_colours_differ_from_image_to_image_and_epoch_to_epoch(sources):
    options = dataclasses.replace(OPTIONS, augmentation="inception")
    prepared, _ = batches(sources["npz"], count=10, options=options)
    prepared = prepared.reshape(40, SIZE, SIZE, 3)
    assert prepared.min() >= -1 and prepared.max() <= 1
    assert len(np.unique(prepared, axis=0)) == 40
    raw, _ = batches(sources["npz"], count=10, options=dataclasses.replace(
        options, preprocessing="none"))
    np.testing.assert_allclose(raw.reshape(prepared.shape), (prepared + 1) / 2 * 255, atol=1e-3)


def test_floats_and_grey_arrays(pixels, tmp_path):
    grey = pixels[:, :, :, 0]
    np.savez(tmp_path / "uint8.npz", images=grey, labels=np.arange(10) % 2)
    np.savez(tmp_path / "float.npz", images=grey / np.float32(255), labels=np.arange(10) % 2)
    np.savez(tmp_path / "rgb.npz", images=np.repeat(grey[..., np.newaxis], 3, axis=-1),
             labels=np.arange(10) % 2)
    expected = batches([str(tmp_path / "rgb.npz")])[0]
    for name in ("uint8", "float"):
        np.testing.assert_array_equal(batches([str(tmp_path / f"{name}.npz")])[0], expected)
    assert training_data.open_data([str(tmp_path / "float.npz")]).classes == ["0", "1"]


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("arrays, said", [
    ({"labels": [0]}, "has no array images"),
    ({"images": np.zeros([2, 4, 4, 2], np.uint8), "labels": [0, 1]}, r"shape \[2, 4, 4, 2\]"),
    ({"images": np.zeros([2, 4, 4], np.uint8), "labels": [0]}, "must be 2 whole numbers"),
    ({"images": np.zeros([2, 4, 4], np.uint8), "labels": [0, -1]}, "must be 2 whole numbers"),
    ({"images": np.zeros([2, 4, 4], np.uint8), "labels": [0., 1.]}, "must be 2 whole numbers"),
    ({"images": np.full([2, 4, 4], 2.0), "labels": [0, 1]}, "between 0 and 1; they go from 2.0"),
    ({"images": np.full([2, 4, 4], np.nan), "labels": [0, 1]}, "between 0 and 1"),
    ({"images": np.zeros([2, 4, 4], np.int32), "labels": [0, 1]}, "images are int32"),
    ({"images": np.zeros([0, 4, 4], np.uint8), "labels": np.zeros(0, int)}, r"shape \[0, 4, 4\]"),
    ({"images": np.zeros([2, 4, 4], np.uint8), "labels": [0, 5], "classes": ["a", "b"]},
     "2 classes, and labels up to 5"),
])
def test_arrays_that_are_none(arrays, said, tmp_path):
    with pytest.raises(SlimResnetError, match=said) as error:
        training_data.open_data([save(str(tmp_path / "x.npz"), **arrays)])
    assert str(error.value).startswith(str(tmp_path / "x.npz")) and "\n" not in str(error.value)


def test_other_data_that_is_none(tmp_path, sources):
    def problem(*data):
        with pytest.raises(SlimResnetError) as error:
            training_data.open_data([str(path) for path in data])
        assert "\n" not in str(error.value)
        return str(error.value)

    (tmp_path / "not.npz").write_bytes(b"no zip")
    assert "is damaged or no .npz file" in problem(tmp_path / "not.npz")
    assert "give it alone" in problem(tmp_path / "not.npz", sources["npz"][0])
    assert "no such file or folder" in problem(tmp_path / "missing")
    (tmp_path / "one" / "a").mkdir(parents=True)
    assert "has 1 class folders" in problem(tmp_path / "one")
    pictures.write_png(tmp_path / "one" / "b" / "0.png", 0)
    assert problem(tmp_path / "one").startswith(f"{tmp_path / 'one' / 'a'}: holds no image")
    cut = tmp_path / "x.tfrecord"
    cut.write_bytes((sources["records"][0] / "x-00000-of-00002").read_bytes()[:-5])
    assert "is damaged or no TFRecord file, at record 4" in problem(cut)
    with tf.io.TFRecordWriter(str(cut)) as writer:
        writer.write(b"\xffno example")
    assert "not in slim's format" in problem(cut)
    with tf.io.TFRecordWriter(str(cut)) as writer:
        writer.write(record(b"", -1))
    assert "has the label -1" in problem(cut)
    (tmp_path / "labels.txt").write_text("0:only\n")
    with tf.io.TFRecordWriter(str(cut)) as writer:
        writer.write(record(b"", 1))
    assert "has 1 labels, and" in problem(cut)


@pytest.mark.parametrize("kind", ["folders", "records"])
def test_the_first_unreadable_image_of_a_step_is_found(kind, tmp_path):
    good = open(pictures.write_png(tmp_path / "x.png", 0), "rb").read()
    if kind == "folders":
        for i in range(8):
            path = tmp_path / "data" / CLASSES[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(good if i != 5 else good[:90])
        name = str(tmp_path / "data" / "birch" / "5.png")
    else:
        (tmp_path / "data").mkdir()
        with tf.io.TFRecordWriter(str(tmp_path / "data" / "x.tfrecord")) as writer:
            for i in range(8):
                writer.write(record(good if i != 5 else good[:90], i % 2))
        name = str(tmp_path / "data" / "x.tfrecord") + ", record 5"
    with tf.Graph().as_default():
        batch = training_data.Input(training_data.open_data([tmp_path / "data"]), OPTIONS)
    found = [batch.unreadable(step) for step in (0, 1)]
    assert collections.Counter(map(bool, found)) == {True: 1, False: 1}
    (where, cause), = filter(None, found)
    assert where == name and cause.startswith("Invalid PNG data")


VGG = dataclasses.replace(OPTIONS, preprocessing="vgg", resize_side=20, mean=(1.0, 2.0, 3.0))


def windows(picture, sides):
    """Yields every window that vgg's augmentation may take, mirrored ones too."""
    for side in sides:
        resized = vgg.resize_shorter_side(picture, side).numpy()
        for top in range(resized.shape[0] - SIZE + 1):
            for left in range(resized.shape[1] - SIZE + 1):
                window = resized[top:top + SIZE, left:left + SIZE] - [1, 2, 3]
                yield window
                yield window[:, ::-1]


def test_vgg_takes_windows_at_random_sides(sources, pixels):
    options = dataclasses.replace(VGG, augmentation="vgg")
    prepared, _ = batches(sources["npz"], count=10, options=options)
    again, _ = batches(sources["npz"], first=4, count=6, options=options)
    np.testing.assert_array_equal(again, prepared[4:])
    prepared = prepared.reshape(-1, SIZE, SIZE, 3)
    assert len(np.unique(prepared, axis=0)) == len(prepared)
    possible = np.stack(list(windows(pixels[0], range(20, 41))))
    distances = np.abs(prepared[:, np.newaxis, 0, 0] - possible[np.newaxis, :, 0, 0]).max(-1)
    found = sum(any(np.abs(possible[k] - image).max() < 1e-3 for k in np.flatnonzero(near < 1e-3))
                for image, near in zip(prepared, distances))
    # Every tenth image is this picture.
    assert found == 4


def test_vgg_without_augmentation_is_as_for_evaluation(sources, pixels):
    prepared, _ = batches(sources["npz"], options=VGG)
    known = np.stack([preprocess(picture, SIZE, VGG.prepared) for picture in pixels])
    for image in prepared.reshape(-1, SIZE, SIZE, 3):
        assert np.abs(known - image).max(axis=(1, 2, 3)).min() < 1e-3


def test_vgg_brings_its_own_augmentation():
    assert TrainingOptions(steps=1, preprocessing="vgg").augmentation == "vgg"
    assert TrainingOptions(steps=1, preprocessing="none").augmentation == "inception"
    # Until the network says how its images are prepared.
    assert TrainingOptions(steps=1).augmentation is None


@pytest.mark.parametrize("changes, said", [
    (dict(preprocessing="vgg", image_size=299), "--image-size 299: is more than the 256"),
    (dict(augmentation="vgg", image_size=299), "--augmentation vgg: crops 299"),
    (dict(mean=(1.0, 2.0, 3.0)), "--mean: is what vgg subtracts"),
    (dict(preprocessing="vgg", mean=(1.0,)), "vgg subtracts 1 numbers"),
    (dict(preprocessing="caffe"), "no preprocessing 'caffe'"),
])
def test_preparations_that_do_not_go_together(changes, said):
    with pytest.raises(SlimResnetError, match=said):
        check(dataclasses.replace(OPTIONS, **changes))


def test_labels_that_count_from_1(sources, pixels, tmp_path):
    path = pictures.write_records(tmp_path / "a.tfrecord", [
        pictures.record(tf.io.encode_png(pixels[k]).numpy(), k % 3 + 1) for k in range(9)])
    source = training_data.open_data([path], labels_offset=1)
    assert source.classes == ["0", "1", "2"]
    (tmp_path / "labels.txt").write_text("1:ash\n2:birch\n3:cedar\n")
    source = training_data.open_data([path], labels_offset=1)
    assert source.classes == list(CLASSES)
    with pytest.raises(SlimResnetError, match="--labels-offset 1 makes 1 the first class"):
        training_data.open_data([path])
    with tf.Graph().as_default(), tf1.Session() as session:
        batch = training_data.Input(source, OPTIONS)
        batch.start(session, 0)
        images, labels = session.run([batch.images, batch.labels])
    assert labels.tolist() == [k % 3 for k in which(images, pixels)]
    path = pictures.write_records(tmp_path / "b.tfrecord", [
        pictures.record(tf.io.encode_png(pixels[0]).numpy(), 0)])
    with pytest.raises(SlimResnetError, match="has the label 0; classes count from 1"):
        training_data.open_data([path], labels_offset=1)
    with pytest.raises(SlimResnetError, match="class folders count from 0"):
        training_data.open_data(sources["folders"], labels_offset=1)
