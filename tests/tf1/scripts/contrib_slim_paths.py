import tensorflow.contrib.slim as slim
from tensorflow.contrib import slim as same
from tensorflow.contrib.slim.nets import resnet_v2
from tensorflow.contrib.slim.python.slim.data import dataset
from tensorflow.contrib.slim.python.slim.learning import train_step
from tensorflow.contrib.slim.python.slim.nets import resnet_utils
import tensorflow.contrib.slim.python.slim.nets.resnet_v1 as resnet_v1

import tensorflow as tf

assert slim is same and tf.contrib.slim is slim
assert slim.nets.resnet_v2 is resnet_v2 and callable(train_step)
assert dataset.Dataset and resnet_v1.resnet_v1_50
with slim.arg_scope(resnet_utils.resnet_arg_scope()):
    net, end_points = resnet_v2.resnet_v2(
        tf.zeros([1, 32, 32, 3]), [resnet_v2.resnet_v2_block("block1", 1, 1, 1)], 5,
        is_training=False)
assert net.shape.as_list() == [1, 1, 1, 5]
assert "resnet_v2/block1/unit_1/bottleneck_v2" in end_points
