"""datasets/mnist.py: 70,000 handwritten digits."""

from tf_slim.data import tfexample_decoder

from slim_resnet.tf1.research.datasets import _records

_SPLITS_TO_SIZES = {"train": 60000, "test": 10000}


def get_split(split_name, dataset_dir, file_pattern=None, reader=None):
    """Returns a split as tf_slim's ``Dataset``, whose items are ``image`` and ``label``.

    Args:
      split_name: ``train`` or ``test``.
      dataset_dir: Folder of ``mnist_<split>.tfrecord``; ``labels.txt`` may be there.
      file_pattern: Other names of files, with ``%s`` for the split.
      reader: Reader class; None for TFRecord's.

    Raises:
      ValueError: There is no such split.
    """
    return _records.split(
        split_name, dataset_dir, file_pattern or "mnist_%s.tfrecord", reader,
        sizes=_SPLITS_TO_SIZES, features=_records.image_features("raw", label_shape=[1]),
        items={"image": tfexample_decoder.Image(shape=[28, 28, 1], channels=1),
               "label": tfexample_decoder.Tensor("image/class/label", shape=[])},
        descriptions={"image": "uint8 [28, 28, 1]",
                      "label": "the digit, from 0 to 9"},
        num_classes=10)
