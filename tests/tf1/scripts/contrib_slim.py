import numpy as np
import tensorflow as tf

slim = tf.contrib.slim

inputs = tf.placeholder(tf.float32, [None, 8, 8, 3])
with slim.arg_scope([slim.conv2d], activation_fn=None, biases_initializer=None,
                    weights_initializer=tf.ones_initializer()):
    net = slim.conv2d(inputs, 2, [1, 1], scope="one")
    net = slim.max_pool2d(net, [2, 2], scope="pool")
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    value = sess.run(net, {inputs: np.ones([1, 8, 8, 3])})
assert value.shape == (1, 4, 4, 2) and (value == 3).all()
assert [v.op.name for v in slim.get_model_variables()] == ["one/weights"]
assert slim.learning.train and slim.evaluation.evaluate_once and slim.tfexample_decoder.Image
