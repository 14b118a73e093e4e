"""How many parameters a network has: the same words and numbers wherever it is said."""

import json

import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import cli, resnet_v2
from slim_resnet.benchmark import experiment
from slim_resnet.common import counts
from slim_resnet.end_points import table

tf1 = tf.compat.v1

# Of a network of base depths 16, 32 and 64, a unit each, on ten classes.
PARAMETERS, TRAINABLE, MOVING = 137_930, 136_458, 1_472
WORDS = "137,930 parameters: 136,458 trainable, 1,472 moving statistics"


@pytest.fixture(scope="module", params=["momentum", "adam"])
def trained(request, tmp_path_factory):
    """A run's checkpoint with an optimizer's slots, averages and the step; and their values."""
    folder = tmp_path_factory.mktemp(request.param)
    path = str(folder / "net.ckpt")
    with tf.Graph().as_default(), tf1.Session() as session:
        images = tf.zeros([1, 32, 32, 3])
        step = tf1.train.get_or_create_global_step()
        blocks = [resnet_v2.resnet_v2_block(f"block{i + 1}", 16 * 2 ** i, 1, 2 - i // 2)
                  for i in range(3)]
        with slim.arg_scope(resnet_v2.resnet_arg_scope()):
            net, _ = resnet_v2.resnet_v2(images, blocks, 10, scope="resnet_v2")
        optimizer = tf1.train.MomentumOptimizer(0.1, 0.9) if request.param == "momentum" else \
            tf1.train.AdamOptimizer(0.1)
        train = optimizer.minimize(tf.reduce_sum(net), step)
        averages = []
        if request.param == "adam":
            with tf.control_dependencies([train]):
                tf.train.ExponentialMovingAverage(0.9).apply(tf1.trainable_variables())
            averages = tf1.trainable_variables()
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, path, write_meta_graph=False, write_state=False)
        total = sum(v.shape.num_elements() for v in tf1.global_variables())
    momentum = request.param == "momentum"
    assert total == (274_389 if momentum else PARAMETERS + 3 * TRAINABLE + 3)
    return path, {"optimizer_state": TRAINABLE if momentum else 2 * TRAINABLE + 2,
                  "averaged_weights": TRAINABLE if averages else 0, "other": 1}


def printed(capsys, *words):
    assert cli.main(list(words)) == 0
    return capsys.readouterr().out


def test_describe(trained, capsys):
    path, beside = trained
    lines = printed(capsys, "checkpoint", "describe", path).splitlines()
    assert f"parameters {WORDS}" in lines
    said, = (line for line in lines if line.startswith("beside "))
    for key, number in beside.items():
        assert (f"{number:,} {key.replace('_', ' ')}" in said) == bool(number)
    assert any(line.startswith("averages ") for line in lines) == bool(beside["averaged_weights"])
    document = json.loads(printed(capsys, "checkpoint", "describe", path, "--json"))
    assert {**document["totals"], "variables": 0} == {
        "variables": 0, "parameters": PARAMETERS, "trainable_parameters": TRAINABLE,
        "moving_statistics": MOVING, **beside}
    kinds = {row["name"].rpartition("/")[2]: row["kind"] for row in document["variables"]}
    assert kinds["gamma"] == kinds["weights"] == "trainable"
    assert kinds["moving_mean"] == "moving_statistics" and kinds["global_step"] == "other"


def test_end_points(trained, capsys):
    path, _ = trained
    for more in ([], ["--markdown"]):
        assert printed(capsys, "end-points", path, "--image-size", "32",
                       *more).splitlines()[-1] == WORDS
    total = json.loads(printed(capsys, "end-points", path, "--json"))["total"]
    assert {key: total[key] for key in table.PARAMETERS} == {
        "parameters": PARAMETERS, "trainable_parameters": TRAINABLE, "moving_statistics": MOVING}


@pytest.mark.slow
def test_report(trained, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path, _ = trained
    image = tmp_path / "a.png"
    image.write_bytes(tf.io.encode_png(tf.zeros([40, 40, 3], tf.uint8)).numpy())
    page = tmp_path / "r.html"
    printed(capsys, "report", path, str(image), "--image-size", "32", "--output", str(page))
    assert WORDS in page.read_text("utf-8")


@pytest.mark.slow
def test_benchmark_counts_alike_in_both_modes(capsys):
    records = []
    for mode in ("forward", "forward-backward"):
        options = experiment.BenchmarkOptions(("resnet_v2_50",), batch_size=1, image_size=32,
                                              num_classes=1001, num_batches=1, burn_in=0,
                                              mode=mode)
        records += experiment.run_benchmark(options)["runs"]
    for record in records:
        assert {key: record[key] for key in table.PARAMETERS} == {
            "parameters": 25_615_849, "trainable_parameters": 25_570_409,
            "moving_statistics": 45_440}


def test_kinds():
    assert counts.kind_of("a/moving_mean") == counts.kind_of("moving_variance") \
        == "moving_statistics"
    assert counts.kind_of("a/moving_mean/biased", "zero_debias") == "other"
    assert counts.kind_of("a/weights/Lion", "Lion") == "optimizer_state"
    assert counts.kind_of("a/moving_mean_/weights") == "trainable"
    assert counts.count([("trainable", 2), ("other", 5), ("trainable", 1)]) == (3, 0, 0, 0, 5)
