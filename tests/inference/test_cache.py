"""The cache of networks: what is kept, what is refused, how much there may be."""

import json
import os
import pathlib
import stat

import pytest

from slim_resnet.checkpoint.selection import Selection
from slim_resnet.inference.engines import cache

MADE_FROM = {"files_sha256": "0" * 64, "engine": "X 1", "end_points": ["a"], "image_size": None}

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "slim-resnet"


def written(folder, contents=b"weights"):
    (pathlib.Path(folder) / "model.bin").write_bytes(contents)
    return {"heads": ["logits"], "number": 3}


def keep(made_from=None, contents=b"weights"):
    return pathlib.Path(cache.keep(made_from or MADE_FROM,
                                   lambda folder: written(folder, contents)).folder)


def test_what_is_kept_is_found_and_nothing_else(home):
    assert cache.find(MADE_FROM) is None
    folder = keep()
    found = cache.find(dict(reversed(MADE_FROM.items())))
    assert pathlib.Path(found.folder) == folder and found.folder.startswith(str(home))
    assert found.record == {"heads": ["logits"], "number": 3}
    for name, value in (("engine", "X 2"), ("end_points", []), ("image_size", 224)):
        assert cache.find({**MADE_FROM, name: value}) is None
    modes = [stat.S_IMODE(path.stat().st_mode)
             for path in (home, folder, *sorted(folder.iterdir()))]
    assert modes == [0o700, 0o700, 0o600, 0o600]
    assert sorted(path.name for path in home.iterdir()) == [folder.name]


def test_home_of_the_user(monkeypatch):
    for home in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", home)
        assert cache.cache_folder() == os.path.expanduser("~/.cache/slim-resnet")


def change_weights(folder):
    (folder / "model.bin").write_bytes(b"Weights")


def change_record(folder):
    path = folder / "record.json"
    path.write_text(path.read_text().replace('"number": 3', '"number": 4'))


def of_another(folder):
    other = keep({**MADE_FROM, "engine": "Y"}, b"others")
    for name in ("model.bin", "record.json"):
        (folder / name).write_bytes((other / name).read_bytes())


def resigned(folder):
    """Someone who knows how writes another file beside the folder, with a digest that fits."""
    record = json.loads((folder / "record.json").read_text())
    del record["sha256"]
    record["files"]["../model.bin"] = record["files"].pop("model.bin")
    (folder.parent / "model.bin").write_bytes(b"weights")
    (folder / "record.json").unlink()
    cache._write_record(folder / "record.json", record)


@pytest.mark.parametrize("change", [
    change_weights, change_record, of_another, resigned,
    lambda folder: (folder / "record.json").write_text("{}"),
    lambda folder: (folder / "record.json").write_text("[" * 100000),
    lambda folder: (folder / "record.json").write_bytes(b"\xff")])
def test_what_was_changed_is_refused(change):
    folder = keep()
    change(folder)
    with pytest.raises(cache.Refused, match="is not what was written there") as error:
        cache.find(MADE_FROM)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("change, message", [
    (lambda folder: folder.chmod(0o755), "is open to others"),
    (lambda folder: folder.parent.chmod(0o770), "is open to others"),
    (lambda folder: (folder / "model.bin").chmod(0o622), "model.bin: is open to others"),
    (link, "is no plain file or folder"),
    (lambda folder: link(folder / "model.bin"), "model.bin: cannot be read, and is not used"),
    (lambda folder: os.link(folder / "model.bin", folder / "again"), "has a second name elsewhere"),
    (lambda folder: (folder / "model.bin").unlink(), "model.bin: cannot be read"),
    (lambda folder: folder.parent.parent.chmod(0o777), "others may write there")])
def test_what_others_may_have_put_there_is_refused(change, message):
    change(keep())
    with pytest.raises(cache.Refused, match=message):
        cache.find(MADE_FROM)


def test_another_user_is_refused(monkeypatch):
    keep()
    monkeypatch.setattr(cache.os, "getuid", lambda: 12345)
    with pytest.raises(cache.Refused, match="slim-resnet: is another user's, and is not used"):
        cache.find(MADE_FROM)


def test_a_pipe_is_refused_and_does_not_hang():
    folder = keep()
    (folder / "model.bin").unlink()
    os.mkfifo(folder / "model.bin", 0o600)
    with pytest.raises(cache.Refused, match="model.bin: is no plain file"):
        cache.find(MADE_FROM)


def test_what_was_refused_is_made_anew():
    folder = keep()
    change_weights(folder)
    assert keep() == folder
    assert cache.find(MADE_FROM).record["number"] == 3


def test_a_stop_leaves_nothing(home):
    def fail(folder):
        written(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.keep(MADE_FROM, fail)
    assert list(home.iterdir()) == [] and cache.find(MADE_FROM) is None


def test_a_link_in_the_place_of_the_folder(home, tmp_path):
    home.parent.mkdir()
    (tmp_path / "mine").mkdir(0o700)
    home.symlink_to(tmp_path / "mine")
    for use in (keep, lambda: cache.find(MADE_FROM)):
        with pytest.raises(cache.Refused, match="slim-resnet: is no plain file or folder"):
            use()
    assert list((tmp_path / "mine").iterdir()) == []


def test_what_cannot_be_written_is_one_line(home):
    home.parent.write_text("a file")
    with pytest.raises(cache.Refused, match="cannot be kept: ") as error:
        keep()
    assert "\n" not in str(error.value)


def test_the_oldest_goes_when_there_is_too_much(monkeypatch):
    monkeypatch.setattr(cache, "MOST_BYTES", 5000)
    rows = [{**MADE_FROM, "image_size": size} for size in range(3)]
    for age, row in zip((30, 10, 20), rows):
        folder = keep(row, b"x" * 1000)
        os.utime(folder, (1e9 - age, 1e9 - age))
    # What is used gets young again.
    assert cache.find(rows[0])
    keep({**MADE_FROM, "image_size": 9}, b"x" * 1000)
    assert [cache.find(row) is not None for row in rows] == [True, True, False]


def test_identity_is_of_contents_and_choices(tmp_path):
    file = tmp_path / "net.ckpt"
    file.write_bytes(b"one")
    first = cache.identity(str(file), [str(file)], None)
    moved = tmp_path / "moved.ckpt"
    moved.write_bytes(b"one")
    assert cache.identity(str(moved), [str(moved)], None) == first
    file.write_bytes(b"two")
    assert cache.identity(str(file), [str(file)], None) != first
    file.write_bytes(b"one")
    assert cache.identity(str(file), [str(file)], True) != first
    assert cache.identity(Selection(str(file), scope="a"), [str(file)], None) != first
