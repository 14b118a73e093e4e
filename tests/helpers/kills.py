"""Commands that SIGKILL ends at a random moment of their work, and what the next start makes of it.

Run as ``python -m tests.helpers.kills WHAT COUNT FOLDER`` it prints how many of the starts were
killed and what was wrong after one that was not; WHAT is ``train``, ``classify`` or a format.
"""

import contextlib
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import sys
import time

import numpy as np

# As in conftest.py.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Children of a process that has imported all and done nothing start at once.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["slim_resnet.cli", "tf_slim", "slim_resnet.training.run",
                                   "slim_resnet.inference"])
NUM_IMAGES = 24


def _run(words):
    from slim_resnet.cli import main
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    sys.exit(main(words))


def start(*words):
    process = _PROCESSES.Process(target=_run, args=(list(map(str, words)),))
    process.start()
    return process


def finish(*words):
    process = start(*words)
    process.join()
    assert process.exitcode == 0, (words, process.exitcode)


def kill(words, is_at_work, clock):
    """Starts a command, kills it a while after it is at work; returns whether it was."""
    process = start(*words)
    while process.is_alive() and not is_at_work():
        time.sleep(0.001)
    # Mostly soon: some work is over in a tenth of a second.
    time.sleep(clock.random() ** 4 * 0.2)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode == -signal.SIGKILL


def classify(folder, count):
    """Kills ``classify --resume``, each time after another batch is written."""
    from tests.helpers import checkpoints, pictures
    made = checkpoints.write(folder / "net" / "net.ckpt").path
    for i in range(NUM_IMAGES):
        pictures.write_png(folder / "pictures" / f"{i:02}.png", i)
    words = ["classify", made, folder / "pictures", "--image-size", "32", "--batch-size", "1",
             "--output"]
    (folder / "out").mkdir()
    path, clock, killed = folder / "out" / "f.jsonl", random.Random(0), 0
    finish(*words, folder / "whole.jsonl")
    for _ in range(3 * count):
        if killed == count:
            break
        before = path.stat().st_size if path.exists() else -1
        killed += kill([*words, path, "--resume"], lambda before=before: (
            path.exists() and path.stat().st_size > before), clock)
        if (folder / "out" / "f.jsonl.run.json").exists() and path.exists() \
                and path.read_bytes() == (folder / "whole.jsonl").read_bytes():
            for done in (folder / "out").iterdir():
                done.unlink()
    finish(*words, path, "--resume")
    wrong = [] if path.read_bytes() == (folder / "whole.jsonl").read_bytes() else ["other rows"]
    return killed, wrong + sorted({*os.listdir(folder / "out")} - {"f.jsonl", "f.jsonl.run.json"})


def train(folder, count):
    """Kills ``train``, each time after another checkpoint is written."""
    from tests.helpers import clusters
    steps = 10 * count + 20
    words = ["train", clusters.write_data(folder), "--model", "resnet_v2", "--blocks", "1x1,2x1",
             "--no-root-block", "--image-size", "8", "--augmentation", "none", "--batch-size",
             "4", "--steps", steps, "--save-steps", "5", "--log-steps", "5", "--output"]
    clock, killed, run = random.Random(1), 0, folder / "run"
    finish(*words, folder / "straight")
    while killed < count and _last_step(run) < steps:
        before = _last_step(run)
        killed += kill([*words, run], lambda before=before: _last_step(run) > before, clock)
    finish(*words, run)
    wrong = [name for name, value in _values(run).items()
             if not np.allclose(value, _values(folder / "straight")[name], rtol=1e-3, atol=1e-5)]
    rows = [json.loads(line)["step"] for line in open(run / "metrics.jsonl")]
    if rows != list(range(5, steps + 1, 5)):
        wrong.append(f"rows of metrics: {rows}")
    # Every start writes events of its own.
    left, expected = ({name for name in os.listdir(output) if not name.startswith("events.out.")}
                      for output in (run, folder / "straight"))
    return killed, wrong + sorted(left ^ expected)


def _last_step(run):
    steps = [int(path.name.split("-")[1].split(".")[0]) for path in run.glob("model.ckpt-*.index")]
    return max(steps, default=-1)


def _values(run):
    from slim_resnet.checkpoint import open_checkpoint
    with open_checkpoint(run) as opened:
        return {name: opened.tensor(name) for name in opened.shapes}


def export(folder, format, count):
    """Kills an export, each time once its temporary file or folder is there."""
    from tests.helpers import checkpoints
    made = checkpoints.write(folder / "net" / "net.ckpt").path
    place, clock, killed = folder / "out", random.Random(2), 0
    place.mkdir()
    words = ["export", made, place / f"net.{format}", "--format", format]
    for _ in range(3 * count):
        if killed == count:
            break
        killed += kill(words, lambda: any(
            name.startswith(".") for name in os.listdir(place)), clock)
        for name in os.listdir(place):
            if not name.startswith("."):  # it was too late
                (shutil.rmtree if (place / name).is_dir() else os.remove)(place / name)
    finish(*words)
    left = [name for name in os.listdir(place) if name.startswith(".")]
    (folder / "alone").mkdir()
    finish("export", made, folder / "alone" / f"net.{format}", "--format", format)
    return killed, left + sorted(_sizes(place) ^ _sizes(folder / "alone"))


def _sizes(folder):
    return {(str(path.relative_to(folder)), path.stat().st_size)
            for path in folder.rglob("*") if path.is_file()}


def kills(what, count, folder):
    """Returns how many of ``count`` starts were killed, and a list of what was wrong after."""
    return {"train": train, "classify": classify}.get(
        what, lambda folder, count: export(folder, what, count))(pathlib.Path(folder), count)


if __name__ == "__main__":
    print(sys.argv[1], *kills(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
