import tensorflow as tf
from tensorflow.python import pywrap_tensorflow
from tensorflow.python.client import device_lib
from tensorflow.python.framework import ops
from tensorflow.python.framework.graph_util import convert_variables_to_constants
from tensorflow.python.ops import array_ops, control_flow_ops, math_ops, variable_scope
import tensorflow.python.ops.math_ops as same

x = tf.ones([2, 3])
assert isinstance(x, ops.Tensor) and math_ops is not None and same.add is math_ops.add
assert math_ops.reduce_mean(x, 1, keep_dims=True).shape.as_list() == [2, 1]
assert array_ops.stack([x, x]).shape.as_list() == [2, 2, 3]
with tf.variable_scope("s"):
    variable_scope.variable(1.0, name="v")
frozen = control_flow_ops.cond(tf.constant(True), lambda: x, lambda: -x)
assert callable(convert_variables_to_constants) and callable(device_lib.list_local_devices)
assert callable(pywrap_tensorflow.NewCheckpointReader)
with ops.name_scope("scope", values=[x]) as name:
    assert name == "scope/"
