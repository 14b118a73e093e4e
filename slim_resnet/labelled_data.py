"""Labelled images: class folders, TFRecord files in slim's format, and .npz files."""

import collections
import os
import re
import zipfile

import numpy as np
import tensorflow as tf

from slim_resnet import images
from slim_resnet.classify import BACKGROUND, CLASSES_WITH_BACKGROUND, read_labels
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.network import IMAGE_SIZE

tf1 = tf.compat.v1

# validation-00000-of-00128, flowers_train_00003-of-00005.tfrecord; validation.tfrecord
_SHARD = re.compile(r"(?P<set>.*?)[-_](?P<shard>\d{5})-of-(?P<shards>\d{5})(\.tfrecords?)?$")
_SINGLE = re.compile(r"(?P<set>.*)\.tfrecord")

RECORD_FEATURES = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
                   "image/class/label": tf.io.FixedLenFeature([], tf.int64)}
# Records that are parsed at a time to count them.
_COUNTED = 256


def find_labelled(folder, num_classes):
    """Returns the images of a folder of class folders with their class numbers.

    Class folders in sorted order are classes 0, 1, ...; 1000 folders for 1001
    classes are classes 1, 2, ..., as class 0 is the background.

    Args:
      folder: The folder; a name that begins with a dot is passed over.
      num_classes: Classes of the checkpoint.

    Returns:
      ``(paths, labels, names)``: files, the class number of each, and the name of
      every class.

    Raises:
      SlimResnetError: The number of folders does not fit the checkpoint, or a class
        folder holds no image.
    """
    names = class_folders(folder)
    offset = int(num_classes == CLASSES_WITH_BACKGROUND and len(names) == num_classes - 1)
    if len(names) + offset != num_classes:
        wanted = (f"{num_classes}, or 1000 without background"
                  if num_classes == CLASSES_WITH_BACKGROUND else num_classes)
        raise SlimResnetError(f"{folder}: has {len(names)} class folders, but the checkpoint has "
                              f"{num_classes} classes; give a folder with {wanted} of them, or "
                              "TFRecord files")
    paths, labels = images_of_classes(folder, names)
    return paths, [label + offset for label in labels], [BACKGROUND] * offset + names


def class_folders(folder):
    """Returns the names of a folder's folders, sorted; those that begin with a dot are not."""
    return sorted(entry.name for entry in os.scandir(folder)
                  if entry.is_dir() and not entry.name.startswith("."))


def images_of_classes(folder, names):
    """Returns ``(paths, labels)`` of the images in class folders; the first is class 0.

    Raises:
      SlimResnetError: A class folder holds no image.
    """
    paths, labels = [], []
    for label, name in enumerate(names):
        found = images.find_images([os.path.join(folder, name)])
        paths += found
        labels += [label] * len(found)
    return paths, labels


def find_records(folder):
    """Returns a folder's TFRecord files, all shards of one data set; empty if it has none.

    Raises:
      SlimResnetError: Several data sets (train and validation, say) are in it, or
        shards are missing.
    """
    matches = {}
    for name in sorted(os.listdir(folder)):
        match = _SHARD.match(name) or _SINGLE.match(name)
        if match and os.path.isfile(os.path.join(folder, name)):
            matches.setdefault(match["set"], []).append(match)
    if len(matches) > 1:
        raise SlimResnetError(f"{folder}: holds {len(matches)} data sets "
                              f"({', '.join(list(matches)[:3])}); name the files of one")
    for name, shards in matches.items():
        wanted = int(shards[0].groupdict().get("shards") or len(shards))
        if len(shards) != wanted:
            raise SlimResnetError(f"{folder}: {len(shards)} of {wanted} shards of {name} are "
                                  "there; name files to evaluate on some")
    return [os.path.join(folder, match.string) for found in matches.values() for match in found]


def read_records(files, image_size, preprocessing="inception"):
    """Reads labelled images from TFRecord files in slim's format.

    Args:
      files: Files of ``tf.train.Example`` records with ``image/encoded`` (see
        `images.decode`) and ``image/class/label``.
      image_size: Height and width of the results, in pixels.
      preprocessing: See `images.preprocess`.

    Yields:
      An `images.Example` for every record. One whose features or image cannot be
      read has its cause.

    Raises:
      SlimResnetError: A file is missing, or is no undamaged TFRecord file.
    """
    def prepare(record):
        example = tf.io.parse_single_example(record, RECORD_FEATURES)
        image = images.decode(example["image/encoded"])
        return (images.preprocess(image, image_size, preprocessing),
                example["image/class/label"])

    for file in map(os.fspath, files):
        _check_readable(file)

        def dataset(file=file):
            return tf.data.TFRecordDataset(os.fsencode(file)).map(
                prepare, num_parallel_calls=tf.data.AUTOTUNE)

        number = 0
        try:
            for element, cause in images.run_dataset(dataset, tf.errors.InvalidArgumentError):
                image, label = (None, None) if element is None else element
                yield images.Example(f"{file}, record {number}", image, cause,
                                     None if label is None else int(label))
                number += 1
        except tf.errors.OpError as error:
            raise SlimResnetError(f"{file}: is damaged or no TFRecord file, at record {number}: "
                                  f"{cause_of(error.message)}") from error


def _check_readable(file):
    try:
        with open(file, "rb"):
            pass
    except OSError as error:
        raise SlimResnetError(f"{file}: cannot be read: {error.strerror}") from error


def count_labels(files):
    """Reads TFRecord files in slim's format through, without decoding the images.

    Returns:
      How many records there are of each label, a `collections.Counter`.

    Raises:
      SlimResnetError: A file is missing, damaged or of another format, or a label is
        below 0.
    """
    counts = collections.Counter()
    for file in map(os.fspath, files):
        _check_readable(file)

        def dataset(file=file):
            return tf.data.TFRecordDataset(os.fsencode(file)).batch(_COUNTED).map(
                lambda records: tf.io.parse_example(records, RECORD_FEATURES)[
                    "image/class/label"])

        before = sum(counts.values())
        try:
            for labels, cause in images.run_dataset(dataset, tf.errors.InvalidArgumentError):
                if cause is not None:
                    raise SlimResnetError(f"{file}: a record after number {before} is not in "
                                          f"slim's format: {cause}")
                counts.update(labels.tolist())
        except tf.errors.OpError as error:
            raise SlimResnetError(f"{file}: is damaged or no TFRecord file: "
                                  f"{cause_of(error.message)}") from error
    if counts and min(counts) < 0:
        raise SlimResnetError(f"{files[0]}: the label {min(counts)} is no class; they count from 0")
    return counts


def classes_of_records(files, least):
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


def read_arrays(path):
    """Reads labelled images from an .npz file.

    Args:
      path: Its arrays are ``images`` (``[N, H, W]`` or ``[N, H, W, 1 or 3]``, uint8, or
        floats from 0 to 1, which are rounded to 8 bits as image files have), ``labels``
        (integers ``[N]``) and perhaps ``classes`` (names).

    Returns:
      ``(images, labels, classes)``: uint8 ``[N, H, W, 1 or 3]``, int64 ``[N]``, and a
      list of names, numbers where the file has none.

    Raises:
      SlimResnetError: The file cannot be read or an array is another.
    """
    _check_readable(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("images", "labels", "classes")
                      if name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise SlimResnetError(f"{path}: is damaged or no .npz file: {error}") from error
    for name in ("images", "labels"):
        if name not in arrays:
            raise SlimResnetError(f"{path}: has no array {name}; it needs images and labels")
    pixels, labels = arrays["images"], arrays["labels"]
    if pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 4 or pixels.shape[-1] not in (1, 3) or not pixels.size:
        raise SlimResnetError(f"{path}: images have the shape {list(arrays['images'].shape)}; it "
                              "must be [N, H, W] or [N, H, W, 1 or 3]")
    if labels.shape != pixels.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise SlimResnetError(f"{path}: labels must be {len(pixels)} whole numbers from 0, one an "
                              f"image, not {labels.dtype} {list(labels.shape)}")
    if pixels.dtype.kind == "f":
        if not (pixels.min() >= 0 and pixels.max() <= 1):
            raise SlimResnetError(f"{path}: images of floats must be between 0 and 1; they go "
                                  f"from {pixels.min()} to {pixels.max()}")
        pixels = np.round(pixels * 255).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise SlimResnetError(f"{path}: images are {pixels.dtype}; they must be uint8 or floats")
    least = int(labels.max()) + 1
    classes = [str(name) for name in arrays.get("classes", range(least))]
    if len(classes) < least:
        raise SlimResnetError(f"{path}: has {len(classes)} classes, and labels up to {least - 1}")
    return pixels, labels.astype(np.int64), classes


def kind_of_data(data):
    """Tells the three kinds apart.

    Args:
      data: A list of paths, see `read_labelled`.

    Returns:
      ``("npz", path)``, ``("records", files)`` or ``("folders", folder)``.

    Raises:
      SlimResnetError: A path does not exist, or they do not go together.
    """
    data = [os.fspath(path) for path in data]
    for path in data:
        if not os.path.exists(path):
            raise SlimResnetError(f"{path}: no such file or folder")
        if os.path.isdir(path) and len(data) > 1:
            raise SlimResnetError(f"{path}: is a folder; give one folder, or TFRecord files only")
        if path.endswith(".npz") and len(data) > 1:
            raise SlimResnetError(f"{path}: is an .npz file; give it alone")
    if data[0].endswith(".npz"):
        return "npz", data[0]
    records = find_records(data[0]) if os.path.isdir(data[0]) else data
    return ("records", records) if records else ("folders", data[0])


def read_labelled(data, num_classes, image_size=IMAGE_SIZE, preprocessing="inception",
                  shuffle_seed=None):
    """Opens labelled images of any kind.

    Args:
      data: One folder, of class folders or of TFRecord files, or TFRecord files, or one
        .npz file.
      num_classes: Classes of the checkpoint.
      image_size: Height and width of the results, in pixels.
      preprocessing: See `images.preprocess`.
      shuffle_seed: Puts the images in an order of its own, TFRecords excepted; None
        leaves them in that of files and arrays.

    Returns:
      ``(examples, total, names)``: an iterator of `images.Example`, how many it will
      yield (None if unknown), and the names of classes (None if unknown).

    Raises:
      SlimResnetError: See `find_labelled`, `find_records`, `read_records` and
        `read_arrays`.
    """
    def order(total):
        return range(total) if shuffle_seed is None else \
            np.random.default_rng(shuffle_seed).permutation(total)

    kind, found = kind_of_data(data)
    if kind == "records":
        return read_records(found, image_size, preprocessing), None, [None] * num_classes
    if kind == "npz":
        pixels, labels, _ = read_arrays(found)
        return (_examples_of_arrays(found, pixels, labels, order(len(labels)), image_size,
                                    preprocessing),
                len(labels), [None] * num_classes)
    paths, labels, names = find_labelled(found, num_classes)
    chosen = order(len(paths))
    examples = (example._replace(label=labels[k]) for example, k in zip(
        images.read_images([paths[k] for k in chosen], image_size, preprocessing), chosen))
    return examples, len(paths), names


def _examples_of_arrays(path, pixels, labels, order, image_size, preprocessing):
    with tf.Graph().as_default(), tf1.Session() as session:
        image = tf1.placeholder(tf.uint8, pixels.shape[1:])
        rgb = tf.image.grayscale_to_rgb(image) if pixels.shape[-1] == 1 else image
        prepared = images.preprocess(rgb, image_size, preprocessing)
        for k in order:
            yield images.Example(f"{path}, image {k}", session.run(prepared, {image: pixels[k]}),
                                 label=int(labels[k]))
