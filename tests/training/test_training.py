"""Runs that are stopped and go on, and what stops them with one line."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.checkpoint import open_checkpoint
from slim_resnet.cli import main
from slim_resnet.common import environment
from slim_resnet.common.environment import child_environment
from slim_resnet.errors import SlimResnetError
from slim_resnet.training import folder as training_folder
from slim_resnet.training import hooks as training_hooks
from slim_resnet.training import run
from slim_resnet.training.options import TrainingOptions
from tests.helpers import checkpoints, pictures

tf1 = tf.compat.v1

STEPS = 8
OPTIONS = TrainingOptions(steps=STEPS, model="resnet_v2", blocks=((1, 1), (2, 1)), image_size=32,
                          augmentation="inception", batch_size=4, learning_rate=0.02, ema_decay=0.9)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten pictures of three classes: 2.5 steps an epoch."""
    folder = tmp_path_factory.mktemp("data")
    for i in range(10):
        pictures.write_png(folder / ("ash", "birch", "cedar")[i % 3] / f"{i}.png", i)
    return folder


class Stop(tf1.train.SessionRunHook):
    """Raises after a number of runs, as an error of TensorFlow would."""

    def __init__(self, runs):
        self.runs = runs

    def after_run(self, *_):
        self.runs -= 1
        if self.runs == 0:
            raise RuntimeError


def train(data, output, options=OPTIONS, **arguments):
    arguments = {"save_steps": 2, "log_steps": 1, "evaluate": False, **arguments}
    return run.train(options, [data], output, **arguments)


def metrics(output):
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def weights(output):
    with open_checkpoint(output) as checkpoint:
        return {name: checkpoint.tensor(name) for name in checkpoint.shapes}


def training_steps(run):
    return sorted((int(path.stem.partition("-")[2]) for path in run.glob("model.ckpt-*.index")),
                  reverse=True)


def assert_same_run(output, straight):
    ours, theirs = metrics(output), metrics(straight)
    assert [row["step"] for row in ours] == [row["step"] for row in theirs] \
        == list(range(1, STEPS + 1))
    for mine, other in zip(ours, theirs):
        assert mine == pytest.approx(other, rel=1e-4)
    expected = weights(straight)
    assert weights(output).keys() == expected.keys()
    for name, value in weights(output).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """A run that nothing stopped."""
    output = tmp_path_factory.mktemp("runs") / "straight"
    assert train(data, output) == (STEPS, False, ())
    return output


def test_losses_go_down_and_differ(straight):
    losses = [row["loss"] for row in metrics(straight)]
    assert len(set(losses)) == STEPS and min(losses[4:]) < losses[0]


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_losses(data, straight, tmp_path):
    messages = []
    for runs in (1, 4):
        with pytest.raises(RuntimeError):
            train(data, tmp_path / "run", hooks=[Stop(runs)], on_message=messages.append)
    assert train(data, tmp_path / "run", on_message=messages.append).step == STEPS
    # Stopped at 1 (saved: 0) and 4 (saved: 2, as the stop comes before).
    assert messages == ["going on from step 2"]
    assert_same_run(tmp_path / "run", straight)


@pytest.mark.slow
def test_ctrl_c_saves_and_damaged_checkpoints_are_passed_over(data, straight, tmp_path):
    class Press(tf1.train.SessionRunHook):
        runs = 0

        def after_run(self, *_):
            self.runs += 1
            if self.runs == 5:
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    assert train(data, tmp_path / "run", hooks=[Press()]) == (5, True, ())
    assert signal.getsignal(signal.SIGINT) is before
    assert training_hooks.last_good_step(tmp_path / "run", pytest.fail) == 5
    index = tmp_path / "run" / "model.ckpt-5.index"
    index.write_bytes(index.read_bytes()[:200])
    values = tmp_path / "run" / "model.ckpt-4.data-00000-of-00001"
    contents = bytearray(values.read_bytes())
    contents[1000] ^= 255
    values.write_bytes(contents)
    messages = []
    assert training_hooks.last_good_step(tmp_path / "run", messages.append) == 2
    assert [f"model.ckpt-{step}: " in line for step, line in zip((5, 4), messages)] == [True] * 2
    train(data, tmp_path / "run")
    assert_same_run(tmp_path / "run", straight)


@pytest.mark.slow
def test_kill_leaves_a_run_that_goes_on(data, straight, tmp_path):
    """SIGKILL of a real process, as soon as it has saved something."""
    words = ["train", data, "--output", tmp_path / "run", "--model", "resnet_v2", "--blocks",
             "1x1,2x1", "--image-size", "32", "--batch-size", "4", "--learning-rate", "0.02",
             "--ema-decay", "0.9", "--steps", STEPS, "--save-steps", "1", "--log-steps", "1"]
    child = subprocess.Popen([sys.executable, "-m", "slim_resnet", *map(str, words)],
                             env=child_environment())
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "model.ckpt-1.index").exists():
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    train(data, tmp_path / "run")
    assert_same_run(tmp_path / "run", straight)


@pytest.mark.slow
def test_what_killed_saves_left_is_removed(straight, tmp_path):
    run, (newest, *others) = tmp_path / "run", training_steps(straight)
    shutil.copytree(straight, run)
    for part in ("index", "data-00000-of-00001"):
        # A killed process had saved, and not removed the oldest yet.
        shutil.copy(run / f"model.ckpt-{newest}.{part}", run / f"model.ckpt-{newest + 1}.{part}")
    for left in ("model.ckpt-99.data-00000-of-00001", f"model.ckpt-{newest}.data.tempstate17",
                 f"checkpoint.tmp{'0f' * 16}"):
        (run / left).write_bytes(b"half")
    (run / "model.ckpt-98_temp").mkdir()
    assert training_hooks.last_good_step(run, pytest.fail) == newest + 1
    assert training_steps(run) == [newest + 1, newest, *others[:-1]]
    assert {*os.listdir(run)} ^ {*os.listdir(straight)} == {
        f"model.ckpt-{step}.{part}" for step in (newest + 1, others[-1])
        for part in ("index", "data-00000-of-00001")}


@pytest.mark.slow
def test_full_disk_keeps_the_last_checkpoint(data, tmp_path):
    class Fill(tf1.train.SessionRunHook):
        runs = 0

        def after_run(self, *_):
            self.runs += 1
            if self.runs == 4:
                resource.setrlimit(resource.RLIMIT_FSIZE, (20000, limits[1]))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(SlimResnetError) as error:
            train(data, tmp_path / "run", hooks=[Fill()])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(error.value).startswith(f"{tmp_path / 'run'}: the checkpoint of step 4 cannot be "
                                       "written: ")
    assert "\n" not in str(error.value)
    assert not [name for name in os.listdir(tmp_path / "run") if name.startswith("model.ckpt-4")]
    assert training_hooks.last_good_step(tmp_path / "run", pytest.fail) == 2


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_run(data, tmp_path, capsys):
    options = ["--model", "resnet_v2", "--blocks", "1x1,2x1", "--image-size", "32", "--steps",
               "40", "--learning-rate", "1e30", "--schedule", "constant", "--save-steps", "1"]
    assert main(["train", str(data), "--output", str(tmp_path / "run"), *options]) == 2
    line, = capsys.readouterr().err.splitlines()
    assert "NaN or infinite after step " in line or "the loss is " in line
    step = training_hooks.last_good_step(tmp_path / "run", pytest.fail)
    assert f"step {step}" in line or f"step {step + 1}" in line
    assert all(np.isfinite(value).all() for value in weights(tmp_path / "run").values())


@pytest.mark.slow
def test_an_unreadable_image_is_named_and_the_run_saved(data, straight, tmp_path):
    broken = tmp_path / "data"
    for path in data.rglob("*.png"):
        target = broken / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    good = (broken / "birch" / "4.png").read_bytes()
    (broken / "birch" / "4.png").write_bytes(good[:90])
    with pytest.raises(SlimResnetError) as error:
        train(broken, tmp_path / "run")
    assert str(error.value).startswith(f"{broken / 'birch' / '4.png'}: cannot be read: Invalid PNG")
    (broken / "birch" / "4.png").write_bytes(good)
    train(broken, tmp_path / "run")
    assert_same_run(tmp_path / "run", straight)


def test_other_options_in_the_folder(data, straight):
    before = {path: path.read_bytes() for path in straight.iterdir()}
    for change, said in (({"seed": 1}, "--seed 0, not 1"), ({"blocks": ((1, 1), (2, 2))},
                                                          "--blocks 1x1,2x1, not 1x1,2x2"),
                         ({"root_block": False}, "with a root block, not without"),
                         ({"train_only": ("logits",)}, "--train-only (none), not logits")):
        with pytest.raises(SlimResnetError, match="holds a run") as error:
            train(data, straight, TrainingOptions(**{**OPTIONS.__dict__, **change}))
        assert said in str(error.value)
    assert {path: path.read_bytes() for path in straight.iterdir()} == before


def test_other_classes_in_the_folder(data, straight, tmp_path):
    for name in ("ash", "birch"):
        pictures.write_png(tmp_path / name / "0.png", 0)
    with pytest.raises(SlimResnetError, match="holds a run on 3 classes .* the data has 2"):
        train(tmp_path, straight)


def test_checkpoints_of_something_else_in_the_folder(data, tmp_path):
    checkpoints.write(tmp_path / "model.ckpt-5")
    with pytest.raises(SlimResnetError, match="holds checkpoints and no training.json"):
        train(data, tmp_path)


def test_one_process_trains_in_a_folder(data, straight):
    with training_folder.locked(straight), \
            pytest.raises(SlimResnetError, match="another process is training in it"):
        train(data, straight)


def test_what_a_run_goes_on_with_is_said_and_kept(data, straight, tmp_path):
    output, messages = tmp_path / "run", []
    shutil.copytree(straight, output)
    path = output / "training.json"
    record = json.loads(path.read_text())
    now, = record["made_with"]
    assert (now["precision"], now["TensorFlow"]) == ("float32", tf.__version__)
    train(data, output, on_message=messages.append)
    assert messages == [f"going on from step {STEPS}"] and json.loads(path.read_text()) == record
    before = {**now, "TensorFlow": "2.12.1", "oneDNN": "on"}
    path.write_text(json.dumps({**record, "made_with": [before]}))
    del messages[:]
    train(data, output, on_message=messages.append)
    assert messages[0] == (
        f"the run was made with TensorFlow 2.12.1, now {tf.__version__}; oneDNN on, now off: from "
        "here on its losses may differ in their last digits")
    assert json.loads(path.read_text())["made_with"] == [before, now]


@pytest.mark.parametrize("has_bfloat16, message", [
    (False, "bfloat16: this CPU"), (True, "bfloat16: needs oneDNN")])
def test_bfloat16_that_would_not_be_used_is_refused(data, tmp_path, has_bfloat16, message,
                                                    monkeypatch):
    """From Python too: TensorFlow's rewrite would do nothing and say nothing."""
    monkeypatch.setattr(environment, "has_bfloat16", lambda flags: has_bfloat16)
    with pytest.raises(SlimResnetError, match=f"precision {message}"):
        train(data, tmp_path / "run", TrainingOptions(**{**OPTIONS.__dict__,
                                                         "precision": "bfloat16"}))
    assert not (tmp_path / "run").exists()
