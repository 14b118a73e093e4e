import tensorflow as tf

slim = tf.contrib.slim
images = tf.zeros([1, 8, 8, 3])


def refused(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except TypeError as error:
        assert "not a whole number" in str(error) and "2.5" in str(error), error
    else:
        raise AssertionError(function)


refused(tf.zeros, [5 / 2, 3])
refused(tf.constant, 1.0, shape=[5 / 2])
refused(slim.conv2d, images, 5 / 2, 3)
refused(slim.separable_conv2d, images, 5 / 2, 3, 1)
refused(tf.layers.conv2d, images, 5 / 2, 3)
refused(tf.layers.dense, images, units=5 / 2)
refused(tf.nn.max_pool, images, [1, 5 / 2, 1, 1], [1, 1, 1, 1], "SAME")
refused(tf.nn.conv2d, images, tf.zeros([1, 1, 3, 3]), strides=[1, 5 / 2, 1, 1], padding="SAME")
refused(tf.space_to_depth, images, 5 / 2)
for cell in (tf.nn.rnn_cell.GRUCell, tf.contrib.rnn.BasicLSTMCell, tf.contrib.rnn.BasicRNNCell):
    refused(cell, 5 / 2)
refused(tf.nn.rnn_cell.LSTMCell, 4, num_proj=5 / 2)
half = tf.contrib.rnn.LSTMCell(2)
assert isinstance(half, tf.nn.rnn_cell.LSTMCell)
assert tf.nn.dynamic_rnn(half, tf.zeros([1, 5, 3]), dtype=tf.float32)[0].shape[2] == 2
assert half.weights[0].name == "rnn/lstm_cell/kernel:0", half.weights
with slim.arg_scope([slim.conv2d], padding="VALID"):  # what guards it leaves it its arg scope
    assert slim.conv2d(images, 4 / 2, 3).shape.as_list() == [1, 6, 6, 2]
