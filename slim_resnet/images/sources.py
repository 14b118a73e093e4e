"""Images of each kind, found and not yet read: image files, arrays, TFRecord files.

Every kind says in the same way how it is read within a graph, see `Opened`. So
`images.reading` can go through it once and in order, and `training.data` without end and
in an order of chance.
"""

import dataclasses
import os
import typing
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.images.decoding import decode
from slim_resnet.images.labels import read_labels

tf1 = tf.compat.v1

_RECORD_FEATURES = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
                    "image/class/label": tf.io.FixedLenFeature([], tf.int64)}
_COUNTED_AT_ONCE = 256


class Opened(typing.NamedTuple):
    """What reads a source, within the graph that was the default one when it was opened.

    Attributes:
      elements: From a dataset of int64 numbers below the source's ``num_parts`` to a
        dataset of the elements that these parts hold, in their order.
      read: From an element to its image, uint8 ``[height, width, 3]``, and its label,
        int64.
      key: From an element to what the source's ``name`` takes, int64.
      feed: For the initializer of an iterator over elements, as the graph itself is to
        stay small; and for ``read`` by itself, where the source ``reads_batches``.
    """

    elements: Callable[[tf.data.Dataset], tf.data.Dataset]
    read: Callable[..., tuple[tf.Tensor, tf.Tensor]]
    key: Callable[..., tf.Tensor]
    feed: dict[tf.Tensor, typing.Any]


@dataclasses.dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files; each is a part.

    Attributes:
      files: Their paths.
      labels: Class number of each, or None.
      classes: Name of every class, or None.
      reads_batches: Whether ``read`` takes batches of elements too.
    """

    files: list[str]
    labels: list[int] | None = None
    classes: list[str] | None = None
    reads_batches: typing.ClassVar[bool] = False

    @property
    def is_labelled(self) -> bool:
        return self.labels is not None

    @property
    def num_images(self) -> int:
        return len(self.files)

    @property
    def num_parts(self) -> int:
        return len(self.files)

    def shuffled(self, seed: int) -> "ImageFiles":
        """Returns the same images in an order of chance."""
        order = np.random.RandomState(seed).permutation(self.num_images)
        return dataclasses.replace(self, files=[self.files[k] for k in order],
                                   labels=[self.labels[k] for k in order])

    def name(self, key: int) -> str:
        """Returns what an element is called, from its `Opened.key`."""
        return self.files[key]

    def is_called(self, number: int, name: object, previous: object) -> bool:
        """Tells whether the image of a number, from 0, has this name.

        Args:
          number: The number.
          name: The name.
          previous: The name of the image before it; None if that is not known.
        """
        return number < self.num_images and name == self.name(number)

    def open(self) -> Opened:
        """Adds what reads the images to the default graph."""
        files, labels = tf1.placeholder(tf.string, [None]), tf1.placeholder(tf.int64, [None])

        def elements(numbers):
            return numbers.map(lambda index: (index, files[index], labels[index]))

        def read(element):
            _, file, label = element
            return decode(tf.io.read_file(file)), label

        return Opened(elements, read, lambda element: element[0], {
            files: np.array([os.fsencode(file) for file in self.files], object),
            labels: np.array(self.labels if self.is_labelled else [0] * len(self.files), np.int64)})


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Images of an .npz file, see `npz.read_arrays`; each is a part.

    Attributes as `ImageFiles`', and ``pixels``: uint8 ``[N, height, width, 1 or 3]``.
    """

    files: list[str]
    pixels: np.ndarray
    labels: list[int]
    classes: list[str] | None = None
    reads_batches: typing.ClassVar[bool] = True
    is_labelled: typing.ClassVar[bool] = True

    @property
    def num_images(self) -> int:
        return len(self.labels)

    @property
    def num_parts(self) -> int:
        return len(self.labels)

    def shuffled(self, seed: int) -> "Arrays":
        """Returns the same images in an order of chance."""
        order = np.random.RandomState(seed).permutation(self.num_images)
        return dataclasses.replace(self, pixels=self.pixels[order],
                                   labels=[self.labels[k] for k in order])

    def name(self, key: int) -> str:
        """As `ImageFiles.name`."""
        return f"{self.files[0]}, image {key}"

    is_called = ImageFiles.is_called

    def open(self) -> Opened:
        """As `ImageFiles.open`."""
        if self.pixels.shape[-1] not in (1, 3):
            raise SlimResnetError(f"{self.files[0]}: images have {self.pixels.shape[-1]} channels, "
                                  "and the network takes 3")
        pixels = tf1.placeholder(tf.uint8, [None, *self.pixels.shape[1:]])
        labels = tf1.placeholder(tf.int64, [None])

        def read(index):
            image = tf.gather(pixels, index)
            return (tf.image.grayscale_to_rgb(image) if image.shape[-1] == 1 else image,
                    tf.gather(labels, index))

        return Opened(lambda numbers: numbers, read, lambda index: index,
                      {pixels: self.pixels, labels: np.array(self.labels, np.int64)})


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """TFRecord files in slim's format; each is a part of many images.

    They hold ``tf.train.Example`` records with ``image/encoded`` (see `images.decode`) and
    ``image/class/label``. Attributes as `ImageFiles`'; ``num_images`` is None until the
    records are `counted`.
    """

    files: list[str]
    classes: list[str] | None = None
    num_images: int | None = None
    reads_batches: typing.ClassVar[bool] = False
    is_labelled: typing.ClassVar[bool] = True

    @property
    def num_parts(self) -> int:
        return len(self.files)

    def shuffled(self, seed: int) -> "Records":
        """Returns the images as they are: records can be read in their own order only."""
        return self

    def name(self, key: tuple[int, int]) -> str:
        """As `ImageFiles.name`."""
        return f"{self.files[key[0]]}, record {key[1]}"

    def is_called(self, number: int, name: object, previous: object) -> bool:
        """As `ImageFiles.is_called`, as far as it can be told without counting records."""
        file, _, record = str(name).rpartition(", record ")
        if not (record.isascii() and record.isdigit()):
            return False
        if previous is not None and previous == f"{file}, record {int(record) - 1}":
            return True
        if file not in self.files:
            return False
        if previous is None:
            return number > 0 or int(record) == 0
        others = previous.rpartition(", record ")[0] != file or self.files.count(file) > 1
        return int(record) == 0 and others

    def open(self) -> Opened:
        """As `ImageFiles.open`."""
        files = tf1.placeholder(tf.string, [None])

        def records_of(index):
            return tf.data.TFRecordDataset(files[index]).enumerate().map(
                lambda number, record: (index, number, record))

        def read(element):
            parsed = tf.io.parse_single_example(element[2], _RECORD_FEATURES)
            return decode(parsed["image/encoded"]), parsed["image/class/label"]

        return Opened(lambda numbers: numbers.flat_map(records_of), read,
                      lambda element: tf.stack(element[:2]),
                      {files: np.array([os.fsencode(file) for file in self.files], object)})

    def counted(self) -> "Records":
        """Reads the files through, without decoding the images, and counts them.

        Returns:
          The same with ``num_images`` and ``classes``: the lines of ``labels.txt`` beside
          the first file, or numbers.

        Raises:
          SlimResnetError: A file is damaged or of another format, or ``labels.txt`` has
            too few lines.
        """
        count, num_classes = 0, 0
        with tf.Graph().as_default(), tf1.Session() as session:
            name = tf1.placeholder(tf.string, [])
            iterator = tf1.data.make_initializable_iterator(
                tf.data.TFRecordDataset(name).batch(_COUNTED_AT_ONCE))
            labels = tf.io.parse_example(iterator.get_next(),
                                         _RECORD_FEATURES)["image/class/label"]
            for file in self.files:
                session.run(iterator.initializer, {name: os.fsencode(file)})
                number = 0
                while True:
                    try:
                        values = session.run(labels)
                    except tf.errors.OutOfRangeError:
                        break
                    # TensorFlow's message may quote a record that is not UTF-8.
                    except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
                        raise SlimResnetError(
                            f"{file}: a record from number {number} on is not in slim's format, "
                            "with image/encoded and image/class/label") from error
                    except tf.errors.OpError as error:
                        raise self.damage(error) from error
                    if values.min() < 0:
                        raise SlimResnetError(f"{file}: has the label {values.min()}; classes "
                                              "count from 0")
                    number += len(values)
                    num_classes = max(num_classes, int(values.max()) + 1)
                count += number
        return dataclasses.replace(self, num_images=count, classes=self._names(num_classes))

    def _names(self, least: int) -> list[str]:
        path = os.path.join(os.path.dirname(self.files[0]), "labels.txt")
        if not os.path.exists(path):
            return [str(number) for number in range(least)]
        names = read_labels(path)
        if len(names) < least:
            raise SlimResnetError(f"{path}: has {len(names)} labels, and {self.files[0]} needs "
                                  f"{least}")
        return names

    def damage(self, error: tf.errors.OpError) -> SlimResnetError:
        """Returns the error that says which file is damaged where, after reading failed."""
        where = "a TFRecord file"
        for file in self.files:
            number = 0
            try:
                for _ in tf1.io.tf_record_iterator(file):
                    number += 1
            except tf.errors.OpError as own:
                where, error = f"{file}: is damaged or no TFRecord file, at record {number}", own
                break
        return SlimResnetError(f"{where}: {cause_of(error.message)}")
