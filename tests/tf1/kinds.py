"""Small TensorFlow 1 programs, one for each kind; each prints its last word when it worked."""

PLAIN = '''
import tensorflow as tf

x = tf.placeholder(tf.float32, [2])
with tf.Session() as session:
    print("sum", session.run(tf.reduce_sum(x), {x: [1, 2]}))
'''

SLIM_ATTRIBUTE = '''
import numpy as np
import tensorflow as tf

slim = tf.contrib.slim


def network(images):
    with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm):
        net = slim.conv2d(images, 4, [3, 3], scope="conv")  # the only one
    return slim.fully_connected(slim.flatten(net), 2, activation_fn=None)


logits = network(tf.zeros([2, 4, 4, 3]))
tf.losses.softmax_cross_entropy([[0, 1], [1, 0]], logits)
train_op = slim.learning.create_train_op(
    slim.losses.get_total_loss(), tf.train.GradientDescentOptimizer(0.1))
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    print("loss", np.round(session.run(train_op), 4))
'''

NETS = '''
import tensorflow as tf
import tensorflow.contrib.slim as slim
from tensorflow.contrib.slim.nets import resnet_v1, resnet_v2
from tensorflow.contrib.slim.python.slim.nets import resnet_utils

blocks = [resnet_utils.Block("block1", resnet_v2.bottleneck,
                             [{"depth": 4, "depth_bottleneck": 1, "stride": 2}])]
with slim.arg_scope(resnet_v2.resnet_arg_scope()):
    net, end_points = resnet_v2.resnet_v2(tf.zeros([2, 32, 32, 3]), blocks, 5)
assert resnet_v1.resnet_v1_50
print("logits", net.shape.as_list())
'''

CONTRIB_PATHS = '''
import tensorflow as tf
from tensorflow.contrib.framework import add_arg_scope
from tensorflow.contrib.framework.python.ops import arg_scope
from tensorflow.contrib.layers.python.layers import initializers, utils
from tensorflow.contrib import layers


@add_arg_scope
def scale(x, by=1.0):
    return by * x


with arg_scope([scale], by=3.0):
    y = scale(tf.ones([2]))
w = tf.get_variable("w", [2], initializer=tf.contrib.layers.xavier_initializer(),
                    regularizer=layers.l2_regularizer(0.1))
assert initializers.variance_scaling_initializer and utils.collect_named_outputs
with tf.Session() as session:
    print("scaled", session.run(y).tolist())
'''

FLAGS = '''
import tensorflow as tf

flags = tf.app.flags
flags.DEFINE_string("log_dir", "here", "Where to.")
flags.DEFINE_integer("steps", 3, "How many.")
FLAGS = flags.FLAGS


def main(_):
    print("flags", FLAGS.log_dir, FLAGS.steps)


if __name__ == "__main__":
    tf.app.run()
'''

LAYERS = '''
import tensorflow as tf

net = tf.layers.conv2d(tf.ones([1, 4, 4, 1]), 2, 3, padding="same",
                       kernel_initializer=tf.ones_initializer())
net = tf.layers.dense(tf.layers.flatten(net), 1, kernel_initializer=tf.ones_initializer())
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    print("dense", session.run(net).tolist())
'''

CELLS = '''
import tensorflow as tf
from tensorflow.contrib import rnn

cell = tf.nn.rnn_cell.MultiRNNCell([rnn.BasicLSTMCell(3), tf.contrib.rnn.GRUCell(2)])
outputs, state = tf.nn.dynamic_rnn(cell, tf.zeros([2, 5, 4]), dtype=tf.float32)
print("outputs", outputs.shape.as_list())
'''

PYTHON_OPS = '''
import tensorflow as tf
from tensorflow.python.ops import array_ops, control_flow_ops, math_ops
from tensorflow.python.framework import ops
from tensorflow.python.ops.math_ops import reduce_sum

mean = math_ops.reduce_mean(array_ops.ones([2, 3]), 1, keep_dims=True)
total = control_flow_ops.with_dependencies([mean], reduce_sum(mean, keep_dims=True))
assert isinstance(ops.convert_to_tensor(1.0), tf.Tensor)
with tf.Session() as session:
    print("total", session.run(total).tolist())
'''

HPARAMS = '''
import tensorflow as tf
from tensorflow.contrib.training import HParams

hparams = HParams(rate=0.1, sizes=[1, 2])
hparams.parse("rate=0.5")
other = tf.contrib.training.HParams(depth=3)
print("hparams", hparams.rate, hparams.sizes, other.depth)
'''

NEIGHBOURS = '''
import numpy as np
import tensorflow as tf

values = np.zeros([2], dtype=np.float)
for i in xrange(2):
    values[i] = np.product([i, 3])
with tf.Session() as session:
    print("values", session.run(tf.constant(values)).tolist())
'''

RESEARCH = '''
import tensorflow as tf
from nets import nets_factory
from preprocessing import preprocessing_factory

network_fn = nets_factory.get_network_fn("resnet_v1_50", 3, is_training=False)
prepare = preprocessing_factory.get_preprocessing("resnet_v1_50")
image = prepare(tf.zeros([300, 300, 3], tf.uint8), 224, 224)
print("prepared", image.shape.as_list(), network_fn.default_image_size)
'''

IN_FUNCTIONS = '''
import sys


def build():
    import tensorflow as tf; from tensorflow.contrib import slim
    return tf, slim.flatten(tf.ones([2, 2, 2]))


tf, net = build()
if sys.argv: import tensorflow.contrib.layers as layers
with tf.Session() as session:
    print("flat", session.run(net).tolist(), layers.flatten is not None)
'''

OLD_NAME_SCOPE = '''
import tensorflow as tf

with tf.name_scope("scope", [tf.ones([])]):
    x = tf.identity(2.0)
with tf.Session() as session:
    print(x.op.name, session.run(x))
'''

NEVER_CALLED = '''
import tensorflow as tf
from tensorflow.contrib import crf, seq2seq
from tensorflow.contrib.slim import conv2d


def decode(scores):
    return crf.viterbi_decode(scores, None), tf.contrib.seq2seq.BasicDecoder


print("net", conv2d(tf.zeros([1, 4, 4, 1]), 2, [3, 3]).shape.as_list())
'''

SAVING = '''
import os
import tempfile

import tensorflow as tf
from tensorflow.python import pywrap_tensorflow
from tensorflow.python.framework import graph_util

v = tf.get_variable("v", initializer=[1.0, 2.0])
out = tf.identity(v, name="out")
with tf.Session() as session, tempfile.TemporaryDirectory() as folder:
    session.run(tf.global_variables_initializer())
    path = tf.train.Saver().save(session, os.path.join(folder, "model"))
    reader = pywrap_tensorflow.NewCheckpointReader(path)
    frozen = graph_util.convert_variables_to_constants(
        session, session.graph_def, ["out"])
    print("saved", reader.get_tensor("v").tolist(), len(frozen.node) > 1)
'''

SUMMARIES = '''
import tempfile

import tensorflow as tf

tf.logging.set_verbosity(tf.logging.ERROR)
loss = tf.Variable(1.5) * 2
tf.summary.scalar("loss", loss)
step = tf.train.get_or_create_global_step()
train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, global_step=step)
with tempfile.TemporaryDirectory() as folder:
    with tf.train.MonitoredTrainingSession(checkpoint_dir=folder) as session:
        session.run(train)
        print("step", session.run(step))
'''

IMAGES = '''
import numpy as np
import tensorflow as tf

image = tf.constant(np.arange(4.0).reshape(1, 2, 2, 1), tf.float32)
turned = tf.contrib.image.rotate(image, np.pi)
sized = tf.image.resize_images(image, [4, 4])
with tf.Session() as session:
    print("turned", session.run(turned).ravel().tolist(), sized.shape.as_list())
'''

# Program: what it prints.
KINDS = {
    "plain": (PLAIN, "sum 3.0"),
    "slim as an attribute": (SLIM_ATTRIBUTE, "loss 0."),
    "slim's networks": (NETS, "logits [2, 1, 1, 5]"),
    "contrib's python paths": (CONTRIB_PATHS, "scaled [3.0, 3.0]"),
    "flags": (FLAGS, "flags here 3"),
    "tf.layers": (LAYERS, "dense [["),
    "rnn cells": (CELLS, "outputs [2, 5, 2]"),
    "tensorflow.python": (PYTHON_OPS, "total [[2.0]]"),
    "HParams": (HPARAMS, "hparams 0.5 [1, 2] 3"),
    "old numpy and Python 2 names": (NEIGHBOURS, "values [0.0, 3.0]"),
    "research/slim": (RESEARCH, "prepared [224, 224, 3] 224"),
    "imports in functions": (IN_FUNCTIONS, "flat [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]"),
    "name_scope before 1.13": (OLD_NAME_SCOPE, "scope/Identity 2.0"),
    "names never called": (NEVER_CALLED, "net [1, 4, 4, 2]"),
    "checkpoints and frozen graphs": (SAVING, "saved [1.0, 2.0] True"),
    "monitored sessions": (SUMMARIES, "step 1"),
    "contrib.image": (IMAGES, "turned [3.0, 2.0, 1.0, 0.0] [1, 4, 4, 1]"),
}
