"""datasets/flowers.py: 3,670 photographs of five kinds of flowers."""

from tf_slim.data import tfexample_decoder

from slim_resnet.tf1.research.datasets import _records

SPLITS_TO_SIZES = {"train": 3320, "validation": 350}

get_split = _records.splits(
    SPLITS_TO_SIZES, "flowers_%s_*.tfrecord", _records.image_features("png"),
    items={"image": tfexample_decoder.Image(),
           "label": tfexample_decoder.Tensor("image/class/label")},
    descriptions={"image": "uint8 [height, width, 3], RGB",
                  "label": "number of the class, from 0 to 4"},
    num_classes=5, labels="always")
