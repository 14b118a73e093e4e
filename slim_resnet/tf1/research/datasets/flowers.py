"""datasets/flowers.py: 3,670 photographs of five kinds of flowers."""

from tf_slim.data import tfexample_decoder

from slim_resnet.tf1.research.datasets import _records

SPLITS_TO_SIZES = {"train": 3320, "validation": 350}


def get_split(split_name, dataset_dir, file_pattern=None, reader=None):
    """Returns a split as tf_slim's ``Dataset``, whose items are ``image`` and ``label``.

    Args:
      split_name: ``train`` or ``validation``.
      dataset_dir: Folder of ``flowers_<split>_*.tfrecord`` and ``labels.txt``.
      file_pattern: Other names of files, with ``%s`` for the split.
      reader: Reader class; None for TFRecord's.

    Raises:
      ValueError: There is no such split.
    """
    return _records.split(
        split_name, dataset_dir, file_pattern or "flowers_%s_*.tfrecord", reader,
        sizes=SPLITS_TO_SIZES, features=_records.image_features("png"),
        items={"image": tfexample_decoder.Image(),
               "label": tfexample_decoder.Tensor("image/class/label")},
        descriptions={"image": "uint8 [height, width, 3], RGB",
                      "label": "number of the class, from 0 to 4"},
        num_classes=5, labels="always")
