"""A checkpoint's network at work: prepared images in, probabilities and layers out."""

import time

import numpy as np
import tensorflow as tf

from slim_resnet.checkpoint import build_from_checkpoint, open_checkpoint, recognise
from slim_resnet.errors import SlimResnetError
from slim_resnet.settings import IMAGE_SIZE

tf1 = tf.compat.v1

BATCH_SIZE = 16


def classes_of(opened):
    """Returns how many classes an open `checkpoint.Checkpoint` tells apart.

    Raises:
      SlimResnetError: It holds no logits, or no ResNet V2.
    """
    num_classes = recognise(opened).num_classes
    if num_classes is None:
        raise SlimResnetError(f"{opened.path}: has no logits, so it cannot classify; its "
                              "features can be had with slim-resnet classify --features")
    return num_classes


def build_network(opened, images, session):
    """Builds and restores a checkpoint's network, the same way for slim's and the blog's.

    Args:
      opened: An open `checkpoint.Checkpoint`.
      images: Tensor of prepared images ``[N, H, W, 3]``.
      session: A session of their graph.

    Returns:
      ``(logits, probabilities, end_points)``. The first two are ``[N, classes]``, or
      None for a checkpoint without logits. ``end_points`` are the network's own and
      ``global_pool``, the pooled features ``[N, 1, 1, channels]``.

    Raises:
      SlimResnetError: The checkpoint cannot be restored.
    """
    net, end_points = build_from_checkpoint(opened, images, session=session)
    found = recognise(opened)
    pool5 = f"{found.scope}/pool5:0".lstrip("/")
    end_points = dict(end_points, global_pool=session.graph.get_tensor_by_name(pool5))
    if found.num_classes is None:
        return None, None, end_points
    with session.graph.as_default():
        return (tf.squeeze(net, [1, 2]), tf.squeeze(end_points["predictions"], [1, 2]),
                end_points)


def open_network(checkpoint, image_size=IMAGE_SIZE, *, end_points=(), optimize=False,
                 precision="auto", cache_dir=None):
    """Returns a `Network`, or an `inference.InferenceModel`, which is used in the same way.

    Args:
      checkpoint: Anything that `checkpoint.open_checkpoint` opens.
      image_size: Height and width of the images that it will be given, in pixels.
      end_points: Keys that `Network.features` will be asked for.
      optimize: Whether to make an `inference.InferenceModel`.
      precision: See `inference.InferenceModel.from_checkpoint`.
      cache_dir: See there.
    """
    if not optimize:
        return Network(checkpoint, image_size)
    from slim_resnet.inference import InferenceModel
    # Layers need the size for their shapes; the rest is as fast without, for all sizes.
    return InferenceModel.from_checkpoint(
        checkpoint, precision, end_points, image_size=image_size if end_points else None,
        cache_dir=cache_dir)


class Network:
    """A checkpoint's network in inference mode, in a graph and a session of its own.

    Use it in a ``with`` statement, which closes the session.

    Args:
      checkpoint: Anything that `checkpoint.open_checkpoint` opens; not needed once the
        network is there.
      image_size: Height and width of the images that it will be given, in pixels.

    Attributes:
      path: Path of the checkpoint.
      end_points: Maps keys to tensors, see `build_network`.
      num_classes: Number of logits; None for a checkpoint without.
      busy_s: Seconds that it has been at work on images.

    Raises:
      SlimResnetError: The checkpoint cannot be restored.
    """

    def __init__(self, checkpoint, image_size=IMAGE_SIZE):
        graph = tf.Graph()
        with open_checkpoint(checkpoint) as opened, graph.as_default():
            self.path = opened.path
            self._images = tf1.placeholder(tf.float32, [None, image_size, image_size, 3])
            self._session = tf1.Session(graph=graph)
            try:
                self._logits, self._probabilities, self.end_points = build_network(
                    opened, self._images, self._session)
            except BaseException:
                self._session.close()
                raise
        self.num_classes = None if self._logits is None else self._logits.shape.as_list()[-1]
        self.busy_s = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._session.close()

    def probabilities(self, images):
        """Returns class probabilities ``[N, classes]`` of images ``[N, size, size, 3]``."""
        return self._finite(self._probabilities, images)

    def logits(self, images):
        """Returns logits ``[N, classes]`` of images ``[N, size, size, 3]``."""
        return self._finite(self._logits, images)

    def features(self, end_point, images):
        """Returns one end point for images ``[N, size, size, 3]``."""
        return self._finite(self.end_points[end_point], images)

    def layers(self, images):
        """Returns all end points, by key, for images ``[N, size, size, 3]``."""
        return self._session.run(self.end_points, {self._images: images})

    def _finite(self, fetch, images):
        started = time.perf_counter()
        values = self._session.run(fetch, {self._images: images})
        self.busy_s += time.perf_counter() - started
        if not np.isfinite(values).all():
            raise SlimResnetError(f"{self.path}: the network's outputs are NaN or infinite; see "
                                  "slim-resnet checkpoint describe --stats")
        return values
