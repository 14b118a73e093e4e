"""Measured time of end points: how a step is divided, whose each op is, and what is said."""

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
from slim_resnet.end_points import attribution, times
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints, networks

tf1 = tf.compat.v1
UNIT = "resnet_v2_50/block1/unit_1/bottleneck_v2"


def ran(start, end, waits=False):
    return attribution.Ran("op", start, end, waits, 0, None)


@pytest.mark.parametrize("ops, parts, idle, span", [
    ([ran(10, 20)], [10], 0, 10),
    # One after the other, with a gap.
    ([ran(0, 10), ran(14, 20)], [10, 6], 4, 20),
    # Two threads: the second begins while the first runs, and ends after it.
    ([ran(0, 10), ran(6, 16)], [8, 8], 0, 16),
    # One within another, and a third beside both.
    ([ran(0, 12), ran(3, 9), ran(6, 9)], [3 + 1.5 + 1 + 3, 1.5 + 1, 1], 0, 12),
    # A queue's op counts while nothing else runs, and not while something does.
    ([ran(0, 20, waits=True), ran(5, 15)], [10, 10], 0, 20),
    ([ran(0, 4, waits=True), ran(2, 6, waits=True)], [3, 3], 0, 6),
    # Nothing is too short to be there.
    ([ran(5, 5), ran(0, 8)], [0, 8], 0, 8),
    ([ran(5, 5)], [0], 0, 0)])
def test_a_step_is_divided_among_what_runs(ops, parts, idle, span):
    assert attribution.divided(ops) == (pytest.approx(parts), idle, span)
    assert sum(parts) + idle == span


def node(name, kind, *inputs):
    return name, tf1.NodeDef(name=name, op=kind, input=inputs)


@pytest.fixture(scope="module")
def tiny():
    """tf_slim's own tiny network on images that an op makes: ``(end points, graph)``."""
    with tf.Graph().as_default() as graph:
        images = tf1.random_uniform([3, 32, 32, 3])
        _, end_points = checkpoints.slim_builder()(images)
    return end_points, graph


def test_owners_are_those_that_the_table_counts_ops_for(tiny):
    end_points, graph = tiny
    owners = attribution.owners(end_points)
    for key, ops in ep.own_ops(end_points).items():
        for op in ops:
            makes_images = op.name.startswith("random_uniform")
            assert owners.get(op.name) == (None if makes_images else key), op.name
    assert "random_uniform/RandomUniform" not in owners
    assert owners["resnet_v2_50/Pad"] == "resnet_v2_50/conv1"


def test_what_a_rewrite_made_belongs_to_the_end_point_of_its_convolution(tiny):
    end_points, _ = tiny
    norm = f"{UNIT}/preact/FusedBatchNormV3"
    nodes = dict([
        node("random_uniform/RandomUniform", "RandomUniform"),
        node("_arg_images_0_0", "_Arg"),
        # The root's padding is within its convolution, which has the bias's name.
        node("resnet_v2_50/conv1/BiasAdd", "_MklNativePadWithFusedConv2D",
             "random_uniform/RandomUniform"),
        node("resnet_v2_50/pool1/MaxPool", "_MklNativeMaxPool", "resnet_v2_50/conv1/BiasAdd"),
        # The ReLU behind a batch norm is within it.
        node(norm, "_MklNativeFusedBatchNormEx", "resnet_v2_50/pool1/MaxPool"),
        node("a/LayoutOptimizer-Transpose", "Transpose", norm),
        node("b/LayoutOptimizer-Transpose", "Transpose", "a/LayoutOptimizer-Transpose"),
        node(f"{UNIT}/shortcut/BiasAdd", "_MklNativeFusedConv2D", norm),
        node(f"{UNIT}/conv1/Relu", "_MklNativeFusedConv2D", "b/LayoutOptimizer-Transpose:0"),
        node(f"{UNIT}/conv2/Relu", "_MklNativeFusedConv2D", f"{UNIT}/conv1/Relu"),
        # conv3's convolution and bias and the unit's sum, under the name of the sum.
        node(f"{UNIT}/add", "_MklNativeFusedConv2D", f"{UNIT}/conv2/Relu",
             f"{UNIT}/shortcut/BiasAdd"),
        node("added/at/the/end", "NoOp", f"^{UNIT}/add")])
    assert attribution.owners_of_nodes(end_points, nodes) == {
        "resnet_v2_50/conv1/BiasAdd": "resnet_v2_50/conv1",
        # Its first end point is the shortcut.
        "resnet_v2_50/pool1/MaxPool": f"{UNIT}/shortcut",
        norm: f"{UNIT}/shortcut",
        "a/LayoutOptimizer-Transpose": f"{UNIT}/conv1",
        "b/LayoutOptimizer-Transpose": f"{UNIT}/conv1",
        f"{UNIT}/shortcut/BiasAdd": f"{UNIT}/shortcut",
        f"{UNIT}/conv1/Relu": f"{UNIT}/conv1",
        f"{UNIT}/conv2/Relu": f"{UNIT}/conv2",
        f"{UNIT}/add": f"{UNIT}/conv3"}


def test_bytes_are_those_read_and_written():
    def stats(name, kind, shape):
        one = tf1.RunMetadata().step_stats.dev_stats.add().node_stats.add()
        one.node_name, one.timeline_label = name, f"{name} = {kind}()"
        one.all_start_nanos, one.all_end_rel_nanos = 100, 7
        description = one.output.add().tensor_description
        description.dtype = tf.float32.as_datatype_enum
        for size in shape:
            description.shape.dim.add(size=size)
        return one

    metadata = tf1.RunMetadata()
    device = metadata.step_stats.dev_stats.add(device="/device:CPU:0")
    device.node_stats.extend([stats("x", "_Arg", [2, 5]), stats("read", "ReadVariableOp", [5, 3]),
                              stats("product", "MatMul", [2, 3])])
    nodes = dict([node("x", "_Arg"), node("read", "ReadVariableOp"),
                  node("product", "MatMul", "x:0", "read", "^x")])
    found = attribution.ran_ops(metadata, nodes)
    assert [(op.name, op.start, op.end, op.bytes, op.rows) for op in found] == [
        ("x", 100, 107, 0, 2), ("read", 100, 107, 0, 5), ("product", 100, 107, 4 * 31, 2)]
    metadata.step_stats.dev_stats.add(device="/device:GPU:0").node_stats.add()
    with pytest.raises(SlimResnetError, match="ops ran on /device:GPU:0, and only a CPU's are"):
        attribution.ran_ops(metadata, nodes)


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
        result.total_s)
    assert sum(row.share for row in tops) + (result.other_s + result.idle_s) / result.total_s == (
        pytest.approx(1))
    # Of two steps the median is the mean, so all that is lost is nothing.
    assert result.total_s == pytest.approx(statistics.mean(result.spans_s), rel=1e-6)
    assert all(span <= duration for span, duration in
               zip(result.spans_s, result.traced_durations_s))


def test_keys_choose_rows_and_change_no_time(measured):
    *_, graph, session, images, end_points = measured
    result = ep.time(end_points, session, {images: np.ones([1, 8, 8, 3])}, keys=["x", "b"],
                     num_batches=1, num_steps_burn_in=0)
    assert [row.key for row in result.rows] == ["net/b", "head/x"]
    assert result.total_s == pytest.approx(result.spans_s[0], rel=1e-9)
    assert result.total_s > 0.09 and sum(row.share for row in result.rows) < 0.5


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
    assert result.other_s < 0.2 * result.total_s


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
    assert lines[0].split("  ")[0] == "end point" and "GMAC/s" in lines[0]
    names = [line.split("  ")[0] for line in lines[2:]]
    assert names[:3] == [f"resnet_v2_50/{unit}/bottleneck_v2/conv2" for unit in
                         ("block1/unit_1", "block1/unit_2", "block2/unit_1")]
    assert names[3:6] == ["other ops", "no op running", "whole step"]
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
        return layer_times.doubts(times.Times((), 4, 0.0, 0.0, total_s, (1.0, 2.0, 9.0),
                                              (2.0,), (2.0, 3.0, 2.0), False))

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
