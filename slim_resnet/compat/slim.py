"""tf-slim, mended.

tf-slim 1.1.0 (2020) is the newest release and fails on every TensorFlow since
2.13. Importing this module mends it, by rebinding names inside ``tf_slim``'s
own modules; TensorFlow itself is left as it is. Mended are:

* names that tf-slim asks of TensorFlow modules which have lost them, ``ops.Tensor``
  first of all;
* ``slim.batch_norm``, which goes through a Keras layer that TensorFlow no longer
  ships: `batch_norm` has one that does the same;
* ``slim.conv2d``, which on the way through the legacy Keras layer takes half of
  the time that building a deep network takes;
* the ``layer.apply`` deprecation warning that every pooling and dense layer prints.

Everything keeps its op names, variables and collections: see
``tests/compat/``, which compares whole GraphDefs, values and gradients with those of an
untouched tf-slim. Not mended is ``slim.batch_norm(is_training=None)``, which asked Keras
for its learning phase: it says so.
"""

import contextlib
import functools
import inspect
import sys
import types

import tensorflow as tf
from tf_slim.layers import layers as slim_layers
from tf_slim.layers import utils as slim_utils

from slim_resnet.compat.batch_norm import BatchNormalization
from slim_resnet.compat.convolution import Convolution2DChooser

tf1 = tf.compat.v1

collect_named_outputs = slim_utils.collect_named_outputs
convert_collection_to_dict = slim_utils.convert_collection_to_dict
last_dimension = slim_utils.last_dimension


class _Overlay(types.ModuleType):
    """A module seen through a few names of our own.

    Args:
      module: The module whose attributes show through.
      wrap: Called as ``wrap(value)`` on every attribute that shows through.
      **names: Attributes that hide the module's.
    """

    def __init__(self, module, wrap=lambda value: value, **names):
        super().__init__(module.__name__, module.__doc__)
        self.__dict__.update(names, _module=module, _wrap=wrap)

    def __getattr__(self, name):
        return self._wrap(getattr(self._module, name))


def _call_not_apply(value):
    """Wraps a Keras layer class so that ``apply`` calls the layer unwarned."""
    if not inspect.isclass(value):
        return value

    @functools.wraps(value, updated=())
    def make_layer(*args, **kwargs):
        layer = value(*args, **kwargs)
        layer.apply = layer.__call__
        return layer

    return make_layer


# Names that tf-slim asks of TensorFlow modules which have lost them, by module.
_LOST_NAMES = {
    "tensorflow.python.framework.ops": {
        "Tensor": tf.Tensor, "IndexedSlices": tf.IndexedSlices},
    "tensorflow.python.ops.array_ops": {"stack": tf.stack, "unstack": tf.unstack},
    "tensorflow.python.ops.control_flow_ops": {
        "Assert": tf.debugging.Assert, "case": tf1.case, "cond": tf1.cond,
        "while_loop": tf1.while_loop},
    "tensorflow.python.ops.variable_scope": {"variable": tf1.Variable},
}

_keras_convolutional = slim_layers.convolutional_layers


def _mend_tf_slim():
    for slim_module in [module for name, module in sys.modules.items()
                        if name == "tf_slim" or name.startswith("tf_slim.")]:
        for name, value in list(vars(slim_module).items()):
            lost = {lost_name: substitute for lost_name, substitute
                    in _LOST_NAMES.get(getattr(value, "__name__", None), {}).items()
                    if not hasattr(value, lost_name)}
            if lost:
                setattr(slim_module, name, _Overlay(value, **lost))
    slim_layers.normalization_layers = _Overlay(
        slim_layers.normalization_layers, BatchNormalization=BatchNormalization)
    for name in ("pooling_layers", "core_layers"):
        setattr(slim_layers, name, _Overlay(getattr(slim_layers, name), _call_not_apply))
    slim_layers.convolutional_layers = _Overlay(
        _keras_convolutional, _call_not_apply,
        Convolution2D=functools.partial(
            Convolution2DChooser, _call_not_apply(_keras_convolutional.Convolution2D)))


_mend_tf_slim()


@contextlib.contextmanager
def keras_convolutions():
    """Within it ``slim.conv2d`` goes through legacy Keras again, to compare with."""
    ours = slim_layers.convolutional_layers
    slim_layers.convolutional_layers = _Overlay(_keras_convolutional, _call_not_apply)
    try:
        yield
    finally:
        slim_layers.convolutional_layers = ours
