"""The one place that knows private names of TensorFlow and tf-slim.

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
``tests/test_compat.py``, which compares whole GraphDefs and, where TensorFlow is
old enough for it, an untouched tf-slim in a process of its own. Not mended is
``slim.batch_norm(renorm=True)``, which needs the Keras layer and says so.
"""

import contextlib
import functools
import inspect
import sys
import types

import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2
from tensorflow.python.client import timeline
from tensorflow.python.framework import op_def_registry
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.util import _pywrap_util_port
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


def allow_bfloat16(config):
    """Turns TensorFlow's own mixed-precision rewrite on in a ``ConfigProto``."""
    options = config.graph_options.rewrite_options
    options.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON


# Ops that TensorFlow fuses into, and what it puts in their place where oneDNN is on.
_ONEDNN_OPS = {"_FusedConv2D": "_MklNativeFusedConv2D",
               "_FusedDepthwiseConv2dNative": "_MklNativeFusedDepthwiseConv2dNative"}
_OFF = rewriter_config_pb2.RewriterConfig.OFF


def unrewritten():
    """Returns a ``ConfigProto`` for a graph that is not to be rewritten any more.

    Its ops run one after the other, each on all threads: two at a time would each wait for
    the threads of the other.
    """
    config = tf1.ConfigProto(inter_op_parallelism_threads=1, use_per_session_threads=True)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = tf1.OptimizerOptions.L0
    return config


def fuse(graph_def, fetches):
    """Runs TensorFlow's fusion of convolutions ahead of time, and none of its other rewrites.

    TensorFlow would have oneDNN reorder weights once only if they are constants of the
    graph, which costs several copies of them. Here they may be variables that never
    change: the ops of oneDNN are written as TensorFlow itself writes them, and told so.

    Args:
      graph_def: A ``GraphDef`` whose variables are not assigned to once it has run.
      fetches: Names of nodes that are going to be fetched.

    Returns:
      Another ``GraphDef``.
    """
    config = tf1.ConfigProto()
    options = config.graph_options.rewrite_options
    for field in options.DESCRIPTOR.fields:
        if field.enum_type and field.enum_type.name == "Toggle":
            setattr(options, field.name, _OFF)
    options.remapping = rewriter_config_pb2.RewriterConfig.ON
    options.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    options.min_graph_nodes = -1
    for node in graph_def.node:
        node.device = "/job:localhost/replica:0/task:0/device:CPU:0"
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        meta_graph = tf1.train.export_meta_graph(graph=graph, graph_def=graph_def)
    meta_graph.collection_def["train_op"].node_list.value.extend(fetches)
    # The optimiser makes a device. If that were the process's first, TensorFlow would take
    # its number of threads for all sessions to come, and not TF_NUM_INTRAOP_THREADS.
    with tf1.Session(graph=graph):
        fused = tf_optimizer.OptimizeGraph(config, meta_graph, verbose=False)
    if onednn_enabled():
        for node in fused.node:
            definition = op_def_registry.get(_ONEDNN_OPS.get(node.op, ""))
            known = {attribute.name for attribute in definition.attr} if definition else ()
            if "is_filter_const" in known:
                node.op = definition.name
                for name in set(node.attr) - known:  # TensorFlow 2.12's have fewer
                    del node.attr[name]
                node.attr["is_filter_const"].b = True
                node.attr["_kernel"].s = b"MklNameChangeOp"
    return fused


def onednn_enabled():
    """Whether this process runs its CPU kernels through oneDNN."""
    return bool(_pywrap_util_port.IsMklEnabled())


def chrome_trace(run_metadata):
    """Returns a ``RunMetadata``'s steps as Chrome trace JSON text."""
    return timeline.Timeline(run_metadata.step_stats).generate_chrome_trace_format()
