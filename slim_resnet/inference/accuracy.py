"""How far the folded network is from the unfolded one in float32, on given images.

Errors are relative: the largest of an image's differences to its largest value, and the
mean difference to the mean magnitude. Agreement is of classes: the most probable one, and
the five most probable ones in any order.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import reading
from slim_resnet.images.settings import IMAGE_SIZE, Preprocessing
from slim_resnet.inference.classification import top_classes
from slim_resnet.inference.engines.table import TENSORFLOW
from slim_resnet.inference.folded.model import InferenceModel
from slim_resnet.inference.network import Network, classes_of

# Every layer of some images is held at once, 0.1 GB an image at 152 layers.
BATCH_SIZE = 2


@dataclasses.dataclass
class Error:
    """Relative error of one tensor over images.

    Attributes:
      largest: Of every image the largest difference over its largest magnitude; of
        all images the largest of these.
      mean: Mean difference over mean magnitude.
    """

    largest: float = 0.0
    _difference: float = 0.0
    _magnitude: float = 0.0

    def add(self, reference: np.ndarray, values: np.ndarray) -> None:
        """Takes in some images: two arrays ``[N, ...]``."""
        reference = reference.astype(np.float64).reshape(len(reference), -1)
        difference = np.abs(values.reshape(reference.shape) - reference)
        magnitude = np.abs(reference)
        # An image whose values are all 0 has no scale but theirs.
        scale = np.maximum(magnitude.max(axis=1), np.finfo(np.float32).tiny)
        self.largest = max(self.largest, float((difference.max(axis=1) / scale).max()))
        self._difference += float(difference.mean(axis=1).sum())
        self._magnitude += float(magnitude.mean(axis=1).sum())

    @property
    def mean(self) -> float:
        return self._difference / self._magnitude if self._magnitude else self._difference


@dataclasses.dataclass
class Agreement:
    """How far logits are from those of a reference, over images.

    Attributes:
      logits: `Error` of the logits.
      num_images: Images compared.
    """

    logits: Error = dataclasses.field(default_factory=Error)
    num_images: int = 0
    _agree: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2, np.int64))

    def add(self, reference: np.ndarray, values: np.ndarray) -> None:
        """Takes in some images: two arrays ``[N, classes]``."""
        self.logits.add(reference, values)
        self._agree += _agreements(reference, values)
        self.num_images += len(reference)

    @property
    def top_1(self) -> float:
        """Fraction of images with the same most probable class."""
        return float(self._agree[0] / self.num_images)

    @property
    def top_5(self) -> float:
        """Fraction of images with the same five most probable classes."""
        return float(self._agree[1] / self.num_images)

    def as_record(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return {"top_1_agreement_percent": 100 * self.top_1,
                "top_5_agreement_percent": 100 * self.top_5,
                "logits": {"largest": self.logits.largest, "mean": self.logits.mean}}


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """What `measure` found.

    Attributes:
      precision: Of the folded network.
      engine: What runs it, title and version.
      agreement: Of the logits.
      layers: Maps end points to `Error`, in order of computation, over the first
        ``layer_images`` images.
      layer_images: How many these are.
      unreadable: ``(name, cause)`` of images that could not be read.
      quantised: Of int8, what its calibration found, see `engines.quantising.quantise`; else
        None.
    """

    precision: str
    engine: str
    agreement: Agreement
    layers: dict[str, Error]
    layer_images: int
    unreadable: tuple[tuple[str, str], ...]
    quantised: dict[str, Any] | None


def measure(checkpoint: CheckpointLike, paths: Sequence[str], *, precision: str = PRECISIONS[0],
            image_size: int = IMAGE_SIZE, preprocessing: str | Preprocessing = "inception",
            batch_size: int = BATCH_SIZE, use_moving_averages: bool | None = None,
            engine: str = TENSORFLOW, calibration: np.ndarray | None = None,
            progress: Callable[[Iterable[reading.Batch]], Iterable[reading.Batch]] =
            lambda batches: batches) -> Accuracy:
    """Compares a checkpoint's folded network with its unfolded one.

    Args:
      checkpoint: Anything that `checkpoint.open_checkpoint` opens, with logits.
      paths: Image files, see `images.find_images`.
      precision: One of `environment.PRECISIONS`, or ``int8`` with ``calibration``.
      image_size: Height and width that images are resized to, in pixels.
      preprocessing: A `images.settings.Preprocessing`, or the name of one.
      batch_size: Images in a run; the layers are compared on the first such batch.
      use_moving_averages: See `checkpoint.open_checkpoint`.
      engine: What runs the folded network, see `InferenceModel.from_checkpoint`.
      calibration: Of int8, see there: other images than those of ``paths``. However little
        it agrees, it is compared.
      progress: Called with the iterable of `images.Batch`es; returns what to go through.

    Returns:
      An `Accuracy`.

    Raises:
      SlimResnetError: The checkpoint cannot be used, or no image can be read.
    """
    with open_checkpoint(checkpoint, use_moving_averages) as opened:
        classes_of(opened)
        network = Network(opened, image_size)

        def folded(end_points=()):
            return InferenceModel.from_checkpoint(
                opened, precision, end_points,
                image_size=None if engine == TENSORFLOW else image_size, engine=engine,
                calibration=calibration, accept=True)
        with network, folded() as model:
            batches = progress(reading.read_images(paths, image_size, preprocessing, batch_size,
                                                   channels=network.channels))
            agreement, unreadable, first = Agreement(), [], None
            for batch in batches:
                unreadable += [one for one in zip(batch.names, batch.causes) if one[1]]
                prepared = batch.images
                if not len(prepared):
                    continue
                first = prepared if first is None else first
                agreement.add(network.logits(prepared), model.logits(prepared))
            if first is None:
                raise SlimResnetError("no image could be read" + (
                    "; the first, {}: {}".format(*unreadable[0]) if unreadable else ""))
            reference = network.run(network.end_points, first)
        # Layers that are fetched are not fused away: a network of its own for them.
        with folded(list(reference)) as layered:
            values = layered(first).end_points
    layers = {}
    for key in reference:
        layers[key] = Error()
        layers[key].add(reference[key], values[key])
    return Accuracy(model.precision, model.engine, agreement, layers, len(first),
                    tuple(unreadable), model.quantised)


def _agreements(reference, values):
    """Returns how many images agree in the first class and in the first five."""
    return [int((np.sort(top_classes(reference, top)[0]) ==
                 np.sort(top_classes(values, top)[0])).all(axis=1).sum()) for top in (1, 5)]


def as_record(accuracy: Accuracy) -> dict[str, Any]:
    """Returns an `Accuracy` as plain data for JSON."""
    return {
        "precision": accuracy.precision, "engine": accuracy.engine,
        "quantised": accuracy.quantised,
        "num_images": accuracy.agreement.num_images, **accuracy.agreement.as_record(),
        "layer_images": accuracy.layer_images,
        "layers": [{"end_point": key, "largest": error.largest, "mean": error.mean}
                   for key, error in accuracy.layers.items()],
        "unreadable": [{"name": name, "cause": cause}
                       for name, cause in accuracy.unreadable],
    }
