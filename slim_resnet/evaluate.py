"""How often a checkpoint is right: top-1, top-5 and confusion on labelled images.

Labelled images are a folder of class folders, or TFRecord files as slim's data set
scripts write them. From Python::

    from slim_resnet.evaluate import evaluate

    result = evaluate("resnet_v2_50_2017_04_14.tar.gz", ["imagenet/validation"])
    print(result.top_1, result.top_5, result.num_images)
"""

import dataclasses
import os
import re

import numpy as np
import tensorflow as tf

from slim_resnet import images
from slim_resnet.checkpoint import open_checkpoint
from slim_resnet.classify import BACKGROUND, CLASSES_WITH_BACKGROUND
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.network import BATCH_SIZE, IMAGE_SIZE, Network, classes_of

# validation-00000-of-00128, flowers_train_00003-of-00005.tfrecord; validation.tfrecord
_SHARD = re.compile(r"(?P<set>.*?)[-_](?P<shard>\d{5})-of-(?P<shards>\d{5})(\.tfrecords?)?$")
_SINGLE = re.compile(r"(?P<set>.*)\.tfrecord")


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


def find_labelled(folder, num_classes):
    """Returns the images of a folder of class folders with their class numbers.

    Class folders in sorted order are classes 0, 1, ...; 1000 folders for 1001
    classes are classes 1, 2, ..., as class 0 is the background.

    Args:
      folder: The folder; a name that begins with a dot is passed over.
      num_classes: Classes of the checkpoint.

    Returns:
      ``(paths, labels, names)``: files, the class number of each, and the name of
      every class.

    Raises:
      SlimResnetError: The number of folders does not fit the checkpoint, or a class
        folder holds no image.
    """
    names = sorted(entry.name for entry in os.scandir(folder)
                   if entry.is_dir() and not entry.name.startswith("."))
    offset = int(num_classes == CLASSES_WITH_BACKGROUND and len(names) == num_classes - 1)
    if len(names) + offset != num_classes:
        wanted = (f"{num_classes}, or 1000 without background"
                  if num_classes == CLASSES_WITH_BACKGROUND else num_classes)
        raise SlimResnetError(f"{folder}: has {len(names)} class folders, but the checkpoint has "
                              f"{num_classes} classes; give a folder with {wanted} of them, or "
                              "TFRecord files")
    paths, labels = [], []
    for label, name in enumerate(names, offset):
        found = images.find_images([os.path.join(folder, name)])
        paths += found
        labels += [label] * len(found)
    return paths, labels, [BACKGROUND] * offset + names


def find_records(folder):
    """Returns a folder's TFRecord files, all shards of one data set; empty if it has none.

    Raises:
      SlimResnetError: Several data sets (train and validation, say) are in it, or
        shards are missing.
    """
    matches = {}
    for name in sorted(os.listdir(folder)):
        match = _SHARD.match(name) or _SINGLE.match(name)
        if match and os.path.isfile(os.path.join(folder, name)):
            matches.setdefault(match["set"], []).append(match)
    if len(matches) > 1:
        raise SlimResnetError(f"{folder}: holds {len(matches)} data sets "
                              f"({', '.join(list(matches)[:3])}); name the files of one")
    for name, shards in matches.items():
        wanted = int(shards[0].groupdict().get("shards") or len(shards))
        if len(shards) != wanted:
            raise SlimResnetError(f"{folder}: {len(shards)} of {wanted} shards of {name} are "
                                  "there; name files to evaluate on some")
    return [os.path.join(folder, match.string) for found in matches.values() for match in found]


def read_records(files, image_size, preprocessing="inception"):
    """Reads labelled images from TFRecord files in slim's format.

    Args:
      files: Files of ``tf.train.Example`` records with ``image/encoded`` (see
        `images.decode`) and ``image/class/label``.
      image_size: Height and width of the results, in pixels.
      preprocessing: See `images.preprocess`.

    Yields:
      An `images.Example` for every record. One whose features or image cannot be
      read has its cause.

    Raises:
      SlimResnetError: A file is missing, or is no undamaged TFRecord file.
    """
    features = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
                "image/class/label": tf.io.FixedLenFeature([], tf.int64)}

    def prepare(record):
        example = tf.io.parse_single_example(record, features)
        image = images.decode(example["image/encoded"])
        return (images.preprocess(image, image_size, preprocessing),
                example["image/class/label"])

    for file in map(os.fspath, files):
        try:
            with open(file, "rb"):
                pass
        except OSError as error:
            raise SlimResnetError(f"{file}: cannot be read: {error.strerror}") from error

        def dataset(file=file):
            return tf.data.TFRecordDataset(os.fsencode(file)).map(
                prepare, num_parallel_calls=tf.data.AUTOTUNE)

        number = 0
        try:
            for element, cause in images.run_dataset(dataset, tf.errors.InvalidArgumentError):
                image, label = (None, None) if element is None else element
                yield images.Example(f"{file}, record {number}", image, cause,
                                     None if label is None else int(label))
                number += 1
        except tf.errors.OpError as error:
            raise SlimResnetError(f"{file}: is damaged or no TFRecord file, at record {number}: "
                                  f"{cause_of(error.message)}") from error


def read_labelled(data, num_classes, image_size=IMAGE_SIZE, preprocessing="inception"):
    """Opens labelled images of either kind.

    Args:
      data: One folder, of class folders or of TFRecord files, or TFRecord files.
      num_classes: Classes of the checkpoint.
      image_size: Height and width of the results, in pixels.
      preprocessing: See `images.preprocess`.

    Returns:
      ``(examples, total, names)``: an iterator of `images.Example`, how many it will
      yield (None if unknown), and the names of classes (None if unknown).

    Raises:
      SlimResnetError: See `find_labelled`, `find_records` and `read_records`.
    """
    data = [os.fspath(path) for path in data]
    for path in data:
        if not os.path.exists(path):
            raise SlimResnetError(f"{path}: no such file or folder")
        if os.path.isdir(path) and len(data) > 1:
            raise SlimResnetError(f"{path}: is a folder; give one folder, or TFRecord files only")
    records = find_records(data[0]) if os.path.isdir(data[0]) else data
    if records:
        return read_records(records, image_size, preprocessing), None, [None] * num_classes
    paths, labels, names = find_labelled(data[0], num_classes)
    examples = (example._replace(label=label) for example, label in
                zip(images.read_images(paths, image_size, preprocessing), labels))
    return examples, len(paths), names


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
