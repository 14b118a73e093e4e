"""Measured time of end points: of networks whose slow op is known, and what is said."""

import itertools
import json
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v2 as slim_resnet_v2

from slim_resnet import end_points as ep
from slim_resnet import models
from slim_resnet.cli import main
from slim_resnet.common.environment import child_environment
from slim_resnet.end_points import times
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints, networks

tf1 = tf.compat.v1


def slow(tensor, seconds, name):
    """An op that hands on a tensor and takes its time."""
    def wait(array):
        time.sleep(seconds)
        return array

    result = tf.numpy_function(wait, [tensor], tensor.dtype, name=name)
    result.set_shape(tensor.shape)
    return result


@pytest.fixture(scope="module")
def measured():
    """A network of three layers, the second slow, on images that a slow op makes."""
    with tf.Graph().as_default() as graph, tf1.Session() as session:
        images = tf1.placeholder(tf.float32, [None, 8, 8, 3])
        queue = slow(images, 0.06, "queue")
        with tf1.variable_scope("net"):
            first = net = slim.conv2d(queue, 4, 3, scope="a")
            with tf1.name_scope("b/"):
                second = net = slow(slim.conv2d(net, 4, 3, scope="b"), 0.03, "wait")
            third = slim.conv2d(net, 4, 3, scope="b/c")
        end_points = {"net/a": first, "net/b/c": third, "net/b": second, "head/x": third + 1}
        session.run(tf1.global_variables_initializer())
        steps = []
        result = ep.time(end_points, session, {images: np.ones([5, 8, 8, 3])}, num_batches=2,
                         num_steps_burn_in=1, on_step=lambda *counts: steps.append(counts))
        yield result, steps, graph, session, images, end_points


def test_the_slow_op_is_found(measured):
    result, steps, *_ = measured
    rows = {row.key: row for row in result.rows}
    assert list(rows) == ["net/a", "net/b", "net/b/c", "head/x"]
    assert 0.06 < result.other_s < result.step_s
    assert rows["net/b"].time_s > 0.03 > 10 * rows["net/a"].time_s
    assert result.batch_size == 5
    assert rows["net/a"].multiply_adds == 8 * 8 * 9 * 3 * 4
    assert rows["net/a"].multiply_adds_per_s == pytest.approx(
        5 * 8 * 8 * 9 * 3 * 4 / rows["net/a"].time_s)
    assert rows["net/a"].bytes_per_s == pytest.approx(rows["net/a"].bytes / rows["net/a"].time_s)
    # Images, weights, biases and output; more if bias and ReLU are ops of their own.
    assert rows["net/a"].bytes >= 4 * (5 * 64 * 3 + 9 * 3 * 4 + 4 + 5 * 64 * 4)
    assert rows["head/x"].multiply_adds == 0
    assert steps == [(number, 5) for number in range(1, 6)]
    assert len(result.durations_s) == len(result.traced_durations_s) == len(result.spans_s) == 2
    assert not result.partial


def test_parts_add_up_to_the_step(measured):
    result, *_ = measured
    tops = [row for row in result.rows if row.parent is None]
    assert sum(row.time_s for row in tops) + result.other_s + result.idle_s == pytest.approx(
        result.whole.time_s)
    rest = (result.other_s + result.idle_s) / result.whole.time_s
    assert sum(row.share for row in tops) + rest == pytest.approx(1)
    assert result.whole.share == 1
    assert result.whole.bytes == sum(row.bytes for row in tops)
    # Of two steps the median is the mean, so all that is lost is nothing.
    assert result.whole.time_s == pytest.approx(statistics.mean(result.spans_s), rel=1e-6)
    assert all(span <= duration for span, duration in
               zip(result.spans_s, result.traced_durations_s))


def test_keys_choose_rows_and_change_no_time(measured):
    *_, graph, session, images, end_points = measured
    result = ep.time(end_points, session, {images: np.ones([1, 8, 8, 3])}, keys=["x", "b"],
                     num_batches=1, num_steps_burn_in=0)
    assert [row.key for row in result.rows] == ["net/b", "head/x"]
    assert repr(result.rows) == "<2 end points' times>"
    html = result.rows._repr_html_()
    assert "net/b" in html and f"{1e3 * result.rows[0].time_s:,.2f}" in html
    assert result.whole.time_s == pytest.approx(result.spans_s[0], rel=1e-9)
    assert result.whole.time_s > 0.09 and sum(row.share for row in result.rows) < 0.5


def test_what_cannot_be_timed_is_one_line(measured):
    *_, graph, session, images, end_points = measured
    with pytest.raises(SlimResnetError, match="could not run the network: You must feed"):
        ep.time(end_points, session)
    with pytest.raises(SlimResnetError, match="no end point 'nothing'"):
        ep.time(end_points, session, keys="nothing")
    with pytest.raises(SlimResnetError, match="there are no end points to time"):
        ep.time({}, session)
    with pytest.raises(ValueError, match="not 0 and 2"):
        ep.time(end_points, session, num_batches=0)
    with tf.Graph().as_default(), tf1.Session() as other, \
            pytest.raises(SlimResnetError, match="session is of another graph"):
        ep.time(end_points, other)


def test_interrupt_keeps_what_there_is(measured):
    *_, graph, session, images, end_points = measured

    def interrupt(done, total):
        if done == 5:
            raise KeyboardInterrupt

    feed = {images: np.ones([1, 8, 8, 3])}
    result = ep.time(end_points, session, feed, num_batches=9, num_steps_burn_in=0,
                     on_step=interrupt)
    assert result.partial and len(result.durations_s) == 3 and len(result.spans_s) == 2
    with pytest.raises(KeyboardInterrupt):
        ep.time(end_points, session, feed, num_batches=9, num_steps_burn_in=5, on_step=interrupt)


def test_end_points_of_tf_slim_s_own_networks():
    """Fused ops as TensorFlow's own kernels have them: each layer takes some time."""
    with tf.Graph().as_default(), tf1.Session() as session:
        images = tf1.placeholder(tf.float32, [None, 32, 32, 3])
        with slim.arg_scope(slim_resnet_v2.resnet_arg_scope()):
            _, end_points = slim_resnet_v2.resnet_v2(
                images, checkpoints.slim_blocks((2, 1)), 10, is_training=False)
        session.run(tf1.global_variables_initializer())
        result = ep.time(end_points, session, {images: networks.images_of(32, 32, 4)},
                         num_batches=3)
    summed = {row.key: row for row in ep.summary(end_points)}
    assert [row.key for row in result.rows] == list(summed)
    assert result.batch_size == 4
    for row in result.rows:
        assert row.multiply_adds == summed[row.key].multiply_adds
        # TensorFlow's rewrites make nothing of a layer's own but a view of another's.
        assert row.time_s > 0 and row.bytes > 0 or row.key.endswith("spatial_squeeze"), row
    for parent in {row.parent for row in result.rows} - {None}:
        inside = [row.time_s for row in result.rows if row.parent == parent]
        holder, = [row for row in result.rows if row.key == parent]
        assert sum(inside) <= holder.time_s * (1 + 1e-9)
    assert result.other_s < 0.2 * result.whole.time_s


def run_json(capsys, *words):
    assert main(["end-points", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("net") / "net.ckpt")


def test_command_times_a_checkpoint(written, capsys):
    options = [written.path, "--image-size", 32, "--time", "--batch-size", 3, "--num-batches", 2,
               "--burn-in", 0]
    document = run_json(capsys, *options, "--depth", "block")
    assert [row["key"] for row in document["end_points"]] == [
        "resnet_v2_50/conv1", "resnet_v2_50/block1", "resnet_v2_50/block2", "global_pool",
        "resnet_v2_50/logits", "predictions"]
    step = document["step"]
    assert (step["batch_size"], len(step["spans_s"])) == (3, 2)
    assert sum(row["time_s"] for row in document["end_points"]) + step["other_s"] + step[
        "idle_s"] == pytest.approx(step["total_s"])
    assert main(["end-points", *map(str, options), "--end-points", "*/conv2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Keys begin with resnet_v2_50/."
    assert lines[1].split()[:5] == ["end", "point", "GMACs", "ms", "%"] and "GMAC/s" in lines[1]
    names = [line.split("  ")[0] for line in lines[3:]]
    assert names[:3] == [f"{unit}/bottleneck_v2/conv2" for unit in
                         ("block1/unit_1", "block1/unit_2", "block2/unit_1")]
    assert names[3:6] == ["other ops", "no op running", "whole step"]
    assert lines[8].split()[4] == "100.0"
    assert max(map(len, lines[:9])) <= 80
    assert lines[-1].startswith("step of 3 images: ") and "the sum above is" in lines[-1]


def test_command_times_a_model_with_weights_of_its_own(capsys, monkeypatch):
    def build(images, num_classes, is_training):
        return checkpoints.slim_builder(num_classes=num_classes)(images)

    monkeypatch.setitem(models.MODELS, "tiny", models.Model("tiny", build, 32))
    document = run_json(capsys, "tiny", "--time", "--num-batches", 1, "--num-classes", 7)
    assert document["step"]["batch_size"] == 16 and document["image_size_pixels"] == 32
    assert document["step"]["total_s"] == pytest.approx(document["step"]["spans_s"][0])


def test_parts_that_do_not_add_up_are_doubted():
    from slim_resnet.commands import layer_times

    def doubts(total_s):
        whole = times.EndPointTime("whole step", total_s, 1.0, 0, 0, 0, 0, "network", None)
        return layer_times.doubts(times.Times((), 4, 0.0, 0.0, whole, (1.0, 2.0, 9.0), (2.0,),
                                              (2.0, 3.0, 2.0), False))

    assert doubts(1.85) == doubts(2.15) == []
    assert doubts(1.5) == ["the parts add up to -25 % of the step: their medians are of steps "
                           "that differ (the longest by 50 %), as on a busy machine; "
                           "--num-batches takes more"]


@pytest.mark.parametrize("words, message", [
    (["--time", "--images", "a.png"], "--images does not go with --time"),
    (["--time", "--logdir", "run"], "--logdir does not go with --time"),
    (["--num-batches", "3"], "--num-batches goes with --time"),
    (["--burn-in", "0"], "--burn-in goes with --time"),
    (["--batch-size", "3"], "--batch-size goes with --images or --time"),
    (["--time", "--optimize"], "--optimize goes with --save"),
    (["--time", "--end-points", "blok1"], "no end point 'blok1'; nearest: resnet_v2_50/block1")])
def test_bad_options_are_one_line(written, capsys, words, message):
    assert main(["end-points", written.path, *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


@pytest.mark.slow
def test_parts_of_resnet_v2_50_are_the_step():
    """On oneDNN, in a process of its own; the best of three, for other work disturbs a step."""
    def document():
        out = subprocess.run(
            [sys.executable, "-m", "slim_resnet", "end-points", "resnet_v2_50", "--time", "--json",
             "--batch-size", "4", "--image-size", "128", "--num-batches", "1"],
            env=child_environment(TF_ENABLE_ONEDNN_OPTS="1"), capture_output=True, text=True,
            check=True).stdout
        return json.loads(out)

    for attempt in itertools.count(1):
        found = document()
        step, rows = found["step"], {row["key"]: row for row in found["end_points"]}
        tops = sum(row["time_s"] for row in rows.values() if row["parent"] is None)
        assert tops + step["other_s"] + step["idle_s"] == pytest.approx(step["spans_s"][0])
        # oneDNN's convolution has conv3's bias and the unit's sum within it.
        for unit in (1, 2, 3):
            name = f"resnet_v2_50/block4/unit_{unit}/bottleneck_v2"
            assert rows[f"{name}/conv3"]["time_s"] > 0.05 * rows[name]["time_s"]
        if 0.9 * step["traced_step_s"] <= tops <= step["traced_step_s"] or attempt == 3:
            break
    assert 0.9 * step["traced_step_s"] <= tops <= step["traced_step_s"]
