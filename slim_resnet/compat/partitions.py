"""Reading partitioned variables with ``slim.assign_from_checkpoint`` on today's numpy."""

import numpy as np
import tensorflow as tf

from slim_resnet.compat.overlay import Overlay

tf1 = tf.compat.v1


class _Array(np.ndarray):
    """An array that takes a list of slices for a tuple of them, as numpy did until 1.23."""

    def __getitem__(self, key):
        if isinstance(key, list) and any(isinstance(part, slice) for part in key):
            key = tuple(key)
        return super().__getitem__(key)


class _Reader:
    def __init__(self, reader):
        self._reader = reader

    def get_tensor(self, name):
        value = self._reader.get_tensor(name)
        return value.view(_Array) if isinstance(value, np.ndarray) else value

    def __getattr__(self, name):
        return getattr(self._reader, name)


def with_sliceable_arrays(module):
    """Returns ``tf.compat.v1`` with a checkpoint reader whose arrays tf_slim can slice."""
    def read(path):
        return _Reader(tf1.train.NewCheckpointReader(path))

    return Overlay(module, train=Overlay(module.train, NewCheckpointReader=read))
