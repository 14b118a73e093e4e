"""Images whose bytes a program gets one by one: from other stores, or from within files."""

import dataclasses
import typing
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.images import decoding
from slim_resnet.images.decoding import decode
from slim_resnet.images.ops import read_example
from slim_resnet.images.settings import MAX_PIXELS
from slim_resnet.images.sources import Opened


class Row(typing.NamedTuple):
    """One image.

    Attributes:
      name: What it is called.
      contents: Its file's bytes, or a record's in slim's format.
      label: Its class number.
      fault: Why there are no bytes, one line, or "".
    """

    name: str
    contents: bytes
    label: int = 0
    fault: str = ""


@dataclasses.dataclass(eq=False)
class Contents:
    """Images as `Row`s; together they are one part.

    Attributes:
      rows: Returns their iterator. What it raises ends the reading.
      is_labelled: Whether they have labels.
      are_records: Whether contents are records, which have their labels within.
      labels_offset: The label of class 0, of records.
    """

    rows: Callable[[], Iterator[Row]]
    is_labelled: bool = False
    are_records: bool = False
    labels_offset: int = 0
    num_parts: typing.ClassVar[int] = 1
    num_images: typing.ClassVar[None] = None
    reads_batches: typing.ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._names, self._error = [], None

    def name(self, key: int) -> str:
        """As `sources.ImageFiles.name`."""
        return self._names[key]

    def _elements(self):
        try:
            for number, row in enumerate(self.rows()):
                self._names.append(row.name)
                yield number, row.contents, row.label, row.fault
        except BaseException as error:
            # TensorFlow would make its own of it.
            self._error = error
            raise

    def open(self, channels: int = 3, max_pixels: int = MAX_PIXELS) -> Opened:
        """As `sources.ImageFiles.open`."""
        decoding.check_channels(channels)
        fed = []
        elements = tf.data.Dataset.from_generator(
            lambda: fed[-1]._elements(), output_signature=tuple(
                tf.TensorSpec([], dtype) for dtype in (tf.int64, tf.string, tf.int64, tf.string)))

        def read(element):
            _, contents, label, fault = element
            checked = tf.debugging.Assert(tf.equal(fault, ""), [fault])
            with tf.control_dependencies([checked] if checked is not None else []):
                contents = tf.identity(contents)
            if self.are_records:
                return read_example(contents, channels, max_pixels, self.labels_offset)
            return decode(contents, channels, max_pixels), label

        def feed(source):
            fed[:] = [source]
            return {}

        return Opened(lambda numbers: elements, read, lambda element: element[0], feed)

    def damage(self, error: Any, max_pixels: int = MAX_PIXELS) -> Exception:
        """Returns what ended the reading, after it failed by a ``tf.errors.OpError``."""
        return self._error or SlimResnetError(cause_of(error.message))
