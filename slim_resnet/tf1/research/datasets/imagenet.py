"""datasets/imagenet.py: ILSVRC 2012, with class 0 for the background.

research/slim downloads the names of the classes where ``labels.txt`` is missing; here
there are none then, and ``labels_to_names`` is None.
"""

import tensorflow as tf
from tf_slim.data import tfexample_decoder

from slim_resnet.tf1.research.datasets import _records

_SPLITS_TO_SIZES = {"train": 1281167, "validation": 50000}
_CORNERS = ("ymin", "xmin", "ymax", "xmax")

get_split = _records.splits(
    _SPLITS_TO_SIZES, "%s-*",
    features={
        **_records.image_features("jpeg"),
        # A record without a label is not one of class 0.
        "image/class/label": tf.io.FixedLenFeature([], tf.int64, default_value=-1),
        "image/class/text": tf.io.FixedLenFeature([], tf.string, default_value=""),
        **{f"image/object/bbox/{corner}": tf.io.VarLenFeature(tf.float32)
           for corner in _CORNERS},
        "image/object/class/label": tf.io.VarLenFeature(tf.int64),
    },
    items={
        "image": tfexample_decoder.Image("image/encoded", "image/format"),
        "label": tfexample_decoder.Tensor("image/class/label"),
        "label_text": tfexample_decoder.Tensor("image/class/text"),
        "object/bbox": tfexample_decoder.BoundingBox(list(_CORNERS), "image/object/bbox/"),
        "object/label": tfexample_decoder.Tensor("image/object/class/label"),
    },
    descriptions={
        "image": "uint8 [height, width, 3], RGB",
        "label": "number of the class, from 1 to 1000; -1 where the record has none",
        "label_text": "name of the class",
        "object/bbox": "[boxes, 4]: top, left, bottom and right, from 0 to 1",
        "object/label": "number of the class of each box",
    },
    num_classes=1001)
