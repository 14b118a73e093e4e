"""A checkpoint's network at work: prepared images in, probabilities and layers out."""

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from slim_resnet.checkpoint.building import build_from_checkpoint, build_recognised
from slim_resnet.checkpoint.reader import Checkpoint, CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import Recognised, recognise
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import IMAGE_SIZE
from slim_resnet.inference.protocol import ImageNetwork

tf1 = tf.compat.v1


def classes_of(opened: Checkpoint) -> int:
    """Returns how many classes an open `checkpoint.Checkpoint` tells apart.

    Raises:
      SlimResnetError: It holds no logits, or no ResNet V2.
    """
    num_classes = usable(opened).num_classes
    if num_classes is None:
        raise SlimResnetError(f"{opened.path}: has no logits, so it cannot classify; its "
                              "features can be had with slim-resnet end-points --save")
    return num_classes


def usable(opened: Checkpoint) -> Recognised:
    """Returns what an open `checkpoint.Checkpoint` holds.

    Raises:
      SlimResnetError: It is no ResNet V2, or one of no classes or for images of no channels.
    """
    found = recognise(opened)
    for number, what in ((found.num_classes, "logits of 0 classes"),
                         (found.input_channels, "a first layer for images of 0 channels")):
        if number == 0:
            raise SlimResnetError(f"{opened.path}: has {what}, so it cannot be used")
    return found


def build_network(opened: Checkpoint, images: tf.Tensor, session: tf1.Session) -> tuple[
        tf.Tensor | None, tf.Tensor | None, dict[str, tf.Tensor]]:
    """Builds and restores a checkpoint's network, the same way for slim's and the blog's.

    Args:
      opened: An open `checkpoint.Checkpoint`.
      images: Tensor of prepared images ``[N, H, W, channels]``.
      session: A session of their graph.

    Returns:
      ``(logits, probabilities, end_points)``. The first two are ``[N, classes]``, or
      None for a checkpoint without logits. ``end_points`` are the network's own and
      ``global_pool``, the pooled features ``[N, 1, 1, channels]``.

    Raises:
      SlimResnetError: The checkpoint cannot be restored.
    """
    net, end_points = build_from_checkpoint(opened, images, session=session)
    end_points = _with_pool(end_points, recognise(opened), session.graph)
    if "predictions" not in end_points:
        return None, None, end_points
    with session.graph.as_default():
        return (tf.squeeze(net, [1, 2]), tf.squeeze(end_points["predictions"], [1, 2]),
                end_points)


def open_network(checkpoint: CheckpointLike, image_size: int = IMAGE_SIZE, *,
                 end_points: Iterable[str] = (), optimize: bool = False,
                 precision: str = PRECISIONS[0]) -> ImageNetwork:
    """Returns a `Network` or an `inference.InferenceModel`.

    Args:
      checkpoint: Anything that `checkpoint.open_checkpoint` opens.
      image_size: Height and width of the images that it will be given, in pixels.
      end_points: Keys that `Network.features` will be asked for.
      optimize: Whether to make an `inference.InferenceModel`.
      precision: See `inference.InferenceModel.from_checkpoint`.
    """
    if not optimize:
        return Network(checkpoint, image_size)
    from slim_resnet.inference.folded.model import InferenceModel
    # Layers need the size for their shapes; the rest is as fast without, for all sizes.
    return InferenceModel.from_checkpoint(
        checkpoint, precision, end_points, image_size=image_size if end_points else None)


def build_without_values(opened: Checkpoint, image_size: int) -> dict[str, tf.Tensor]:
    """Builds a checkpoint's network in the default graph and restores nothing.

    Args:
      opened: An open `checkpoint.Checkpoint`.
      image_size: Height and width of the images, in pixels.

    Returns:
      The same ``end_points`` as `build_network`.

    Raises:
      SlimResnetError: It is no ResNet V2.
    """
    found = recognise(opened)
    images = tf1.placeholder(
        tf.float32, [None, image_size, image_size, found.input_channels], "images")
    _, end_points = build_recognised(opened, images)
    return _with_pool(end_points, found, images.graph)


def _with_pool(end_points, found, graph):
    pool5 = f"{found.scope}/pool5:0".lstrip("/")
    return dict(end_points, global_pool=graph.get_tensor_by_name(pool5))


class BuiltNetwork:
    """A network in a session, such as your own of slim's.

    Args:
      session: A ``tf.compat.v1.Session`` whose variables have their values.
      images: Tensor of its graph that images are fed to, ``[N, H, W, channels]``.
      end_points: Maps keys to tensors of its graph.

    Attributes:
      session, images, end_points: The arguments.
    """

    def __init__(self, session: tf1.Session, images: tf.Tensor, end_points: dict[str, tf.Tensor]
                 ) -> None:
        self.session, self.images, self.end_points = session, images, end_points

    def run(self, fetches: Any, images: np.ndarray, **options: Any) -> Any:
        """Returns the values of tensors for images, whatever they are, NaN too.

        Args:
          fetches: What ``Session.run`` takes.
          images: Array that is fed.
          **options: ``Session.run``'s ``options`` and ``run_metadata``.
        """
        return self.session.run(fetches, {self.images: images}, **options)


class Network(BuiltNetwork):
    """A checkpoint's network in inference mode, in a graph and a session of its own.

    Use it in a ``with`` statement, which closes the session.

    Args:
      checkpoint: Anything that `checkpoint.open_checkpoint` opens; not needed once the
        network is there.
      image_size: Height and width of the images that it will be given, in pixels.

    Attributes:
      path: Path of the checkpoint.
      end_points: Maps keys to tensors, see `build_network`.
      last_maps: Tensor ``[N, height, width, channels]``: what the global pool averages.
      recognised: What the checkpoint was found to hold, a `recognise.Recognised`.
      num_classes: Number of logits; None for a checkpoint without.
      channels: Of the images.
      precision: What it computes in.
      busy_s: Seconds that it has been at work on images.

    Raises:
      SlimResnetError: The checkpoint cannot be restored.
    """

    precision = PRECISIONS[0]

    def __init__(self, checkpoint: CheckpointLike, image_size: int = IMAGE_SIZE) -> None:
        graph = tf.Graph()
        with open_checkpoint(checkpoint) as opened, graph.as_default():
            self.path, self.recognised = opened.path, usable(opened)
            self.channels = self.recognised.input_channels
            images = tf1.placeholder(
                tf.float32, [None, image_size, image_size, self.channels], "images")
            session = tf1.Session(graph=graph)
            try:
                self._logits, self._probabilities, end_points = build_network(
                    opened, images, session)
            except BaseException:
                session.close()
                raise
        super().__init__(session, images, end_points)
        self.last_maps = end_points["global_pool"].op.inputs[0]
        self.num_classes = self.recognised.num_classes
        self.busy_s = 0.0

    def __enter__(self) -> "Network":
        return self

    def __exit__(self, *_: Any) -> None:
        self.session.close()

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns class probabilities ``[N, classes]`` of images ``[N, size, size, channels]``."""
        return self._finite(self._probabilities, images)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Returns logits ``[N, classes]`` of images ``[N, size, size, channels]``."""
        return self._finite(self._logits, images)

    def features(self, end_points: Any, images: np.ndarray) -> Any:
        """Returns end points for images ``[N, size, size, channels]``.

        Args:
          end_points: A key, or a list or dict of keys, for which its like is returned.
          images: Array that is fed.
        """
        return self._finite(tf.nest.map_structure(self.end_points.__getitem__, end_points), images)

    def variable(self, name: str) -> np.ndarray:
        """Returns the value of a variable, named without the network's scope."""
        scoped = "/".join(filter(None, [self.recognised.scope, name]))
        with self.session.graph.as_default():
            variables = {variable.op.name: variable for variable in tf1.global_variables()}
        return self.session.run(variables[scoped])

    def evidence_inputs(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns what `class_activation.contributions` explains logits with.

        Args:
          images: ``[N, size, size, channels]``.

        Returns:
          ``(last_maps, logits, probabilities)`` of one run.
        """
        return self._finite((self.last_maps, self._logits, self._probabilities), images)

    def _finite(self, fetches, images):
        started = time.perf_counter()
        values = self.run(fetches, images)
        self.busy_s += time.perf_counter() - started
        if not all(np.isfinite(array).all() for array in tf.nest.flatten(values)):
            raise SlimResnetError(f"{self.path}: the network's outputs are NaN or infinite; see "
                                  "slim-resnet checkpoint describe --stats")
        return values
