"""The layer that ``slim.batch_norm`` builds with, which TensorFlow no longer ships.

tf_slim asks Keras for it whenever the update ops go to the default collection and the
moving mean is not debiased. This one makes the same variables in the same order, the
same ops under the same names, the same losses and the same updates.
"""

import functools
import types

import tensorflow as tf
from tensorflow.python.framework import smart_cond as smart_cond_module
from tensorflow.python.ops import cond_v2, control_flow_util

from slim_resnet.compat.layer import Layer
from slim_resnet.errors import SlimResnetError

tf1 = tf.compat.v1

_NARROW = (tf.float16, tf.bfloat16)


@functools.cache
def _cond_with_intermediates():
    """TensorFlow's ``cond_v2`` that outputs at once what its gradient is going to need.

    Otherwise adding a gradient changes the op, which a session that has run it refuses.
    TensorFlow does the same within Keras layers. Its own functions stay as they are: these
    are copies that see another module in place of ``util``.
    """
    def outputs_all():
        return not (util.in_defun() or control_flow_util.GraphOrParentsInXlaContext(
            tf1.get_default_graph()))

    util = cond_v2.util
    names = dict(vars(cond_v2))
    names["util"] = types.SimpleNamespace(
        **{**vars(util), "output_all_intermediates": outputs_all})
    for name in ("_build_cond", "cond_v2"):
        function = getattr(cond_v2, name)
        copy = types.FunctionType(function.__code__, names, name, function.__defaults__)
        copy.__kwdefaults__ = function.__kwdefaults__
        names[name] = copy
    return names["cond_v2"]


def _constant_value(training):
    if isinstance(training, tf.Variable):
        return None
    if tf.is_tensor(training):
        return tf.get_static_value(training)
    return smart_cond_module.smart_constant_value(training)


def _cond(training, true_fn, false_fn):
    """Builds one branch where ``training`` is known, else both."""
    value = (None if isinstance(training, tf.Variable)
             else smart_cond_module.smart_constant_value(training))
    if value is not None:
        return true_fn() if value else false_fn()
    if (not tf.executing_eagerly()
            and control_flow_util.EnableControlFlowV2(tf1.get_default_graph())):
        return _cond_with_intermediates()(training, true_fn, false_fn)
    return tf1.cond(training, true_fn, false_fn)


class BatchNormalization(Layer):
    """Batch normalization as legacy Keras built it for tf_slim.

    The arguments are those that tf_slim passes: see ``slim.batch_norm``.
    """

    def __init__(self, axis, momentum, epsilon, center, scale, beta_initializer,
                 gamma_initializer, moving_mean_initializer, moving_variance_initializer,
                 beta_regularizer, gamma_regularizer, trainable, renorm, renorm_clipping,
                 renorm_momentum, adjustment, name, _scope, _reuse, fused):
        super().__init__(trainable, _scope, _reuse)
        self._axis, self._momentum, self._epsilon = axis, momentum, epsilon
        self._center, self._scale = center, scale
        self._initializers = {"beta": beta_initializer, "gamma": gamma_initializer,
                              "moving_mean": moving_mean_initializer,
                              "moving_variance": moving_variance_initializer}
        self._regularizers = {"beta": beta_regularizer, "gamma": gamma_regularizer}
        self._renorm, self._renorm_momentum = renorm, renorm_momentum
        self._clipping = renorm_clipping or {}
        unknown = set(self._clipping) - {"rmax", "rmin", "dmax"}
        if renorm and unknown:
            raise ValueError(f"slim.batch_norm: renorm_clipping has keys {sorted(unknown)}; "
                             f"it takes rmax, rmin and dmax")
        self._adjustment = adjustment
        self._name = name
        self._fused = fused
        self._updates = []
        self.beta = self.gamma = self.moving_mean = self.moving_variance = None

    def apply(self, inputs, training):
        """Normalises ``inputs``.

        Args:
          inputs: A tensor ``[N, ..., C]``, or ``[N, C, ...]``.
          training: A bool, or a scalar tensor or variable that is one.

        Returns:
          A tensor of the same shape and type.
        """
        if training is None:
            raise SlimResnetError(
                f"slim.batch_norm {self._name!r}: is_training=None meant Keras' learning "
                f"phase, which TensorFlow no longer has; pass a bool or a bool tensor")
        rank = inputs.shape.rank
        if rank is None:
            raise ValueError(f"slim.batch_norm {self._name!r}: its input {inputs.name} has "
                             f"undefined rank")
        axis = self._axis % rank if -rank <= self._axis < rank else None
        if axis is None:
            raise ValueError(f"slim.batch_norm {self._name!r}: an input of rank {rank} has no "
                             f"axis {self._axis}")
        if inputs.shape[axis] is None:
            raise ValueError(f"slim.batch_norm {self._name!r}: its input, of shape "
                             f"{inputs.shape}, has an undefined number of channels")
        with self.scopes():
            self._build(inputs.shape[axis], inputs.dtype)
            if (self._fused and rank in (4, 5) and axis in (1, rank - 1) and not self._renorm
                    and self._adjustment is None
                    and inputs.dtype in (*_NARROW, tf.float32)):
                outputs = self._apply_fused(inputs, axis, training)
            else:
                outputs = self._apply_unfused(inputs, axis, training)
        if self.trainable and not tf.executing_eagerly():
            tf1.get_collection_ref(tf1.GraphKeys.UPDATE_OPS).extend(self._updates)
        return outputs

    def _build(self, channels, dtype):
        self._dtype = tf.float32 if dtype in _NARROW else dtype
        self._shape = (channels,)
        for name in [*(["gamma"] if self._scale else []), *(["beta"] if self._center else [])]:
            setattr(self, name, self.add_weight(name, self._shape, self._dtype,
                                                self._initializers[name],
                                                self._regularizers[name]))
        for name in ("moving_mean", "moving_variance"):
            setattr(self, name, self._add_statistic(name, self._initializers[name]))
        if not self._renorm:
            return

        def stddev_initializer(*args, **kwargs):
            return tf.sqrt(self._initializers["moving_variance"](*args, **kwargs))

        beside = tf.distribute.get_strategy().extended.colocate_vars_with
        with beside(self.moving_variance):
            self.moving_stddev = self._add_statistic("moving_stddev", stddev_initializer)
        with beside(self.moving_mean):
            self.renorm_mean = self._add_statistic(
                "renorm_mean", self._initializers["moving_mean"])
        with beside(self.moving_stddev):
            self.renorm_stddev = self._add_statistic("renorm_stddev", stddev_initializer)

    def _add_statistic(self, name, initializer):
        return self.add_weight(name, self._shape, self._dtype, initializer, statistic=True)

    def _add_update(self, update):
        """Keeps the op of ``update()``; in eager mode, where nobody runs it, it is done."""
        if tf.executing_eagerly() and not self.trainable:
            return
        update = update()
        if not tf.executing_eagerly():
            self._updates.append(update if isinstance(update, tf.Operation) else update.op)

    def _moving_average(self, variable, value, momentum):
        with tf.name_scope("AssignMovingAvg") as scope:
            def delta():
                decay = tf.convert_to_tensor(1.0 - momentum, name="decay")
                if decay.dtype != variable.dtype.base_dtype:
                    decay = tf.cast(decay, variable.dtype.base_dtype)
                return (variable - tf.cast(value, variable.dtype)) * decay

            if tf1.executing_eagerly_outside_functions():
                return variable.assign_sub(delta(), name=scope)
            with tf1.get_default_graph().colocate_with(variable):
                return tf1.assign_sub(variable, delta(), name=scope)

    @staticmethod
    def _new_value(variable, value):
        with tf.name_scope("AssignNewValue") as scope:
            if tf1.executing_eagerly_outside_functions():
                return variable.assign(value, name=scope)
            with tf1.get_default_graph().colocate_with(variable):
                return tf1.assign(variable, value, name=scope)

    def _apply_fused(self, inputs, axis, training):
        beta, gamma = self.beta, self.gamma
        if not self._center:
            beta = tf.constant(0.0, self._dtype, self._shape)
        if not self._scale:
            gamma = tf.constant(1.0, self._dtype, self._shape)
        spatial = "DHW"[-(inputs.shape.rank - 2):]
        # The kernel averages by itself where a variable is a resource, outside of graphs.
        kernel_averages = (tf1.executing_eagerly_outside_functions()
                           and isinstance(self._momentum, (float, int)))

        def normalise(is_training):
            return tf1.nn.fused_batch_norm(
                inputs, gamma, beta, mean=self.moving_mean, variance=self.moving_variance,
                epsilon=self._epsilon, is_training=is_training,
                data_format=f"NC{spatial}" if axis == 1 else f"N{spatial}C",
                exponential_avg_factor=(1.0 - self._momentum
                                        if is_training and kernel_averages else 1.0))

        outputs, mean, variance = _cond(training, lambda: normalise(True),
                                        lambda: normalise(False))
        value = _constant_value(training)
        if value is not None and not value:
            return outputs
        if kernel_averages:
            self._add_update(lambda: self._new_value(self.moving_mean, mean))
            self._add_update(lambda: self._new_value(self.moving_variance, variance))
            return outputs
        if value is None:
            momentum = _cond(training, lambda: self._momentum, lambda: 1.0)
        else:
            momentum = tf.convert_to_tensor(self._momentum)
        self._add_update(lambda: self._moving_average(self.moving_mean, mean, momentum))
        self._add_update(lambda: self._moving_average(self.moving_variance, variance, momentum))
        return outputs

    def _apply_unfused(self, inputs, axis, training):
        given_dtype, rank = inputs.dtype, inputs.shape.rank
        if given_dtype in _NARROW:
            inputs = tf.cast(inputs, tf.float32)
        axes = [i for i in range(rank) if i != axis]

        def broadcast(value):
            if value is None or len(value.shape) == rank or axes == list(range(rank - 1)):
                return value
            return tf.reshape(value, [inputs.shape[i] if i == axis else 1 for i in range(rank)])

        scale, offset = broadcast(self.gamma), broadcast(self.beta)
        value = _constant_value(training)
        if value is not None and not value:
            mean, variance = self.moving_mean, self.moving_variance
        else:
            if self._adjustment:
                adjusted, shifted = self._adjustment(tf.shape(inputs))
                adjusted = _cond(training, lambda: adjusted, lambda: tf.ones_like(adjusted))
                shifted = _cond(training, lambda: shifted, lambda: tf.zeros_like(shifted))
                scale, offset = _then(adjusted, shifted, scale, offset)
            mean, variance = tf.nn.moments(tf.cast(inputs, self._dtype), axes, keepdims=False)
            mean = _cond(training, lambda: mean, lambda: tf.convert_to_tensor(self.moving_mean))
            variance = _cond(training, lambda: variance,
                             lambda: tf.convert_to_tensor(self.moving_variance))
            new_mean, new_variance = mean, variance
            if self._renorm:
                r, d, new_mean, new_variance = self._correction(mean, variance, training)
                r = broadcast(tf.stop_gradient(r, name="renorm_r"))
                d = broadcast(tf.stop_gradient(d, name="renorm_d"))
                scale, offset = _then(r, d, scale, offset)
            self._add_update(lambda: _cond(
                training,
                lambda: self._moving_average(self.moving_mean, new_mean, self._momentum),
                lambda: self.moving_mean))
            self._add_update(lambda: _cond(
                training, lambda: self._update_variance(new_variance),
                lambda: self.moving_variance))
        mean, variance = tf.cast(mean, inputs.dtype), tf.cast(variance, inputs.dtype)
        if offset is not None:
            offset = tf.cast(offset, inputs.dtype)
        if scale is not None:
            scale = tf.cast(scale, inputs.dtype)
        outputs = tf.nn.batch_normalization(inputs, broadcast(mean), broadcast(variance), offset,
                                            scale, self._epsilon)
        if given_dtype in _NARROW:
            outputs = tf.cast(outputs, given_dtype)
        outputs.set_shape(inputs.shape)
        return outputs

    def _update_variance(self, variance):
        if not self._renorm:
            return self._moving_average(self.moving_variance, variance, self._momentum)
        # With renorm the average is that of the standard deviation, epsilon included.
        stddev = self._moving_average(self.moving_stddev, tf.sqrt(variance + self._epsilon),
                                      self._momentum)
        return self._new_value(self.moving_variance,
                               tf.nn.relu(stddev * stddev - self._epsilon))

    def _correction(self, mean, variance, training):
        """Batch renormalization's r and d, and the moments once its averages are updated."""
        stddev = tf.sqrt(variance + self._epsilon)
        renorm_stddev = tf.maximum(self.renorm_stddev, tf.sqrt(self._epsilon))
        r = stddev / renorm_stddev
        d = (mean - self.renorm_mean) / renorm_stddev
        with tf.control_dependencies([r, d]):  # from the averages before their update
            mean, stddev = tf.identity(mean), tf.identity(stddev)
        limits = self._clipping
        if limits.get("rmin") is not None:
            r = tf.maximum(r, limits["rmin"])
        if limits.get("rmax") is not None:
            r = tf.minimum(r, limits["rmax"])
        if limits.get("dmax") is not None:
            d = tf.minimum(tf.maximum(d, -limits["dmax"]), limits["dmax"])
        r = _cond(training, lambda: r, lambda: tf.ones_like(r))
        d = _cond(training, lambda: d, lambda: tf.zeros_like(d))

        def updated(variable, value):
            value = tf.identity(value)
            return _cond(training,
                         lambda: self._moving_average(variable, value, self._renorm_momentum),
                         lambda: tf.identity(variable))

        with tf.control_dependencies([updated(self.renorm_mean, mean),
                                      updated(self.renorm_stddev, stddev)]):
            return r, d, tf.identity(mean), tf.identity(variance)


def _then(scale, offset, then_scale, then_offset):
    """Returns scale and offset of one affine map after another."""
    if then_scale is not None:
        scale *= then_scale
        offset *= then_scale
    if then_offset is not None:
        offset += then_offset
    return scale, offset
