import tensorflow as tf
from tensorflow.python.keras.layers import Dense
from tensorflow.python.layers import convolutional
import keras
from keras import backend as K
from keras.layers.core import Flatten

images = tf.placeholder(tf.float32, [None, 4, 4, 1])
net = tf.layers.conv2d(images, 2, 3, kernel_initializer=tf.ones_initializer())
net = tf.layers.batch_normalization(net, training=False)
net = tf.layers.dense(tf.layers.flatten(net), 3, name="last")
assert [v.op.name for v in tf.global_variables()][:2] == ["conv2d/kernel", "conv2d/bias"]
assert tf.trainable_variables("last")[0].op.name == "last/kernel"
assert tf.compat.v1.layers.conv2d is tf.layers.conv2d
assert tf.compat.v1.nn.rnn_cell.GRUCell is tf.nn.rnn_cell.GRUCell
assert convolutional.Conv2D and Dense is tf.keras.layers.Dense
model = keras.models.Sequential([Flatten(input_shape=(2, 2)), Dense(1)])
assert model.output_shape == (None, 1)
assert K.get_session().graph is tf.get_default_graph()
