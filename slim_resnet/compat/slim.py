"""tf-slim, mended.

tf-slim 1.1.0 (2020) is the newest release and fails on every TensorFlow since
2.13. Importing this module mends it, by rebinding names inside ``tf_slim``'s
own modules; TensorFlow itself is left as it is. Mended are:

* names that tf-slim asks of TensorFlow modules which have lost them, ``ops.Tensor``
  first of all;
* ``slim.batch_norm``, which goes through a Keras layer that TensorFlow no longer
  ships unless ``updates_collections`` differs from the default;
* ``slim.conv2d``, which on the way through the legacy Keras layer takes half of
  the time that building a deep network takes;
* the ``layer.apply`` deprecation warning that every pooling and dense layer prints.

Everything keeps its op names, variables and collections: see
``tests/compat/test_compat.py``, which compares whole GraphDefs and, where TensorFlow is
old enough for it, an untouched tf-slim in a process of its own. Not mended is
``slim.batch_norm(renorm=True)``, which needs the Keras layer and says so.
"""

import contextlib
import functools
import inspect
import sys
import types

import tensorflow as tf
from tf_slim.layers import layers as slim_layers
from tf_slim.layers import utils as slim_utils

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


class _GraphKeys(tf1.GraphKeys):
    # slim.batch_norm takes the Keras layer when its updates_collections *is* the
    # string of GraphKeys. An equal string that is another object sends it down
    # tf-slim's own path, which creates the same variables and fills the same
    # collection. test_compat.py::test_batch_norm_* prove it.
    UPDATE_OPS = "".join(list(tf1.GraphKeys.UPDATE_OPS))


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


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


class _Convolution2D:
    """What ``slim.conv2d`` needs of the legacy Keras Conv2D, and no more.

    Keras' ``add_weight`` puts all global variables of the graph into a set for
    each weight that it adds, and wraps each call in a dozen checks; this builds
    the same ops under the same names without them.
    """

    def __init__(self, filters, kernel_size, strides, padding, dilation_rate, use_bias,
                 kernel_initializer, bias_initializer, kernel_regularizer,
                 bias_regularizer, trainable, dtype, _scope, _reuse, **_):
        self.filters = int(filters)
        self.kernel_size = _pair(kernel_size)
        self.strides = list(_pair(strides))
        self.dilations = list(_pair(dilation_rate))
        self.padding = padding.upper()
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.trainable, self.dtype = trainable, dtype
        self.scope, self.reuse = _scope, _reuse
        self.kernel = self.bias = None

    def _add_weight(self, name, shape, initializer, regularizer):
        existing = list(tf1.get_collection_ref(tf1.GraphKeys.GLOBAL_VARIABLES))
        variable = tf1.get_variable(name, shape, self.dtype, initializer,
                                    trainable=self.trainable)
        # A reused variable has its regularisation loss already.
        if regularizer and not any(v is variable for v in existing):
            with tf1.name_scope(f"{name}/Regularizer"):
                loss = regularizer(variable)
            if loss is not None:
                tf1.add_to_collection(tf1.GraphKeys.REGULARIZATION_LOSSES, loss)
        return variable

    def apply(self, inputs):
        with tf1.variable_scope(self.scope, reuse=self.reuse, auxiliary_name_scope=False), \
             tf1.name_scope(self.scope.original_name_scope):
            self.kernel = self._add_weight(
                "kernel", (*self.kernel_size, inputs.shape.as_list()[-1], self.filters),
                self.kernel_initializer, self.kernel_regularizer)
            if self.use_bias:
                self.bias = self._add_weight(
                    "bias", (self.filters,), self.bias_initializer, self.bias_regularizer)
            outputs = tf.nn.convolution(
                inputs, self.kernel, strides=self.strides, padding=self.padding,
                dilations=self.dilations, name="Conv2D")
            if self.use_bias:
                outputs = tf.nn.bias_add(outputs, self.bias)
        return outputs


class _Convolution2DChooser:
    """Builds with `_Convolution2D` in a plain graph, with Keras anywhere else."""

    def __init__(self, keras_class, **kwargs):
        self._keras_class = keras_class
        self._kwargs = kwargs
        self._layer = None

    def apply(self, inputs):
        graph_mode = not tf.executing_eagerly() and not tf1.get_default_graph().building_function
        plain = (graph_mode and self._kwargs["data_format"] == "channels_last"
                 and inputs.shape.as_list()[-1] is not None
                 and self._kwargs["_scope"].partitioner is None)
        self._layer = (_Convolution2D if plain else _call_not_apply(self._keras_class))(
            **self._kwargs)
        return self._layer.apply(inputs)

    def __getattr__(self, name):  # kernel, bias and use_bias, once applied
        return getattr(self._layer, name)


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
    slim_layers.ops = _Overlay(slim_layers.ops, GraphKeys=_GraphKeys)
    for name in ("pooling_layers", "core_layers"):
        setattr(slim_layers, name, _Overlay(getattr(slim_layers, name), _call_not_apply))
    slim_layers.convolutional_layers = _Overlay(
        _keras_convolutional, _call_not_apply,
        Convolution2D=functools.partial(_Convolution2DChooser,
                                        _keras_convolutional.Convolution2D))


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
