"""Image files twice: prepared for a network, and small, for people to look at."""

import contextlib
import os
import typing
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from slim_resnet.common.listing import Paths, listed
from slim_resnet.errors import cause_of
from slim_resnet.images.decoding import decode
from slim_resnet.images.ops import read_regular, session_of
from slim_resnet.images.preparation import preparation
from slim_resnet.images.settings import MAX_PIXELS, Preprocessing, most_bytes

tf1 = tf.compat.v1

# Longer side of what is shown, in pixels.
SHOWN_SIZE = 480


class DisplayedImage(typing.NamedTuple):
    """One image file, read or not.

    Attributes:
      path: The file.
      prepared: float32 ``[image_size, image_size, channels]``, as `images.preprocess` gives
        it; None if unreadable.
      shown: uint8 ``[height, width, 3]``: all of the image, its longer side at most
        `SHOWN_SIZE`; None if unreadable.
      cropped: Left, top, right and bottom of what the network sees of it, as shares
        of its width and height.
      cause: Why it is unreadable, one line; None if it was read.
    """

    path: str
    prepared: np.ndarray | None
    shown: np.ndarray | None = None
    cropped: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    cause: str | None = None


def read_displayed(paths: Paths, image_size: int,
                   preprocessing: str | Preprocessing = "inception", channels: int = 3
                   ) -> Iterator[DisplayedImage]:
    """Reads image files, one after the other.

    Args:
      paths: Image files, as `images.find_images` returns them.
      image_size: Height and width of what the network is given, in pixels.
      preprocessing: See `images.preprocess`.
      channels: Of what the network is given: 1, 3 or 4.

    Yields:
      A `DisplayedImage` for every path, in order. One that cannot be read has its cause.
    """
    preprocessing = Preprocessing.of(preprocessing)
    preprocessing.check_size(image_size)
    prepare, _, seen = preparation(preprocessing, channels)
    largest, max_pixels = most_bytes(preprocessing.max_pixels), preprocessing.max_pixels
    graph = tf.Graph()
    with graph.as_default():
        file = tf1.placeholder(tf.string, [])
        contents = read_regular(file, largest)
        image = decode(contents, max_pixels=max_pixels)
        given = image if channels == 3 else decode(contents, channels, max_pixels)
        read = prepare(given, image_size), _shown(image, SHOWN_SIZE), tf.shape(image)[:2]
    # As in `reading`: the caller's default graph stays its own.
    with contextlib.closing(session_of(graph)) as session:
        for path in map(os.fspath, listed(paths)):
            try:
                values = session.run(read, {file: os.fsencode(path)})
            except tf.errors.OpError as error:
                yield DisplayedImage(path, None, cause=cause_of(error.message))
                continue
            except UnicodeDecodeError as error:
                # TensorFlow's message quotes a name that is not UTF-8.
                yield DisplayedImage(path, None,
                                     cause=cause_of(error.object.decode("utf-8", "replace")))
                continue
            prepared, shown, (height, width) = values
            yield DisplayedImage(path, prepared, shown, seen(height, width, image_size))


def thumbnails(images: Iterable[str | np.ndarray], size: int) -> Iterator[bytes | None]:
    """Makes small pictures of images.

    Args:
      images: Image files, and arrays of uint8, ``[height, width, channels]`` of 1, 3 or 4.
      size: Longer side of a picture, in pixels; smaller images stay as they are.

    Yields:
      A PNG file for each; None for one that cannot be read.
    """
    graph = tf.Graph()
    with graph.as_default():
        file, pixels = tf1.placeholder(tf.string, []), tf1.placeholder(tf.uint8, [None] * 3)
        decoded = decode(read_regular(file, most_bytes(MAX_PIXELS)), max_pixels=MAX_PIXELS)
        of_file, of_pixels = (tf.io.encode_png(_shown(image, size)) for image in (decoded, pixels))
    with contextlib.closing(session_of(graph)) as session:
        for image in images:
            try:
                if isinstance(image, np.ndarray):
                    yield session.run(of_pixels, {pixels: image})
                else:
                    yield session.run(of_file, {file: os.fsencode(image)})
            except (tf.errors.OpError, UnicodeDecodeError):
                yield None


def _shown(image: tf.Tensor, longer_side: int) -> tf.Tensor:
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    share = tf.minimum(1.0, longer_side / tf.reduce_max(size))
    size = tf.maximum(1, tf.cast(tf.round(share * size), tf.int32))
    small = tf.image.resize(image, size, antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(small), 0, 255), tf.uint8)
