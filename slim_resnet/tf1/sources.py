"""Where the sources that `slim_resnet.tf1.names` speaks of are in the TensorFlow installed."""

import functools
import importlib
import importlib.util
import logging
import re
import types
import warnings

from slim_resnet.errors import SlimResnetError

MISSING = object()
_DEPRECATED = r"`tf\.(layers|nn\.rnn_cell)\.\w+` is deprecated"


@functools.cache
def tensorflow() -> types.ModuleType:
    """Imports TensorFlow and turns TensorFlow 1's behaviour on; returns ``compat.v1``."""
    import tensorflow as tf
    from tensorflow.python.util import deprecation, module_wrapper
    # What was deprecated is what the script is written in.
    deprecation._PRINT_DEPRECATION_WARNINGS = False
    module_wrapper._PER_MODULE_WARNING_LIMIT = 0
    warnings.filterwarnings("ignore", _DEPRECATED)
    tf.compat.v1.disable_v2_behavior()
    logger = logging.getLogger("tensorflow")
    logger.addFilter(lambda record: not re.match(_DEPRECATED, str(record.msg)))
    if logger.level == logging.ERROR:  # as the command line leaves it
        logger.setLevel(logging.NOTSET)
    return tf.compat.v1


def _has_keras_3():
    version = tensorflow().__version__.split(".")
    return (int(version[0]), int(version[1])) >= (2, 16)


def _extra(package, name):
    return SlimResnetError(f"{name} needs {package}: pip install 'slim-resnet[run]'")


@functools.cache
def _keras(part):
    tf1 = tensorflow()
    if part == "estimator":
        return _estimator()
    if _has_keras_3():
        if importlib.util.find_spec("tf_keras") is None:
            raise _extra("tf_keras", "TensorFlow 1's Keras (tf.keras, tf.layers, tf.nn.rnn_cell)")
        root, package = importlib.import_module("tf_keras.api._v1.keras"), "tf_keras"
    else:
        root, package = tf1.keras, "keras"
    if part == "":
        return root
    if part == "src":
        inner = f"{package}.src"  # until Keras 2.12 there was no such package
        return importlib.import_module(inner if importlib.util.find_spec(inner) else package)
    legacy = importlib.import_module(f"{root.__name__}.__internal__.legacy")
    return {"layers1": legacy.layers, "cells": legacy.rnn_cell}[part]


def _estimator():
    if importlib.util.find_spec("tensorflow_estimator") is None:
        raise _extra("tensorflow-estimator", "tf.estimator")
    if _has_keras_3():
        from slim_resnet.tf1 import estimator
        return estimator.load()
    return importlib.import_module("tensorflow_estimator.python.estimator.api._v1.estimator")


def _attribute(value, path):
    for part in path:
        value = getattr(value, part, MISSING)
        if value is MISSING:
            return MISSING
    return value


def _walk(root, path):
    """Returns what a dotted path leads to: a module where there is one, else an attribute."""
    for length in range(len(path), -1, -1):
        name = ".".join([root, *path[:length]])
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):
                raise
        else:
            return _attribute(module, path[length:])
    return MISSING


@functools.cache
def load(source: str):
    """Returns the object that a dotted path of the table leads to, or `MISSING`."""
    first, *rest = source.split(".")
    if first == "tf1":
        return _attribute(tensorflow(), rest)
    if first == "keras1":
        part = rest.pop(0) if rest and rest[0] in ("src", "layers1", "cells", "estimator") else ""
        if part == "src":
            return _walk(_keras(part).__name__, rest)
        return _attribute(_keras(part), rest)
    if first == "own":
        return _walk("slim_resnet.tf1.stand_ins", rest)
    if first in ("tensorflow", "tf_slim"):
        tensorflow()
    if first == "tensorflow_estimator":
        _keras("estimator")  # as it cannot be imported alone
    return _walk(first, rest)
