"""What research/slim's four data sets have in common."""

import os

import numpy as np
import tensorflow as tf
from tf_slim.data.dataset import Dataset
from tf_slim.data.tfexample_decoder import TFExampleDecoder

from slim_resnet.tf1.research.datasets import dataset_utils

tf1 = tf.compat.v1


def split(split_name, dataset_dir, file_pattern, reader, *, sizes, features, items, descriptions,
          num_classes, labels="if there"):
    """Returns a split of a data set as tf_slim's ``Dataset``.

    Args:
      split_name: A key of ``sizes``.
      dataset_dir: Folder of its TFRecord files.
      file_pattern: Their names, with ``%s`` for the split.
      reader: Reader class; None for TFRecord's.
      sizes: Images of each split.
      features: How the records are parsed.
      items: What is made of the features, tf_slim's item handlers by name.
      descriptions: What the items are.
      num_classes: Number of classes.
      labels: Whether ``labels.txt`` is read ``always`` or ``if there``.

    Raises:
      ValueError: There is no such split.
    """
    if split_name not in sizes:
        raise ValueError(f"split name {split_name} was not recognized.")
    names = None
    if labels == "always" or dataset_utils.has_labels(dataset_dir):
        names = dataset_utils.read_label_file(dataset_dir)
    return Dataset(
        data_sources=os.path.join(dataset_dir, file_pattern % split_name),
        reader=reader or tf1.TFRecordReader,
        decoder=TFExampleDecoder(features, items),
        num_samples=sizes[split_name], items_to_descriptions=descriptions,
        num_classes=num_classes, labels_to_names=names)


def image_features(image_format, label_shape=()):
    """Returns how the features that all four have are parsed.

    Args:
      image_format: The format of an image that names none.
      label_shape: Shape of the label in the record.
    """
    return {
        "image/encoded": tf.io.FixedLenFeature((), tf.string, default_value=""),
        "image/format": tf.io.FixedLenFeature((), tf.string, default_value=image_format),
        "image/class/label": tf.io.FixedLenFeature(
            label_shape, tf.int64, default_value=np.zeros(label_shape, np.int64)),
    }
