"""Files of results: stopped at every byte, made by something else."""

import json
import os
import resource

import pytest

from slim_resnet.common import locks
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.identity import data_identity
from slim_resnet.inference.results import Results, read_rows
from tests.helpers.results import unfinish

NUM_IMAGES, BATCH_SIZE = 11, 3
MADE_BY = {"format": "slim_resnet test 2", "checkpoint_sha256": "c", "data_sha256": "d",
           "times_sha256": "t", "options": {"image_size": 32, "TensorFlow": "2.20.0"}}
ROWS = [{"path": f"{i}\udcff.png", "classes": [i], "cause": None} for i in range(NUM_IMAGES)]
BATCHES = [ROWS[i:i + BATCH_SIZE] for i in range(0, NUM_IMAGES, BATCH_SIZE)]


def is_called(number, path, previous):
    """The list of names; what is before an image in the list is before it in the file."""
    return path == ROWS[number]["path"] and previous in (None, ROWS[number - 1]["path"])


def found(path, **options):
    """Returns ``(batches, images)`` that are there to go on from."""
    with Results(path, MADE_BY, BATCH_SIZE, resume=True, is_called=is_called, **options) as results:
        return results.batches_done, results.images_done


def run(path, resume=True, made_by=MADE_BY, batches=None):
    """Does what is left; returns the results."""
    with Results(path, made_by, BATCH_SIZE, resume, is_called) as results:
        if batches is None:
            batches = [] if results.finished else BATCHES[results.batches_done:]
        for rows in batches:
            results.write(rows)
        results.finish()
        return results


@pytest.fixture
def whole(tmp_path):
    """Bytes of the results and of their record, written without a stop."""
    path = tmp_path / "whole.jsonl"
    results = run(path, resume=False)
    assert results.finished and results.images_done == NUM_IMAGES and list(read_rows(path)) == ROWS
    return path.read_bytes(), (tmp_path / "whole.jsonl.run.json").read_bytes()


def both(path):
    return path.read_bytes(), path.with_name(f"{path.name}.run.json").read_bytes()


@pytest.mark.slow
def test_a_stop_at_any_byte_does_no_harm(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    run(path)
    lengths = [sum(map(len, whole[0].splitlines(keepends=True)[:k * BATCH_SIZE]))
               for k in range(len(BATCHES))]
    for stop in range(len(whole[0]) + 1):
        unfinish(path, stop, BATCH_SIZE)
        batches = sum(length <= stop for length in lengths) - 1
        assert found(path) == (batches, batches * BATCH_SIZE)
        run(path)
        assert both(path) == whole and len(os.listdir(tmp_path)) == 4


def test_a_stop_at_any_byte_of_the_sums_does_no_harm(tmp_path, whole):
    """A batch without its sum is not gone on from."""
    path, sums = tmp_path / "f.jsonl", tmp_path / "f.jsonl.run.sums"
    run(path)
    for stop in range(3 * 33 + 1):
        unfinish(path, len(whole[0]), BATCH_SIZE)
        sums.write_bytes(sums.read_bytes()[:stop])
        assert found(path)[0] == stop // 33
        run(path)
        assert both(path) == whole and not sums.exists()


@pytest.mark.parametrize("tail", [b"\0\0\0\n", b"\0" * 50, b"[1]\n", b"\xff\n"])
def test_what_a_crash_leaves_behind_whole_lines_is_dropped(tmp_path, whole, tail):
    path = tmp_path / "f.jsonl"
    run(path)
    unfinish(path, len(whole[0]), BATCH_SIZE)
    path.write_bytes(b"".join(whole[0].splitlines(keepends=True)[:4]) + tail)
    assert found(path)[0] == 1
    run(path)
    assert both(path) == whole


@pytest.mark.parametrize("at", [20, 150, -10])
def test_a_changed_digit_of_a_finished_file_is_told(tmp_path, whole, at):
    path = tmp_path / "f.jsonl"
    run(path)
    changed = bytearray(whole[0])
    changed[at] = ord("7") if changed[at] != ord("7") else ord("8")
    for content in (bytes(changed), whole[0][:-1], whole[0][:len(whole[0]) // 2], b""):
        path.write_bytes(content)
        with pytest.raises(SlimResnetError, match=f"^{path}: it was not what was written"):
            run(path)
        assert path.read_bytes() == content


def test_a_changed_digit_of_a_stopped_file_is_told(tmp_path, whole):
    path, lines = tmp_path / "f.jsonl", whole[0].splitlines(keepends=True)
    run(path)
    for changed in range(NUM_IMAGES):
        unfinish(path, 0, BATCH_SIZE)
        path.write_bytes(b"".join(lines[:changed]) + lines[changed].replace(b"[", b"[1")
                         + b"".join(lines[changed + 1:]))
        if changed < 9:
            batch = changed // BATCH_SIZE * BATCH_SIZE
            with pytest.raises(SlimResnetError, match=f"^{path}: lines {batch + 1} to {batch + 3} "
                                                      "are not what was written"):
                run(path)
            path.write_bytes(whole[0])
        run(path)  # The last batch is none that is whole, and is done again.
        assert both(path) == whole
        unfinish(path, len(whole[0]), BATCH_SIZE)


@pytest.mark.parametrize("change", [
    lambda rows: rows[:3] + rows[:3] + rows[6:], lambda rows: rows[1:] + rows[:1],
    lambda rows: rows[:5] + rows[6:], lambda rows: rows[:1] + rows])
def test_rows_that_are_missing_or_there_twice_are_told(tmp_path, change):
    """Also where their sums are right, as of two writers on a file system without locks."""
    path = tmp_path / "f.jsonl"
    run(path)
    path.write_text("".join(json.dumps(row) + "\n" for row in change(ROWS)))
    unfinish(path, path.stat().st_size, BATCH_SIZE)
    with pytest.raises(SlimResnetError, match="rows are missing, or there twice"):
        run(path)


def test_one_process_writes_a_file(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    with Results(path, MADE_BY, BATCH_SIZE) as first:
        for resume in (False, True):
            with pytest.raises(SlimResnetError, match="another process is writing it"):
                run(path, resume)
        first.write(BATCHES[0])
    run(path)
    assert both(path) == whole and len(os.listdir(tmp_path)) == 4


def test_another_writer_is_noticed_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    path = tmp_path / "f.jsonl"
    with Results(path, MADE_BY, BATCH_SIZE) as first, \
            Results(path, MADE_BY, BATCH_SIZE, resume=True) as second:
        first.write(BATCHES[0])
        with pytest.raises(SlimResnetError, match="another process has written to it"):
            second.write(BATCHES[0])
            first.write(BATCHES[1])
            second.write(BATCHES[1])


def test_lines_behind_a_finished_file_are_dropped(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    run(path)
    path.write_bytes(whole[0] + b"half a li")
    run(path)
    assert both(path) == whole


def test_finished_results_are_left_alone(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    run(path)
    results = run(path, batches=[])
    assert results.finished and results.images_done == NUM_IMAGES
    assert both(path) == whole


def test_what_stopped_before_its_first_line_starts_anew(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    with Results(path, MADE_BY, BATCH_SIZE):
        pass
    assert not path.exists() and len(os.listdir(tmp_path)) == 2
    run(path)
    assert both(path) == whole
    os.remove(path)
    run(path, resume=False)
    assert both(path) == whole


@pytest.mark.parametrize("change, message", [
    ({"format": "slim_resnet other 1"}, "results of another command or version"),
    ({"checkpoint_sha256": "x"}, "results of another checkpoint"),
    ({"data_sha256": "x"}, "results of other images"),
    ({"times_sha256": "x"}, "results of images that were changed since, as their times say"),
    ({"options": {"image_size": 64, "TensorFlow": "2.20.0"}},
     r"made with another image size \(32, now 64\)"),
    ({"options": {"image_size": 32, "TensorFlow": "2.21.0"}},
     r"made with another TensorFlow \(2.20.0, now 2.21.0\)"),
])
def test_results_of_something_else_are_one_line(tmp_path, whole, change, message):
    path = tmp_path / "f.jsonl"
    run(path)
    with pytest.raises(SlimResnetError, match=f"^{path}: holds .*{message}; name another file$"):
        run(path, made_by={**MADE_BY, **change})
    assert both(path) == whole


def test_existing_results_are_not_written_over(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    run(path)
    with pytest.raises(SlimResnetError, match="f.jsonl: exists already; go on with it by --resume"):
        run(path, resume=False)
    assert both(path) == whole


@pytest.mark.parametrize("record", [
    None, "", "[]", "{}", '{"options": {}}', "[" * 100_000,
    json.dumps({**MADE_BY, "lines": "11", "sha256": None}),
    json.dumps({**MADE_BY, "lines": 11, "sha256": None})])
def test_results_without_their_record_are_one_line(tmp_path, record):
    path = tmp_path / "f.jsonl"
    run(path)
    os.remove(f"{path}.run.json")
    if record is not None:
        (tmp_path / "f.jsonl.run.json").write_text(record)
    with pytest.raises(SlimResnetError, match="f.jsonl.run.json, which says what made it, is "
                                              "missing or damaged|another command or version"):
        run(path)


def test_a_full_disk_is_one_line_and_does_no_harm(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, limits[1]))
    try:
        with pytest.raises(SlimResnetError, match="f.jsonl: cannot be written: File too large"):
            run(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert 0 < path.stat().st_size <= 400
    run(path)
    assert both(path) == whole


def test_identity_of_data(tmp_path):
    """Another order, size or time is told; another name too; equal ones are not."""
    (tmp_path / "a").write_bytes(b"1")
    paths = [str(tmp_path / "a"), str(tmp_path / "gone\udcff")]
    before = data_identity(paths)
    assert before == data_identity(paths)
    assert before["data_sha256"] != data_identity(paths[::-1])["data_sha256"]
    time = (tmp_path / "a").stat().st_mtime_ns
    (tmp_path / "a").write_bytes(b"2")
    os.utime(tmp_path / "a", ns=(time, time + 1))
    swapped = data_identity(paths)
    assert swapped["data_sha256"] == before["data_sha256"]
    assert swapped["times_sha256"] != before["times_sha256"]
    os.utime(tmp_path / "a", ns=(time, time))
    assert data_identity(paths) == before
    (tmp_path / "a").write_bytes(b"12")
    assert data_identity(paths)["data_sha256"] != before["data_sha256"]
