"""datasets/dataset_factory.py: data sets by name."""

from slim_resnet.tf1.research.datasets import cifar10, flowers, imagenet, mnist

datasets_map = {"cifar10": cifar10, "flowers": flowers, "imagenet": imagenet, "mnist": mnist}


def get_dataset(name, split_name, dataset_dir, file_pattern=None, reader=None):
    """Returns a split of a data set as tf_slim's ``Dataset``.

    Args:
      name: A key of `datasets_map`.
      split_name: Name of the split.
      dataset_dir: Folder of its files.
      file_pattern: Other names of files, with ``%s`` for the split.
      reader: Reader class; None for TFRecord's.

    Raises:
      ValueError: There is no such data set, or no such split of it.
    """
    if name not in datasets_map:
        raise ValueError(f"Name of dataset unknown {name}")
    return datasets_map[name].get_split(split_name, dataset_dir, file_pattern, reader)
