"""CIFAR-10 from the binary archive that its authors give out.

Source: https://www.cs.toronto.edu/~kriz/cifar.html (A. Krizhevsky, 2009), which also
says how the files are laid out.
"""

import os

import numpy as np

from slim_resnet.common import archives
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError

TRAINING_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST_FILES = ("test_batch.bin",)
NUM_CLASSES = 10
_CHANNELS, _SIZE = 3, 32
# A row is a label and the planes of red, green and blue.
_ROW_BYTES = 1 + _CHANNELS * _SIZE * _SIZE
_TAKE = "take cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html"


def read_cifar10(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Reads ``cifar-10-binary.tar.gz``.

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
    with temporary_folder() as folder:
        archives.extract(path, folder)
        return (*_read_files(path, folder, TRAINING_FILES), *_read_files(path, folder, TEST_FILES))


def _read_files(path: str, folder: str, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    there = os.listdir(folder)
    rows = []
    for name in names:
        if name.removesuffix(".bin") in there:
            raise SlimResnetError(f"{path}: is CIFAR-10's archive for Python, whose pickles could "
                                  f"run anything; {_TAKE}")
        if name not in there:
            raise SlimResnetError(f"{path}: holds no {name}; {_TAKE}")
        batch = np.fromfile(os.path.join(folder, name), np.uint8)
        if not batch.size or batch.size % _ROW_BYTES:
            raise SlimResnetError(f"{path}: its {name} is no batch of CIFAR-10: its size of "
                                  f"{batch.size} bytes is not a multiple of {_ROW_BYTES}")
        batch = batch.reshape(-1, _ROW_BYTES)
        if batch[:, 0].max() >= NUM_CLASSES:
            raise SlimResnetError(f"{path}: its {name} is no batch of CIFAR-10: its labels are not "
                                  "numbers from 0 to 9")
        rows.append(batch)
    rows = np.concatenate(rows)
    images = rows[:, 1:].reshape(-1, _CHANNELS, _SIZE, _SIZE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, 0].astype(np.int64)
