"""datasets/cifar10.py: 60,000 images of ten classes."""

from tf_slim.data import tfexample_decoder

from slim_resnet.tf1.research.datasets import _records

SPLITS_TO_SIZES = {"train": 50000, "test": 10000}

get_split = _records.splits(
    SPLITS_TO_SIZES, "cifar10_%s.tfrecord", _records.image_features("png"),
    items={"image": tfexample_decoder.Image(shape=[32, 32, 3]),
           "label": tfexample_decoder.Tensor("image/class/label")},
    descriptions={"image": "uint8 [32, 32, 3], RGB",
                  "label": "number of the class, from 0 to 9"},
    num_classes=10)
