"""``tf.contrib.data``: the transformations that ``tf.data`` made into methods."""

import tensorflow as tf


def batch_and_drop_remainder(batch_size):
    """Returns a function for ``Dataset.apply``: whole batches only."""
    return lambda dataset: dataset.batch(batch_size, drop_remainder=True)


def padded_batch_and_drop_remainder(batch_size, padded_shapes, padding_values=None):
    """Returns a function for ``Dataset.apply``: whole padded batches only."""
    return lambda dataset: dataset.padded_batch(batch_size, padded_shapes, padding_values,
                                                drop_remainder=True)


def sliding_window_batch(window_size, stride=None, window_shift=None, window_stride=1):
    """Returns a function for ``Dataset.apply``: batches of ``window_size`` that overlap.

    Raises:
      ValueError: If ``stride``, the old name of ``window_shift``, is given with it.
    """
    if stride is not None and window_shift is not None:
        raise ValueError("stride is the old name of window_shift; give one of them")
    shift = next((s for s in (stride, window_shift) if s is not None), 1)

    def apply(dataset):
        windows = dataset.window(window_size, shift, window_stride, drop_remainder=True)
        return windows.flat_map(
            lambda *parts: tf.compat.v1.data.Dataset.zip(
                tuple(part.batch(window_size) for part in parts)) if len(parts) > 1
            else parts[0].batch(window_size))

    return apply


def sloppy_interleave(map_func, cycle_length, block_length=1):
    """Returns a function for ``Dataset.apply``: ``parallel_interleave``, in any order."""
    return tf.compat.v1.data.experimental.parallel_interleave(
        map_func, cycle_length, block_length, sloppy=True)
