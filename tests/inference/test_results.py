"""Files of results: stopped at every byte, shared by tasks, made by something else."""

import json
import os
import resource

import pytest

from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.results import Results, data_sha256, read_rows

NUM_IMAGES, BATCH_SIZE = 11, 3
MADE_BY = {"format": "slim_resnet test 1", "checkpoint_sha256": "c", "data_sha256": "d",
           "options": {"image_size": 32, "top": 5}}
ROWS = [{"path": f"{i}\udcff.png", "classes": [i], "cause": None} for i in range(NUM_IMAGES)]
BATCHES = [ROWS[i:i + BATCH_SIZE] for i in range(0, NUM_IMAGES, BATCH_SIZE)]


def run(path, shard=(0, 1), resume=True, made_by=MADE_BY, batches=None):
    """Does what is left of a task; returns the results and whether the whole is there."""
    results = Results(path, made_by, BATCH_SIZE, shard, resume)
    if batches is None:
        batches = [] if results.finished else BATCHES[shard[0]::shard[1]][results.batches_done:]
    with results:
        for rows in batches:
            results.write(rows)
        return results, results.finish()


@pytest.fixture
def whole(tmp_path):
    """Bytes of the results and of their record, written without a stop."""
    path = tmp_path / "whole.jsonl"
    results, is_whole = run(path, resume=False)
    assert is_whole and results.images_done == NUM_IMAGES and list(read_rows(path)) == ROWS
    return path.read_bytes(), (tmp_path / "whole.jsonl.run.json").read_bytes()


def both(path):
    return path.read_bytes(), path.with_name(f"{path.name}.run.json").read_bytes()


def unfinish(path):
    """Makes a record say what it says while its task is at work."""
    record = path.with_name(f"{path.name}.run.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "lines": None}))


def test_a_stop_at_any_byte_does_no_harm(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    run(path)
    lengths = [sum(map(len, whole[0].splitlines(keepends=True)[:k * BATCH_SIZE]))
               for k in range(len(BATCHES))]
    for stop in range(len(whole[0]) + 1):
        unfinish(path)
        path.write_bytes(whole[0][:stop])
        results = Results(path, MADE_BY, BATCH_SIZE, resume=True)
        assert results.batches_done == sum(length <= stop for length in lengths) - 1
        assert results.images_done == results.batches_done * BATCH_SIZE
        run(path)
        assert both(path) == whole


@pytest.mark.parametrize("tail", [b"\0\0\0\n", b"\0" * 50, b"[1]\n", b"\xff\n"])
def test_what_a_crash_leaves_behind_whole_lines_is_dropped(tmp_path, whole, tail):
    path = tmp_path / "f.jsonl"
    run(path)
    for finished in (True, False):
        path.write_bytes(b"".join(whole[0].splitlines(keepends=True)[:4]) + tail)
        if not finished:
            unfinish(path)
        assert Results(path, MADE_BY, BATCH_SIZE, resume=True).batches_done == 1
        run(path)
        assert both(path) == whole


def test_lines_behind_a_finished_file_are_dropped(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    run(path)
    path.write_bytes(whole[0] + b"half a li")
    run(path)
    assert both(path) == whole


def test_finished_results_are_left_alone(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    run(path)
    results, is_whole = run(path, batches=[])
    assert results.finished and is_whole and results.images_done == NUM_IMAGES
    assert both(path) == whole


def test_what_stopped_before_its_first_line_starts_anew(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    with Results(path, MADE_BY, BATCH_SIZE):
        pass
    assert path.read_bytes() == b"" and run(path)[1] and both(path) == whole
    os.remove(path)
    assert run(path, resume=False)[1] and both(path) == whole


@pytest.mark.parametrize("count, order", [(2, [1, 0]), (3, [2, 0, 1]), (6, [5, 4, 3, 2, 1, 0])])
def test_the_last_task_merges_exactly(tmp_path, whole, count, order):
    path = tmp_path / "f.jsonl"
    for place, index in enumerate(order):
        assert not path.exists()
        results, is_whole = run(path, (index, count))
        assert results.part == f"{path}-{index:05}-of-{count:05}"
        assert is_whole == (place == count - 1)
        assert results.images_of(NUM_IMAGES) == results.images_done == sum(
            map(len, BATCHES[index::count]))
    assert both(path) == whole
    # Any task may be started once more.
    assert run(path, (order[0], count))[1] and both(path) == whole


def test_a_killed_task_goes_on(tmp_path, whole):
    path, part = tmp_path / "f.jsonl", tmp_path / "f.jsonl-00000-of-00002"
    run(path, (0, 2))
    run(path, (1, 2))
    os.remove(path)
    part.write_bytes(part.read_bytes()[:-5])
    unfinish(part)
    assert not run(path, (1, 2))[1] and not path.exists()
    assert run(path, (0, 2))[1] and both(path) == whole


@pytest.mark.parametrize("change, message", [
    ({"format": "slim_resnet other 1"}, "results of another command or version"),
    ({"checkpoint_sha256": "x"}, "results of another checkpoint"),
    ({"data_sha256": "x"}, "results of other images"),
    ({"options": {"image_size": 64, "top": 5}}, r"made with another image size \(32, now 64\)"),
])
def test_results_of_something_else_are_one_line(tmp_path, whole, change, message):
    path = tmp_path / "f.jsonl"
    run(path)
    with pytest.raises(SlimResnetError, match=f"^{path}: holds .*{message}; name another file$"):
        run(path, made_by={**MADE_BY, **change})
    assert both(path) == whole
    run(path, (0, 2))
    with pytest.raises(SlimResnetError, match=f"{path}.*: holds .*{message}"):
        run(path, (1, 2), made_by={**MADE_BY, **change})


def test_existing_results_are_not_written_over(tmp_path, whole):
    path = tmp_path / "f.jsonl"
    run(path)
    for shard in ((0, 1), (1, 2)):
        with pytest.raises(SlimResnetError, match="f.jsonl: exists already; go on with it by "
                                                  "--resume"):
            run(path, shard, resume=False)
    assert both(path) == whole


@pytest.mark.parametrize("record", [None, "", "[]", "{}", '{"options": {}}'])
def test_results_without_their_record_are_one_line(tmp_path, record):
    path = tmp_path / "f.jsonl"
    run(path)
    os.remove(f"{path}.run.json")
    if record is not None:
        (tmp_path / "f.jsonl.run.json").write_text(record)
    with pytest.raises(SlimResnetError, match="f.jsonl.run.json, which says what made it, is "
                                              "missing or damaged"):
        run(path)


def test_a_part_that_shrank_is_told(tmp_path):
    path = tmp_path / "f.jsonl"
    run(path, (0, 2))
    (tmp_path / "f.jsonl-00000-of-00002").write_bytes(b"")
    with pytest.raises(SlimResnetError, match="00000-of-00002: is shorter than it was"):
        run(path, (1, 2))
    assert not path.exists()


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


def test_digest_of_data(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    paths = [str(tmp_path / "a"), str(tmp_path / "gone\udcff")]
    before = data_sha256(paths)
    assert before == data_sha256(paths) != data_sha256(paths[::-1])
    (tmp_path / "a").write_bytes(b"12")
    assert data_sha256(paths) != before
