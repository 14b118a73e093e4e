"""How often a checkpoint is right: top-1, top-5 and confusion on labelled images.

From Python::

    from slim_resnet.evaluate import evaluate

    result = evaluate("resnet_v2_50_2017_04_14.tar.gz", ["imagenet/validation"])
    print(result.top_1, result.top_5, result.num_images)

What labelled images are is `slim_resnet.labelled_data`'s.
"""

import dataclasses

import numpy as np

from slim_resnet import images
from slim_resnet.checkpoint import open_checkpoint
from slim_resnet.errors import SlimResnetError
from slim_resnet.labelled_data import read_labelled
from slim_resnet.network import BATCH_SIZE, IMAGE_SIZE, Network, classes_of


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Counts over labelled images.

    Attributes:
      num_images: Images that were read and classified.
      top_1: Fraction of them whose label is the most probable class.
      top_5: Fraction of them whose label is among the five most probable classes.
      confusion: int64 ``[classes, classes]``: images of label (row) and most
        probable class (column).
      unreadable: `images.Example`s that could not be read; they count nowhere else.
      interrupted: Whether Ctrl-C came before the last image.
    """

    num_images: int
    top_1: float
    top_5: float
    confusion: np.ndarray
    unreadable: tuple
    interrupted: bool

    def most_confused(self, pairs=10):
        """Returns ``(label, class, images)`` of the most frequent mistakes."""
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:pairs]
        return [(int(k) // len(wrong), int(k) % len(wrong), int(wrong.flat[k]))
                for k in order if wrong.flat[k]]


def ranks(scores, labels):
    """Returns how many classes come before each label: 0 is the most probable class.

    Args:
      scores: ``[N, classes]``, finite. Equal scores are in order of class numbers.
      labels: int ``[N]``.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    own = np.take_along_axis(scores, labels[:, np.newaxis], axis=1)
    before = np.arange(scores.shape[1]) < labels[:, np.newaxis]
    return ((scores > own) | ((scores == own) & before)).sum(axis=1)


def evaluate_examples(network, examples, batch_size=BATCH_SIZE):
    """Compares a network's classes with labels. Ctrl-C ends it with what it has.

    Args:
      network: A `network.Network` with logits.
      examples: Yields labelled `images.Example`s of the network's image size.
      batch_size: Images in a run of the network.

    Returns:
      An `Evaluation` of at least one image.

    Raises:
      KeyboardInterrupt: Ctrl-C came before the first batch was over.
      SlimResnetError: A label is no class of the checkpoint, or no image is readable.
    """
    confusion = np.zeros([network.num_classes, network.num_classes], np.int64)
    right, unreadable, interrupted = np.zeros(2, np.int64), [], False
    try:
        for batch in images.in_batches(examples, batch_size):
            unreadable += [example for example in batch if example.image is None]
            batch = [example for example in batch if example.image is not None]
            for example in batch:
                if not 0 <= example.label < network.num_classes:
                    raise SlimResnetError(
                        f"{example.name}: has label {example.label}, but the checkpoint's "
                        f"classes are 0 to {network.num_classes - 1}")
            if batch:
                labels = np.array([example.label for example in batch])
                logits = network.logits(images.stack(batch))
                np.add.at(confusion, (labels, logits.argmax(axis=1)), 1)
                right += [(ranks(logits, labels) < k).sum() for k in (1, 5)]
    except KeyboardInterrupt:
        if not confusion.any():
            raise
        interrupted = True
    num_images = int(confusion.sum())
    if not num_images:
        raise SlimResnetError("no image could be read" + (
            f"; the first, {unreadable[0].name}: {unreadable[0].cause}" if unreadable else
            ": the data is empty"))
    return Evaluation(num_images, *(right / num_images).tolist(), confusion, tuple(unreadable),
                      interrupted)


def evaluate(checkpoint, data, *, batch_size=BATCH_SIZE, image_size=IMAGE_SIZE,
             preprocessing="inception"):
    """Evaluates a checkpoint on labelled images.

    Args:
      checkpoint: Anything that `slim_resnet.checkpoint` opens.
      data: A list of paths, see `read_labelled`.
      batch_size: Images in a run of the network.
      image_size: Height and width that images are resized to, in pixels.
      preprocessing: One of `images.PREPROCESSING`.

    Returns:
      An `Evaluation`.

    Raises:
      SlimResnetError: The checkpoint or the data is at fault.
    """
    with open_checkpoint(checkpoint) as opened:
        examples, _, _ = read_labelled(data, classes_of(opened), image_size, preprocessing)
        network = Network(opened, image_size)
    with network:
        return evaluate_examples(network, examples, batch_size)
