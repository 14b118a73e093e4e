"""What tf_slim needs of the legacy Keras layer class, and no more."""

import contextlib

import tensorflow as tf
from tensorflow.python.keras import initializers

tf1 = tf.compat.v1


def parts_of(variable):
    """A variable as the list of its parts, which is one unless it is partitioned."""
    return list(variable) if hasattr(variable, "_get_variable_list") else [variable]


class Layer:
    """Adds variables and ops under the names and to the collections that Keras used.

    Keras' ``add_weight`` puts all global variables of the graph into a set for each weight
    that it adds, and wraps each call in a dozen checks; this builds the same without them.

    Args:
      trainable: Whether the layer's weights are, where they can be.
      scope: The variable scope of the function that makes the layer.
      reuse: As in ``tf.compat.v1.variable_scope``.
    """

    def __init__(self, trainable, scope, reuse):
        self.trainable = trainable
        self.reuse = reuse
        # Entering the scope once more takes its name in the name scope, as Keras did.
        with tf1.variable_scope(scope) as self.scope:
            pass

    @contextlib.contextmanager
    def scopes(self):
        """The scopes that the layer's variables and ops are made in."""
        with tf1.variable_scope(self.scope, reuse=self.reuse, auxiliary_name_scope=False), \
             tf1.name_scope(self.scope.original_name_scope):
            yield

    def add_weight(self, name, shape, dtype, initializer, regularizer=None, statistic=False):
        """Gets or creates a variable, and adds its regularisation loss when it is new.

        Args:
          name: Its name in the layer's scope.
          shape: Its shape.
          dtype: Its type.
          initializer: A callable, a Keras initializer's name, or None for the scope's own.
          regularizer: None or a callable.
          statistic: Whether it is one of batch normalization's moving statistics.

        Returns:
          The variable.
        """
        initializer = initializers.get(initializer if initializer is not None
                                       else self.scope.initializer or "glorot_uniform")
        eager = tf1.executing_eagerly_outside_functions()
        before = list(tf1.get_collection_ref(tf1.GraphKeys.GLOBAL_VARIABLES)
                      ) if regularizer and not eager else []
        options = {}
        if statistic:
            options = {"synchronization": tf.VariableSynchronization.ON_READ,
                       "aggregation": tf1.VariableAggregation.MEAN,
                       "partitioner": None}
        with contextlib.ExitStack() as stack:
            if statistic:
                stack.enter_context(_unpartitioned())
            variable = tf1.get_variable(
                name, shape, dtype, initializer,
                trainable=bool(self.trainable and not statistic), **options)
        if regularizer and not tf.executing_eagerly():
            parts = parts_of(variable)
            # A reused variable has its regularisation loss already.
            if not any(part is old for part in parts for old in before):
                for part in parts:
                    self._add_loss(f"{name}/Regularizer", regularizer, part)
        return variable

    @staticmethod
    def _add_loss(name, regularizer, variable):
        with tf1.name_scope(name):
            loss = regularizer(variable)
        if loss is not None:
            tf1.add_to_collection(tf1.GraphKeys.REGULARIZATION_LOSSES,
                                  tf.convert_to_tensor(loss))


@contextlib.contextmanager
def _unpartitioned():
    scope = tf1.get_variable_scope()
    partitioner = scope.partitioner
    scope.set_partitioner(None)
    try:
        yield
    finally:
        scope.set_partitioner(partitioner)
