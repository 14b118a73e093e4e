import tensorflow as tf
from tensorflow.contrib.framework import arg_scope, add_arg_scope, nest
from tensorflow.contrib.framework.python.ops import arg_scope as function
from tensorflow.contrib.framework.python.ops.arg_scope import add_arg_scope as same
from tensorflow.contrib.framework.python.ops.variables import model_variable

framework = tf.contrib.framework


@add_arg_scope
def scaled(x, factor=1):
    return x * factor


with arg_scope([scaled], factor=3):
    assert scaled(2) == 6
assert function is arg_scope and same is add_arg_scope
step = framework.get_or_create_global_step()
model_variable("v", shape=[2], initializer=tf.ones_initializer())
assert [v.op.name for v in framework.get_model_variables()] == ["v"]
assert nest.flatten([1, [2]]) == [1, 2] and step.op.name == "global_step"
assert framework.is_tensor(tf.constant(1)) and not framework.is_tensor(1)
assert framework.get_variables_to_restore(exclude=["global_step"])[0].op.name == "v"
