"""A network as a TensorBoard run, as TensorFlow 1's ``FileWriter`` writes it.

Shown by ``tensorboard --logdir DIR``, after ``pip install tensorboard``: the graph, in
which a network opens as blocks and units, with the time of each op; histograms and
distributions of weights and end points; images.
"""

import numpy as np
import tensorflow as tf

from slim_resnet.end_points.keys import choose

tf1 = tf.compat.v1

# What the time of each op is filed under.
TRACE = "one batch"


class Run:
    """A run that is being written; a context manager, which closes its file.

    Args:
      folder: Where its event file goes; there may be others.
      graph: The graph, written as it is now.
    """

    def __init__(self, folder, graph):
        # A FileWriter refuses eager mode, though it runs nothing.
        with graph.as_default():
            self._writer = tf1.summary.FileWriter(folder, graph)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._writer.close()

    def add_weights(self, network):
        """Writes a histogram of each variable's values.

        Args:
          network: A `network.BuiltNetwork`.
        """
        with network.session.graph.as_default():
            variables = tf1.global_variables()
            histograms = _histograms({variable.op.name: tf.convert_to_tensor(variable)
                                      for variable in variables})
        self._add(network.session.run(histograms), 0)

    def adding(self, network, keys, batches):
        """Yields batches of images, and writes a histogram of each end point for each.

        Of the first batch it also writes the images, and the time that each op takes;
        TensorFlow runs some ops as one, which has the name of the last.

        Args:
          network: A `network.BuiltNetwork`.
          keys: End points, see `keys.choose`.
          batches: Yields arrays that the network takes.
        """
        tensors = {key: network.end_points[key] for key in choose(keys, network.end_points)}
        with network.session.graph.as_default():
            histograms = _histograms(tensors)
        for step, images in enumerate(batches):
            self._add(network.run(histograms, images), step)
            if step == 0:
                self._add([_images(images)], step)
                self._add_times(network, [tensor.op for tensor in tensors.values()], images)
            yield images

    def _add_times(self, network, ops, images):
        # What is set up in the first run of these ops is not to be in their times.
        network.run(ops, images)
        metadata = tf1.RunMetadata()
        network.run(ops, images, run_metadata=metadata,
                    options=tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE))
        self._writer.add_run_metadata(metadata, TRACE, 0)

    def _add(self, summaries, step):
        for summary in summaries:
            self._writer.add_summary(summary, step)


def _histograms(tensors):
    """Returns a summary for each tensor, tagged with its key; NaN and infinities left out."""
    with tf.name_scope("histograms"):
        return [tf.raw_ops.HistogramSummary(
            tag=key, values=tf.boolean_mask(tensor, tf.math.is_finite(tensor)))
            for key, tensor in tensors.items() if tensor.dtype.is_floating]


def _images(images):
    """Returns a summary of images, whatever their range of values."""
    low, high = images.min(), images.max()
    grey = (images - low) / max(high - low, np.finfo(np.float32).tiny)
    with tf.Graph().as_default(), tf1.Session() as session:
        return session.run(tf.raw_ops.ImageSummary(
            tag="images", tensor=np.uint8(np.round(255 * grey)), max_images=len(images)))
