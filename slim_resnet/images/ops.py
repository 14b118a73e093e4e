"""Ops that read files and records within a graph, and the session that runs them."""

from collections.abc import Callable

import tensorflow as tf

from slim_resnet.common.files import irregularity_of
from slim_resnet.images.decoding import decode

tf1 = tf.compat.v1

RECORD_FEATURES = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
                    "image/class/label": tf.io.FixedLenFeature([], tf.int64)}


def session_of(graph: tf.Graph) -> tf1.Session:
    """Returns a session that runs what reads images op for op, as it is written.

    TensorFlow's rewriting of graphs has nothing to gain here, and takes half a second.
    """
    config = tf1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf1.Session(graph=graph, config=config)


def read_regular(file: tf.Tensor, largest: int) -> tf.Tensor:
    """Returns a tensor of the bytes of a file, which fails for pipes, devices and large files."""
    return tf.io.read_file(faultless(lambda path: irregularity_of(path, largest), file))


def faultless(fault: Callable[[bytes], str | None], file: tf.Tensor) -> tf.Tensor:
    """Returns the path that it is given; running it fails where ``fault(path)`` is a text."""
    # By Python, as TensorFlow cannot look at a file without opening it, which may hang.
    said = tf.numpy_function(lambda path: (fault(path) or "").encode(), [file], tf.string)
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(said, ""), [said])]):
        return tf.identity(file)


def read_example(record: tf.Tensor, channels: int, max_pixels: int, labels_offset: int
                 ) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns image and label of a record in slim's format, see `sources.Records`."""
    parsed = tf.io.parse_single_example(record, RECORD_FEATURES)
    return (decode(parsed["image/encoded"], channels, max_pixels),
            parsed["image/class/label"] - labels_offset)
