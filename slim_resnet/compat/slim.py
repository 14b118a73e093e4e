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
* ``slim.learning``, ``slim.evaluation`` and ``slim.queues``, whose threads and calls know
  nothing of ``with tf.Graph().as_default():`` where eager mode is on;
* ``slim.arg_scope``, whose scopes every thread got of all the others;
* ``slim.assign_from_checkpoint`` of partitioned variables, which numpy refuses since 1.23;
* the ``layer.apply`` deprecation warning that every pooling and dense layer prints.

Everything keeps its op names, variables and collections: see
``tests/compat/``, which compares whole GraphDefs, values and gradients with those of an
untouched tf-slim. Not mended is ``slim.batch_norm(is_training=None)``, which asked Keras
for its learning phase: it says so.
"""

import contextlib
import functools
import importlib
import sys
import types

import tensorflow as tf
from tf_slim import evaluation, learning, queues
from tf_slim.layers import layers as slim_layers
from tf_slim.layers import utils as slim_utils
from tf_slim.ops import variables as slim_variables
from tf_slim.training import evaluation as train_eval
from tf_slim.training import training

from slim_resnet.compat import threads
from slim_resnet.compat.batch_norm import BatchNormalization
from slim_resnet.compat.convolution import Convolution2DChooser
from slim_resnet.compat.overlay import Overlay, call_not_apply
from slim_resnet.compat.partitions import with_sliceable_arrays

tf1 = tf.compat.v1

collect_named_outputs = slim_utils.collect_named_outputs
convert_collection_to_dict = slim_utils.convert_collection_to_dict
last_dimension = slim_utils.last_dimension


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


def restore_lost_names(module, lost_names=_LOST_NAMES):
    """Has a module see the names that it asks of TensorFlow modules which have lost them.

    Args:
      module: Is changed.
      lost_names: ``{module's name: {name: value}}``.
    """
    for name, value in list(vars(module).items()):
        if not isinstance(value, types.ModuleType):
            continue
        lost = {lost_name: substitute for lost_name, substitute
                in lost_names.get(value.__name__, {}).items()
                if not hasattr(value, lost_name)}
        if lost:
            setattr(module, name, Overlay(value, **lost))


def _mend_tf_slim():
    for slim_module in [module for name, module in sys.modules.items()
                        if name == "tf_slim" or name.startswith("tf_slim.")]:
        restore_lost_names(slim_module)
    slim_layers.normalization_layers = Overlay(
        slim_layers.normalization_layers, BatchNormalization=BatchNormalization)
    for name in ("pooling_layers", "core_layers"):
        setattr(slim_layers, name, Overlay(getattr(slim_layers, name), call_not_apply))
    slim_layers.convolutional_layers = Overlay(
        _keras_convolutional, call_not_apply,
        Convolution2D=functools.partial(
            Convolution2DChooser, call_not_apply(_keras_convolutional.Convolution2D)))
    learning.supervisor = Overlay(learning.supervisor, Supervisor=threads.Supervisor)
    for module, names in ((learning, ("train",)), (training, ("train",)),
                          (evaluation, ("evaluate_once", "evaluation_loop",
                                        "evaluate_repeatedly")),
                          (train_eval, ("evaluate_once", "evaluate_repeatedly"))):
        for name in names:
            setattr(module, name, threads.in_its_graph(getattr(module, name)))
    slim_variables.tf = with_sliceable_arrays(slim_variables.tf)
    queues.QueueRunners = threads.queue_runners(queues.QueueRunners)
    # The package has a function under this module's name.
    arg_scope = importlib.import_module("tf_slim.ops.arg_scope")
    arg_scope._get_arg_stack = threads.arg_stack_of_each_thread(arg_scope._get_arg_stack())


_mend_tf_slim()


@contextlib.contextmanager
def keras_convolutions():
    """Within it ``slim.conv2d`` goes through legacy Keras again, to compare with."""
    ours = slim_layers.convolutional_layers
    slim_layers.convolutional_layers = Overlay(_keras_convolutional, call_not_apply)
    try:
        yield
    finally:
        slim_layers.convolutional_layers = ours
