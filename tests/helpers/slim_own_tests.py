"""A pytest plugin for tf_slim's own test files: they lost names of TensorFlow's and numpy's too.

The files are from 2020. What is given back to them here are names that the tests themselves
ask for; tf_slim is mended by importing our package alone.
"""

import builtins
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

import slim_resnet  # noqa: F401 (mends tf_slim)
from slim_resnet.compat import slim

tf1 = tf.compat.v1

_LOST = {
    "numpy": {"object": object, "bool": bool},
    "tensorflow.python.ops.control_flow_ops": {"case": tf1.case},
    "tensorflow.python.framework.ops": {
        "IndexedSlices": tf.IndexedSlices, "Tensor": tf.Tensor},
    "tensorflow.python.ops.variables": {"VariableV1": tf1.Variable},
    "tensorflow.python.ops.variable_scope": {
        "resource_variables_enabled": tf1.resource_variables_enabled,
        "disable_resource_variables": tf1.disable_resource_variables,
        "enable_resource_variables": tf1.enable_resource_variables}}


# nose is gone from Python 3.10 on; the files take one decorator of it.
if "nose" not in sys.modules:
    sys.modules["nose"] = types.ModuleType("nose")
    sys.modules["nose.tools"] = types.ModuleType("nose.tools")
    sys.modules["nose.tools"].nottest = lambda function: function


def _int_of_one(value, *args):
    # numpy 2.4 refuses an array of one number.
    return builtins.int(value.item() if isinstance(value, np.ndarray) else value, *args)


@pytest.hookimpl
def pytest_collection_modifyitems(items):
    for module in {item.module for item in items}:
        slim.restore_lost_names(module, _LOST)
        if module.__name__.endswith(("learning_test", "evaluation_test", "training_test")):
            module.int = _int_of_one
