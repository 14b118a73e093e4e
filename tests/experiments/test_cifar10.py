"""Reading CIFAR-10's binary archive, and refusing others with one line."""

import io
import os
import pickle
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


def in_binary(changes=()):
    return {name: np.concatenate(
        [np.array(labels, np.uint8)[:, None], images], 1).tobytes()
        for name, (images, labels) in batches().items()} | dict(changes)


def test_images_and_labels(tmp_path):
    path = write_archive(tmp_path / "c.tar.gz", in_binary())
    images, labels, test_images, test_labels = read_cifar10(path)
    assert images.shape == (10, 32, 32, 3) and images.dtype == np.uint8
    assert labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5] and test_labels.tolist() == [5, 4]
    row = batches()["data_batch_2.bin"][0][0]
    # Planes of red, green and blue, each row by row.
    assert images[2, 1, 3].tolist() == [row[35], row[1024 + 35], row[2048 + 35]]
    assert test_images[1, 0, 0, 0] == batches()["test_batch.bin"][0][1][0]
    data = degradation.cifar10(path)
    assert data.training_images.dtype == np.float32
    np.testing.assert_allclose(data.training_images[2, 1, 3, 0], row[35] / 127.5 - 1, rtol=1e-6)
    assert data.name == "CIFAR-10" and data.num_classes == 10


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("made_by_pickle",)


@pytest.mark.parametrize("contents, message", [
    ({"test_batch.bin": b""}, "holds no data_batch_1.bin; take cifar-10-binary.tar.gz from"),
    ({name.removesuffix(".bin"): pickle.dumps(Malicious()) for name in NAMES},
     "is CIFAR-10's archive for Python, whose pickles could run anything; take "
     "cifar-10-binary.tar.gz from"),
    (in_binary({"test_batch.bin": bytes([1, *bytes(3072), 10, *bytes(3072)])}),
     "test_batch.bin is no batch of CIFAR-10: its labels are not numbers from 0 to 9"),
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
