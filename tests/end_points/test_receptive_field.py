"""Strides and receptive fields, against what really changes an output."""

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import blog, resnet_v2
from slim_resnet.end_points import table as ep
from slim_resnet.end_points.receptive_field import Sight, sights
from tests.helpers import networks

tf1 = tf.compat.v1


def averaging(name, shape):
    """Returns values that let every input show in the output: positive means of inputs."""
    if name.endswith("weights"):
        return np.full(shape, 1 / np.prod(shape[:-1]))
    return np.full(shape, float(name.endswith(("gamma", "moving_variance"))))


def seen(build, size):
    """Finds by trial which rows and columns change the middle position of each end point.

    Returns:
      ``{key: [(position, first, last, Sight) of rows, the same of columns]}``.
    """
    with tf.Graph().as_default() as graph, tf1.Session() as session:
        images = tf1.placeholder(tf.float32, [None, size, size, 3])
        end_points = build(images)
        found = sights(graph.get_operations())
        networks.load(session, {v.op.name: averaging(v.op.name, v.shape.as_list())
                                for v in tf1.global_variables()})
        # One image a row, one a column, and the last has nothing changed.
        batch = np.ones([2 * size + 1, size, size, 3], np.float32)
        for line in range(size):
            batch[line, line] += 1e4
            batch[size + line, :, line] += 1e4
        values = session.run(end_points, {images: batch})
    result = {}
    for key, value in values.items():
        if found[end_points[key].op] is None:
            continue
        middle = np.array(value.shape[1:3]) // 2
        changed = (value[:-1] != value[-1])[:, middle[0], middle[1]].any(1).reshape(2, size)
        result[key] = [(middle[axis], *np.flatnonzero(changed[axis])[[0, -1]],
                        found[end_points[key].op][axis]) for axis in (0, 1)]
    return result


def build_tiny(module, blocks=None, **kwargs):
    def build(images):
        with slim.arg_scope(networks.inference_scope(module)):
            return module.resnet_v2(images, blocks or networks.tiny_blocks(module), 3, **kwargs)[1]
    return build


def build_own(images):
    """What else slim's networks have: one-sided kernels, pools, rates, concatenation."""
    with slim.arg_scope([slim.conv2d, slim.separable_conv2d], outputs_collections="own"):
        net = slim.conv2d(images, 2, [1, 7], scope="wide")
        net = slim.conv2d(net, 2, [5, 1], stride=2, padding="VALID", scope="high")
        net = slim.max_pool2d(net, [2, 2], 2, scope="pool")
        left = slim.conv2d(net, 2, [3, 3], rate=3, scope="atrous")
        right = slim.separable_conv2d(net, 2, [5, 5], 1, scope="separable")
        net = tf.concat([left, slim.avg_pool2d(right, [3, 3], 1, padding="SAME")], 3)
        net = slim.conv2d(net, 2, [1, 1], scope="last")
    return slim.utils.convert_collection_to_dict("own")


BUILDERS = {
    "slim": build_tiny(resnet_v2, is_training=False),
    "slim, output_stride 4": build_tiny(resnet_v2, is_training=False, global_pool=False,
                                        output_stride=4),
    "slim, without root": build_tiny(resnet_v2, is_training=False, include_root_block=False),
    "blog": build_tiny(blog, networks.tiny_blog_blocks(), announce=None),
    "own": build_own,
}


# Sizes that strides divide and do not; every builder has the odd one.
@pytest.mark.parametrize("name, size", [
    ("own", 77), *(pytest.param(name, 77, marks=pytest.mark.slow) for name in BUILDERS
                   if name != "own"),
    *(pytest.param(name, 72, marks=pytest.mark.slow) for name in ("slim", "blog", "own"))])
def test_lines_that_change_an_output_are_those_that_it_sees(name, size):
    results = seen(BUILDERS[name], size)
    assert len(results) >= 5
    for key, axes in results.items():
        for middle, first, last, sight in axes:
            assert (first, last) == (sight.stride * middle + sight.first,
                                     sight.stride * middle + sight.last), key


@pytest.mark.slow
def test_released_depth_by_the_recurrence():
    # Each 3 x 3 convolution adds twice the stride so far; strides are in the last units.
    field, stride, expected = 11, 4, {}
    for block, units in enumerate((3, 4, 6, 3), 1):
        for unit in range(units):
            field += 2 * stride
            stride *= 2 if unit == units - 1 and block < 4 else 1
        expected[f"resnet_v2_50/block{block}"] = stride, field
    assert expected["resnet_v2_50/block4"] == (32, 483)
    # Neither the images' size nor the mode is needed for it.
    with tf.Graph().as_default():
        images, mode = tf1.placeholder(tf.float32, [None, None, None, 3]), tf1.placeholder(tf.bool)
        with slim.arg_scope(resnet_v2.resnet_arg_scope()):
            _, end_points = resnet_v2.resnet_v2_50(images, 10, is_training=mode)
        rows = {row.key: row for row in ep.summary(end_points)}
    assert {key: (rows[key].stride, rows[key].receptive_field) for key in expected} == expected
    # Global pooling sees all there is, however much that is.
    assert rows["resnet_v2_50/logits"].stride is None
    assert rows["predictions"].receptive_field is None


def test_conditions_are_looked_into(graph):
    images = tf1.placeholder(tf.float32, [1, 8, 8, 1])
    kernel = tf.ones([3, 3, 1, 1])
    net = tf.nn.conv2d(images, kernel, 1, "SAME")
    flag = tf1.placeholder(tf.bool, [])
    harmless = tf1.cond(flag, lambda: tf.nn.relu(net), lambda: net)
    wider = tf1.cond(flag, lambda: tf.nn.conv2d(net, kernel, 1, "SAME"), lambda: net)
    found = sights(graph.get_operations())
    assert found[harmless.op] == found[net.op] == (Sight(1, -1, 1),) * 2
    assert found[wider.op] is None


def test_dilations_and_uneven_grids(graph):
    images = tf1.placeholder(tf.float32, [1, 8, 8, 1])
    kernel = tf.ones([3, 3, 1, 1])
    dilated = tf.raw_ops.Conv2D(input=images, filter=kernel, strides=[1] * 4, padding="SAME",
                                dilations=[1, 2, 2, 1])
    grid = tf.space_to_batch(images, [2, 2], [[2, 2], [2, 2]])
    uncut = tf.nn.conv2d(grid, kernel, 1, "VALID")
    cut = tf.raw_ops.BatchToSpaceND(input=uncut, block_shape=[2, 2], crops=[[1, 0], [0, 1]])
    channels = tf.pad(dilated, [[0, 0], [0, 0], [0, 0], [1, 1]])
    found = sights(graph.get_operations())
    assert found[dilated.op] == (Sight(1, -2, 2),) * 2
    # Position 0 of the rows is what was position 1 before the cut.
    assert found[cut.op] == (Sight(1, -1, 3), Sight(1, -2, 2))
    assert found[channels.op] is None


def test_branches_of_different_strides_and_unknown_ops_are_not_defined(graph):
    images = tf1.placeholder(tf.float32, [1, 8, 8, 1])
    kernel = tf.ones([3, 3, 1, 1])
    halved = tf.nn.conv2d(images, kernel, 2, "SAME")
    once = tf.nn.conv2d(images, kernel, 1, "SAME")
    added = halved + once[:, ::2, ::2]
    broadcast = tf.nn.avg_pool2d(images, 8, 8, "SAME") + once
    enlarged = tf.image.resize(halved, [8, 8])
    found = sights(graph.get_operations())
    assert found[once.op] == (Sight(1, -1, 1),) * 2
    assert found[halved.op] == (Sight(2, 0, 2),) * 2
    assert [found[tensor.op] for tensor in (added, broadcast, enlarged)] == [None] * 3
