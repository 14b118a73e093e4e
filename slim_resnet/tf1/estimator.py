"""tensorflow-estimator on a TensorFlow that is newer than its last release.

It asks for modules of TensorFlow that left with it: what starts the workers of a distribution
strategy, and TPU embeddings. They are lent to it while it is imported, and fail when they are
used. So is its own module that registers public names with TensorFlow, which has no place for
them any more. Its ``tf.keras`` is Keras 2.
"""

import importlib
import sys
import types

from slim_resnet.tf1.absent import Absent

_LENT = ("tensorflow.python.distribute.estimator_training",
         "tensorflow.python.tpu.tpu_embedding", "tensorflow.python.tpu.tpu_embedding_gradient",
         "tensorflow.python.tpu.session_support",
         "tensorflow_estimator.python.estimator.estimator_export")


class _Lent(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")

    @staticmethod
    def should_run_distribute_coordinator(config):
        return False

    @staticmethod
    def estimator_export(*names, v1=None):
        return lambda exported: exported


class _TensorFlow(types.ModuleType):
    def __init__(self, tensorflow, keras):
        super().__init__(tensorflow.__name__)
        self.__dict__.update(_tensorflow=tensorflow, keras=keras)

    def __getattr__(self, name):
        return getattr(self._tensorflow, name)


def load() -> types.ModuleType:
    """Returns ``tf.estimator`` of TensorFlow 1."""
    import tensorflow as tf
    lent = {name: _Lent(name) for name in _LENT if name not in sys.modules}
    sys.modules.update(lent)
    try:
        api = importlib.import_module("tensorflow_estimator.python.estimator.api._v1.estimator")
    finally:
        for name in lent:
            del sys.modules[name]
    try:
        keras = importlib.import_module("tf_keras")
    except ModuleNotFoundError:
        return api
    seen = _TensorFlow(tf, keras)
    for name, module in list(sys.modules.items()):
        if name.startswith("tensorflow_estimator.") and getattr(module, "tf", None) is tf:
            module.tf = seen
    return api
