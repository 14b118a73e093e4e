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
from slim_resnet.images import decoding
from slim_resnet.images.decoding import decode
from slim_resnet.images.labels import read_labels
from slim_resnet.images.npz import check_label
from slim_resnet.images.ops import RECORD_FEATURES, faultless, read_example, read_regular
from slim_resnet.images.records import fault_of
from slim_resnet.images.settings import MAX_PIXELS, most_bytes

tf1 = tf.compat.v1

_COUNTED_AT_ONCE = 256


class Opened(typing.NamedTuple):
    """What reads a source, within the graph that was the default one when it was opened.

    Attributes:
      elements: From a dataset of int64 numbers below the source's ``num_parts`` to a
        dataset of the elements that these parts hold, in their order.
      read: From an element to its image, uint8 ``[height, width, 3]``, and its label,
        int64.
      key: From an element to what the source's ``name`` takes, int64.
      feed: From a source of the same kind to what is fed to the initializer of an iterator
        over its elements, as the graph itself is to stay small; and to ``read`` by itself,
        where the source ``reads_batches``.
    """

    elements: Callable[[tf.data.Dataset], tf.data.Dataset]
    read: Callable[..., tuple[tf.Tensor, tf.Tensor]]
    key: Callable[..., tf.Tensor]
    feed: Callable[[typing.Any], dict[tf.Tensor, typing.Any]]


def _encoded(files):
    return np.array([os.fsencode(file) for file in files], object)


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

    def open(self, channels: int = 3, max_pixels: int = MAX_PIXELS) -> Opened:
        """Adds what reads the images to the default graph.

        Args:
          channels: Of the images that are read.
          max_pixels: Images of more are refused.

        Raises:
          SlimResnetError: There is nothing that makes such channels.
        """
        decoding.check_channels(channels)
        files, labels = tf1.placeholder(tf.string, [None]), tf1.placeholder(tf.int64, [None])

        def elements(numbers):
            return numbers.map(lambda index: (index, files[index], labels[index]))

        def read(element):
            _, file, label = element
            return decode(read_regular(file, most_bytes(max_pixels)), channels, max_pixels), label

        return Opened(elements, read, lambda element: element[0], lambda source: {
            files: _encoded(source.files), labels: np.array(
                source.labels if source.is_labelled else [0] * source.num_images, np.int64)})


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Images of an .npz file, see `npz.read_arrays`; each is a part.

    Attributes as `ImageFiles`', and ``pixels``: uint8 ``[N, height, width, channels]``.
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

    def open(self, channels: int = 3, max_pixels: int = MAX_PIXELS) -> Opened:
        """As `ImageFiles.open`."""
        pixels = tf1.placeholder(tf.uint8, [None, *self.pixels.shape[1:]])
        labels = tf1.placeholder(tf.int64, [None])

        have = self.pixels.shape[-1]
        conversions = {(1, 3): tf.image.grayscale_to_rgb, (3, 1): tf.image.rgb_to_grayscale,
                       (have, have): tf.identity}
        if (have, channels) not in conversions:
            raise SlimResnetError(f"{self.files[0]}: images have {have} channels, and the network "
                                  f"takes {channels}")
        converted = conversions[have, channels]

        def read(index):
            image = tf.gather(pixels, index)
            return converted(image), tf.gather(labels, index)

        return Opened(lambda numbers: numbers, read, lambda index: index,
                      lambda source: {pixels: source.pixels,
                                      labels: np.array(source.labels, np.int64)})


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """TFRecord files in slim's format; each is a part of many images.

    They hold ``tf.train.Example`` records with ``image/encoded`` (see `images.decode`) and
    ``image/class/label``. Attributes as `ImageFiles`'; ``num_images`` is None until the
    records are `counted`, and ``labels_offset`` is the label of class 0.
    """

    files: list[str]
    classes: list[str] | None = None
    num_images: int | None = None
    labels_offset: int = 0
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

    def open(self, channels: int = 3, max_pixels: int = MAX_PIXELS) -> Opened:
        """As `ImageFiles.open`."""
        decoding.check_channels(channels)
        files = tf1.placeholder(tf.string, [None])
        largest = most_bytes(max_pixels)

        def records_of(index):
            file = faultless(lambda path: fault_of(path, largest), files[index])
            return tf.data.TFRecordDataset(file).enumerate().map(
                lambda number, record: (index, number, record))

        def read(element):
            return read_example(element[2], channels, max_pixels, self.labels_offset)

        return Opened(lambda numbers: numbers.flat_map(records_of), read,
                      lambda element: tf.stack(element[:2]),
                      lambda source: {files: _encoded(source.files)})

    def counted(self, max_pixels: int = MAX_PIXELS) -> "Records":
        """Reads the files through, without decoding the images, and counts them.

        Args:
          max_pixels: See `open`.

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
                                         RECORD_FEATURES)["image/class/label"]
            for file in self.files:
                self._check(file, max_pixels)
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
                        raise self.damage(error, max_pixels) from error
                    # Python's numbers, which do not run over.
                    for value in (int(values.min()), int(values.max())):
                        check_label(file, value - self.labels_offset, self.labels_offset)
                    number += len(values)
                    num_classes = max(num_classes, int(values.max()) - self.labels_offset + 1)
                count += number
        return dataclasses.replace(self, num_images=count, classes=self._names(num_classes))

    def _names(self, least: int) -> list[str]:
        path = os.path.join(os.path.dirname(self.files[0]), "labels.txt")
        if not os.path.exists(path):
            return [str(number) for number in range(least)]
        names = read_labels(path, labels_offset=self.labels_offset or None)
        if len(names) < least:
            raise SlimResnetError(f"{path}: has {len(names)} labels, and {self.files[0]} needs "
                                  f"{least}")
        return names

    def _check(self, file, max_pixels):
        fault = fault_of(file, most_bytes(max_pixels))
        if fault:
            raise SlimResnetError(f"{file}: {fault}")

    def damage(self, error: tf.errors.OpError, max_pixels: int = MAX_PIXELS) -> SlimResnetError:
        """Returns the error that says which file is damaged where, after reading failed.

        Args:
          error: What reading raised.
          max_pixels: What was given to `open`.

        Raises:
          SlimResnetError: What is damaged must not be read by TensorFlow.
        """
        where = "a TFRecord file"
        for file in self.files:
            self._check(file, max_pixels)
            number = 0
            try:
                for _ in tf1.io.tf_record_iterator(file):
                    number += 1
            except tf.errors.OpError as own:
                where, error = f"{file}: is damaged or no TFRecord file, at record {number}", own
                break
        return SlimResnetError(f"{where}: {cause_of(error.message)}")
