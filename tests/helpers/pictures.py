"""Image files to test with, and what an independent network makes of them."""

import numpy as np
import tensorflow as tf

from slim_resnet.images.preparation import preprocess

tf1 = tf.compat.v1


def picture(seed, height=40, width=48):
    """Returns a uint8 picture of colours and edges that vary with the seed."""
    rng = np.random.RandomState(seed)
    coarse = rng.randint(0, 256, (4, 4, 3)).repeat(height // 4, 0).repeat(width // 4, 1)
    return (0.9 * coarse + rng.randint(0, 20, coarse.shape)).astype(np.uint8)


def write_png(path, seed):
    """Writes a picture as PNG; returns its path as a string."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(picture(seed)).numpy())
    return str(path)


def record(encoded, label):
    """Returns a record in slim's format; None leaves a feature out."""
    features = {}
    if encoded is not None:
        features["image/encoded"] = tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[encoded]))
    if label is not None:
        features["image/class/label"] = tf.train.Feature(
            int64_list=tf.train.Int64List(value=[label]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write_records(path, records):
    """Writes a TFRecord file; returns its path as a string."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for contents in records:
            writer.write(contents)
    return str(path)


def prepared(paths, image_size=32):
    """Returns the Inception-prepared pictures of PNG files, read one at a time."""
    return np.stack([preprocess(tf.io.decode_png(tf.io.read_file(path)), image_size)
                     for path in paths])


def run_with_saver(written, build, batch, fetch):
    """Restores with TensorFlow's own Saver and returns ``fetch(net, end_points)``'s values.

    Args:
      written: A `checkpoints.Written`.
      build: What built it, see `checkpoints.slim_builder`.
      batch: Prepared images.
      fetch: Chooses what to run.
    """
    with tf.Graph().as_default(), tf1.Session() as session:
        net, end_points = build(tf.constant(batch))
        tf1.train.Saver().restore(session, written.path)
        return session.run(fetch(net, end_points))
