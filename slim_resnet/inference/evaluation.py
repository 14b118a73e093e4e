"""How often a checkpoint is right: top-1, top-5 and confusion on labelled images.

Labelled images are a folder of class folders, or TFRecord files as slim's data set
scripts write them. From Python::

    from slim_resnet.inference import evaluate

    result = evaluate("resnet_v2_50_2017_04_14.tar.gz", ["imagenet/validation"])
    print(result.top_1, result.top_5, result.num_images)
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.runs import classes_of_run, labels_offset_of_run
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common.listing import Paths
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import reading
from slim_resnet.images.labelled import assumed_offset, find_data
from slim_resnet.images.reading import read_source
from slim_resnet.images.settings import BATCH_SIZE, Preprocessing
from slim_resnet.inference.fit import Fit, better_fit
from slim_resnet.inference.network import Network, classes_of
from slim_resnet.inference.protocol import ScoringNetwork


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What a checkpoint makes of one labelled image.

    Attributes:
      path: The image; of a record, its file and number.
      label: Its class number; None if unreadable.
      predicted: The most probable class; None if unreadable.
      rank: How many classes come before the label, see `ranks`; None if unreadable.
      cause: Why it is unreadable, one line, or None.
    """

    path: str
    label: int | None = None
    predicted: int | None = None
    rank: int | None = None
    cause: str | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Counts over labelled images.

    Attributes:
      num_images: Images that were read and classified.
      top_1: Fraction of them whose label is the most probable class.
      top_5: Fraction of them whose label is among the five most probable classes.
      confusion: int64 ``[classes, classes]``: images of label (row) and most
        probable class (column).
      unreadable: `Judgement`s of images that could not be read; they count nowhere else.
      interrupted: Whether Ctrl-C came before the last image.
      better: What `fit.better_fit` found: how the labels fit as images were prepared, and as
        they fit far better; None if nothing does.
    """

    num_images: int
    top_1: float
    top_5: float
    confusion: np.ndarray
    unreadable: tuple[Judgement, ...]
    interrupted: bool
    better: tuple[Fit, Fit] | None = None

    def most_confused(self, pairs: int = 10) -> list[tuple[int, int, int]]:
        """Returns ``(label, class, images)`` of the most frequent mistakes."""
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:pairs]
        return [(int(k) // len(wrong), int(k) % len(wrong), int(wrong.flat[k]))
                for k in order if wrong.flat[k]]


def ranks(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns how many classes come before each label: 0 is the most probable class.

    Args:
      scores: ``[N, classes]``, finite. Equal scores are in order of class numbers.
      labels: int ``[N]``.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    own = np.take_along_axis(scores, labels[:, np.newaxis], axis=1)
    before = np.arange(scores.shape[1]) < labels[:, np.newaxis]
    return ((scores > own) | ((scores == own) & before)).sum(axis=1)


def judge_batches(network: ScoringNetwork, batches: Iterable[reading.Batch]
                  ) -> Iterator[list[Judgement]]:
    """Compares a network's classes with labels.

    Args:
      network: A `ScoringNetwork` with logits.
      batches: Yields labelled `images.Batch`es of the network's image size.

    Yields:
      A list of `Judgement`s for every batch, one an image, in order.

    Raises:
      SlimResnetError: A label is no class of the checkpoint.
    """
    for batch in batches:
        rows = [(name, label) for name, label, cause
                in zip(batch.names, batch.labels, batch.causes) if cause is None]
        for name, label in rows:
            if not 0 <= label < network.num_classes:
                raise SlimResnetError(f"{name}: has label {label}, but the checkpoint's classes "
                                      f"are 0 to {network.num_classes - 1}; where labels count "
                                      "otherwise, say how by --labels-offset")
        judged = iter(())
        if rows:
            logits = network.logits(batch.images)
            labels = np.array([label for _, label in rows])
            judged = zip(labels.tolist(), logits.argmax(axis=1).tolist(),
                         ranks(logits, labels).tolist())
        yield [Judgement(name, *next(judged)) if cause is None else Judgement(name, cause=cause)
               for name, cause in zip(batch.names, batch.causes)]


def count(judgements: Iterable[Judgement], num_classes: int) -> Evaluation:
    """Adds up judgements as they come. Ctrl-C ends it with what it has.

    Args:
      judgements: Yields `Judgement`s.
      num_classes: Classes of the checkpoint.

    Returns:
      An `Evaluation` of at least one image.

    Raises:
      KeyboardInterrupt: Ctrl-C came before the first image was judged.
      SlimResnetError: No image is readable.
    """
    confusion = np.zeros([num_classes, num_classes], np.int64)
    right, unreadable, interrupted = np.zeros(2, np.int64), [], False
    try:
        for judgement in judgements:
            if judgement.cause is not None:
                unreadable.append(judgement)
                continue
            confusion[judgement.label, judgement.predicted] += 1
            right += [judgement.rank < k for k in (1, 5)]
    except KeyboardInterrupt:
        if not confusion.any():
            raise
        interrupted = True
    num_images = int(confusion.sum())
    if not num_images:
        raise SlimResnetError("no image could be read" + (
            f"; the first, {unreadable[0].path}: {unreadable[0].cause}" if unreadable else
            ": the data is empty"))
    return Evaluation(num_images, *(right / num_images).tolist(), confusion, tuple(unreadable),
                      interrupted)


def evaluate(checkpoint: CheckpointLike, data: Paths, *,
             batch_size: int = BATCH_SIZE, image_size: int | None = None,
             preprocessing: str | Preprocessing | None = None,
             labels_offset: int | None = None, use_moving_averages: bool | None = None
             ) -> Evaluation:
    """Evaluates a checkpoint on labelled images.

    Args:
      checkpoint: Anything that `slim_resnet.checkpoint` opens.
      data: One or several paths, see `labelled.find_data`.
      batch_size: Images in a run of the network.
      image_size: Height and width that images are resized to, in pixels; None takes
        what the checkpoint was trained with, see `settings.settings_of`.
      preprocessing: A `images.settings.Preprocessing` or the name of one; None as for
        ``image_size``.
      labels_offset: The label of class 0 in the data; None takes `labelled.assumed_offset`.
      use_moving_averages: See `checkpoint.open_checkpoint`.

    Returns:
      An `Evaluation`.

    Raises:
      SlimResnetError: The checkpoint or the data is at fault.
    """
    image_size, preprocessing, _ = settings_of(checkpoint, image_size, preprocessing)
    with open_checkpoint(checkpoint, use_moving_averages) as opened:
        num_classes = classes_of(opened)
        if labels_offset is None:
            labels_offset = assumed_offset(data, num_classes, labels_offset_of_run(checkpoint))
        source = find_data(data, num_classes, classes_of_run(checkpoint), labels_offset,
                           preprocessing.max_pixels)
        network = Network(opened, image_size)
    with network:
        better = better_fit(network, source, image_size, preprocessing, labels_offset)
        judged = judge_batches(network, read_source(
            source, image_size, preprocessing, batch_size, channels=network.channels))
        result = count(itertools.chain.from_iterable(judged), network.num_classes)
    return dataclasses.replace(result, better=better)
