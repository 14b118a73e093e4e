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

from slim_resnet import images, labelled
from slim_resnet.arrays import read_arrays
from slim_resnet.augmentation import augment
from slim_resnet.classify import read_labels
from slim_resnet.errors import SlimResnetError, cause_of

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

    def examples(self, first, seed):
        """Yields encoded images of a run, from one on, without end.

        Args:
          first: Number of the first, an int64 scalar tensor.
          seed: Seed of the run.

        Returns:
          ``(dataset, feed)``: a dataset of ``(position, contents, label, name)``, and what
          to feed when its iterator is initialised.
        """
        paths = tf1.placeholder(tf.string, [None])
        labels = tf1.placeholder(tf.int64, [None])

        def example(position):
            index = _permuted(position, self.num_images, seed)
            path = paths[index]
            return position, path, labels[index], path

        return _positions(first).map(example), {paths: self._paths, labels: self._labels}

    @staticmethod
    def decode(contents):
        """Returns the uint8 image ``[height, width, 3]`` of an example's contents."""
        return images.decode(tf.io.read_file(contents))


class Arrays:
    """An .npz file with ``images`` and ``labels``; attributes are `ImageFiles`'.

    ``images`` are ``[N, H, W]`` or ``[N, H, W, 1 or 3]``: uint8, or floats from 0 to 1,
    which are rounded to 8 bits as image files have. ``labels`` are integers ``[N]``.
    ``classes``, names in order, may be there.
    """

    def __init__(self, path):
        self.images, self.labels, classes = read_arrays(path)
        self.classes = classes or list(map(str, range(int(self.labels.max()) + 1)))
        self.num_images = len(self.images)

    def examples(self, first, seed):
        """As `ImageFiles.examples`."""
        pixels = tf1.placeholder(tf.uint8, [None, *self.images.shape[1:]])
        labels = tf1.placeholder(tf.int64, [None])

        def example(position):
            index = _permuted(position, self.num_images, seed)
            return position, pixels[index], labels[index], tf.strings.as_string(index)

        return _positions(first).map(example), {pixels: self.images, labels: self.labels}

    @staticmethod
    def decode(contents):
        """As `ImageFiles.decode`."""
        return tf.image.grayscale_to_rgb(contents) if contents.shape[-1] == 1 else contents


class Records:
    """TFRecord files in slim's format; attributes are `ImageFiles`'.

    The files are read through once when this is made, to count them and to know that
    they are whole.
    """

    def __init__(self, files):
        self._files = [os.fsencode(file) for file in files]
        self.num_images, least = _count_records(files)
        self.classes = _classes_of_records(files, least)

    def examples(self, first, seed):
        """As `ImageFiles.examples`."""
        files = tf1.placeholder(tf.string, [None])
        num_images = self.num_images

        def records(file):
            return tf.data.TFRecordDataset(file).enumerate().map(
                lambda number, record: (tf.strings.join(
                    [file, ", record ", tf.strings.as_string(number)]), record))

        def epoch(number):
            order = tf.random.experimental.index_shuffle(
                tf.range(len(self._files), dtype=tf.int64), tf.stack([seed, number]),
                tf.constant(len(self._files) - 1, tf.int64))
            shuffled = tf.data.Dataset.from_tensor_slices(tf.gather(files, order)).flat_map(
                records).shuffle(SHUFFLE_BUFFER, seed=seed + number,
                                 reshuffle_each_iteration=False)
            return shuffled.skip(tf.where(tf.equal(number, first // num_images),
                                          first % num_images, 0))

        def example(position, named):
            name, record = named
            parsed = tf.io.parse_single_example(record, labelled.RECORD_FEATURES)
            return position, parsed["image/encoded"], parsed["image/class/label"], name

        epochs = _positions(first // num_images).flat_map(epoch)
        return (tf.data.Dataset.zip((_positions(first), epochs)).map(example),
                {files: self._files})

    @staticmethod
    def decode(contents):
        """As `ImageFiles.decode`."""
        return images.decode(contents)


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


def _positions(first):
    return tf.data.Dataset.range(first, tf.int64.max)


def _permuted(position, size, seed):
    """Returns which of ``size`` images comes at a position of the run."""
    return tf.random.experimental.index_shuffle(
        position % size, tf.stack([tf.constant(seed, tf.int64), position // size]),
        tf.constant(size - 1, tf.int64))


class Input:
    """Batches of a run, in the default graph.

    Args:
      source: What `open_data` returned.
      options: `training_options.Options`.
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
        dataset, self._feed = source.examples(
            self._first_step * batch_size * num_tasks, options.seed)
        if num_tasks > 1:
            dataset = dataset.filter(
                lambda position, *_: tf.equal(position // batch_size % num_tasks, task))

        def prepare(position, contents, label, _):
            return augment(source.decode(contents), options.image_size, options.preprocessing,
                           options.augmentation, options.seed, position), label

        dataset = dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        dataset = dataset.batch(batch_size, drop_remainder=True).prefetch(_PREFETCHED_BATCHES)
        self._iterator = tf1.data.make_initializable_iterator(dataset)
        self.images, self.labels = self._iterator.get_next()

    def start(self, session, step):
        """Makes the next batch that of the given step, of those counted from 0."""
        session.run(self._iterator.initializer, {self._first_step: step, **self._feed})

    def unreadable(self, step):
        """Returns ``(name, cause)`` of the first image of a step that cannot be read, or None."""
        count = self._options.batch_size * self._num_tasks
        with tf.Graph().as_default(), tf1.Session() as session:
            dataset, feed = self._source.examples(
                tf.constant(step * count, tf.int64), self._options.seed)
            iterator = tf1.data.make_initializable_iterator(dataset)
            _, contents, _, name = iterator.get_next()
            next_contents = tf1.placeholder(contents.dtype, contents.shape)
            image = self._source.decode(next_contents)
            session.run(iterator.initializer, feed)
            for _ in range(count):
                values, shown = session.run([contents, name])
                try:
                    session.run(image, {next_contents: values})
                except tf.errors.OpError as error:
                    return os.fsdecode(shown), cause_of(error.message)
        return None
