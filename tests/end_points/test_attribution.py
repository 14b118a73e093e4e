"""How a traced step is divided among its ops, and whose end point each of them worked on."""

import pytest
import tensorflow as tf

from slim_resnet import end_points as ep
from slim_resnet.end_points import attribution
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints

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
