"""The fastest inference of a network: batch norms folded, layers fused, nothing to train.

    from slim_resnet.inference import InferenceModel

    with InferenceModel.from_checkpoint("resnet_v2_50_2017_04_14.tar.gz") as model:
        outputs = model(images)          # [N, H, W, 3]: float32 prepared, or uint8 pixels
        print(outputs.predictions.argmax(axis=1))

It runs in TensorFlow, or in another engine that is installed, by ``engine=``.
"""

import threading
import time
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from slim_resnet.common.environment import PRECISIONS
from slim_resnet.end_points.keys import choose_one
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.engines import cache, files
from slim_resnet.inference.engines.loaded import Loaded
from slim_resnet.inference.engines.table import TENSORFLOW, Engine

if TYPE_CHECKING:
    import tensorflow as tf

    from slim_resnet.checkpoint.reader import CheckpointLike
    from slim_resnet.resnet_utils import Block


class Outputs(typing.NamedTuple):
    """What an `InferenceModel` makes of ``N`` images; all arrays are float32.

    Attributes:
      logits: ``[N, classes]``; None for a network without logits.
      predictions: Softmax of the logits, ``[N, classes]``, or None.
      end_points: Maps the keys that were asked for to values of the unfolded
        network's shapes.
    """

    logits: np.ndarray | None
    predictions: np.ndarray | None
    end_points: dict[str, np.ndarray]


class InferenceModel:
    """A folded network, ready to be called from any number of threads.

    Calls take turns: each has all cores to itself.

    Make one with `from_checkpoint` or `from_session`; use it in a ``with`` statement, or
    call `close`.

    Attributes:
      path: Path of the checkpoint, for messages.
      precision: What it computes in.
      engine: Title and version of what runs it, such as ``TensorFlow 2.21.0``.
      quantised: Of int8, what its calibration found, see `engines.quantising.quantise`; else
        None.
      num_classes: Number of logits; None for a network without.
      channels: Of the images.
      end_points: Maps the keys that were asked for to tensors, or what has their ``shape``,
        which is known as far as that of the images is.
      keys: All end points that its network has, asked for or not.
      kept_in: Its folder in the user's cache; None if it is not there.
      parts_s: Seconds that reading, folding, loading and the first call took, by name.
      busy_s: Seconds that it has been at work on images, all threads' together.
    """

    def __init__(self, path: str, precision: str, engine: Engine, loaded: Loaded,
                 parts_s: dict[str, float], kept_in: str | None = None) -> None:
        """Use `from_checkpoint` or `from_session`.

        Args:
          path: See the attributes, as ``precision``, ``parts_s`` and ``kept_in``.
          engine: What ``loaded`` is of.
          loaded: The network.
        """
        self.path, self.precision, self.engine = path, precision, engine.described
        self._title, self._loaded, record = engine.title, loaded, loaded.record
        self.num_classes, self.channels = record["num_classes"], record["channels"]
        self.keys = record["keys"]
        self.parts_s, self.busy_s, self.end_points = parts_s, 0.0, loaded.end_points
        self._lock = threading.Condition()
        self._running, self._closed = 0, False
        self.quantised, self.kept_in = record.get("quantised"), kept_in

    @classmethod
    def from_checkpoint(
            cls, path: "CheckpointLike", precision: str = PRECISIONS[0],
            end_points: str | Iterable[str] = (), *, image_size: int | None = None,
            output_stride: int | None = None, blocks: "Sequence[Block] | None" = None,
            use_moving_averages: bool | None = None, engine: str = TENSORFLOW,
            calibration: np.ndarray | None = None, accept: bool = False,
            made_from: dict[str, Any] | None = None) -> "InferenceModel":
        """Reads and folds a checkpoint's network.

        Args:
          path: Anything that `checkpoint.open_checkpoint` opens.
          precision: One of `environment.PRECISIONS`, or ``int8`` with ``calibration``.
            ``bfloat16`` needs a CPU that has it, and in TensorFlow oneDNN.
          end_points: Those to give beside logits and predictions, see `keys.choose`: the
            unfolded network's, and ``global_pool``.
          image_size: Height and width, in pixels, of all images to come; None takes any, and
            of a network without residual units what its released checkpoint is evaluated at.
          output_stride: As in `resnet_v2.resnet_v2`; not for the blog's network.
          blocks: Table of blocks to take strides and rates from, which no checkpoint
            records; None takes slim's, a stride of 2 in the last unit of every block
            but the last.
          use_moving_averages: See `checkpoint.open_checkpoint`.
          engine: What runs it, one of `engines.table.CHOICES`: ``auto`` takes the first that
            is installed of `engines.table.FASTEST`.
          calibration: Of int8: prepared images, float32 ``[N, image_size, image_size,
            channels]``, at least `engines.judged.LEAST_IMAGES`. One in four is kept to
            judge by.
          accept: Of int8: whether a network is taken that agrees with that of float32 in the
            classes of less than `engines.judged.LEAST_AGREEMENT` of them.
          made_from: What the network is kept under in the user's cache, see `cache.keep`;
            None keeps nothing, as TensorFlow in any case.

        Raises:
          SlimResnetError: The checkpoint cannot be used, an engine is not installed, or an
            argument is at fault.
        """
        from slim_resnet.inference.folded import making
        return making.from_checkpoint(
            cls, path, precision, end_points, engine, image_size=image_size,
            output_stride=output_stride, blocks=blocks, use_moving_averages=use_moving_averages,
            calibration=calibration, accept=accept, made_from=made_from)

    @classmethod
    def from_cache(cls, path: str, made_from: dict[str, Any], precision: str, engine: Engine
                   ) -> "InferenceModel | None":
        """Returns the network that was kept under ``made_from``, or None; needs no TensorFlow.

        Args:
          path: The checkpoint, for messages.
          made_from: As in `from_checkpoint`.
          precision: See there.
          engine: A row of `engines.table.ENGINES`.

        Raises:
          cache.Refused: What was kept is not to be trusted.
        """
        started = time.perf_counter()
        entry = cache.find(made_from)
        if entry is None:
            return None
        loaded = files.loaded(path, engine, entry.folder, entry.record, precision)
        return cls(path, precision, engine, loaded, {"load": time.perf_counter() - started},
                   entry.folder)

    @classmethod
    def from_session(cls, session: "tf.compat.v1.Session", precision: str = PRECISIONS[0],
                     end_points: str | Iterable[str] = (), *, image_size: int | None = None,
                     engine: str = TENSORFLOW, calibration: np.ndarray | None = None,
                     accept: bool = False, name: str = "the session") -> "InferenceModel":
        """Folds the network of a live session as it is now; later changes do not count.

        Args:
          session: A ``tf.compat.v1.Session`` with one network, in any mode; strides, rates
            and the epsilon of the batch norms of a residual one are read off the graph.
          precision: See `from_checkpoint`.
          end_points: See `from_checkpoint`.
          image_size: See `from_checkpoint`, as ``engine``, ``calibration`` and ``accept``.
          name: What messages call it.

        Raises:
          SlimResnetError: The session's network cannot be used.
        """
        from slim_resnet.inference.folded import making
        return making.from_session(
            cls, session, precision, end_points, engine, image_size=image_size,
            calibration=calibration, accept=accept, path=name)

    def __enter__(self) -> "InferenceModel":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Frees the network once the calls that are running are over; later ones fail."""
        with self._lock:
            self._closed = True
            self._lock.wait_for(lambda: not self._running)
        self._loaded.close()

    def __call__(self, images: np.ndarray) -> Outputs:
        """Runs the network.

        Args:
          images: ``[N, H, W, channels]``: float, as `images.preprocess` prepares them, or
            uint8, pixels from 0 to 255, which become ``2 * (x / 255 - 0.5)``, or for ResNet V1,
            VGG, AlexNet and OverFeat lose ImageNet's mean colour; refused for a run of ours
            whose images were prepared in another way.

        Returns:
          `Outputs`.

        Raises:
          SlimResnetError: The images do not fit the network, the outputs are NaN or
            infinite, or the model is closed.
        """
        images = self._checked(images)
        with self._lock:
            if self._closed:
                raise SlimResnetError(f"{self.path}: the model is closed; make another one")
            self._running += 1
        started = time.perf_counter()
        try:
            if images.dtype == np.uint8:
                images = self._loaded.prepare(images)
            values = self._loaded.run(images)
            seconds = time.perf_counter() - started
            self.parts_s.setdefault("first_call", seconds)
            with self._lock:
                self.busy_s += seconds
        except self._loaded.errors as error:
            raise SlimResnetError(f"{self.path}: {self._title} could not run the network: "
                                  f"{self._loaded.cause(error)}") from error
        finally:
            with self._lock:
                self._running -= 1
                self._lock.notify_all()
        if not np.isfinite(values[0]).all():
            raise SlimResnetError(f"{self.path}: the network's outputs are NaN or infinite; see "
                                  "slim-resnet checkpoint describe --stats")
        first = len(values) - len(self.end_points)
        end_points = dict(zip(self.end_points, values[first:]))
        if self.num_classes is None:
            return Outputs(None, None, end_points)
        return Outputs(values[0][:, 0, 0], values[1][:, 0, 0], end_points)

    def _checked(self, images):
        images = np.asarray(images)
        shape, record = images.shape, self._loaded.record
        if len(shape) != 4 or shape[3] != self.channels:
            raise SlimResnetError(f"{self.path}: images are [N, H, W, {self.channels}], not "
                                  f"{list(shape)}")
        if not shape[0]:
            raise SlimResnetError(f"{self.path}: the batch is empty; give at least one image")
        if not (shape[1] and shape[2]):
            raise SlimResnetError(f"{self.path}: images of {shape[1]} x {shape[2]} pixels are too "
                                  "small; give at least one pixel")
        if any(known not in (None, given)
               for known, given in zip(record["image_shape"], shape[1:3])):
            raise SlimResnetError(f"{self.path}: the model was made for images of "
                                  f"{' x '.join(map(str, record['image_shape']))} pixels, not "
                                  f"{shape[1]} x {shape[2]}")
        if images.dtype == np.uint8:
            if record["preprocessing"] != record["of_pixels"]:
                raise SlimResnetError(
                    f"{self.path}: was trained on images prepared as {record['preprocessing']}, "
                    f"and pixels of uint8 would be prepared as {record['of_pixels']}; give what "
                    "images.load_images makes of them")
            return images
        if images.dtype.kind != "f":
            raise SlimResnetError(f"{self.path}: images are float or uint8, not {images.dtype}")
        images = images.astype(np.float32, copy=False)
        # The first ReLU would make 0 of NaN, and the outputs would look like any others.
        with np.errstate(invalid="ignore"):
            if not np.isfinite(images.sum()):
                raise SlimResnetError(f"{self.path}: the images hold NaN or infinite values")
        return images

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns class probabilities ``[N, classes]``, see `__call__`."""
        return self(images).predictions

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Returns logits ``[N, classes]``, see `__call__`."""
        return self(images).logits

    def features(self, end_points: Any, images: np.ndarray) -> Any:
        """Returns end points that were asked for, as `network.Network.features` does."""
        keys = _mapped(self._asked_for, end_points)
        return _mapped(self(images).end_points.__getitem__, keys)

    def _asked_for(self, key):
        # Among all that there are: the same name is not to mean something else in a part.
        chosen = choose_one(key, self.keys)
        if chosen not in self.end_points:
            raise SlimResnetError(f"{self.path}: the model was made without the end point "
                                  f"{chosen}; name it in end_points when the model is made")
        return chosen


def _mapped(function: Callable, things: Any) -> Any:
    """Returns the like of a thing, or of a list or dict of them, each put through a function."""
    if isinstance(things, dict):
        return type(things)((name, _mapped(function, one)) for name, one in things.items())
    if isinstance(things, (list, tuple)):
        made = [_mapped(function, one) for one in things]
        return things._make(made) if hasattr(things, "_make") else type(things)(made)
    return function(things)
