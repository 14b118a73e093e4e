"""Folders of parts: stopped anywhere, done again, changed, made by something else."""

import json
import os
import subprocess

import numpy as np
import pytest

from slim_resnet.errors import SlimResnetError
from slim_resnet.inference import part_formats
from slim_resnet.inference.part_files import PartFiles
from tests.helpers.ray_nodes import needs_pyarrow

MADE_BY = {"format": "slim_resnet test parts 1", "checkpoint_sha256": "c", "data_sha256": "d",
           "times_sha256": "t", "options": {"image_size": 32, "part_images": 2}}
CONTENTS = [b'{"path": "a", "cause": null}\n', b'{"path": "b", "cause": "no"}\n', b"third\n"]


def marked(suffixes):
    return [pytest.param(suffix, marks=[needs_pyarrow] * (suffix == ".parquet"))
            for suffix in suffixes]


def opened(path, resume=True, made_by=MADE_BY):
    return PartFiles(path, made_by, ".jsonl", resume)


def write(path, numbers, finish=False, **options):
    with opened(path, **options) as parts:
        for number in numbers:
            parts.write(number, CONTENTS[number])
        if finish:
            parts.finish(5, 1)
        return parts


@pytest.fixture
def whole(tmp_path):
    """The files of a folder that was written without a stop, by name."""
    write(tmp_path / "whole", [0, 1, 2], finish=True)
    return files(tmp_path / "whole")


def files(path):
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def test_a_folder_says_what_is_in_it(tmp_path, whole):
    assert sorted(whole) == ["SHA256SUMS", "manifest.json", "part-00000.jsonl",
                             "part-00001.jsonl", "part-00002.jsonl"]
    assert [whole[f"part-0000{k}.jsonl"] for k in range(3)] == CONTENTS
    assert json.loads(whole["manifest.json"]) == {**MADE_BY, "parts": 3, "images": 5,
                                                  "unreadable": 1}
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "whole",
                             capture_output=True, text=True)
    assert checked.returncode == 0 and checked.stdout.count(": OK") == 3
    with opened(tmp_path / "whole") as parts:
        assert parts.finished and (parts.images, parts.unreadable) == (5, 1)
        assert list(parts.contents()) == CONTENTS


@pytest.mark.parametrize("order", [[0], [2, 0], [1, 1, 2], [0, 1, 2], [2, 1, 0, 0]])
def test_any_parts_may_be_there_and_be_done_again(tmp_path, whole, order):
    path = tmp_path / "parts"
    write(path, order)
    with opened(path) as parts:
        assert parts.done == set(order) and not parts.finished
        assert json.loads((path / "manifest.json").read_text())["parts"] is None
    write(path, set(range(3)) - set(order), finish=True)
    assert files(path) == whole


def test_a_stop_at_any_byte_of_the_sums_loses_no_more_than_parts(tmp_path, whole):
    path, sums = tmp_path / "parts", tmp_path / "parts" / "SHA256SUMS"
    write(path, [0, 1, 2])
    content = sums.read_bytes()
    for stop in range(len(content) + 1):
        sums.write_bytes(content[:stop])
        with opened(path) as parts:
            done = parts.done
        assert done == set(range(content[:stop].count(b"\n")))
    sums.write_bytes(content[:100])
    write(path, [1, 2], finish=True)
    assert files(path) == whole


def test_a_part_that_was_not_counted_is_written_over(tmp_path, whole):
    """Its process was killed between the part and its hash, or in the part."""
    path = tmp_path / "parts"
    write(path, [0])
    (path / "part-00001.jsonl").write_bytes(b"half")
    (path / ".part-00002.jsonl.part").write_bytes(b"less")
    with opened(path) as parts:
        assert parts.done == {0}
    write(path, [1, 2], finish=True)
    assert files(path) == whole


def test_what_was_changed_is_told_and_what_was_removed_done_again(tmp_path, whole):
    path = tmp_path / "whole"
    (path / "part-00001.jsonl").write_bytes(CONTENTS[1].replace(b"b", b"c"))
    with pytest.raises(SlimResnetError, match=f"^{path}/part-00001.jsonl: is not what was "
                                              "written; remove it"), opened(path):
        pass
    os.unlink(path / "part-00001.jsonl")
    with opened(path) as parts:
        assert parts.done == {0, 2} and not parts.finished
    write(path, [1], finish=True)
    assert files(path) == whole


@pytest.mark.parametrize("change, message", [
    ({"format": "x"}, "holds results of another command or version"),
    ({"checkpoint_sha256": "x"}, "holds results of another checkpoint"),
    ({"data_sha256": "x"}, "holds results of other images"),
    ({"times_sha256": "x"}, "images that were changed since"),
    ({"options": {"image_size": 64, "part_images": 2}},
     r"made with another image size \(32, now 64\)")])
def test_parts_of_something_else_are_one_line(tmp_path, whole, change, message):
    path = tmp_path / "whole"
    with pytest.raises(SlimResnetError, match=f"^{path}: .*{message}.*; name another folder$"), \
            opened(path, made_by={**MADE_BY, **change}):
        pass
    assert files(path) == whole


def test_other_folders_are_left_alone(tmp_path, whole):
    with pytest.raises(SlimResnetError, match="exists already; go on with it by --resume"), \
            opened(tmp_path / "whole", resume=False):
        pass
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    with pytest.raises(SlimResnetError, match="holds something else, and no manifest.json"), \
            opened(tmp_path / "photos"):
        pass
    with pytest.raises(SlimResnetError, match="is a file; name a folder"):
        opened(tmp_path / "photos" / "a.png")
    for damage in ("", "[]", "{}", '{"options": {}, "parts": 1}', "[" * 100_000,
                   json.dumps({**MADE_BY, "parts": 3, "images": None, "unreadable": 1})):
        (tmp_path / "whole" / "manifest.json").write_text(damage)
        with pytest.raises(SlimResnetError, match="is damaged|another command or version"), \
                opened(tmp_path / "whole"):
            pass


def test_one_process_writes_a_folder(tmp_path):
    with opened(tmp_path / "parts") as parts:
        parts.write(0, CONTENTS[0])
        with pytest.raises(SlimResnetError, match="another process is writing it"), \
                opened(tmp_path / "parts"):
            pass
    # What stopped before its first part leaves nothing.
    with opened(tmp_path / "empty"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["parts"]


ROWS = [{"path": "ü\udcff.png", "classes": (3, 1), "names": ("rose", None),
         "probabilities": (0.75, 0.1), "cause": None},
        {"path": "b.png", "classes": (), "names": (), "probabilities": (), "cause": "no image"}]


@pytest.mark.parametrize("suffix", marked(part_formats.ROWS))
def test_rows_come_back(suffix):
    content = part_formats.encode_rows(ROWS, suffix)
    wanted = json.loads(json.dumps(ROWS))
    if suffix == ".parquet":
        wanted[0]["path"] = "ü\\udcff.png"
    assert list(part_formats.decode_rows(content, suffix)) == wanted
    assert part_formats.unreadable(content, suffix) == 1
    if suffix == ".jsonl":
        assert content.decode() == "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize("suffix", marked(part_formats.ARRAYS))
def test_arrays_come_back(suffix, tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    array[1] = np.nan
    path = tmp_path / f"part{suffix}"
    path.write_bytes(part_formats.encode_arrays(
        {"a/b": array}, ["x", "y", "z"], ["", "no image", ""],
        {"precision": "float32", "engine": "an engine 1.0"}, suffix))
    assert part_formats.unreadable(path.read_bytes(), suffix) == 1
    if suffix == ".npz":
        with np.load(path) as found:
            np.testing.assert_array_equal(found["a/b"], array)
            assert found["files"].tolist() == ["x", "y", "z"] and found["precision"] == "float32"
            assert found["engine"] == "an engine 1.0"
            assert found["errors"].tolist() == ["", "no image", ""]
        return
    import pyarrow.parquet
    table = pyarrow.parquet.read_table(path)
    assert table["a/b"].to_pylist() == [[0, 1, 2, 3], None, [8, 9, 10, 11]]
    assert json.loads(table.schema.field("a/b").metadata[b"shape"]) == [2, 2]
    assert table["error"].to_pylist() == ["", "no image", ""]


def test_the_format_is_in_the_name():
    assert part_formats.suffix_of("out.parquet/", part_formats.ROWS) == ".parquet"
    assert part_formats.suffix_of("out", part_formats.ROWS) == ".jsonl"
    assert part_formats.suffix_of("out.npz", part_formats.ARRAYS) == ".npz"
