"""``tensorflow.examples.tutorials.mnist.input_data``: MNIST's four files as arrays.

The files are not downloaded. Batches are drawn without replacement, in another order than
TensorFlow 1's for the same seed.
"""

import collections
import gzip
import os

import numpy as np
import tensorflow as tf

from slim_resnet.errors import SlimResnetError

Datasets = collections.namedtuple("Datasets", ["train", "validation", "test"])

_MAGIC = {"images": 2051, "labels": 2049}


def _read(folder, name):
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        raise SlimResnetError(f"{path}: no such file, and it is not downloaded; MNIST's four "
                              ".gz files belong into that folder")
    with gzip.open(path) as file:
        data = file.read()
    kind = "images" if "images" in name else "labels"
    words = np.frombuffer(data[:16 if kind == "images" else 8], ">i4")
    if words[0] != _MAGIC[kind]:
        raise SlimResnetError(f"{path}: no file of MNIST {kind}")
    values = np.frombuffer(data, np.uint8, offset=words.nbytes)
    return values.reshape(*words[1:], 1) if kind == "images" else values


class DataSet:
    """Images, ``[N, 784]`` or ``[N, 28, 28, 1]``, and their labels, in batches."""

    def __init__(self, images, labels, fake_data=False, one_hot=False, dtype=tf.float32,
                 reshape=True, seed=None):
        if reshape and images.ndim == 4:
            images = images.reshape(len(images), -1)
        if tf.as_dtype(dtype) == tf.float32:
            images = images.astype(np.float32) / 255
        self.images, self.labels = images, labels
        self.epochs_completed = 0
        self._random = np.random.RandomState(seed)
        self._order = np.empty([0], int)
        self._drawn = 0

    @property
    def num_examples(self):
        return len(self.images)

    def next_batch(self, batch_size, fake_data=False, shuffle=True):
        """Returns the next images and labels; past the end a new epoch goes on."""
        while len(self._order) < batch_size:
            epoch = np.arange(self.num_examples)
            if shuffle:
                self._random.shuffle(epoch)
            self._order = np.concatenate([self._order, epoch])
        self._drawn += batch_size
        self.epochs_completed = max(0, self._drawn - 1) // self.num_examples
        chosen, self._order = self._order[:batch_size], self._order[batch_size:]
        return self.images[chosen], self.labels[chosen]


def read_data_sets(train_dir, fake_data=False, one_hot=False, dtype=tf.float32, reshape=True,
                   validation_size=5000, seed=None, source_url=None):
    """Returns MNIST's training, validation and test sets from its files in a folder."""
    if fake_data:
        raise SlimResnetError("read_data_sets(fake_data=True) is not stood in for")
    sets = []
    for prefix in ("train", "t10k"):
        labels = _read(train_dir, f"{prefix}-labels-idx1-ubyte.gz")
        sets.append((_read(train_dir, f"{prefix}-images-idx3-ubyte.gz"),
                     np.eye(10)[labels] if one_hot else labels))
    (images, labels), test = sets
    if not 0 <= validation_size <= len(images):
        raise ValueError(f"validation_size is {validation_size}, of {len(images)} images")
    return Datasets(*(DataSet(*pair, dtype=dtype, reshape=reshape, seed=seed) for pair in (
        (images[validation_size:], labels[validation_size:]),
        (images[:validation_size], labels[:validation_size]), test)))
