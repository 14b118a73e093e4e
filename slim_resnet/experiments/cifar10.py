"""CIFAR-10 from a file of its authors', in either of the two forms they give out.

Source: https://www.cs.toronto.edu/~kriz/cifar.html (A. Krizhevsky, 2009), which also
says how the files are laid out.
"""

import os
import pickle
import tempfile

import numpy as np

from slim_resnet.common import archives
from slim_resnet.errors import SlimResnetError

TRAINING_FILES = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST_FILES = ("test_batch",)
NUM_CLASSES = 10
_CHANNELS, _SIZE = 3, 32
_IMAGE_BYTES = _CHANNELS * _SIZE * _SIZE


class _ArraysOnly(pickle.Unpickler):
    """Unpickles numpy arrays and plain values; nothing that a file could run."""

    _ALLOWED = {(f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")} | {
        ("numpy", "ndarray"), ("numpy", "dtype")}

    def find_class(self, module, name):
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}")
        return super().find_class(module, name)


def read_cifar10(path):
    """Reads ``cifar-10-python.tar.gz`` or ``cifar-10-binary.tar.gz``.

    Args:
      path: The archive; packed or not, its name does not matter.

    Returns:
      ``(training_images, training_labels, test_images, test_labels)``: images uint8
      ``[N, 32, 32, 3]``, labels int64 ``[N]``.

    Raises:
      SlimResnetError: It is not there, damaged, or not such an archive.
    """
    if not os.path.isfile(path):
        raise SlimResnetError(f"{path}: no such file")
    with tempfile.TemporaryDirectory(prefix="slim_resnet_cifar10_") as folder:
        archives.extract(path, folder)
        return (*_read_files(path, folder, TRAINING_FILES), *_read_files(path, folder, TEST_FILES))


def _read_files(path, folder, names):
    there = os.listdir(folder)
    batches = []
    for name in names:
        if name in there:
            read, file_name = _read_python, name
        elif f"{name}.bin" in there:
            read, file_name = _read_binary, f"{name}.bin"
        else:
            raise SlimResnetError(f"{path}: holds no {name} or {name}.bin; it takes CIFAR-10's "
                                  "python or binary archive")
        try:
            images, labels = read(os.path.join(folder, file_name))
        # Unpickling a damaged file may raise anything.
        except Exception as error:
            raise SlimResnetError(f"{path}: its {file_name} is no batch of CIFAR-10: "
                                  f"{str(error) or type(error).__name__}") from error
        batches.append((images.reshape(-1, _CHANNELS, _SIZE, _SIZE).transpose(0, 2, 3, 1), labels))
    images, labels = zip(*batches)
    return np.concatenate(images), np.concatenate(labels)


def _read_binary(path):
    rows = np.fromfile(path, np.uint8)
    if not rows.size or rows.size % (1 + _IMAGE_BYTES):
        raise ValueError(f"its size of {rows.size} bytes is not a multiple of {1 + _IMAGE_BYTES}")
    rows = rows.reshape(-1, 1 + _IMAGE_BYTES)
    return rows[:, 1:], _checked_labels(rows[:, 0])


def _read_python(path):
    with open(path, "rb") as file:
        batch = _ArraysOnly(file, encoding="bytes").load()
    images, labels = batch[b"data"], _checked_labels(batch[b"labels"])
    if images.dtype != np.uint8 or images.shape != (len(labels), _IMAGE_BYTES):
        raise ValueError(f"its data are {images.dtype} {list(images.shape)}, not uint8 "
                         f"[{len(labels)}, {_IMAGE_BYTES}]")
    return images, labels


def _checked_labels(labels):
    labels = np.asarray(labels, np.int64)
    if labels.ndim != 1 or not labels.size or not 0 <= labels.min() <= labels.max() < NUM_CLASSES:
        raise ValueError("its labels are not numbers from 0 to 9")
    return labels
