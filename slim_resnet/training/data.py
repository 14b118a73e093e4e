"""Images to train on, in an order that is a function of seed and step alone.

Image number ``p`` of a run (``p // N`` is its epoch) is at one place of a permutation that
(seed, epoch) fix, and is augmented by (seed, p). So nothing of the input pipeline has to
be saved: a run that goes on at a step recomputes it, and sees what it would have seen.

Class folders and .npz arrays are permuted as a whole. TFRecords, which can be read in
order only, have their files permuted and are shuffled within a buffer; going on within an
epoch reads its first records again without decoding them.
"""

import os

import tensorflow as tf

from slim_resnet.common.arrays import read_arrays
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.images import labelled, reading
from slim_resnet.images.labels import read_labels
from slim_resnet.training.augmentation import augment

tf1 = tf.compat.v1

# Encoded records that wait to be drawn from; ImageNet's take about 110 KB each.
SHUFFLE_BUFFER = 2048
_PREFETCHED_BATCHES = 2
_COUNTED_AT_ONCE = 256


class ImageFiles:
    """A folder of class folders.

    Attributes:
      classes: Names of the classes.
      num_images: Number of images.
    """

    def __init__(self, folder):
        self.classes = labelled.class_folders(folder)
        if len(self.classes) < 2:
            raise SlimResnetError(f"{folder}: has {len(self.classes)} class folders; training "
                                  "needs two or more, or TFRecord files, or an .npz file")
        paths, self._labels = labelled.images_of_classes(folder, self.classes)
        self._paths = [os.fsencode(path) for path in paths]
        self.num_images = len(paths)

    def open(self):
        """Adds to the default graph what reads the images.

        Returns:
          ``(epoch, read, feed)``. ``epoch(seed, number)`` is a dataset of an epoch's
          elements in their order. ``read(element)`` gives the uint8 image ``[height,
          width, 3]``, the label and the name of one. ``feed`` is for the initializer of
          an iterator over them, as the graph itself is to stay small.
        """
        paths = tf1.placeholder(tf.string, [None])
        labels = tf1.placeholder(tf.int64, [None])

        def read(index):
            return reading.decode(tf.io.read_file(paths[index])), labels[index], paths[index]

        return (lambda seed, number: _permutation(self.num_images, seed, number), read,
                {paths: self._paths, labels: self._labels})


class Arrays:
    """An .npz file, see `arrays.read_arrays`; attributes are `ImageFiles`'."""

    def __init__(self, path):
        self._pixels, self._labels, classes = read_arrays(path)
        self.classes = classes or list(map(str, range(int(self._labels.max()) + 1)))
        self.num_images = len(self._labels)

    def open(self):
        """As `ImageFiles.open`; ``read`` takes batches of elements too."""
        pixels = tf1.placeholder(tf.uint8, [None, *self._pixels.shape[1:]])
        labels = tf1.placeholder(tf.int64, [None])

        def read(index):
            image = tf.gather(pixels, index)
            return (tf.image.grayscale_to_rgb(image) if image.shape[-1] == 1 else image,
                    tf.gather(labels, index), tf.strings.as_string(index))

        return (lambda seed, number: _permutation(self.num_images, seed, number), read,
                {pixels: self._pixels, labels: self._labels})


class Records:
    """TFRecord files in slim's format; attributes are `ImageFiles`'.

    The files are read through once when this is made, to count them and to know that
    they are whole.
    """

    def __init__(self, files):
        self._files = [os.fsencode(file) for file in files]
        self.num_images, least = _count_records(files)
        self.classes = _classes_of_records(files, least)

    def open(self):
        """As `ImageFiles.open`."""
        files = tf1.placeholder(tf.string, [None])

        def records(index):
            return tf.data.TFRecordDataset(files[index]).enumerate().map(
                lambda number, record: (index, number, record))

        def epoch(seed, number):
            return _permutation(len(self._files), seed, number).flat_map(records).shuffle(
                SHUFFLE_BUFFER, seed=seed + number, reshuffle_each_iteration=False)

        def read(element):
            index, number, record = element
            parsed = tf.io.parse_single_example(record, labelled.RECORD_FEATURES)
            name = tf.strings.join([files[index], ", record ", tf.strings.as_string(number)])
            return reading.decode(parsed["image/encoded"]), parsed["image/class/label"], name

        return epoch, read, {files: self._files}


def _permutation(size, seed, number):
    """Returns a dataset of the numbers below ``size``, in the order of an epoch."""
    return tf.data.Dataset.from_tensor_slices(tf.random.experimental.index_shuffle(
        tf.range(size, dtype=tf.int64), tf.stack([seed, number]),
        tf.constant(size - 1, tf.int64)))


def open_data(paths):
    """Opens training data of any of the three kinds.

    Args:
      paths: One folder of class folders or of TFRecord files, or TFRecord files, or one
        .npz file.

    Returns:
      `ImageFiles`, `Records` or `Arrays`.

    Raises:
      SlimResnetError: It is none of them, or damaged.
    """
    kind, found = labelled.kind_of_data(paths)
    if kind == "npz":
        return Arrays(found)
    source = Records(found) if kind == "records" else ImageFiles(found)
    if not source.num_images:
        raise SlimResnetError(f"{paths[0]}: holds no image")
    return source


def _count_records(files):
    """Reads TFRecord files in slim's format through, without decoding the images.

    Returns:
      ``(records, classes)``: their number, and how many classes their labels need.

    Raises:
      SlimResnetError: A file is damaged or of another format.
    """
    count, classes = 0, 0
    with tf.Graph().as_default(), tf1.Session() as session:
        name = tf1.placeholder(tf.string, [])
        iterator = tf1.data.make_initializable_iterator(
            tf.data.TFRecordDataset(name).batch(_COUNTED_AT_ONCE))
        labels = tf.io.parse_example(iterator.get_next(),
                                     labelled.RECORD_FEATURES)["image/class/label"]
        for file in files:
            session.run(iterator.initializer, {name: os.fsencode(file)})
            number = 0
            while True:
                try:
                    values = session.run(labels)
                except tf.errors.OutOfRangeError:
                    break
                # TensorFlow's message may quote a record that is not UTF-8.
                except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
                    raise SlimResnetError(f"{file}: a record from number {number} on is not in "
                                          "slim's format, with image/encoded and "
                                          "image/class/label") from error
                except tf.errors.OpError as error:
                    raise SlimResnetError(f"{file}: is damaged or no TFRecord file, from record "
                                          f"{number} on: {cause_of(error.message)}") from error
                if values.min() < 0:
                    raise SlimResnetError(f"{file}: has the label {values.min()}; classes count "
                                          "from 0")
                number, classes = number + len(values), max(classes, int(values.max()) + 1)
            count += number
    return count, classes


def _classes_of_records(files, least):
    """Returns the names of classes of TFRecord files: ``labels.txt`` beside them, or numbers.

    Args:
      files: The files.
      least: Number of classes that their labels need.

    Raises:
      SlimResnetError: ``labels.txt`` has fewer.
    """
    path = os.path.join(os.path.dirname(os.fspath(files[0])), "labels.txt")
    if not os.path.exists(path):
        return [str(number) for number in range(least)]
    names = read_labels(path)
    if len(names) < least:
        raise SlimResnetError(f"{path}: has {len(names)} labels, and {files[0]} needs {least}")
    return names


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

    def __init__(self, source, options, task=0, num_tasks=1):
        self._source, self._options, self._num_tasks = source, options, num_tasks
        self._first_step = tf1.placeholder(tf.int64, [])
        batch_size = options.batch_size
        elements, read, self._feed = _elements(
            source, options.seed, self._first_step * batch_size * num_tasks)
        if num_tasks > 1:
            elements = elements.filter(
                lambda position, _: tf.equal(position // batch_size % num_tasks, task))

        def prepare(position, element):
            image, label, _ = read(element)
            return augment(image, options.image_size, options.preprocessing,
                           options.augmentation, options.seed, position), label

        # Arrays that are not augmented are prepared a batch at a time, at a fraction of the
        # cost; the values are the same.
        whole_batches = isinstance(source, Arrays) and options.augmentation == "none"
        if whole_batches:
            elements = elements.batch(batch_size, drop_remainder=True)
        dataset = elements.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        if not whole_batches:
            dataset = dataset.batch(batch_size, drop_remainder=True)
        self._iterator = tf1.data.make_initializable_iterator(
            dataset.prefetch(_PREFETCHED_BATCHES))
        self.images, self.labels = self._iterator.get_next()

    def start(self, session, step):
        """Makes the next batch that of the given step, of those counted from 0."""
        session.run(self._iterator.initializer, {self._first_step: step, **self._feed})

    def unreadable(self, step):
        """Returns ``(name, cause)`` of the first image of a step that cannot be read, or None."""
        count = self._options.batch_size * self._num_tasks
        with tf.Graph().as_default(), tf1.Session() as session:
            elements, read, feed = _elements(self._source, self._options.seed,
                                             tf.constant(step * count, tf.int64))
            iterator = tf1.data.make_initializable_iterator(
                elements.take(count).map(lambda _, element: element))
            element = iterator.get_next()
            chosen = tf.nest.map_structure(
                lambda part: tf1.placeholder(part.dtype, part.shape), element)
            image, _, name = read(chosen)
            session.run(iterator.initializer, feed)
            for _ in range(count):
                values = dict(zip(tf.nest.flatten(chosen),
                                  tf.nest.flatten(session.run(element))))
                try:
                    session.run(image, {**feed, **values})
                except tf.errors.OpError as error:
                    return (os.fsdecode(session.run(name, {**feed, **values})),
                            cause_of(error.message))
        return None


def _elements(source, seed, first):
    """Returns the elements of a run from number ``first`` on, without end.

    Returns:
      ``(dataset, read, feed)``: a dataset of ``(position, element)``, and the rest of
      what the source's ``open`` returned.
    """
    epoch, read, feed = source.open()
    size = source.num_images

    def rest_of(number):
        return epoch(tf.constant(seed, tf.int64), number).skip(
            tf.where(tf.equal(number, first // size), first % size, 0))

    def from_on(start):
        return tf.data.Dataset.range(start, tf.int64.max)

    return (tf.data.Dataset.zip((from_on(first), from_on(first // size).flat_map(rest_of))),
            read, feed)
