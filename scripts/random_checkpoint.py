"""Checkpoints of random weights, for measurements that no trained one is at hand for."""

import contextlib


def write(path: str, network: str, image_size: int, num_classes: int, format: str = "V2") -> str:
    """Writes a network of random weights, by a fixed seed.

    Args:
      path: V1 file or V2 prefix, in an empty folder.
      network: A name in `models.MODELS`.
      image_size: Height and width of its images, in pixels.
      num_classes: Number of logits.
      format: ``V1`` or ``V2``.

    Returns:
      ``path``.
    """
    import tensorflow as tf

    from slim_resnet.models import find_model
    tf1 = tf.compat.v1
    with tf.Graph().as_default() as graph, tf1.Session(graph=graph) as session:
        tf1.set_random_seed(0)
        images = tf1.placeholder(tf.float32, [None, image_size, image_size, 3])
        # The blog's network prints the name of its collection.
        with contextlib.redirect_stdout(None):
            find_model(network).build(images, num_classes, is_training=False)
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver(write_version=getattr(tf1.train.SaverDef, format)).save(
            session, path, write_meta_graph=False, write_state=False)
    return path
