"""A checkpoint without ``with``: open as long as somebody has it, and nothing left of it then."""

import gc
import os
import tarfile
import tempfile

import numpy as np
import pytest

from slim_resnet.checkpoint import open_checkpoint, recognise
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference import Network
from tests.helpers import checkpoints

NAME = "resnet_v2_50/logits/biases"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("written") / "net.ckpt")


@pytest.fixture
def archive(written, tmp_path, monkeypatch):
    """The checkpoint as an archive, which is unpacked into a folder within ``temporary``."""
    path = tmp_path / "net.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for end in (".index", ".data-00000-of-00001"):
            file.add(written.path + end, "net.ckpt" + end)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return path


def unpacked(archive):
    return os.listdir(archive.parent / "temporary")


def test_works_without_with_until_closed(archive, written):
    checkpoint = open_checkpoint(archive)
    assert checkpoint.shapes[NAME] == (10,) and len(unpacked(archive)) == 1
    np.testing.assert_array_equal(checkpoint.tensor(NAME), written.values[NAME])
    checkpoint.close()
    assert unpacked(archive) == []
    with pytest.raises(SlimResnetError, match=r"net\.tar\.gz: is closed; read values before"):
        checkpoint.tensor(NAME)
    checkpoint.close()


def test_leaves_nothing_when_nobody_has_it(archive):
    checkpoint = open_checkpoint(archive)
    assert len(unpacked(archive)) == 1
    del checkpoint
    gc.collect()
    assert unpacked(archive) == []


def test_leaves_nothing_when_it_cannot_be_opened(archive):
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(SlimResnetError):
        open_checkpoint(archive)
    assert unpacked(archive) == []


def test_what_is_given_it_does_not_close_it(archive, written):
    checkpoint = open_checkpoint(archive)
    with Network(checkpoint, 32) as network:
        np.testing.assert_allclose(network.logits(written.images), written.net[:, 0, 0], rtol=1e-4)
    with open_checkpoint(checkpoint) as again, again:
        pass
    again.close()
    np.testing.assert_array_equal(again.tensor(NAME), written.values[NAME])
    np.testing.assert_array_equal(checkpoint.tensor(NAME), written.values[NAME])
    # Another's is as open as its own.
    del checkpoint
    np.testing.assert_array_equal(again.tensor(NAME), written.values[NAME])
    again._owner.close()
    with pytest.raises(SlimResnetError, match="is closed"):
        again.tensor(NAME)


def test_with_closes_it(archive):
    with open_checkpoint(archive) as checkpoint:
        assert len(unpacked(archive)) == 1
    assert unpacked(archive) == []
    with pytest.raises(SlimResnetError, match="is closed"):
        checkpoint.tensor(NAME)


def test_recognise_opens_a_path(archive, written):
    found = recognise(archive)
    assert (found.scope, found.num_classes) == ("resnet_v2_50", 10)
    assert found == recognise(str(archive)) == recognise(written.path)
    assert unpacked(archive) == []
    with pytest.raises(SlimResnetError, match="nothing.ckpt"):
        recognise("nothing.ckpt")
