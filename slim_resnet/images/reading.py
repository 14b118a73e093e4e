"""From image files to the arrays that slim's networks were trained on.

Three lines from files to a batch::

    from slim_resnet import images

    batch = images.load_images(images.find_images(["photos"]), image_size=299)

Decoding is TensorFlow's own, always to RGB of 8 bits. Alpha is dropped, not blended;
16-bit samples keep their high byte; CMYK is converted without a colour profile; of a
GIF only the first frame is read. EXIF orientation is not applied: pixels come as they
are stored, as in slim, whose training saw them so.
"""

import os
import typing

import numpy as np
import tensorflow as tf

from slim_resnet.common.environment import cpu
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.images.settings import PREPROCESSING

tf1 = tf.compat.v1

EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp")
# research/slim's inception_preprocessing.preprocess_for_eval.
CENTRAL_FRACTION = 0.875
# Batches that wait for the network; one of 16 images of 299 x 299 takes 16 MiB.
_LOOKAHEAD = 2


class Batch(typing.NamedTuple):
    """Successive images of a data set, ready for a network.

    Attributes:
      names: Path of each, or file and number of its record.
      images: float32 ``[readable, image_size, image_size, 3]``: those that could be
        read, in order.
      causes: For each, why it is unreadable, one line; None if it was read.
      labels: For each, its class number where the data set has one and it was read,
        else None.
    """

    names: list
    images: np.ndarray
    causes: list
    labels: list


def find_images(paths):
    """Returns image files: files as given, folders searched through.

    Args:
      paths: Files and folders. A file is taken whatever its name is; in a folder
        and its subfolders, names that end in one of `EXTENSIONS` and do not begin
        with a dot are.

    Returns:
      A list of paths, each folder's in sorted order.

    Raises:
      SlimResnetError: A path does not exist, or a folder holds no image.
    """
    found = []
    for path in map(os.fspath, paths):
        if os.path.isdir(path):
            inside = sorted(_images_within(path))
            if not inside:
                raise SlimResnetError(
                    f"{path}: holds no image; looked for {', '.join(EXTENSIONS)}")
            found += inside
        elif os.path.exists(path):
            found.append(path)
        else:
            raise SlimResnetError(f"{path}: no such file or folder")
    return found


def _images_within(folder):
    def cannot_list(error):
        raise SlimResnetError(f"{error.filename}: cannot be listed: {error.strerror}") from error

    for parent, folders, names in os.walk(folder, onerror=cannot_list):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                yield os.path.join(parent, name)


def decode(contents):
    """Decodes JPEG, PNG, GIF (first frame) or BMP; works in graphs, tf.data and eagerly.

    Args:
      contents: Scalar string tensor: the bytes of the file.

    Returns:
      uint8 ``[height, width, 3]``, RGB; see the module's text for what becomes of
      alpha, 16 bits, CMYK and EXIF.

    Raises:
      tf.errors.InvalidArgumentError: When it runs, on damaged or other contents.
    """
    contents = tf.convert_to_tensor(contents)
    is_bmp = tf.strings.regex_full_match(tf.strings.substr(contents, 0, 2), "BM")
    image = tf.cond(
        is_bmp, lambda: _decode_bmp(contents),
        lambda: tf.io.decode_image(contents, channels=3, expand_animations=False))
    image.set_shape([None, None, 3])
    return image


def _decode_bmp(contents):
    # TensorFlow refuses three channels of a BMP that stores one or four, gives a
    # palette's numbers for grey values, and reads compressed rows as plain ones.
    image = tf.io.decode_bmp(contents)
    with tf.control_dependencies([image]):
        header = tf.io.decode_raw(tf.strings.substr(contents, 10, 24), tf.uint8)
    data_start, header_size, compression = (
        tf.bitcast(header[at:at + 4], tf.int32) for at in (0, 4, 20))
    # tf.equal, as == compares identity within tf.Graph().
    plain = tf.debugging.Assert(
        (header_size >= 40) & (tf.equal(compression, 0) | tf.equal(compression, 3)),
        ["BMP is compressed or of the OS/2 kind, which cannot be read"])

    def through_palette():
        palette_start = 14 + header_size
        palette = tf.strings.substr(contents, palette_start,
                                    (data_start - palette_start) // 4 * 4)
        blue_green_red_0 = tf.reshape(tf.io.decode_raw(palette, tf.uint8), [-1, 4])
        return tf.gather(blue_green_red_0[:, 2::-1], tf.cast(image[:, :, 0], tf.int32))

    # In eager mode the assertion has run by now and there is no op to wait for.
    with tf.control_dependencies([plain] if plain is not None else []):
        return tf.cond(tf.equal(tf.shape(image)[2], 1), through_palette, lambda: image[:, :, :3])


def preprocess(image, image_size, preprocessing="inception"):
    """Prepares one decoded image for a network; works in graphs, tf.data and eagerly.

    ``inception`` is what research/slim evaluates its released checkpoints with:
    values to [0, 1], the central 0.875 of each side, bilinear resizing without
    anti-aliasing or half-pixel centres, and ``2 * (value - 0.5)``. ``none`` only
    resizes, in the same way, and keeps values in [0, 255].

    Args:
      image: uint8 ``[height, width, 3]``, or a batch of images of one size.
      image_size: Height and width of the result, in pixels.
      preprocessing: One of `PREPROCESSING`.

    Returns:
      float32 ``[image_size, image_size, 3]``, or a batch of it.

    Raises:
      SlimResnetError: There is no such preprocessing.
    """
    if preprocessing not in PREPROCESSING:
        raise SlimResnetError(f"there is no preprocessing {preprocessing!r}; "
                              f"choose one of {', '.join(PREPROCESSING)}")
    if preprocessing == "none":
        return resize(tf.cast(image, tf.float32), image_size)
    image = tf.image.central_crop(image, CENTRAL_FRACTION)
    image = resize(tf.image.convert_image_dtype(image, tf.float32), image_size)
    return tf.multiply(tf.subtract(image, 0.5), 2.0)


def resize(image, size):
    """Resizes ``[height, width, 3]``, or a batch of it, bilinearly as TensorFlow 1 does."""
    if image.shape.rank == 3:
        return resize(image[tf.newaxis], size)[0]
    # tf.image.resize puts pixel centres at halves, which changes every value:
    # test_images.py::test_inception_preprocessing_by_hand.
    return tf.raw_ops.ResizeBilinear(images=image, size=[size, size], align_corners=False,
                                     half_pixel_centers=False)


def read_images(paths, image_size, preprocessing="inception", batch_size=16, labels=None,
                shard=(0, 1), skip=0):
    """Reads, decodes and prepares image files in parallel, ahead of their use.

    Args:
      paths: Image files, as `find_images` returns them.
      image_size: Height and width of the results, in pixels.
      preprocessing: See `preprocess`.
      batch_size: Images a batch; the last may be smaller.
      labels: Class number of each path, or None.
      shard: ``(index, count)``: read only batches ``index``, ``index + count``, ...
      skip: How many of those to leave out at the start.

    Yields:
      A `Batch` after the other, in the order of paths.
    """
    paths = [os.fspath(path) for path in paths]

    def prepare(path):
        # A file has no label of its own.
        return preprocess(decode(tf.io.read_file(path)), image_size, preprocessing), 0

    def elements():
        encoded = tf.constant(list(map(os.fsencode, paths)), tf.string, [len(paths)])
        return tf.data.Dataset.from_tensor_slices(encoded).enumerate()

    for numbers, pictures, causes, _ in run_batches(elements, prepare, image_size, batch_size,
                                                    shard, skip):
        yield Batch([paths[number] for number in numbers], pictures, causes,
                    [labels[number] if labels else None for number in numbers])


def run_batches(make_elements, prepare, image_size, batch_size, shard=(0, 1), skip=0):
    """Prepares the elements of a data set in parallel, while its user is at work.

    It runs in a graph and a session of its own. An element that cannot be prepared
    neither ends nor shifts the others.

    Args:
      make_elements: Returns a ``tf.data.Dataset`` of ``(number, encoded)``, int64 of any
        shape and a scalar string; called within the graph.
      prepare: From ``encoded`` to the image, float32 ``[image_size, image_size, 3]``, and
        its label.
      image_size: Height and width, in pixels.
      batch_size: Images a batch; the last may be smaller.
      shard: ``(index, count)``: only batches ``index``, ``index + count``, ...
      skip: How many of those to leave out at the start.

    Yields:
      ``(numbers, images, causes, labels)``. ``images`` has a row for every element
      whose cause is None; the others' labels say nothing.

    Raises:
      tf.errors.OpError: The source of the elements failed.
    """
    def prepared(encoded):
        image, label = prepare(encoded)
        return tf.ensure_shape(image, [image_size, image_size, 3]), tf.cast(label, tf.int64)

    def attempt(number, encoded):
        # A data set of one element, and behind it what stands for it where it failed.
        failed = (tf.zeros([image_size, image_size, 3]), tf.constant(0, tf.int64), encoded, False)
        image, label, failure, good = (
            tf.data.Dataset.from_tensors(encoded)
            .map(lambda encoded: (*prepared(encoded), "", True)).ignore_errors()
            .concatenate(tf.data.Dataset.from_tensors(failed)).take(1).get_single_element())
        return number, image, label, failure, good

    graph = tf.Graph()
    with graph.as_default():
        dataset = make_elements().batch(batch_size).shard(shard[1], shard[0]).skip(skip).unbatch()
        dataset = dataset.map(attempt, num_parallel_calls=cpu()["cores"])
        options = tf.data.Options()
        # Its thread can keep the session from closing for a second.
        options.autotune.enabled = False
        iterator = tf1.data.make_initializable_iterator(
            dataset.batch(batch_size).prefetch(_LOOKAHEAD).with_options(options))
        next_batch = iterator.get_next()
        again = tf1.placeholder(tf.string, [])
        prepared_again = prepared(again)
    with tf1.Session(graph=graph) as session:
        session.run(iterator.initializer)
        while True:
            try:
                numbers, pictures, labels, failures, good = session.run(next_batch)
            except tf.errors.OutOfRangeError:
                return
            causes = [None] * len(numbers)
            for k in np.flatnonzero(~good):
                # Once more, to learn why; what can be read now is taken.
                try:
                    pictures[k], labels[k] = session.run(prepared_again, {again: failures[k]})
                    good[k] = True
                except tf.errors.OpError as error:
                    causes[k] = cause_of(error.message)
                except UnicodeDecodeError as error:
                    # TensorFlow's message quotes a record or a name that is not UTF-8.
                    causes[k] = cause_of(error.object.decode("utf-8", "replace"))
            yield numbers, pictures if good.all() else pictures[good], causes, labels


def load_images(paths, image_size, preprocessing="inception"):
    """Reads image files into one array, all or nothing.

    Args:
      paths: At least one image file; see `find_images` for folders.
      image_size: Height and width of the result, in pixels.
      preprocessing: See `preprocess`.

    Returns:
      float32 ``[len(paths), image_size, image_size, 3]``.

    Raises:
      SlimResnetError: There is no path, or a file is no readable image.
    """
    loaded = []
    for batch in read_images(paths, image_size, preprocessing):
        for name, cause in zip(batch.names, batch.causes):
            if cause:
                raise SlimResnetError(f"{name}: cannot be read: {cause}")
        loaded.append(batch.images)
    if not loaded:
        raise SlimResnetError("no image to load: the list of paths is empty")
    return np.concatenate(loaded)
