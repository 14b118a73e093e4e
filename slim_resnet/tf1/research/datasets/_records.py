"""What research/slim's four data sets have in common."""

import os

import numpy as np
import tensorflow as tf
from tf_slim.data.dataset import Dataset
from tf_slim.data.tfexample_decoder import TFExampleDecoder

from slim_resnet.tf1.research.datasets import dataset_utils

tf1 = tf.compat.v1


def splits(sizes, files, features, items, descriptions, num_classes, labels="if there"):
    """Returns the ``get_split`` of a data set.

    Args:
      sizes: Images of each split, by its name.
      files: Names of the TFRecord files, with ``%s`` for the split.
      features: How the records are parsed.
      items: What is made of the features, tf_slim's item handlers by name.
      descriptions: What the items are.
      num_classes: Number of classes.
      labels: Whether ``labels.txt`` is read ``always`` or ``if there``.
    """
    def get_split(split_name, dataset_dir, file_pattern=None, reader=None):
        """Returns a split as tf_slim's ``Dataset``; its ``items_to_descriptions`` say what it has.

        Args:
          split_name: Name of the split.
          dataset_dir: Folder of its TFRecord files and perhaps ``labels.txt``.
          file_pattern: Other names of files, with ``%s`` for the split.
          reader: Reader class; None for TFRecord's.

        Raises:
          ValueError: There is no such split.
        """
        if split_name not in sizes:
            raise ValueError(f"split name {split_name} was not recognized.")
        names = None
        if labels == "always" or dataset_utils.has_labels(dataset_dir):
            names = dataset_utils.read_label_file(dataset_dir)
        return Dataset(
            data_sources=os.path.join(dataset_dir, (file_pattern or files) % split_name),
            reader=reader or tf1.TFRecordReader,
            decoder=TFExampleDecoder(features, items),
            num_samples=sizes[split_name], items_to_descriptions=descriptions,
            num_classes=num_classes, labels_to_names=names)

    return get_split


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
