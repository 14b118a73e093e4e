"""Images to train on, in an order that is a function of seed and step alone.

Image number ``p`` of a run (``p // N`` is its epoch) is at one place of a permutation that
(seed, epoch) fix, and is augmented by (seed, p). So nothing of the input pipeline has to
be saved: a run that goes on at a step recomputes it, and sees what it would have seen.

Class folders and .npz arrays are permuted as a whole. TFRecords, which can be read in
order only, have their files permuted and are shuffled within a buffer; going on within an
epoch reads its first records again without decoding them.
"""

import dataclasses

import tensorflow as tf

from slim_resnet.common.listing import Paths, listed
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.images import labelled
from slim_resnet.images.settings import MAX_PIXELS
from slim_resnet.images.sources import Arrays, ImageFiles, Opened, Records
from slim_resnet.training.augmentation import augment
from slim_resnet.training.options import TrainingOptions

tf1 = tf.compat.v1

# Encoded records that wait to be drawn from; ImageNet's take about 110 KB each.
SHUFFLE_BUFFER = 2048
_PREFETCHED_BATCHES = 2


def open_data(paths: Paths, labels_offset: int = 0,
              max_pixels: int = MAX_PIXELS) -> ImageFiles | Arrays | Records:
    """Opens training data of any of the three kinds.

    Args:
      paths: See `finding.kind_of_data`.
      labels_offset: The label of class 0.
      max_pixels: Images of more are refused.

    Returns:
      A source whose images are counted and whose classes have names, numbers if need be.

    Raises:
      SlimResnetError: It is none of them, or damaged; or there are fewer than two class
        folders, or no image.
    """
    paths = listed(paths)
    source = labelled.open_data(paths, _check_folders, labels_offset, max_pixels)
    if isinstance(source, Arrays) and source.pixels.shape[-1] not in (1, 3):
        raise SlimResnetError(f"{paths[0]}: images have the shape {list(source.pixels.shape)}; to "
                              "train on it must be [N, H, W] or [N, H, W, 1 or 3]")
    if isinstance(source, Records):
        source = source.counted(max_pixels)
    if not source.num_images:
        raise SlimResnetError(f"{paths[0]}: holds no image")
    if source.classes is None:
        source = dataclasses.replace(source,
                                     classes=list(map(str, range(max(source.labels) + 1))))
    return source


def _check_folders(folder: str, names: list[str]) -> None:
    if len(names) < 2:
        raise SlimResnetError(f"{folder}: has {len(names)} class folders; training "
                              "needs two or more, or TFRecord files, or an .npz file")


def _permutation(size: int, seed: tf.Tensor, number: tf.Tensor) -> tf.data.Dataset:
    """Returns a dataset of the numbers below ``size``, in the order of an epoch."""
    return tf.data.Dataset.from_tensor_slices(tf.random.experimental.index_shuffle(
        tf.range(size, dtype=tf.int64), tf.stack([seed, number]),
        tf.constant(size - 1, tf.int64)))


class Input:
    """Batches of a run, in the default graph.

    Args:
      source: What `open_data` returned.
      options: `TrainingOptions`.
      task: Which of ``num_tasks`` equal parts of every step's images is taken, where
        several workers share them.
      num_tasks: Number of parts, of ``options.batch_size`` images each.

    Attributes:
      images: float32 ``[batch_size, image_size, image_size, 3]``.
      labels: int64 ``[batch_size]``.
    """

    def __init__(self, source: ImageFiles | Arrays | Records, options: TrainingOptions,
                 task: int = 0, num_tasks: int = 1) -> None:
        self._source, self._options, self._num_tasks = source, options, num_tasks
        self._first_step = tf1.placeholder(tf.int64, [])
        batch_size = options.batch_size
        elements, opened = _elements(
            source, options.seed, self._first_step * batch_size * num_tasks, options.max_pixels)
        self._feed = opened.feed(source)
        if num_tasks > 1:
            elements = elements.filter(
                lambda position, _: tf.equal(position // batch_size % num_tasks, task))

        def prepare(position, element):
            image, label = opened.read(element)
            return augment(image, options.image_size, options.prepared,
                           options.augmentation, options.seed, position), label

        # Arrays that are not augmented are prepared a batch at a time, at a fraction of the
        # cost; the values are the same.
        whole_batches = source.reads_batches and options.augmentation == "none"
        if whole_batches:
            elements = elements.batch(batch_size, drop_remainder=True)
        dataset = elements.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        if not whole_batches:
            dataset = dataset.batch(batch_size, drop_remainder=True)
        self._iterator = tf1.data.make_initializable_iterator(
            dataset.prefetch(_PREFETCHED_BATCHES))
        self.images, self.labels = self._iterator.get_next()

    def start(self, session: tf1.Session, step: int) -> None:
        """Makes the next batch that of the given step, of those counted from 0."""
        session.run(self._iterator.initializer, {self._first_step: step, **self._feed})

    def unreadable(self, step: int) -> tuple[str, str] | None:
        """Returns ``(name, cause)`` of the first image of a step that cannot be read, or None."""
        count = self._options.batch_size * self._num_tasks
        with tf.Graph().as_default(), tf1.Session() as session:
            elements, opened = _elements(self._source, self._options.seed,
                                         tf.constant(step * count, tf.int64),
                                         self._options.max_pixels)
            iterator = tf1.data.make_initializable_iterator(
                elements.take(count).map(lambda _, element: element))
            element = iterator.get_next()
            chosen = tf.nest.map_structure(
                lambda part: tf1.placeholder(part.dtype, part.shape), element)
            image, _ = opened.read(chosen)
            key = opened.key(chosen)
            feed = opened.feed(self._source)
            session.run(iterator.initializer, feed)
            for _ in range(count):
                values = dict(zip(tf.nest.flatten(chosen),
                                  tf.nest.flatten(session.run(element))))
                try:
                    session.run(image, {**feed, **values})
                except tf.errors.OpError as error:
                    return (self._source.name(session.run(key, values).tolist()),
                            cause_of(error.message))
        return None


def _elements(source: ImageFiles | Arrays | Records, seed: int,
              first: tf.Tensor, max_pixels: int) -> tuple[tf.data.Dataset, Opened]:
    """Returns the elements of a run from number ``first`` on, without end.

    Returns:
      A dataset of ``(position, element)``, and what the source's ``open`` returned.
    """
    opened = source.open(max_pixels=max_pixels)
    size = source.num_images
    seed = tf.constant(seed, tf.int64)

    def epoch(number):
        elements = opened.elements(_permutation(source.num_parts, seed, number))
        if isinstance(source, Records):
            return elements.shuffle(SHUFFLE_BUFFER, seed=seed + number,
                                    reshuffle_each_iteration=False)
        return elements

    def rest_of(number):
        return epoch(number).skip(tf.where(tf.equal(number, first // size), first % size, 0))

    def from_on(start):
        return tf.data.Dataset.range(start, tf.int64.max)

    return (tf.data.Dataset.zip((from_on(first), from_on(first // size).flat_map(rest_of))),
            opened)
