"""From images to batches, prepared in parallel while a network is at work.

Three lines from files to a batch::

    from slim_resnet import images

    batch = images.load_images("photos", image_size=299)
"""

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from slim_resnet.common.environment import cpu
from slim_resnet.common.listing import Paths, listed
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.images.batch import Batch
from slim_resnet.images.contents import Contents
from slim_resnet.images.given import sources_of
from slim_resnet.images.ops import session_of
from slim_resnet.images.preparation import preparation
from slim_resnet.images.settings import BATCH_SIZE, IMAGE_SIZE, Preprocessing
from slim_resnet.images.sources import Arrays, ImageFiles, Records

tf1 = tf.compat.v1

# Batches that wait for the network; one of 16 images of 299 x 299 takes 16 MiB.
_LOOKAHEAD = 2
# AutoGraph would rewrite our Python, which is of graphs already.
_as_it_stands = tf.autograph.experimental.do_not_convert


def read_images(paths: Paths, image_size: int,
                preprocessing: str | Preprocessing = "inception", batch_size: int = BATCH_SIZE,
                labels: Iterable[int] | None = None, skip: int = 0, channels: int = 3
                ) -> Iterator[Batch]:
    """Reads image files; as `read_source`.

    Args:
      paths: Image files, as `images.find_images` returns them.
      image_size: Height and width of the results, in pixels.
      preprocessing: See `images.preprocess`.
      batch_size: Images a batch; the last may be smaller.
      labels: Class number of each path, or None.
      skip: As `read_source`'s, as is ``channels``.
      channels: See there.

    Returns:
      As `read_source`'s, in the order of paths.
    """
    source = ImageFiles([os.fspath(path) for path in listed(paths)],
                        None if labels is None else list(labels))
    return read_source(source, image_size, preprocessing, batch_size, skip, channels)


def read_source(source: ImageFiles | Arrays | Records, image_size: int = IMAGE_SIZE,
                preprocessing: str | Preprocessing = "inception", batch_size: int = BATCH_SIZE,
                skip: int = 0, channels: int = 3) -> Iterator[Batch]:
    """Reads, decodes and prepares images in parallel, ahead of their use.

    It runs in a graph and a session of its own. An image that cannot be read neither
    ends nor shifts the others. What does not go together is refused by the call, before
    anything is read.

    Args:
      source: The images; see `images.find_data`.
      image_size: Height and width of the results, in pixels.
      preprocessing: See `images.preprocess`.
      batch_size: Images a batch; the last may be smaller.
      skip: How many batches to leave out at the start.
      channels: Of the results: as many as the network takes.

    Returns:
      A generator of a `Batch` after the other, in the order of the source.

    Raises:
      SlimResnetError: A TFRecord file is damaged, or is none; or there is no such
        preprocessing, or it does not go with the size or the channels.
    """
    reader = Reader(source, image_size, preprocessing, batch_size, channels)

    def batches():
        with contextlib.closing(reader):
            yield from reader.batches(source, skip)

    return batches()


class Reader:
    """Reads sources of one kind, one after the other, in a graph that is built once.

    Arguments and errors as those of `read_source`; close it at the end.
    """

    def __init__(self, source: ImageFiles | Arrays | Records | Contents,
                 image_size: int = IMAGE_SIZE, preprocessing: str | Preprocessing = "inception",
                 batch_size: int = BATCH_SIZE, channels: int = 3) -> None:
        preprocessing = Preprocessing.of(preprocessing)
        preprocessing.check_size(image_size)
        self._max_pixels = preprocessing.max_pixels
        prepare = preparation(preprocessing, channels).prepare
        shape = [image_size, image_size, channels]
        self._graph, self._session = tf.Graph(), None
        with self._graph.as_default():
            self._opened = opened = source.open(channels, preprocessing.max_pixels)
            self._num_parts, self._skip = (tf1.placeholder(tf.int64, []) for _ in range(2))

            @_as_it_stands
            def prepared(element):
                image, label = opened.read(element)
                image = tf.ensure_shape(prepare(image, image_size),
                                        [None] * source.reads_batches + shape)
                return image, tf.cast(label, tf.int64)

            @_as_it_stands
            def attempt(_, element):
                # A data set of one element, and behind it what stands for it where it failed.
                failed = (tf.zeros(shape), tf.constant(0, tf.int64), False)
                image, label, good = (
                    tf.data.Dataset.from_tensors((element,))
                    .map(lambda element: (*prepared(element), True)).ignore_errors()
                    .concatenate(tf.data.Dataset.from_tensors(failed)).take(1)
                    .get_single_element())
                # What is to be tried again, and little in place of the rest.
                failure = tf.nest.map_structure(
                    lambda part: tf.where(good, tf.zeros_like(part), part), element)
                return opened.key(element), image, label, failure, good

            @_as_it_stands
            def attempt_batch(_, elements):
                images, labels = prepared(elements)
                return (opened.key(elements), images, labels, elements,
                        tf.ones_like(labels, tf.bool))

            elements = opened.elements(tf.data.Dataset.range(self._num_parts))
            dataset = elements.enumerate().batch(batch_size).skip(self._skip)
            if source.reads_batches:
                dataset = dataset.map(attempt_batch, num_parallel_calls=cpu()["cores"])
            else:
                dataset = dataset.unbatch().map(
                    attempt, num_parallel_calls=cpu()["cores"]).batch(batch_size)
            options = tf.data.Options()
            # Its thread can keep the session from closing for a second.
            options.autotune.enabled = False
            # They take longer than they save, and as long again for every source.
            options.experimental_optimization.apply_default_optimizations = False
            self._iterator = tf1.data.make_initializable_iterator(
                dataset.prefetch(_LOOKAHEAD).with_options(options))
            self._next_batch = self._iterator.get_next()

        @functools.cache
        def second_attempt():
            """Returns what takes an element, and what becomes of it; few sources need it."""
            with self._graph.as_default():
                again = tf.nest.map_structure(lambda spec: tf1.placeholder(spec.dtype, spec.shape),
                                              elements.element_spec)
                return tf.nest.flatten(again), prepared(again)

        self._second_attempt = second_attempt

    def close(self) -> None:
        """Frees what reading takes."""
        if self._session:
            self._session.close()

    def batches(self, source: ImageFiles | Arrays | Records | Contents, skip: int = 0
                ) -> Iterator[Batch]:
        """Yields the batches of a source of the kind that the reader was made for.

        Args:
          source: The images.
          skip: How many batches to leave out at the start.
        """
        # No `with` of the session's own: its graph would be the caller's default one meanwhile.
        self._session = session = self._session or session_of(self._graph)
        session.run(self._iterator.initializer, {
            self._num_parts: source.num_parts, self._skip: skip, **self._opened.feed(source)})
        while True:
            try:
                keys, images, labels, failures, good = session.run(self._next_batch)
            except tf.errors.OutOfRangeError:
                return
            except tf.errors.OpError as error:
                if isinstance(source, Records | Contents):
                    raise source.damage(error, self._max_pixels) from error
                raise
            causes = [None] * len(keys)
            for k in np.flatnonzero(~good):
                again, prepared = self._second_attempt()
                failure = dict(zip(again, [part[k] for part in tf.nest.flatten(failures)]))
                # Once more, to learn why; what can be read now is taken.
                try:
                    images[k], labels[k] = session.run(prepared, failure)
                    good[k] = True
                except tf.errors.OpError as error:
                    causes[k] = cause_of(error.message)
                except UnicodeDecodeError as error:
                    # TensorFlow's message quotes a record or a name that is not UTF-8.
                    causes[k] = cause_of(error.object.decode("utf-8", "replace"))
            yield Batch(list(map(source.name, keys.tolist())),
                        images if good.all() else images[good], causes,
                        [label if known and source.is_labelled else None
                         for label, known in zip(labels.tolist(), good)])


def load_images(images: Any, image_size: int, preprocessing: str | Preprocessing = "inception",
                channels: int = 3) -> np.ndarray:
    """Reads images into one array, all or nothing.

    Args:
      images: At least one: files, folders or pixels, see `given.sources_of`.
      image_size: Height and width of the result, in pixels.
      preprocessing: See `images.preprocess`.
      channels: 1, 3 or 4.

    Returns:
      float32 ``[N, image_size, image_size, channels]``.

    Raises:
      SlimResnetError: There is none, or one is no readable image.
    """
    loaded = []
    for source in sources_of(images):
        for batch in read_source(source, image_size, preprocessing, channels=channels):
            for name, cause in zip(batch.names, batch.causes):
                if cause:
                    raise SlimResnetError(f"{name}: cannot be read: {cause}")
            loaded.append(batch.images)
    if not loaded:
        raise SlimResnetError("no image to load: the list is empty")
    return np.concatenate(loaded)
