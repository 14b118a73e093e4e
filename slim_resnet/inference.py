"""The fastest inference of a ResNet V2 checkpoint: batch norms folded, graph frozen.

    from slim_resnet.inference import InferenceModel

    with InferenceModel.from_checkpoint("resnet_v2_50.ckpt", image_size=299) as model:
        outputs = model(images)          # [N, 299, 299, 3], float32 prepared or uint8 raw
        print(outputs.predictions.argmax(axis=1))
"""

import dataclasses
import threading
import typing

import numpy as np
import tensorflow as tf

from slim_resnet import compat, inference_graph
from slim_resnet.checkpoint import open_checkpoint, recognise
from slim_resnet.environment import cpu, has_bfloat16
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.features import check_end_points
from slim_resnet.inference_graph import IMAGES, RAW_IMAGES, SCALED_IMAGES

tf1 = tf.compat.v1

PRECISIONS = ("auto", "float32", "bfloat16")


class Outputs(typing.NamedTuple):
    """What `InferenceModel` makes of ``N`` images; all arrays are float32.

    Attributes:
      logits: ``[N, classes]``; None for a network without logits.
      predictions: Softmax of the logits, ``[N, classes]``, or None.
      end_points: Maps the keys that were asked for to values of the unfolded
        network's shapes.
    """

    logits: np.ndarray | None
    predictions: np.ndarray | None
    end_points: dict


def choose_precision(precision):
    """Returns ``float32`` or ``bfloat16`` for one of `PRECISIONS`.

    Raises:
      SlimResnetError: There is no such precision, or this CPU lacks it.
    """
    if precision not in PRECISIONS:
        raise SlimResnetError(f"there is no precision {precision!r}; choose one of "
                              f"{', '.join(PRECISIONS)}")
    machine = cpu()
    able = has_bfloat16(machine["flags"])
    if precision == "bfloat16" and not able:
        raise SlimResnetError(f"precision bfloat16: this CPU ({machine['model']}) has neither "
                              "avx512_bf16 nor amx_bf16; use float32")
    if precision == "auto":
        # Without oneDNN, TensorFlow widens every bfloat16 number and is slower than in float32.
        return "bfloat16" if able and compat.onednn_enabled() else "float32"
    return precision


class InferenceModel:
    """A folded network, ready to be called, from any number of threads.

    Make one with `from_checkpoint` or `from_session`; use it in a ``with`` statement, or
    call `close`.

    Attributes:
      path: Path of the checkpoint, for messages.
      precision: ``float32`` or ``bfloat16``.
      num_classes: Number of logits; None for a network without.
      end_points: Maps the keys that were asked for to tensors of `graph`.
      graph: The ``tf.Graph``.
    """

    def __init__(self, path, network, folded, precision, end_points):
        check_end_points(end_points, folded.end_points)
        self.path, self.precision, self.num_classes = path, precision, network.num_classes
        self._channels = network.input_channels
        self._lock = threading.Condition()
        self._running, self._closed = 0, False
        self.graph = tf.Graph()
        with self.graph.as_default():
            tf.import_graph_def(folded.graph_def, name="")
        self.end_points = {key: self._tensor(folded.end_points[key]) for key in end_points}
        heads = [self._tensor(node) for key, node in folded.end_points.items()
                 if key == "predictions" or key.endswith("logits")]
        self._images = self._tensor(IMAGES)
        self._session = tf1.Session(graph=self.graph)
        # One set of fetches for all calls: a session keeps constants once for every set.
        fetches = [*heads, *self.end_points.values()] or [self._tensor(
            folded.end_points["global_pool"])]
        self._run = self._session.make_callable(fetches, [self._images])
        self._prepare = self._session.make_callable(self._tensor(SCALED_IMAGES),
                                                    [self._tensor(RAW_IMAGES)])

    @classmethod
    def from_checkpoint(cls, path, precision="auto", end_points=(), *, image_size=None,
                        output_stride=None):
        """Reads and folds a checkpoint's network.

        Args:
          path: Anything that `checkpoint.open_checkpoint` opens.
          precision: One of `PRECISIONS`. ``bfloat16`` needs a CPU that has it; ``auto``
            takes it where it is faster, and `precision` says what was taken.
          end_points: Keys to give beside logits and predictions; those of the unfolded
            network, and ``global_pool``.
          image_size: Height and width, in pixels, one number or two, of all images to
            come. None takes any size, but more can be optimised for a known one.
          output_stride: As in `resnet_v2.resnet_v2`; not for the blog's network.

        Raises:
          SlimResnetError: The checkpoint cannot be used, or an argument is at fault.
        """
        precision = choose_precision(precision)
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        with open_checkpoint(path) as opened:
            network = recognise(opened)
            folded = inference_graph.folded_graph(
                network, opened.tensor, output_stride=output_stride, image_size=size,
                dtype=tf.as_dtype(precision))
            return cls(opened.path, network, folded, precision, tuple(end_points))

    def _tensor(self, node):
        return self.graph.get_tensor_by_name(f"{node}:0")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Frees the network once the calls that are running are over."""
        with self._lock:
            self._closed = True
            while self._running:
                self._lock.wait()
        self._session.close()

    def __call__(self, images):
        """Runs the network.

        Args:
          images: ``[N, H, W, 3]``: float, as `images.preprocess` prepares them, or uint8,
            pixels from 0 to 255, which are mapped to ``2 * (x / 255) - 1``.

        Returns:
          `Outputs`.

        Raises:
          SlimResnetError: The images do not fit the network, or it is closed.
        """
        values = self._run_once(np.asarray(images))
        end_points = dict(zip(self.end_points, values[len(values) - len(self.end_points):]))
        if self.num_classes is None:
            return Outputs(None, None, end_points)
        return Outputs(*(value[:, 0, 0] for value in values[:2]), end_points)

    def _run_once(self, images):
        with self._lock:
            if self._closed:
                raise SlimResnetError(f"{self.path}: the model is closed")
            self._running += 1
        try:
            if images.dtype == np.uint8:
                images = self._prepare(images)
            return self._run(images)
        finally:
            with self._lock:
                self._running -= 1
                self._lock.notify_all()

    def probabilities(self, images):
        """Returns class probabilities ``[N, classes]``, see `__call__`."""
        return self._finite(self(images).predictions)

    def logits(self, images):
        """Returns logits ``[N, classes]``, see `__call__`."""
        return self._finite(self(images).logits)

    def features(self, end_point, images):
        """Returns one of the end points that were asked for, see `__call__`."""
        return self._finite(self(images).end_points[end_point])

    def _finite(self, values):
        if not np.isfinite(values).all():
            raise SlimResnetError(f"{self.path}: the network's outputs are NaN or infinite; see "
                                  "slim-resnet checkpoint describe --stats")
        return values
