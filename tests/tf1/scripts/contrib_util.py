import tensorflow as tf
from tensorflow.contrib.util import make_ndarray, make_tensor_proto

assert make_ndarray(make_tensor_proto([1, 2])).tolist() == [1, 2]
assert tf.contrib.util.constant_value(tf.constant(3)) == 3
assert tf.contrib.staging.StagingArea and tf.contrib.summary.scalar
assert tf.contrib.deprecated.scalar_summary
