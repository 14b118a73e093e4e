"""A checkpoint's network at work: prepared images in, probabilities and layers out."""

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from slim_resnet.checkpoint.building import (
    build_from_checkpoint,
    build_recognised,
    with_global_pool,
)
from slim_resnet.checkpoint.reader import Checkpoint, CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.common.listing import listed
from slim_resnet.common.text import printable
from slim_resnet.end_points.keys import choose_one, nearest_keys
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.reading import load_images
from slim_resnet.inference.protocol import ImageNetwork

tf1 = tf.compat.v1


def classes_of(opened: Checkpoint) -> int:
    """Returns how many classes an open `checkpoint.Checkpoint` tells apart.

    Raises:
      SlimResnetError: It holds no logits, or no network that can be built.
    """
    num_classes = recognise(opened).num_classes
    if num_classes is None:
        raise SlimResnetError(f"{opened.path}: has no logits, so it cannot classify; its "
                              "features can be had with slim-resnet end-points --save")
    return num_classes


def build_network(opened: Checkpoint, images: tf.Tensor, session: tf1.Session) -> tuple[
        tf.Tensor | None, tf.Tensor | None, dict[str, tf.Tensor]]:
    """Builds and restores a checkpoint's network, whichever it is, in inference mode.

    Args:
      opened: An open `checkpoint.Checkpoint`.
      images: Tensor of prepared images ``[N, H, W, channels]``.
      session: A session of their graph.

    Returns:
      ``(logits, probabilities, end_points)``. The first two are ``[N, classes]``, or
      None for a checkpoint without logits. ``end_points`` are the network's own and, if
      it averages over all places, ``global_pool``, the pooled features
      ``[N, 1, 1, channels]``.

    Raises:
      SlimResnetError: The checkpoint cannot be restored.
    """
    found = recognise(opened)
    net, end_points = build_from_checkpoint(opened, images, session=session)
    end_points = with_global_pool(end_points, found, session.graph)
    if found.num_classes is None:
        return None, None, end_points
    with session.graph.as_default():
        if found.variant is None:
            return net, end_points.get("Predictions", tf.nn.softmax(net)), end_points
        return (tf.squeeze(net, [1, 2]), tf.squeeze(end_points["predictions"], [1, 2]),
                end_points)


def open_network(checkpoint: CheckpointLike, image_size: int | None = None, *,
                 end_points: str | Iterable[str] = (), optimize: bool = False,
                 precision: str = PRECISIONS[0], use_moving_averages: bool | None = None
                 ) -> ImageNetwork:
    """Returns a `Network` or an `inference.InferenceModel`.

    Args:
      checkpoint: Anything that `checkpoint.open_checkpoint` opens.
      image_size: Height and width of the images that it will be given, in pixels; None as
        in `Network`.
      end_points: Those that `Network.features` will be asked for, see `keys.choose`.
      optimize: Whether to make an `inference.InferenceModel`.
      precision: See `inference.InferenceModel.from_checkpoint`.
      use_moving_averages: See `checkpoint.open_checkpoint`.
    """
    if not optimize:
        return Network(checkpoint, image_size, use_moving_averages)
    from slim_resnet.inference.folded.model import InferenceModel
    # Layers need the size for their shapes; the rest is as fast without, for all sizes.
    end_points = listed(end_points)
    return InferenceModel.from_checkpoint(
        checkpoint, precision, end_points,
        image_size=settings_of(checkpoint, image_size).image_size if end_points else None,
        use_moving_averages=use_moving_averages)


def build_without_values(opened: Checkpoint, image_size: int) -> dict[str, tf.Tensor]:
    """Builds a checkpoint's network in the default graph and restores nothing.

    Args:
      opened: An open `checkpoint.Checkpoint`.
      image_size: Height and width of the images, in pixels.

    Returns:
      The same ``end_points`` as `build_network`.

    Raises:
      SlimResnetError: It is no network that can be built.
    """
    found = recognise(opened)
    images = tf1.placeholder(
        tf.float32, [None, image_size, image_size, found.input_channels], "images")
    _, end_points = build_recognised(opened, images)
    return with_global_pool(end_points, found, images.graph)


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

    Use it in a ``with`` statement, which closes the session, or call `close`.

    Args:
      checkpoint: Anything that `checkpoint.open_checkpoint` opens; not needed once the
        network is there.
      image_size: Height and width of the images that it will be given, in pixels; None
        takes what the checkpoint was trained with, see `settings.settings_of`.
      use_moving_averages: See `checkpoint.open_checkpoint`.

    Attributes:
      path: Path of the checkpoint.
      image_size: The argument, or what was taken for it.
      preprocessing: How the images want to be prepared, see `settings.settings_of`.
      end_points: Maps keys to tensors, see `build_network`.
      last_maps: Tensor ``[N, height, width, channels]``: what the global pool averages;
        None for a network without one.
      recognised: What the checkpoint was found to hold, a `recognise.Recognised`.
      num_classes: Number of logits; None for a checkpoint without.
      channels: Of the images.
      precision: What it computes in.
      moving_averages: Whether it has the averages of its weights.
      busy_s: Seconds that it has been at work on images.

    Raises:
      SlimResnetError: The checkpoint cannot be restored.
    """

    precision = PRECISIONS[0]

    def __init__(self, checkpoint: CheckpointLike, image_size: int | None = None,
                 use_moving_averages: bool | None = None) -> None:
        graph = tf.Graph()
        with open_checkpoint(checkpoint, use_moving_averages) as opened, graph.as_default():
            image_size, self.preprocessing, _ = settings_of(opened, image_size)
            self.image_size = image_size
            self.moving_averages = opened.use_moving_averages
            self.path, self.recognised = opened.path, recognise(opened)
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
        self.last_maps = end_points["global_pool"].op.inputs[0] if "global_pool" in end_points \
            else None
        self.num_classes = self.recognised.num_classes
        self.busy_s, self._closed = 0.0, False

    def __enter__(self) -> "Network":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return printable(f"<Network {self.path}: {self.recognised.full_title}, {self.image_size} x "
                         f"{self.image_size} pixels{', closed' if self._closed else ''}>")

    def close(self) -> None:
        """Frees the network; what is asked of it later fails."""
        self._closed = True
        self.session.close()

    def run(self, fetches: Any, images: np.ndarray, **options: Any) -> Any:
        """As `BuiltNetwork.run`; raises `SlimResnetError` once the network is closed."""
        self._check_open()
        return super().run(fetches, images, **options)

    def _check_open(self):
        if self._closed:
            raise SlimResnetError(f"{self.path}: the network is closed; load it again, or use it "
                                  "within its 'with' block")

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns class probabilities ``[N, classes]`` of images ``[N, size, size, channels]``."""
        return self._finite(self._probabilities, images)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Returns logits ``[N, classes]`` of images ``[N, size, size, channels]``."""
        return self._finite(self._logits, images)

    def features(self, end_points: Any, images: np.ndarray) -> Any:
        """Returns end points for images ``[N, size, size, channels]``.

        Args:
          end_points: An end point, see `keys.choose_one`, or a list or dict of them, for which
            its like is returned.
          images: Array that is fed, see `prepare`.

        Raises:
          SlimResnetError: There is no such end point, the images are not prepared, or a
            value is NaN or infinite.
        """
        return self._finite(tf.nest.map_structure(
            lambda key: self.end_points[choose_one(key, self.end_points)], end_points), images)

    def prepare(self, images: Any) -> np.ndarray:
        """Returns images as the network wants them, at its size and with its `preprocessing`.

        Args:
          images: What `images.load_images` takes: files, folders, pixels.
        """
        return load_images(images, self.image_size, self.preprocessing, self.channels)

    def variable(self, name: str) -> np.ndarray:
        """Returns the value of a variable, named without the network's scope."""
        self._check_open()
        scoped = "/".join(filter(None, [self.recognised.scope, name]))
        with self.session.graph.as_default():
            variables = {variable.op.name: variable for variable in tf1.global_variables()}
        if scoped not in variables:
            raise SlimResnetError(f"{self.path}: the network has no variable {name!r}; nearest: "
                                  f"{', '.join(nearest_keys(scoped, variables))}")
        return self.session.run(variables[scoped])

    def evidence_inputs(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns what `class_activation.contributions` explains logits with.

        Args:
          images: ``[N, size, size, channels]``.

        Returns:
          ``(last_maps, logits, probabilities)`` of one run; the first is None for a network
          without global pool.
        """
        if self.last_maps is None:
            return (None, *self._finite((self._logits, self._probabilities), images))
        return self._finite((self.last_maps, self._logits, self._probabilities), images)

    def _finite(self, fetches, images):
        images = self._checked(images)
        started = time.perf_counter()
        values = self.run(fetches, images)
        self.busy_s += time.perf_counter() - started
        if not all(np.isfinite(array).all() for array in tf.nest.flatten(values)):
            raise SlimResnetError(f"{self.path}: the network's outputs are NaN or infinite; see "
                                  "slim-resnet checkpoint describe --stats")
        return values

    def _checked(self, images):
        """Refuses what TensorFlow would cast to float32 and feed, pixels from 0 to 255 too."""
        shape = self.images.shape.as_list()
        if hasattr(images, "__array__"):
            images = np.asarray(images)
        given = type(images).__name__
        if isinstance(images, np.ndarray):
            if images.dtype.kind == "f" and list(images.shape[1:]) == shape[1:]:
                # ReLUs may make 0 of NaN, and the outputs would look like any others.
                if not np.isfinite(images).all():
                    raise SlimResnetError(f"{self.path}: the images hold NaN or infinite values")
                return images
            given = f"{images.dtype} {list(images.shape)}"
        raise SlimResnetError(
            f"{self.path}: the network takes prepared images, float32 [N, {shape[1]}, {shape[2]}, "
            f"{shape[3]}], not {given}; files, pixels of uint8 and PIL images are prepared by "
            "network.prepare(images)")
