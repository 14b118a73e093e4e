"""Reading CIFAR-10's archives: both forms alike, and bad ones with one line."""

import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from slim_resnet.errors import SlimResnetError
from slim_resnet.experiments import degradation
from slim_resnet.experiments.cifar10 import TEST_FILES, TRAINING_FILES, read_cifar10

NAMES = (*TRAINING_FILES, *TEST_FILES)


def batches():
    """Two images a file: rows of 1024 reds, greens and blues; and labels."""
    rng = np.random.default_rng(0)
    return {name: (rng.integers(0, 256, [2, 3072]).astype(np.uint8), [number, 9 - number])
            for number, name in enumerate(NAMES)}


def write_archive(path, contents):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(f"cifar-10/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return str(path)


class Python2Pickler(pickle._Pickler):
    """Writes strings as Python 2 did, whose pickles the real files are."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, value):
        data = value if isinstance(value, bytes) else value.encode()
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_string


def pickled(images, labels):
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump({"data": images, "labels": labels})
    return file.getvalue().replace(b"numpy._core.", b"numpy.core.")


def in_python(changes=()):
    return {name: pickled(*batch) for name, batch in batches().items()} | dict(changes)


def in_binary(changes=()):
    return {f"{name}.bin": np.concatenate(
        [np.array(labels, np.uint8)[:, None], images], 1).tobytes()
        for name, (images, labels) in batches().items()} | dict(changes)


@pytest.mark.parametrize("contents", [in_python, in_binary])
def test_images_and_labels(contents, tmp_path):
    path = write_archive(tmp_path / "c.tar.gz", contents())
    images, labels, test_images, test_labels = read_cifar10(path)
    assert images.shape == (10, 32, 32, 3) and images.dtype == np.uint8
    assert labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5] and test_labels.tolist() == [5, 4]
    row = batches()["data_batch_2"][0][0]
    # Planes of red, green and blue, each row by row.
    assert images[2, 1, 3].tolist() == [row[35], row[1024 + 35], row[2048 + 35]]
    assert test_images[1, 0, 0, 0] == batches()["test_batch"][0][1][0]
    data = degradation.cifar10(path)
    assert data.training_images.dtype == np.float32
    np.testing.assert_allclose(data.training_images[2, 1, 3, 0], row[35] / 127.5 - 1, rtol=1e-6)
    assert data.name == "CIFAR-10" and data.num_classes == 10


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("made_by_pickle",)


BATCH = np.zeros([2, 3072], np.uint8)


@pytest.mark.parametrize("contents, message", [
    ({"test_batch": b""}, "holds no data_batch_1 or data_batch_1.bin"),
    (in_python({"data_batch_3": pickle.dumps(Malicious())}),
     "data_batch_3 is no batch of CIFAR-10: asks for posix.mkdir"),
    (in_python({"data_batch_3": in_python()["data_batch_3"][:-200]}), "data_batch_3 is no batch"),
    (in_python({"test_batch": pickle.dumps([1])}), "test_batch is no batch"),
    (in_python({"test_batch": pickled(BATCH, [1, 10])}), "labels are not numbers from 0 to 9"),
    (in_python({"test_batch": pickled(BATCH, [1])}), "uint8 [2, 3072], not uint8 [1, 3072]"),
    (in_python({"test_batch": pickled(BATCH.astype(float), [1, 2])}), "its data are float64"),
    (in_binary({"data_batch_2.bin": b"1234"}), "size of 4 bytes is not a multiple of 3073"),
    (in_binary({"data_batch_2.bin": b""}), "size of 0 bytes"),
])
def test_bad_archive_is_one_line(contents, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_archive(tmp_path / "c.tar.gz", contents)
    with pytest.raises(SlimResnetError) as error:
        read_cifar10(path)
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)
    assert "\n" not in str(error.value) and os.listdir() == ["c.tar.gz"]


def test_what_is_no_archive(tmp_path):
    path = tmp_path / "c.tar.gz"
    path.write_bytes(b"nothing" * 100)
    with pytest.raises(SlimResnetError, match="damaged archive, or none"):
        read_cifar10(str(path))
