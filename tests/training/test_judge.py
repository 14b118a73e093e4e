"""Evaluating on the way and at the end: what is kept, and that a stop changes nothing of it."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet import cli
from slim_resnet.checkpoint import open_checkpoint
from slim_resnet.inference import evaluate
from slim_resnet.training import evaluation, judge, records, run
from slim_resnet.training.options import TrainingOptions
from tests.helpers import clusters

tf1 = tf.compat.v1

OPTIONS = TrainingOptions(steps=8, batch_size=4, ema_decay=0.5, **clusters.NETWORK)
# Shares of images of the evaluations on the way, by step: the first of the two best counts.
TOP_1 = {2: 0.5, 4: 0.9, 6: 0.7, 8: 0.9}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return clusters.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def judged(monkeypatch):
    """Gives every checkpoint the top-1 of `TOP_1`; returns the steps that were judged."""
    steps = []

    def evaluate_run(options, architecture, checkpoint, classes, paths, most, ways=None,
                     progress=None):
        step = int(checkpoint.rpartition("-")[2])
        # What is judged is what is on the disk.
        with open_checkpoint(checkpoint) as opened:
            assert opened.tensor("global_step") == step
        steps.append(step)
        return tuple(evaluation.Evaluated(how, 60, TOP_1[step], 1.0, 0) for how in ways or (
            evaluation.MOVING, evaluation.BATCH, evaluation.AVERAGED))

    monkeypatch.setattr(judge, "evaluate_run", evaluate_run)
    return steps


class Killed(Exception):
    pass


def train(data, output, options=OPTIONS, **arguments):
    arguments = {"save_steps": 3, "log_steps": 1, "evaluate_steps": 2, "validation": None,
                 **arguments}
    return run.train(options, [data], str(output), **arguments)


def rows(output):
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def values(checkpoint):
    with open_checkpoint(checkpoint) as opened:
        return {name: opened.tensor(name) for name in opened.shapes}


def assert_same(output, straight):
    ours, theirs = rows(output), rows(straight)
    assert [row.keys() for row in ours] == [row.keys() for row in theirs]
    for one, other in zip(ours, theirs):
        assert one == (other if "evaluated_on" in one else pytest.approx(other, rel=1e-4))
    for folder in ("", "best"):
        expected = values(straight / folder)
        for name, value in values(output / folder).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-3, atol=1e-5)
    assert sorted(os.listdir(output / "best")) == sorted(os.listdir(straight / "best"))
    for name in ("evaluation.json", "best/evaluation.json", "best/checkpoint"):
        assert (output / name).read_text() == (straight / name).read_text()


@pytest.mark.slow
def test_whatever_is_killed_ends_as_a_run_that_nothing_stopped(data, judged, tmp_path,
                                                               monkeypatch):
    messages = []
    assert train(data, tmp_path / "straight", on_message=messages.append).evaluations
    assert judged == [2, 4, 6, 8]
    straight = rows(tmp_path / "straight")
    assert [row["step"] for row in straight if "evaluated_on" in row] == [2, 4, 6, 8]
    assert [row["step"] for row in straight if "loss" in row] == list(range(1, 9))
    assert values(tmp_path / "straight")["global_step"] == 8
    assert values(tmp_path / "straight" / "best")["global_step"] == 4
    assert messages[0] == "step 2: top-1 50.00 %, averaged weights, on 60 training images"
    assert messages[-1] == (
        f"the best checkpoint by top-1 on training images, 90.00 % at step 4, is in "
        f"{tmp_path / 'straight' / 'best'}; {tmp_path / 'straight'} itself stands for the last one")

    # Killed before each thing that is done for the best one, and in the middle of a step.
    for number, (module, name, calls) in enumerate([
            (judge, "evaluate_run", 2), (records, "add_metrics_row", 2), (records, "keep_best", 5),
            (records, "_copy", 6), (tf1.train, "update_checkpoint_state", 2),
            (records, "write_evaluation", 1)]):
        output = tmp_path / f"killed-{number}"
        original = getattr(module, name)
        left = [calls]

        def killed(*arguments, original=original, left=left, **options):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return original(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(module, name, killed)
            with pytest.raises(Killed):
                train(data, output)
        train(data, output)
        assert_same(output, tmp_path / "straight")


@pytest.mark.slow
def test_figures_are_kept_with_what_they_are_of(data, tmp_path, capsys):
    words = ["train", data, "--output", str(tmp_path / "run"), "--model", "resnet_v2", "--blocks",
             "1x1,2x1", "--no-root-block", "--image-size", "8", "--augmentation", "none",
             "--batch-size", "4", "--steps", "4", "--ema-decay", "0.5"]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == (
        f"measured on images that the network was trained on, of {data}; --validation measures on "
        "others")
    document = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert {key: document[key] for key in (
        "format", "checkpoint", "step", "steps", "measured_on", "data", "image_size_pixels",
        "preprocessing", "batch_size", "trained_in")} == {
            "format": "slim_resnet evaluation 1", "checkpoint": "model.ckpt-4", "step": 4,
            "steps": 4, "measured_on": "training images", "data": [data], "image_size_pixels": 8,
            "preprocessing": "inception", "batch_size": 4, "trained_in": "float32"}
    assert document["made_with"]["TensorFlow"] == tf.__version__
    assert document["made_with"]["precision"] == "float32"
    assert [(one["weights"], one["batch_norm_statistics"]) for one in document["results"]] == [
        ("raw", "moving"), ("raw", "batch"), ("averaged", "moving")]
    for one, averages in zip(document["results"], (False, None, True)):
        assert one["num_images"] == 60
        if averages is not None:
            result = evaluate(tmp_path / "run", [data], use_moving_averages=averages)
            assert one["top_1_percent"] == pytest.approx(100 * result.top_1)
    # The same images under another name are those trained on, too.
    os.symlink(data, tmp_path / "other.npz")
    for validation, on in (("other.npz", "training images"), (None, "validation images")):
        path = tmp_path / (validation or "copy.npz")
        if validation is None:
            path.write_bytes(open(data, "rb").read())
        assert cli.main([*words, "--validation", str(path)]) == 0
        document = json.loads((tmp_path / "run" / "evaluation.json").read_text())
        assert (document["measured_on"], document["data"]) == (on, [str(path)])
        assert ("measured on validation images, of " in capsys.readouterr().out) == (
            validation is None)


@pytest.mark.slow
def test_ctrl_c_in_an_evaluation_leaves_no_figures_of_a_part(data, tmp_path, monkeypatch, capsys):
    train(data, tmp_path, evaluate=False, evaluate_steps=None)
    judge_batches = evaluation.judge_batches

    def interrupted(*arguments):
        yield next(judge_batches(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "judge_batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path)
    assert not (tmp_path / "evaluation.json").exists()
    assert not any("evaluated_on" in row for row in rows(tmp_path))
