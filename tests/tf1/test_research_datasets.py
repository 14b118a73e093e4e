"""research/slim's data sets: written with its own helpers, read through tf_slim's provider."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet.tf1.research.datasets import dataset_factory, dataset_utils

tf1 = tf.compat.v1


def image_of(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def write(path, examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())


def read(dataset, items):
    """Returns the first element of a tf_slim ``Dataset``."""
    with tf.Graph().as_default(), tf1.Session() as session:
        provider = slim.dataset_data_provider.DatasetDataProvider(
            dataset, shuffle=False, num_readers=1)
        tensors = provider.get(items)
        session.run([tf1.global_variables_initializer(), tf1.local_variables_initializer()])
        coordinator = tf1.train.Coordinator()
        threads = tf1.train.start_queue_runners(session, coordinator)
        try:
            return session.run(tensors)
        finally:
            coordinator.request_stop()
            coordinator.join(threads)


@pytest.mark.parametrize("name, split, file, shape, size, classes", [
    ("flowers", "validation", "flowers_validation_00000-of-00001.tfrecord", (6, 5, 3), 350, 5),
    ("cifar10", "train", "cifar10_train.tfrecord", (32, 32, 3), 50000, 10),
    ("imagenet", "train", "train-00000-of-00001", (7, 9, 3), 1281167, 1001),
    ("mnist", "test", "mnist_test.tfrecord", (28, 28, 1), 10000, 10),
])
def test_records_are_read_back(name, split, file, shape, size, classes, tmp_path):
    image = image_of(*shape)
    encoded = tf.io.encode_png(image).numpy()
    write(tmp_path / file,
          [dataset_utils.image_to_tfexample(encoded, b"png", *shape[:2], class_id=3)])
    dataset_utils.write_label_file({0: "a", 3: "b: c"}, tmp_path)
    dataset = dataset_factory.get_dataset(name, split, str(tmp_path))
    assert dataset.num_samples == size
    assert dataset.num_classes == classes
    assert dataset.labels_to_names == {0: "a", 3: "b: c"}
    assert set(dataset.items_to_descriptions) >= {"image", "label"}
    pixels, label = read(dataset, ["image", "label"])
    np.testing.assert_array_equal(pixels, image)
    assert label == 3 and label.shape == ()


def test_mnist_records_are_raw_unless_they_say_otherwise(tmp_path):
    image = image_of(28, 28, 1)
    example = dataset_utils.image_to_tfexample(image.tobytes(), b"raw", 28, 28, 8)
    write(tmp_path / "mnist_test.tfrecord", [example])
    dataset = dataset_factory.get_dataset("mnist", "test", str(tmp_path))
    assert dataset.labels_to_names is None
    pixels, label = read(dataset, ["image", "label"])
    np.testing.assert_array_equal(pixels, image)
    assert label == 8


def test_imagenet_has_boxes_and_names(tmp_path):
    example = dataset_utils.image_to_tfexample(
        tf.io.encode_png(image_of(4, 4)).numpy(), b"png", 4, 4, 1)
    for corner, value in zip(("ymin", "xmin", "ymax", "xmax"), (0.1, 0.2, 0.5, 0.75)):
        example.features.feature[f"image/object/bbox/{corner}"].float_list.value.append(value)
    example.features.feature["image/object/class/label"].int64_list.value.append(1)
    example.features.feature["image/class/text"].bytes_list.value.append(b"tench")
    write(tmp_path / "validation-00000-of-00001", [example])
    dataset = dataset_factory.get_dataset("imagenet", "validation", str(tmp_path))
    box, text, labels = read(dataset, ["object/bbox", "label_text", "object/label"])
    np.testing.assert_allclose(box, [[0.1, 0.2, 0.5, 0.75]])
    assert text == b"tench"
    np.testing.assert_array_equal(labels, [1])


def test_an_imagenet_record_without_a_label_is_of_no_class(tmp_path):
    example = dataset_utils.image_to_tfexample(
        tf.io.encode_png(image_of(4, 4)).numpy(), b"png", 4, 4, 1)
    del example.features.feature["image/class/label"]
    write(tmp_path / "train-0", [example])
    dataset = dataset_factory.get_dataset("imagenet", "train", str(tmp_path))
    assert read(dataset, ["label"]) == [-1]


def test_flowers_need_their_labels(tmp_path):
    with pytest.raises(tf.errors.NotFoundError, match="labels.txt"):
        dataset_factory.get_dataset("flowers", "train", str(tmp_path))


def test_unknown_data_sets_and_splits_are_said(tmp_path):
    with pytest.raises(ValueError, match="unknown cifar100"):
        dataset_factory.get_dataset("cifar100", "train", str(tmp_path))
    with pytest.raises(ValueError, match="split name test"):
        dataset_factory.get_dataset("imagenet", "test", str(tmp_path))


def test_other_file_names(tmp_path):
    dataset = dataset_factory.get_dataset("cifar10", "test", str(tmp_path), "mine-%s-?",
                                          tf1.TextLineReader)
    assert dataset.data_sources == str(tmp_path / "mine-test-?")
    assert dataset.reader is tf1.TextLineReader


def test_features_of_lists_and_single_values():
    assert dataset_utils.int64_feature(3).int64_list.value == [3]
    assert dataset_utils.int64_feature((3, 4)).int64_list.value == [3, 4]
    assert dataset_utils.float_feature(0.5).float_list.value == [0.5]
    assert dataset_utils.float_list_feature([0.5, 2]).float_list.value == [0.5, 2]
    assert dataset_utils.bytes_feature(b"ab").bytes_list.value == [b"ab"]
    assert dataset_utils.bytes_list_feature([b"a", b"b"]).bytes_list.value == [b"a", b"b"]


def test_label_files_have_a_line_for_each_class(tmp_path):
    assert not dataset_utils.has_labels(str(tmp_path))
    dataset_utils.write_label_file({0: "daisy", 1: "Löwenzahn"}, str(tmp_path))
    assert dataset_utils.has_labels(str(tmp_path))
    assert (tmp_path / "labels.txt").read_text("utf-8") == "0:daisy\n1:Löwenzahn\n"
    assert dataset_utils.read_label_file(str(tmp_path)) == {0: "daisy", 1: "Löwenzahn"}


def test_sharded_files_are_named_by_their_number(tmp_path):
    with contextlib.ExitStack() as stack:
        writers = dataset_utils.open_sharded_output_tfrecords(stack, str(tmp_path / "x"), 2)
        for writer in writers:
            writer.write(b"record")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "x-00000-of-00002", "x-00001-of-00002"]
