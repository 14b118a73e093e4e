"""Jobs that are started twice: real processes, at the same moment."""

import contextlib
import io
import json
import multiprocessing
import os

import numpy as np
import pytest

from slim_resnet.checkpoint.reader import open_checkpoint
from slim_resnet.inference.results import read_rows
from tests.helpers import checkpoints, clusters, pictures

pytestmark = pytest.mark.slow
STARTS, NUM_IMAGES = 4, 24
SIZE = ["--image-size", "32", "--batch-size", "2"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("net") / "net.ckpt").path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(NUM_IMAGES):
        pictures.write_png(folder / f"class_{i % 10}" / f"{i:02}.png", i)
    return folder


def _starts(queue, answers, barrier):
    from slim_resnet.cli import main
    for words in iter(queue.get, None):
        err = io.StringIO()
        barrier.wait()
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
            status = main(words)
        answers.put((status, err.getvalue()))


@pytest.fixture(scope="module")
def start_twice():
    """Returns a function that runs a command in two processes at once: ``[(status, stderr)]``."""
    context = multiprocessing.get_context("spawn")
    queues, answers, barrier = [context.Queue(), context.Queue()], context.Queue(), \
        context.Barrier(2)
    processes = [context.Process(target=_starts, args=(queue, answers, barrier), daemon=True)
                 for queue in queues]
    for process in processes:
        process.start()

    def run(*words):
        for queue in queues:
            queue.put(list(map(str, words)))
        return sorted((answers.get(timeout=300) for _ in queues), key=lambda answer: answer[0])

    yield run
    for queue, process in zip(queues, processes):
        queue.put(None)
        process.join()


def check_one_won(answers, *said):
    (won, _), (lost, err) = answers
    assert (won, lost) == (0, 2), answers
    assert any(text in err for text in said) and "Traceback" not in err, err
    assert len([line for line in err.splitlines() if ": error: " in line]) == 1


@pytest.mark.parametrize("command", ["classify", "evaluate"])
def test_results(command, made, folder, start_twice, tmp_path):
    names = sorted(str(path) for path in folder.glob("*/*"))
    for number in range(STARTS):
        path = tmp_path / f"{number}.jsonl"
        check_one_won(start_twice(command, made, folder, *SIZE, "--output", path),
                      "another process is writing it", "exists already")
        assert [row["path"] for row in read_rows(path)] == names
        # Both go on with what is there; who comes second waits or finds nothing left to do.
        whole = path.read_bytes()
        for left in tmp_path.glob(f"{number}.jsonl*"):
            left.unlink()
        answers = start_twice(command, made, folder, *SIZE, "--output", path, "--resume")
        assert answers[0][0] == 0
        assert answers[1][0] == 0 or "another process is writing it" in answers[1][1]
        assert path.read_bytes() == whole
        assert sorted(os.listdir(tmp_path)) == sorted(
            f"{k}.jsonl{end}" for k in range(number + 1) for end in ("", ".run.json"))


# An export is checked by a process of its own, which takes seconds; the lock is one for all.
@pytest.mark.parametrize("format, starts", [
    ("saved_model", 1), ("v2", 3), ("safetensors", 1)])
def test_exports(format, starts, made, start_twice, tmp_path):
    for number in range(starts):
        output = tmp_path / f"{number}.{format}"
        answers = start_twice("export", made, output, "--format", format)
        assert answers[0][0] == 0
        # Whole files may take each other's place, one after the other.
        if answers[1][0]:
            check_one_won(answers, "another process is writing it", "exists already")
        if format == "v2":
            with open_checkpoint(output) as opened:
                assert len(opened.shapes) > 20
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_features(made, folder, start_twice, tmp_path):
    for number in range(STARTS):
        output = tmp_path / f"{number}.npz"
        answers = start_twice("end-points", made, "--images", folder, *SIZE, "--save", output,
                              "--end-points", "*/block2")
        assert answers[0][0] == 0
        assert answers[1][0] == 0 or "another process is writing it" in answers[1][1]
        assert len(set(np.load(output)["files"])) == NUM_IMAGES
    assert len(os.listdir(tmp_path)) == STARTS


def test_training(start_twice, tmp_path):
    data = clusters.write_data(tmp_path)
    for number in range(STARTS):
        run = tmp_path / f"run{number}"
        answers = start_twice(
            "train", data, "--output", run, "--model", "resnet_v2", "--blocks", "1x1,2x1",
            "--no-root-block", "--image-size", "8", "--augmentation", "none", "--steps", "40",
            "--batch-size", "4", "--save-steps", "20")
        assert answers[0][0] == 0
        assert answers[1][0] == 0 or "another process is training in it" in answers[1][1]
        steps = [row["step"] for row in read_rows(run / "metrics.jsonl")]
        assert steps == [10, 20, 30, 40]
        assert not (run / ".training.json.lock").exists()


def test_degradation(start_twice, tmp_path):
    pytest.importorskip("sklearn")
    path = tmp_path / "errors.json"
    for number in range(1, STARTS + 1):
        answers = start_twice("degradation", "--json", path, "--layers", "7", "--seeds", number,
                              "--steps", "2", "--warmup-steps", "0", "--jobs", "1")
        assert answers[0][0] == 0
        assert answers[1][0] == 0 or "another process is writing it" in answers[1][1]
        runs = json.loads(path.read_text())["runs"]
        assert len(runs) == len({(run["kind"], run["seed"]) for run in runs}) == 2 * number
    assert os.listdir(tmp_path) == ["errors.json"]
