"""Which classes a checkpoint sees in images.

From Python in a few lines; the checkpoint is anything that
`slim_resnet.checkpoint` opens, the released archive as downloaded included::

    from slim_resnet.classify import classify

    for result in classify("resnet_v2_50_2017_04_14.tar.gz", ["photo.jpg"]):
        print(result.path, result.classes, result.probabilities)
"""

import dataclasses
import re

import numpy as np

from slim_resnet import images
from slim_resnet.checkpoint import open_checkpoint
from slim_resnet.errors import SlimResnetError
from slim_resnet.network import BATCH_SIZE, Network, classes_of
from slim_resnet.settings import settings_of

# ImageNet's 1000 classes behind a class 0 that is none of them.
CLASSES_WITH_BACKGROUND = 1001
BACKGROUND = "background"

# A line of the labels files that slim's data set scripts write.
_NUMBERED = re.compile(r"(\d+):(.*)")


def read_labels(path, num_classes=None):
    """Reads the names of classes, one a line.

    Args:
      path: UTF-8 text file with ``num_classes`` lines, in order of class numbers, or
        each with its number before it as slim writes them, ``0:daisy``. For 1001
        classes, 1000 lines will do: background is put before them.
      num_classes: Classes of the checkpoint; None takes any number of lines.

    Returns:
      A list of ``num_classes`` strings.

    Raises:
      SlimResnetError: The file cannot be read or has another number of lines.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            labels = [line.strip() for line in file.read().rstrip().split("\n")]
    except OSError as error:
        raise SlimResnetError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SlimResnetError(f"{path}: is not UTF-8 text; give one label a line") from error
    if labels == [""]:
        raise SlimResnetError(f"{path}: is empty; give one label a line")
    numbered = [_NUMBERED.fullmatch(label) for label in labels]
    if all(numbered) and [int(match[1]) for match in numbered] == list(range(len(labels))):
        labels = [match[2] for match in numbered]
    with_background = num_classes == CLASSES_WITH_BACKGROUND
    if with_background and len(labels) == num_classes - 1:
        return [BACKGROUND, *labels]
    if num_classes is not None and len(labels) != num_classes:
        raise SlimResnetError(
            f"{path}: has {len(labels)} labels, but the checkpoint has {num_classes} classes; "
            f"give {num_classes} lines{', or 1000 without background' * with_background}")
    return labels


def class_names(num_classes, labels=None):
    """Returns a name for every class; None where none is known.

    Args:
      num_classes: Classes of the checkpoint. Without labels, class 0 of 1001 is named
        "background".
      labels: Labels file, see `read_labels`, or None.
    """
    if labels is not None:
        return read_labels(labels, num_classes)
    names = [None] * num_classes
    if num_classes == CLASSES_WITH_BACKGROUND:
        names[0] = BACKGROUND
    return names


def top_classes(probabilities, top=5):
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
      path: The image.
      classes: Class numbers, most probable first; empty if unreadable.
      names: Their names; None for a class whose name is unknown.
      probabilities: Their probabilities.
      cause: Why the image is unreadable, one line, or None.
    """

    path: str
    classes: tuple = ()
    names: tuple = ()
    probabilities: tuple = ()
    cause: str | None = None


def classify_batches(network, batches, names, top=5):
    """Classifies images as they come.

    Args:
      network: A `Network` with logits.
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


def classify(checkpoint, paths, labels=None, top=5, *, batch_size=BATCH_SIZE,
             image_size=None, preprocessing=None):
    """Classifies image files with a checkpoint.

    Args:
      checkpoint: Anything that `slim_resnet.checkpoint` opens.
      paths: Image files and folders, see `images.find_images`.
      labels: Labels file, see `read_labels`; None takes that of the run that wrote the
        checkpoint, if there is one.
      top: Classes an image.
      batch_size: Images in a run of the network.
      image_size: Height and width that images are resized to, in pixels; None takes
        what the checkpoint was trained with, see `settings.settings_of`.
      preprocessing: One of `images.PREPROCESSING`; None as for ``image_size``.

    Yields:
      A `Result` for every image, in order, unreadable ones included.

    Raises:
      SlimResnetError: Checkpoint, labels or paths are at fault.
    """
    paths = images.find_images(paths)
    image_size, preprocessing, labels = settings_of(checkpoint, image_size, preprocessing, labels)
    with open_checkpoint(checkpoint) as opened:
        names = class_names(classes_of(opened), labels)
        network = Network(opened, image_size)
    with network:
        batches = images.read_images(paths, image_size, preprocessing, batch_size)
        for results in classify_batches(network, batches, names, top):
            yield from results
