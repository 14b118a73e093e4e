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
with slim.arg_scope([slim.conv2d], padding="VALID"):  # what guards it leaves it its arg scope
    assert slim.conv2d(images, 4 / 2, 3).shape.as_list() == [1, 6, 6, 2]
