"""datasets/dataset_utils.py: records and label files, as research/slim writes and reads them."""

import os
import tarfile
import urllib.request

import tensorflow as tf

tf1 = tf.compat.v1

LABELS_FILENAME = "labels.txt"


def int64_feature(values):
    """Returns a ``tf.train.Feature`` of one int or of a list of them."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=_listed(values)))


def float_feature(values):
    """Returns a ``tf.train.Feature`` of one float or of a list of them."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=_listed(values)))


def bytes_feature(values):
    """Returns a ``tf.train.Feature`` of one byte string."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[values]))


def bytes_list_feature(values):
    """Returns a ``tf.train.Feature`` of a list of byte strings."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def float_list_feature(values):
    """Returns a ``tf.train.Feature`` of a list of floats."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _listed(values):
    return values if isinstance(values, (tuple, list)) else [values]


def image_to_tfexample(image_data, image_format, height, width, class_id):
    """Returns the ``tf.train.Example`` of an encoded image.

    Args:
      image_data: Bytes of the image file.
      image_format: ``b"jpg"`` or ``b"png"``.
      height: Of the image, in pixels.
      width: Of the image, in pixels.
      class_id: Number of its class.
    """
    return tf.train.Example(features=tf.train.Features(feature={
        "image/encoded": bytes_feature(image_data),
        "image/format": bytes_feature(image_format),
        "image/class/label": int64_feature(class_id),
        "image/height": int64_feature(height),
        "image/width": int64_feature(width),
    }))


def download_and_uncompress_tarball(tarball_url, dataset_dir):
    """Downloads a ``.tar.gz`` archive into a folder and unpacks it there.

    Args:
      tarball_url: Its address.
      dataset_dir: The folder.
    """
    path = os.path.join(dataset_dir, tarball_url.split("/")[-1])
    urllib.request.urlretrieve(tarball_url, path)
    with tarfile.open(path, "r:gz") as archive:
        # Nothing outside the folder, whatever the archive says.
        archive.extractall(dataset_dir, filter="data")


def write_label_file(labels_to_class_names, dataset_dir, filename=LABELS_FILENAME):
    """Writes the names of classes, ``number:name`` a line.

    Args:
      labels_to_class_names: A dict of names by number.
      dataset_dir: The folder.
      filename: The file in it.
    """
    with tf1.gfile.Open(os.path.join(dataset_dir, filename), "w") as file:
        for label, name in labels_to_class_names.items():
            file.write(f"{label:d}:{name}\n")


def has_labels(dataset_dir, filename=LABELS_FILENAME):
    """Returns whether a folder has a file of names of classes."""
    return tf1.gfile.Exists(os.path.join(dataset_dir, filename))


def read_label_file(dataset_dir, filename=LABELS_FILENAME):
    """Returns the dict that `write_label_file` wrote."""
    with tf1.gfile.Open(os.path.join(dataset_dir, filename), "rb") as file:
        lines = file.read().decode().split("\n")
    numbers_and_names = (line.split(":", 1) for line in lines if line)
    return {int(number): name for number, name in numbers_and_names}


def open_sharded_output_tfrecords(exit_stack, base_path, num_shards):
    """Opens the TFRecord files ``base_path-00000-of-NNNNN`` and so on for writing.

    Args:
      exit_stack: A ``contextlib.ExitStack`` that closes them.
      base_path: What their names begin with.
      num_shards: Their number.

    Returns:
      A list of ``TFRecordWriter``.
    """
    return [exit_stack.enter_context(
        tf.io.TFRecordWriter(f"{base_path}-{shard:05d}-of-{num_shards:05d}"))
        for shard in range(num_shards)]
