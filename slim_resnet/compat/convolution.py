"""The layer that ``slim.conv2d`` builds with in a plain graph."""

import tensorflow as tf

from slim_resnet.compat.layer import Layer

tf1 = tf.compat.v1


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


class _Convolution2D(Layer):
    """What ``slim.conv2d`` needs of the legacy Keras Conv2D, and no more."""

    def __init__(self, filters, kernel_size, strides, padding, dilation_rate, use_bias,
                 kernel_initializer, bias_initializer, kernel_regularizer,
                 bias_regularizer, trainable, dtype, _scope, _reuse, **_):
        super().__init__(trainable, _scope, _reuse)
        self.filters = int(filters)
        self.kernel_size = _pair(kernel_size)
        self.strides = list(_pair(strides))
        self.dilations = list(_pair(dilation_rate))
        self.padding = padding.upper()
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.dtype = dtype
        self.kernel = self.bias = None

    def apply(self, inputs):
        with self.scopes():
            self.kernel = self.add_weight(
                "kernel", (*self.kernel_size, inputs.shape.as_list()[-1], self.filters),
                self.dtype, self.kernel_initializer, self.kernel_regularizer)
            if self.use_bias:
                self.bias = self.add_weight("bias", (self.filters,), self.dtype,
                                            self.bias_initializer, self.bias_regularizer)
            outputs = tf.nn.convolution(
                inputs, self.kernel, strides=self.strides, padding=self.padding,
                dilations=self.dilations, name="Conv2D")
            if self.use_bias:
                outputs = tf.nn.bias_add(outputs, self.bias)
        return outputs


class Convolution2DChooser:
    """Builds with a layer of our own in a plain graph, with Keras anywhere else.

    Args:
      keras_class: The legacy Keras Conv2D.
      **kwargs: Its arguments.
    """

    def __init__(self, keras_class, **kwargs):
        self._keras_class = keras_class
        self._kwargs = kwargs
        self._layer = None

    def apply(self, inputs):
        graph_mode = not tf.executing_eagerly() and not tf1.get_default_graph().building_function
        plain = (graph_mode and self._kwargs["data_format"] == "channels_last"
                 and inputs.shape.as_list()[-1] is not None
                 and self._kwargs["_scope"].partitioner is None)
        self._layer = (_Convolution2D if plain else self._keras_class)(**self._kwargs)
        return self._layer.apply(inputs)

    def __getattr__(self, name):  # kernel, bias and use_bias, once applied
        return getattr(self._layer, name)
