"""The fastest inference of a ResNet V2: batch norms folded, layers fused, nothing to train.

    from slim_resnet.inference import InferenceModel

    with InferenceModel.from_checkpoint("resnet_v2_50_2017_04_14.tar.gz") as model:
        outputs = model(images)          # [N, H, W, 3]: float32 prepared, or uint8 pixels
        print(outputs.predictions.argmax(axis=1))

It is fastest with the variables of `environment.FASTEST` set before TensorFlow is imported:
``TF_ENABLE_ONEDNN_OPTS=1``, which is off by default on x86 without AVX-512, and
``TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD=1``.
"""

import contextlib
import dataclasses
import threading
import time
import typing
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slim_resnet import compat
from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.common.listing import listed
from slim_resnet.end_points.keys import choose, choose_one
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.images.settings import MEAN
from slim_resnet.inference.folded.graph import IMAGES, RAW_IMAGES, SCALED_IMAGES
from slim_resnet.inference.folded.live import live_network
from slim_resnet.inference.folded.network import (
    check_precision,
    checked_values,
    fold,
    own_end_points,
    with_blocks,
)
from slim_resnet.resnet_utils import Block

tf1 = tf.compat.v1


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


@dataclasses.dataclass
class _Fused:
    """A network that is ready to be loaded: its graph, and where its weights come from.

    ``record`` is plain data: ``num_classes``, ``channels``, ``of_pixels`` (how pixels are
    prepared), ``heads`` (nodes of logits and predictions), ``keys`` (all that there are),
    ``end_points`` (nodes by key).
    """

    graph_def: tf1.GraphDef
    names: list
    tensor: typing.Callable
    record: dict


def _fuse(network, folded, end_points):
    own = own_end_points(network, folded.end_points)
    end_points = choose(end_points, own)
    heads = [folded.end_points[key] for key in (folded.logits, "predictions") if folded.logits]
    record = {"num_classes": network.num_classes, "channels": network.input_channels,
              "of_pixels": network.row.preprocessing, "heads": heads, "keys": list(own),
              "end_points": {key: folded.end_points[key] for key in end_points}}
    # A network without logits still has something to compute.
    if not (heads or end_points):
        record["heads"] = [folded.end_points["global_pool"]]
    fetches = [*record["heads"], *record["end_points"].values(), SCALED_IMAGES]
    graph_def = compat.fuse(folded.graph_def, fetches)
    return _Fused(graph_def, list(folded.variables), folded.variables.pop, record)


class InferenceModel:
    """A folded network, ready to be called from any number of threads.

    Calls take turns: each has all cores to itself.

    Make one with `from_checkpoint` or `from_session`; use it in a ``with`` statement, or
    call `close`.

    Attributes:
      path: Path of the checkpoint, for messages.
      precision: ``float32`` or ``bfloat16``.
      num_classes: Number of logits; None for a network without.
      channels: Of the images.
      end_points: Maps the keys that were asked for to tensors; their shapes are known as
        far as that of the images is.
      keys: All end points that its network has, asked for or not.
      parts_s: Seconds that reading, folding, fusing, loading and the first call took, by
        name.
      busy_s: Seconds that it has been at work on images, all threads' together.
    """

    def __init__(self, path, precision, fused, parts_s):
        self.path, self.precision = path, precision
        self.num_classes = fused.record["num_classes"]
        self.parts_s, self.busy_s = parts_s, 0.0
        self.channels, self.keys = fused.record["channels"], fused.record["keys"]
        self._lock = threading.Condition()
        self._running, self._closed = 0, False
        self._preprocessing = self._of_pixels = fused.record["of_pixels"]
        started = time.perf_counter()
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(fused.graph_def, name="")
            assigns = {}
            for name in fused.names:
                handle = graph.get_tensor_by_name(f"{name}/handle:0")
                value = tf1.placeholder(handle.op.get_attr("dtype"), handle.op.get_attr("shape"))
                assigns[name] = (tf.raw_ops.AssignVariableOp(resource=handle, value=value), value)

        def tensor(node):
            return graph.get_tensor_by_name(f"{node}:0")

        self.end_points = {key: tensor(node) for key, node in fused.record["end_points"].items()}
        self._image_shape = tensor(IMAGES).shape.as_list()[1:3]
        self._session = tf1.Session(graph=graph, config=compat.unrewritten())
        try:
            for name, (assign, value) in assigns.items():
                self._session.run(assign, {value: fused.tensor(name)})
        except BaseException:
            self._session.close()
            raise
        # One set of fetches for all calls: oneDNN keeps reordered weights once for each set.
        fetches = [*map(tensor, fused.record["heads"]), *self.end_points.values()]
        self._run = self._session.make_callable(fetches, [tensor(IMAGES)])
        self._prepare = self._session.make_callable(tensor(SCALED_IMAGES), [tensor(RAW_IMAGES)])
        self.parts_s["load"] = time.perf_counter() - started

    @classmethod
    def from_checkpoint(
            cls, path: CheckpointLike, precision: str = PRECISIONS[0],
            end_points: str | Iterable[str] = (), *, image_size: int | None = None,
            output_stride: int | None = None, blocks: Sequence[Block] | None = None,
            use_moving_averages: bool | None = None) -> "InferenceModel":
        """Reads and folds a checkpoint's network.

        Args:
          path: Anything that `checkpoint.open_checkpoint` opens.
          precision: One of `environment.PRECISIONS`. ``bfloat16`` needs a CPU that has it, and
            oneDNN.
          end_points: Those to give beside logits and predictions, see `keys.choose`: the
            unfolded network's, and ``global_pool``.
          image_size: Height and width, in pixels, of all images to come; None takes any, and
            of a network without residual units what its released checkpoint is evaluated at.
          output_stride: As in `resnet_v2.resnet_v2`; not for the blog's network.
          blocks: Table of blocks to take strides and rates from, which no checkpoint
            records; None takes slim's, a stride of 2 in the last unit of every block
            but the last.
          use_moving_averages: See `checkpoint.open_checkpoint`.

        Raises:
          SlimResnetError: The checkpoint cannot be used, or an argument is at fault.
        """
        check_precision(precision)
        end_points, parts_s = listed(end_points), {}
        with open_checkpoint(path, use_moving_averages) as opened, _part(parts_s, "read_and_fold"):
            network = recognise(opened)
            if blocks is not None:
                network = with_blocks(network, blocks, opened.path)
            shown = opened.path
            folded = fold(shown, network, checked_values(shown, opened.dtypes,
                                                          opened.network_tensor),
                          precision, output_stride, image_size=image_size,
                          with_variables=True)
            preprocessing = settings_of(opened).preprocessing
        with _part(parts_s, "fuse"):
            fused = _fuse(network, folded, end_points)
        model = cls(shown, precision, fused, parts_s)
        # With another mean than slim's, pixels are not prepared as the graph does it.
        model._preprocessing = preprocessing.name if preprocessing.mean in (None, MEAN) \
            else preprocessing.described()
        return model

    @classmethod
    def from_session(cls, session: tf1.Session, precision: str = PRECISIONS[0],
                     end_points: str | Iterable[str] = (), *, image_size: int | None = None
                     ) -> "InferenceModel":
        """Folds the network of a live session as it is now; later changes do not count.

        Args:
          session: A ``tf.compat.v1.Session`` with one network, in any mode; strides, rates
            and the epsilon of the batch norms of a residual one are read off the graph.
          precision: See `from_checkpoint`.
          end_points: See `from_checkpoint`.
          image_size: See `from_checkpoint`.

        Raises:
          SlimResnetError: The session's network cannot be used.
        """
        check_precision(precision)
        end_points, parts_s = listed(end_points), {}
        live, path = live_network(session), "the session"
        with _part(parts_s, "read_and_fold"):
            values = checked_values(path, live.dtypes, live.read)
            folded = fold(path, live.network, values, precision,
                          image_size=image_size, with_variables=True, epsilon=live.epsilon)
        with _part(parts_s, "fuse"):
            fused = _fuse(live.network, folded, end_points)
        return cls(path, precision, fused, parts_s)

    def __enter__(self) -> "InferenceModel":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Frees the network once the calls that are running are over; later ones fail."""
        with self._lock:
            self._closed = True
            self._lock.wait_for(lambda: not self._running)
        self._session.close()

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
                images = self._prepare(images)
            values = self._run(images)
            seconds = time.perf_counter() - started
            self.parts_s.setdefault("first_call", seconds)
            with self._lock:
                self.busy_s += seconds
        except tf.errors.OpError as error:
            raise SlimResnetError(f"{self.path}: TensorFlow could not run the network: "
                                  f"{cause_of(error.message)}") from error
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
        shape = images.shape
        if len(shape) != 4 or shape[3] != self.channels:
            raise SlimResnetError(f"{self.path}: images are [N, H, W, {self.channels}], not "
                                  f"{list(shape)}")
        if not shape[0]:
            raise SlimResnetError(f"{self.path}: the batch is empty; give at least one image")
        if not (shape[1] and shape[2]):
            raise SlimResnetError(f"{self.path}: images of {shape[1]} x {shape[2]} pixels are too "
                                  "small; give at least one pixel")
        if any(known not in (None, given) for known, given in zip(self._image_shape, shape[1:3])):
            raise SlimResnetError(f"{self.path}: the model was made for images of "
                                  f"{self._image_shape[0]} x {self._image_shape[1]} pixels, not "
                                  f"{shape[1]} x {shape[2]}")
        if images.dtype == np.uint8:
            if self._preprocessing != self._of_pixels:
                raise SlimResnetError(
                    f"{self.path}: was trained on images prepared as {self._preprocessing}, and "
                    f"pixels of uint8 would be prepared as {self._of_pixels}; give what "
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
        keys = tf.nest.map_structure(self._asked_for, end_points)
        return tf.nest.map_structure(self(images).end_points.__getitem__, keys)

    def _asked_for(self, key):
        # Among all that there are: the same name is not to mean something else in a part.
        chosen = choose_one(key, self.keys)
        if chosen not in self.end_points:
            raise SlimResnetError(f"{self.path}: the model was made without the end point "
                                  f"{chosen}; name it in end_points when the model is made")
        return chosen


@contextlib.contextmanager
def _part(parts_s, name):
    """Notes the seconds that its ``with`` block takes."""
    started = time.perf_counter()
    yield
    parts_s[name] = time.perf_counter() - started
