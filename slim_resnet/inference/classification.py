"""Which classes a checkpoint sees in images.

From Python in a few lines; the checkpoint is anything that
`slim_resnet.checkpoint` opens, the released archive as downloaded included::

    from slim_resnet.inference import classify

    for result in classify("resnet_v2_50_2017_04_14.tar.gz", ["photo.jpg"]):
        print(result.path, result.classes, result.probabilities)
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.images.batch import Batch
from slim_resnet.images.labels import class_names
from slim_resnet.images.settings import BATCH_SIZE, Preprocessing
from slim_resnet.inference.protocol import ImageNetwork

if TYPE_CHECKING:
    from slim_resnet.checkpoint.reader import CheckpointLike


def top_classes(probabilities: np.ndarray, top: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Returns the most probable classes, most probable first.

    Args:
      probabilities: ``[N, classes]``.
      top: How many; all classes if there are fewer.

    Returns:
      ``(classes, probabilities)``, both ``[N, min(top, classes)]``. Of equally
      probable classes the one of the lower number comes first.
    """
    classes = np.argsort(-np.asarray(probabilities), axis=1, kind="stable")[:, :top]
    return classes, np.take_along_axis(np.asarray(probabilities), classes, axis=1)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a checkpoint sees in one image.

    Attributes:
      path: The image's, or what it is called, see `images.given.sources_of`.
      classes: Class numbers, most probable first; empty if unreadable.
      names: Their names; None for a class whose name is unknown.
      probabilities: Their probabilities.
      cause: Why the image is unreadable, one line, or None.
    """

    path: str
    classes: tuple[int, ...] = ()
    names: tuple[str | None, ...] = ()
    probabilities: tuple[float, ...] = ()
    cause: str | None = None


def classify_batches(network: ImageNetwork, batches: Iterable[Batch],
                     names: Sequence[str | None], top: int = 5) -> Iterator[list[Result]]:
    """Classifies images as they come.

    Args:
      network: An `ImageNetwork` with logits.
      batches: Yields `images.Batch`es of the network's image size.
      names: See `class_names`.
      top: Classes an image.

    Yields:
      A list of `Result`s for every batch, one an image, in order.
    """
    for batch in batches:
        rows = iter(())
        if len(batch.images):
            rows = zip(*top_classes(network.probabilities(batch.images), top))
        results = []
        for path, cause in zip(batch.names, batch.causes):
            if cause is None:
                classes, probabilities = next(rows)
                results.append(Result(path, tuple(classes.tolist()),
                                      tuple(names[k] for k in classes),
                                      tuple(probabilities.tolist())))
            else:
                results.append(Result(path, cause=cause))
        yield results


def classify(checkpoint: "CheckpointLike", images: Any,
             labels: str | None = None, top: int = 5, *, batch_size: int = BATCH_SIZE,
             image_size: int | None = None, preprocessing: str | Preprocessing | None = None,
             labels_offset: int | None = None, use_moving_averages: bool | None = None
             ) -> Iterator[Result]:
    """Classifies images with a checkpoint.

    Args:
      checkpoint: Anything that `slim_resnet.checkpoint` opens.
      images: One or several files, folders or pixels: arrays of uint8, PIL images; see
        `images.given.sources_of`.
      labels: Labels file, see `read_labels`; None takes that of the run that wrote the
        checkpoint, if there is one.
      top: Classes an image.
      batch_size: Images in a run of the network.
      image_size: Height and width that images are resized to, in pixels; None takes
        what the checkpoint was trained with, see `settings.settings_of`.
      preprocessing: A `images.settings.Preprocessing` or the name of one; None as for
        ``image_size``.
      labels_offset: See `read_labels`.
      use_moving_averages: See `checkpoint.open_checkpoint`.

    Yields:
      A `Result` for every image, in order, unreadable ones included.

    Raises:
      SlimResnetError: Checkpoint, labels or images are at fault.
    """
    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.images import reading
    from slim_resnet.images.given import sources_of
    from slim_resnet.inference.network import Network, classes_of
    image_size, preprocessing, labels = settings_of(checkpoint, image_size, preprocessing, labels)
    sources = sources_of(images)
    with open_checkpoint(checkpoint, use_moving_averages) as opened:
        names = class_names(classes_of(opened), labels, labels_offset)
        network = Network(opened, image_size)
    with network:
        for source in sources:
            batches = reading.read_source(source, image_size, preprocessing, batch_size,
                                          channels=network.channels)
            for results in classify_batches(network, batches, names, top):
                yield from results
