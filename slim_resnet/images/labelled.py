"""Labelled images: a folder of class folders, TFRecord files as slim wrote them, or .npz."""

import dataclasses
import itertools
import os
import re

import numpy as np
import tensorflow as tf

from slim_resnet.common.arrays import read_arrays
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.images import reading
from slim_resnet.images.labels import BACKGROUND, CLASSES_WITH_BACKGROUND
from slim_resnet.images.settings import BATCH_SIZE, IMAGE_SIZE

tf1 = tf.compat.v1

# validation-00000-of-00128, flowers_train_00003-of-00005.tfrecord; validation.tfrecord
_SHARD = re.compile(r"(?P<set>.*?)[-_](?P<shard>\d{5})-of-(?P<shards>\d{5})(\.tfrecords?)?$")
_SINGLE = re.compile(r"(?P<set>.*)\.tfrecord")

RECORD_FEATURES = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
                   "image/class/label": tf.io.FixedLenFeature([], tf.int64)}


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
    names = class_folders(folder)
    offset = int(num_classes == CLASSES_WITH_BACKGROUND and len(names) == num_classes - 1)
    if len(names) + offset != num_classes:
        wanted = (f"{num_classes}, or 1000 without background"
                  if num_classes == CLASSES_WITH_BACKGROUND else num_classes)
        raise SlimResnetError(f"{folder}: has {len(names)} class folders, but the checkpoint has "
                              f"{num_classes} classes; give a folder with {wanted} of them, or "
                              "TFRecord files")
    paths, labels = images_of_classes(folder, names)
    return paths, [label + offset for label in labels], [BACKGROUND] * offset + names


def class_folders(folder):
    """Returns the names of a folder's folders, sorted; those that begin with a dot are not."""
    return sorted(entry.name for entry in os.scandir(folder)
                  if entry.is_dir() and not entry.name.startswith("."))


def images_of_classes(folder, names):
    """Returns ``(paths, labels)`` of the images in class folders; the first is class 0.

    Raises:
      SlimResnetError: A class folder holds no image.
    """
    paths, labels = [], []
    for label, name in enumerate(names):
        found = reading.find_images([os.path.join(folder, name)])
        paths += found
        labels += [label] * len(found)
    return paths, labels


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


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Labelled images of any kind, found and not yet read.

    Attributes:
      files: Image files, or TFRecord files in slim's format: ``tf.train.Example``
        records with ``image/encoded`` (see `images.decode`) and ``image/class/label``;
        or one .npz file.
      labels: Class number of each image; None for TFRecord files.
      names: Name of every class; None where unknown.
      pixels: uint8 ``[N, H, W, 1 or 3]`` of an .npz file.
    """

    files: list
    labels: list | None
    names: list
    pixels: np.ndarray | None = None

    @property
    def total(self):
        """How many images there are; None if only reading tells."""
        return None if self.labels is None else len(self.labels)

    def shuffled(self, seed):
        """Returns the same images in an order of chance; of TFRecord files in their own."""
        if self.labels is None:
            return self
        order = np.random.RandomState(seed).permutation(self.total)
        labels = [self.labels[k] for k in order]
        if self.pixels is not None:
            return dataclasses.replace(self, labels=labels, pixels=self.pixels[order])
        return dataclasses.replace(self, labels=labels, files=[self.files[k] for k in order])

    def read(self, image_size=IMAGE_SIZE, preprocessing="inception", batch_size=BATCH_SIZE,
             shard=(0, 1), skip=0):
        """Reads the images; the arguments are `images.read_images`' own.

        Yields:
          `images.Batch`es.

        Raises:
          SlimResnetError: A TFRecord file is damaged, or is none.
        """
        if self.pixels is not None:
            return self._read_pixels(image_size, preprocessing, batch_size, shard, skip)
        if self.labels is not None:
            return reading.read_images(self.files, image_size, preprocessing, batch_size,
                                      self.labels, shard, skip)
        return self._read_records(image_size, preprocessing, batch_size, shard, skip)

    def _read_pixels(self, image_size, preprocessing, batch_size, shard, skip):
        with tf.Graph().as_default(), tf1.Session() as session:
            batch = tf1.placeholder(tf.uint8, [None, *self.pixels.shape[1:]])
            prepared = reading.preprocess(
                tf.image.grayscale_to_rgb(batch) if batch.shape[-1] == 1 else batch,
                image_size, preprocessing)
            for start in range(0, self.total, batch_size)[shard[0]::shard[1]][skip:]:
                numbers = range(start, min(start + batch_size, self.total))
                yield reading.Batch(
                    [f"{self.files[0]}, image {number}" for number in numbers],
                    session.run(prepared, {batch: self.pixels[start:start + batch_size]}),
                    [None] * len(numbers), self.labels[start:start + batch_size])

    def _read_records(self, image_size, preprocessing, batch_size, shard, skip):
        def prepare(record):
            example = tf.io.parse_single_example(record, RECORD_FEATURES)
            image = reading.decode(example["image/encoded"])
            return (reading.preprocess(image, image_size, preprocessing),
                    example["image/class/label"])

        def records_of(file_number, file):
            return tf.data.TFRecordDataset(file).enumerate().map(
                lambda number, record: (tf.stack([file_number, number]), record))

        def elements():
            encoded = tf.constant(list(map(os.fsencode, self.files)))
            return tf.data.Dataset.from_tensor_slices(encoded).enumerate().flat_map(records_of)

        try:
            for numbers, pictures, causes, labels in reading.run_batches(
                    elements, prepare, image_size, batch_size, shard, skip):
                yield reading.Batch(
                    [f"{self.files[file]}, record {number}" for file, number in numbers],
                    pictures, causes,
                    [None if cause else label for cause, label in zip(causes, labels.tolist())])
        except tf.errors.OpError as error:
            raise _damage(self.files, error) from error


def _damage(files, error):
    """Returns the `SlimResnetError` that says where TFRecord files are damaged."""
    where = "a TFRecord file"
    for file in files:
        number = 0
        try:
            for _ in tf1.io.tf_record_iterator(file):
                number += 1
        except tf.errors.OpError as own:
            where, error = f"{file}: is damaged or no TFRecord file, at record {number}", own
            break
    return SlimResnetError(f"{where}: {cause_of(error.message)}")


def find_data(data, num_classes, classes=None):
    """Finds labelled images of any kind.

    Args:
      data: See `kind_of_data`.
      num_classes: Classes of the checkpoint.
      classes: Names of its classes, where they are known: those of the data must be the
        same.

    Returns:
      `Labelled`.

    Raises:
      SlimResnetError: A file is missing, or classes are others; and see `find_labelled`,
        `find_records` and `arrays.read_arrays`.
    """
    kind, found = kind_of_data(data)
    names, unknown = None, classes or [None] * num_classes
    if kind == "folders":
        files, labels, names = find_labelled(found, num_classes)
        result = Labelled(files, labels, names)
    elif kind == "npz":
        pixels, labels, names = read_arrays(found)
        result = Labelled([found], labels.tolist(), names or unknown, pixels)
    else:
        result = Labelled(found, None, unknown)
    if classes and names and names != classes:
        mine, own = next(pair for pair in itertools.zip_longest(names, classes)
                         if pair[0] != pair[1])
        raise SlimResnetError(f"{found}: has the class {mine} where the checkpoint has {own}; "
                              "give data of the same classes in the same order")
    return result


def kind_of_data(data):
    """Tells the kinds of labelled images apart.

    Args:
      data: One folder, of class folders or of TFRecord files, or TFRecord files, or one
        .npz file.

    Returns:
      ``("folders", folder)``, ``("records", files)`` or ``("npz", path)``.

    Raises:
      SlimResnetError: A path does not exist, or they do not go together.
    """
    data = [os.fspath(path) for path in data]
    for path in data:
        if not os.path.exists(path):
            raise SlimResnetError(f"{path}: no such file or folder")
        if os.path.isdir(path) and len(data) > 1:
            raise SlimResnetError(f"{path}: is a folder; give one folder, or TFRecord files only")
        if path.endswith(".npz") and len(data) > 1:
            raise SlimResnetError(f"{path}: is an .npz file; give it alone")
    if data[0].endswith(".npz"):
        return "npz", data[0]
    records = find_records(data[0]) if os.path.isdir(data[0]) else data
    if not records:
        return "folders", data[0]
    for file in records:
        try:
            with open(file, "rb"):
                pass
        except OSError as error:
            raise SlimResnetError(f"{file}: cannot be read: {error.strerror}") from error
    return "records", records
