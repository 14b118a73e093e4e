"""From images to batches, prepared in parallel while a network is at work.

Three lines from files to a batch::

    from slim_resnet import images

    batch = images.load_images("photos", image_size=299)
"""

import contextlib
import functools
import os
import typing
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from slim_resnet.common.environment import cpu
from slim_resnet.common.listing import Paths, listed
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.images.given import sources_of
from slim_resnet.images.preparation import preparation
from slim_resnet.images.settings import BATCH_SIZE, IMAGE_SIZE, Preprocessing
from slim_resnet.images.sources import Arrays, ImageFiles, Records, session_of

tf1 = tf.compat.v1

# Batches that wait for the network; one of 16 images of 299 x 299 takes 16 MiB.
_LOOKAHEAD = 2
# AutoGraph would rewrite our Python, which is of graphs already.
_as_it_stands = tf.autograph.experimental.do_not_convert


class Batch(typing.NamedTuple):
    """Successive images of a data set, ready for a network.

    Attributes:
      names: Path of each, or file and number of its record.
      images: float32 ``[readable, image_size, image_size, channels]``: those that could be
        read, in order.
      causes: For each, why it is unreadable, one line; None if it was read.
      labels: For each, its class number where the data set has one and it was read,
        else None.
    """

    names: list[str]
    images: np.ndarray
    causes: list[str | None]
    labels: list[int | None]


def read_images(paths: Paths, image_size: int,
                preprocessing: str | Preprocessing = "inception", batch_size: int = BATCH_SIZE,
                labels: Iterable[int] | None = None, shard: tuple[int, int] = (0, 1),
                skip: int = 0, channels: int = 3) -> Iterator[Batch]:
    """Reads image files; as `read_source`.

    Args:
      paths: Image files, as `images.find_images` returns them.
      image_size: Height and width of the results, in pixels.
      preprocessing: See `images.preprocess`.
      batch_size: Images a batch; the last may be smaller.
      labels: Class number of each path, or None.
      shard: As `read_source`'s, as is ``skip``.
      skip: See there.
      channels: See there.

    Returns:
      As `read_source`'s, in the order of paths.
    """
    source = ImageFiles([os.fspath(path) for path in listed(paths)],
                        None if labels is None else list(labels))
    return read_source(source, image_size, preprocessing, batch_size, shard, skip, channels)


def read_source(source: ImageFiles | Arrays | Records, image_size: int = IMAGE_SIZE,
                preprocessing: str | Preprocessing = "inception", batch_size: int = BATCH_SIZE,
                shard: tuple[int, int] = (0, 1), skip: int = 0, channels: int = 3
                ) -> Iterator[Batch]:
    """Reads, decodes and prepares images in parallel, ahead of their use.

    It runs in a graph and a session of its own. An image that cannot be read neither
    ends nor shifts the others. What does not go together is refused by the call, before
    anything is read.

    Args:
      source: The images; see `images.find_data`.
      image_size: Height and width of the results, in pixels.
      preprocessing: See `images.preprocess`.
      batch_size: Images a batch; the last may be smaller.
      shard: ``(index, count)``: read only batches ``index``, ``index + count``, ...
      skip: How many of those to leave out at the start.
      channels: Of the results: as many as the network takes.

    Returns:
      A generator of a `Batch` after the other, in the order of the source.

    Raises:
      SlimResnetError: A TFRecord file is damaged, or is none; or there is no such
        preprocessing, or it does not go with the size or the channels.
    """
    preprocessing = Preprocessing.of(preprocessing)
    preprocessing.check_size(image_size)
    prepare = preparation(preprocessing, channels).prepare
    shape = [image_size, image_size, channels]
    graph = tf.Graph()
    with graph.as_default():
        opened = source.open(channels, preprocessing.max_pixels)

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
                .concatenate(tf.data.Dataset.from_tensors(failed)).take(1).get_single_element())
            # What is to be tried again, and little in place of the rest.
            failure = tf.nest.map_structure(
                lambda part: tf.where(good, tf.zeros_like(part), part), element)
            return opened.key(element), image, label, failure, good

        @_as_it_stands
        def attempt_batch(_, elements):
            images, labels = prepared(elements)
            return (opened.key(elements), images, labels, elements,
                    tf.ones_like(labels, tf.bool))

        elements = opened.elements(tf.data.Dataset.range(source.num_parts))
        dataset = elements.enumerate().batch(batch_size).shard(shard[1], shard[0]).skip(skip)
        if source.reads_batches:
            dataset = dataset.map(attempt_batch, num_parallel_calls=cpu()["cores"])
        else:
            dataset = dataset.unbatch().map(
                attempt, num_parallel_calls=cpu()["cores"]).batch(batch_size)
        options = tf.data.Options()
        # Its thread can keep the session from closing for a second.
        options.autotune.enabled = False
        iterator = tf1.data.make_initializable_iterator(
            dataset.prefetch(_LOOKAHEAD).with_options(options))
        next_batch = iterator.get_next()

    @functools.cache
    def second_attempt():
        """Returns what takes an element, and what becomes of it; few data sets need it."""
        with graph.as_default():
            again = tf.nest.map_structure(lambda spec: tf1.placeholder(spec.dtype, spec.shape),
                                          elements.element_spec)
            return tf.nest.flatten(again), prepared(again)

    return _batches(source, preprocessing.max_pixels, graph, (iterator.initializer, opened.feed),
                    next_batch, second_attempt)


def _batches(source, max_pixels, graph, start, next_batch, second_attempt):
    # No `with` of the session's own: its graph would be the caller's default one meanwhile.
    with contextlib.closing(session_of(graph)) as session:
        session.run(*start)
        while True:
            try:
                keys, images, labels, failures, good = session.run(next_batch)
            except tf.errors.OutOfRangeError:
                return
            except tf.errors.OpError as error:
                if isinstance(source, Records):
                    raise source.damage(error, max_pixels) from error
                raise
            causes = [None] * len(keys)
            for k in np.flatnonzero(~good):
                again, prepared = second_attempt()
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
