import tensorflow as tf

x = tf.ones([2, 3])
with tf.name_scope("before_1_12", [x]) as name:
    assert name == "before_1_12/"
with tf.name_scope(None, "default", [x]) as name:
    assert name == "default/"
assert tf.reduce_sum(x, axis=1, keep_dims=True).shape.as_list() == [2, 1]
assert tf.reduce_sum(x, reduction_indices=[0]).shape.as_list() == [3]
assert tf.argmax(x, dimension=1).shape.as_list() == [2]
assert tf.expand_dims(x, dim=0).shape.as_list() == [1, 2, 3]
assert tf.squeeze(tf.ones([1, 2]), squeeze_dims=[0]).shape.as_list() == [2]
assert tf.__version__.startswith("1.15") and tf.VERSION == tf.__version__
assert tf.image.resize_images(tf.ones([1, 4, 4, 3]), [2, 2]).shape.as_list() == [1, 2, 2, 3]
assert not tf.executing_eagerly() and x.shape[0].value == 2
