"""datasets/mnist.py: 70,000 handwritten digits."""

from tf_slim.data import tfexample_decoder

from slim_resnet.tf1.research.datasets import _records

_SPLITS_TO_SIZES = {"train": 60000, "test": 10000}

get_split = _records.splits(
    _SPLITS_TO_SIZES, "mnist_%s.tfrecord", _records.image_features("raw", label_shape=[1]),
    items={"image": tfexample_decoder.Image(shape=[28, 28, 1], channels=1),
           "label": tfexample_decoder.Tensor("image/class/label", shape=[])},
    descriptions={"image": "uint8 [28, 28, 1]", "label": "the digit, from 0 to 9"},
    num_classes=10)
