"""datasets/cifar10.py: 60,000 images of ten classes."""

from tf_slim.data import tfexample_decoder

from slim_resnet.tf1.research.datasets import _records

SPLITS_TO_SIZES = {"train": 50000, "test": 10000}


def get_split(split_name, dataset_dir, file_pattern=None, reader=None):
    """Returns a split as tf_slim's ``Dataset``, whose items are ``image`` and ``label``.

    Args:
      split_name: ``train`` or ``test``.
      dataset_dir: Folder of ``cifar10_<split>.tfrecord``; ``labels.txt`` may be there.
      file_pattern: Other names of files, with ``%s`` for the split.
      reader: Reader class; None for TFRecord's.

    Raises:
      ValueError: There is no such split.
    """
    return _records.split(
        split_name, dataset_dir, file_pattern or "cifar10_%s.tfrecord", reader,
        sizes=SPLITS_TO_SIZES, features=_records.image_features("png"),
        items={"image": tfexample_decoder.Image(shape=[32, 32, 3]),
               "label": tfexample_decoder.Tensor("image/class/label")},
        descriptions={"image": "uint8 [32, 32, 3], RGB",
                      "label": "number of the class, from 0 to 9"},
        num_classes=10)
