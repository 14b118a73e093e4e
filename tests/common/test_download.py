"""Downloads from a server of our own on this machine."""

import pytest

from slim_resnet.common.download import download
from slim_resnet.errors import SlimResnetError
from tests.helpers.file_server import serving

CONTENT = bytes(range(256)) * 4000


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_a_whole_file(tmp_path):
    seen = []

    def progress(chunks, total, done):
        seen.append((total, done))
        return chunks

    with serving(CONTENT) as server:
        download(server.url, tmp_path / "file", progress=progress)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert seen == [(len(CONTENT), 0)] and server.asked == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_going_on(tmp_path):
    with serving(CONTENT) as server:
        server.most = 600_000
        with pytest.raises(SlimResnetError, match="the same command goes on with it"):
            download(server.url, tmp_path / "file")
        assert not (tmp_path / "file").exists()
        there = (tmp_path / "file.part").stat().st_size
        assert 0 < there <= 600_000
        server.most = None
        download(server.url, tmp_path / "file")
    assert server.asked == [None, f"bytes={there}-"]
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("tag", ['"2"', ""])
def test_another_version_is_not_mixed_in(tmp_path, tag):
    with serving(CONTENT) as server:
        server.most = 600_000
        with pytest.raises(SlimResnetError):
            download(server.url, tmp_path / "file")
        server.most, server.tag, server.content = None, tag, b"new" * 300_000
        download(server.url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new" * 300_000


def test_all_had_arrived_before_it_was_stopped(tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    (tmp_path / "file.part.tag").write_text('"1"')
    with serving(CONTENT) as server:
        download(server.url, tmp_path / "file")
    assert server.asked == [f"bytes={len(CONTENT)}-", None]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_answers_with_another_part(tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:100])
    (tmp_path / "file.part.tag").write_text('"1"')
    with serving(CONTENT) as server:
        server.shift = 1
        with pytest.raises(SlimResnetError, match="another part of the file"):
            download(server.url, tmp_path / "file")
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:100]


def test_what_is_not_there(tmp_path):
    with serving(CONTENT) as server:
        with pytest.raises(SlimResnetError, match="/nothing: the server answers 404 Not Found$"):
            download(server.url.replace("file", "nothing"), tmp_path / "file")
    with pytest.raises(SlimResnetError, match="cannot be reached: .*refused; if there is a proxy"):
        download(server.url, tmp_path / "file")
    with pytest.raises(SlimResnetError, match="cannot be reached: unknown url type"):
        download("nonsense", tmp_path / "file")
    with pytest.raises(SlimResnetError, match="no_folder.*cannot be written"), \
         serving(CONTENT) as server:
        download(server.url, tmp_path / "no_folder" / "file")
