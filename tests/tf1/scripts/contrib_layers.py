import tensorflow as tf
from tensorflow.contrib import layers
from tensorflow.contrib.layers.python.layers import initializers, utils
from tensorflow.contrib.layers.python.layers.layers import batch_norm

regularizer = layers.l2_regularizer(0.5)
net = layers.fully_connected(tf.ones([2, 3]), 4, weights_initializer=tf.ones_initializer(),
                             weights_regularizer=regularizer)
assert layers.xavier_initializer and initializers.variance_scaling_initializer
assert batch_norm(net).shape.as_list() == [2, 4] and utils.two_element_tuple(3) == (3, 3)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    assert (sess.run(net) == 3).all()
    assert sess.run(tf.losses.get_regularization_loss()) == 0.5 * 12 / 2
