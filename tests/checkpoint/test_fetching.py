"""Released checkpoints, from a server of our own on this machine."""

import dataclasses
import io
import tarfile

import pytest

from slim_resnet import cli, released
from slim_resnet.checkpoint import fetching, open_checkpoint
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import MODELS
from tests.helpers import checkpoints
from tests.helpers.file_server import serving


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A tiny network in an archive as research/slim packs them, and a row that fits it."""
    folder = tmp_path_factory.mktemp("made")
    checkpoints.write(folder / "net.ckpt", version=checkpoints.V1)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(folder / "net.ckpt", "resnet_v2_50.ckpt")
    return packed.getvalue()


@pytest.fixture
def tiny_is_released(monkeypatch):
    # A table of blocks of no name, which a released network never is.
    monkeypatch.setitem(released.RELEASED, "resnet_v2_50",
                        released.Released("resnet_v2_50", "file", 10, 75.6, 92.8))
    recognise = fetching.recognise
    monkeypatch.setattr(fetching, "recognise", lambda opened: dataclasses.replace(
        recognise(opened), model="resnet_v2_50"))


def place(server):
    return server.url.removesuffix("/file")


def test_fetched_and_not_twice(tmp_path, archive, tiny_is_released, capsys):
    folder = tmp_path / "new"
    with serving(archive) as server:
        for _ in range(2):
            assert cli.main(["data", "checkpoint", "resnet_v2_50", str(folder), "--place",
                             place(server)]) == 0
            assert capsys.readouterr().out == (
                f"{folder / 'resnet_v2_50.ckpt'}: resnet_v2_50, 10 classes, published top-1 75.6 % "
                "and top-5 92.8 %\n")
    assert server.asked == [None]
    assert [path.name for path in folder.iterdir()] == ["resnet_v2_50.ckpt"]
    with open_checkpoint(folder / "resnet_v2_50.ckpt") as opened:
        assert opened.format == "V1"


def test_another_network_is_refused(tmp_path, archive, monkeypatch, capsys):
    monkeypatch.setitem(released.RELEASED, "resnet_v2_50",
                        released.Released("resnet_v2_50", "file", 1001))
    with serving(archive) as server, pytest.raises(SlimResnetError) as caught:
        fetching.fetch("resnet_v2_50", tmp_path, place(server))
    assert "holds slim's ResNet V2 of 10 classes, and not resnet_v2_50 of 1001" in str(caught.value)
    # The archive is kept, for a look, and nothing else.
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_nothing_came_to_goes_again(tmp_path):
    with serving(b"") as server, pytest.raises(SlimResnetError, match="the server answers 404"):
        fetching.fetch("resnet_v2_50", tmp_path / "a" / "b", f"{place(server)}/nowhere")
    assert not list(tmp_path.iterdir())


def test_damage_is_found(tmp_path, archive, tiny_is_released):
    damaged = bytearray(archive)
    damaged[len(damaged) // 2] ^= 0xFF
    with serving(bytes(damaged)) as server, pytest.raises(SlimResnetError, match="damaged|cannot"):
        fetching.fetch("resnet_v2_50", tmp_path, place(server))
    assert not (tmp_path / "resnet_v2_50.ckpt").exists()


def test_names_that_there_are_none_of(tmp_path, capsys):
    with pytest.raises(SlimResnetError, match="no released checkpoint is named 'x'; there are inc"):
        fetching.fetch("x", tmp_path)
    with pytest.raises(SystemExit):
        cli.main(["data", "checkpoint", "resnet_v2_200", str(tmp_path)])
    assert "resnet_v2_200" in capsys.readouterr().err


def test_a_file_that_is_not_there_says_where_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("resnet_v2_50", "resnet_v2_50.ckpt", "resnet_v2_50_2017_04_14.tar.gz"):
        assert cli.main(["classify", name, "photo.jpg"]) == 2
        assert capsys.readouterr().err == (
            f"slim-resnet classify: error: {name}: no such checkpoint; the released one is "
            "http://download.tensorflow.org/models/resnet_v2_50_2017_04_14.tar.gz, which "
            "'slim-resnet data checkpoint resnet_v2_50 DIR' fetches\n")
    assert cli.main(["classify", "mine.ckpt", "photo.jpg"]) == 2
    assert capsys.readouterr().err.endswith("mine.ckpt: no such checkpoint\n")


def test_the_table_is_of_networks_that_there_are():
    for name, one in released.RELEASED.items():
        assert one.archive.startswith(name) and one.archive.endswith(".tar.gz")
        prepared = MODELS[name].preprocessing
        assert prepared == ("vgg" if one.num_classes == 1000 else "inception")
        assert 0 < one.top_1 < one.top_5 < 100
