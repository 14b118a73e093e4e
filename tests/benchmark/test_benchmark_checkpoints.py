"""Networks timed with the values of their checkpoints, and any of them in turn."""

import json

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet import cli
from slim_resnet.benchmark import experiment
from slim_resnet.checkpoint import open_checkpoint
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints
from tests.helpers.family import v1_builder

FAST = ["--batch-size", "1", "--image-size", "32", "--num-batches", "2", "--burn-in", "0"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return [checkpoints.write(folder / "v2.ckpt"),
            checkpoints.write(folder / "v1.ckpt", v1_builder(num_classes=7))]


def test_the_values_are_the_files(files):
    written = files[1]
    with open_checkpoint(written.path) as opened:
        prepared = experiment.prepare("v1.ckpt", experiment.BenchmarkOptions(
            models=("v1.ckpt",), batch_size=1, image_size=32, input="feed"), written.images, opened)
    run = prepared.run
    np.testing.assert_allclose(run.session.run(run.target, run.feed_dict), written.net, rtol=1e-5)
    run.session.close()
    assert prepared.image_size == 32


def test_in_turn(files, tmp_path, capsys):
    assert cli.main(["benchmark", "--compare", "--checkpoint", *(one.path for one in files), *FAST,
                     "--json", str(tmp_path / "run.json")]) == 0
    record = json.loads((tmp_path / "run.json").read_text())
    assert [run["model"] for run in record["runs"]] == ["v2.ckpt", "v1.ckpt"]
    assert record["options"]["models"] == ["v2.ckpt", "v1.ckpt"]
    assert record["options"]["checkpoints"] == [one.path for one in files]
    variables = sum(value.size for value in files[0].values.values())
    assert record["runs"][0]["parameters"] == variables
    assert "The post's claim" not in capsys.readouterr().out


@pytest.mark.parametrize("words, message", [
    (["--compare", "--checkpoint", "a", "--model", "vgg_16"], "--compare and --model exclude"),
    (["--checkpoint", "a", "--model", "vgg_16"], "--checkpoint and the names of models exclude"),
    (["--checkpoint", "a", "--compare", "vgg_16"], "--checkpoint and the names of models exclude"),
    (["--compare", "vgg_16", "vgg_16"], "--compare names a network twice"),
    (["--checkpoint", "a", "--images", "b"], "--images does not go with --checkpoint"),
    (["--checkpoint", "none.ckpt"], "none.ckpt: no such checkpoint")])
def test_what_does_not_go_together(words, message, capsys):
    assert cli.main(["benchmark", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"slim-resnet benchmark: error: {message}") and err.count("\n") == 1


def test_the_same_twice(files):
    with pytest.raises(SlimResnetError, match="v2.ckpt is to be timed twice"):
        experiment.run_benchmark(experiment.BenchmarkOptions(
            checkpoints=(files[0].path, files[0].path)))
    assert tf.compat.v1.get_default_graph().get_operations() == []
