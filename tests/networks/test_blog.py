import inspect
import re

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import blog, resnet_v2
from slim_resnet.end_points.costs import forward_cost
from slim_resnet.errors import ArgScopeWarning
from tests.helpers import networks
from tests.helpers.command_line import python

tf1 = tf.compat.v1

UNITS = [(1, 3), (2, 8), (3, 36), (4, 3)]


def test_the_published_network(blog_152):
    graph, net, end_points = blog_152
    units = [f"resnet_v2_152/block{block}/unit_{unit + 1}/bottleneck_v2"
             for block, count in UNITS for unit in range(count)]
    blocks = [f"resnet_v2_152/block{block}" for block, _ in UNITS]
    assert set(end_points) == {
        "resnet_v2_152/conv1", "resnet_v2_152/logits", "predictions", *units, *blocks,
        *(f"{unit}/{conv}" for unit in units for conv in ("conv1", "conv2", "conv3")),
        *(f"{unit}/shortcut" for unit in units if "/unit_1/" in unit)}
    assert net.shape == [32, 1, 1, 1000]
    assert [end_points[block].shape.as_list() for block in blocks] == [
        [32, 28, 28, 256], [32, 14, 14, 512], [32, 7, 7, 1024], [32, 7, 7, 2048]]
    with graph.as_default():
        variables = tf1.global_variables()
        assert len(variables) == 966
        assert sum(v.shape.num_elements() for v in variables) == 60_524_264
        assert not tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)
        assert len(graph.get_collection("resnet_v2_152/end_points")) == len(end_points) - 1
    names = {v.op.name for v in variables}
    unit = "resnet_v2_152/block2/unit_8/bottleneck_v2"
    norm = ("beta", "gamma", "moving_mean", "moving_variance")
    assert {name for name in names if name.startswith(f"{unit}/")} == {
        *(f"{unit}/{conv}/weights" for conv in ("conv1", "conv2", "conv3")),
        *(f"{unit}/{conv}/BatchNorm/{n}" for conv in ("conv1", "conv2", "conv3") for n in norm),
        *(f"{unit}/preact/{n}" for n in norm)}


def test_cost_of_the_published_network(blog_152):
    cost = forward_cost(blog_152[1])
    assert cost.parameters == 60_524_264
    # 10.91 GMAC an image at 224 x 224. The root by hand: 112^2 x 7^2 x 3 x 64; logits 2048 x 1000.
    assert round(cost.multiply_adds / 1e9, 2) == 10.91
    macs = 112 * 112 * 49 * 3 * 64 + 2048 * 1000
    for (_, count), depth, inside, size, before in zip(
            UNITS, (256, 512, 1024, 2048), (64, 128, 256, 512), (56, 28, 14, 7),
            (64, 256, 512, 1024)):
        strided = depth != 2048
        for unit in range(count):
            last = unit == count - 1 and strided
            out = size // 2 if last else size
            channels = before if unit == 0 else depth
            macs += size * size * channels * inside + out * out * inside * (9 * inside + depth)
            if unit == 0:
                macs += size * size * channels * depth
    assert cost.multiply_adds == macs


@pytest.mark.slow
@pytest.mark.oldest
def test_training_mode_has_zero_debias_updates_and_losses(capsys):
    with tf.Graph().as_default(), slim.arg_scope(blog.resnet_arg_scope()):
        blog.resnet_v2_152(tf.zeros([1, 32, 32, 3]), 1000)
        assert len(tf1.global_variables()) == 1368
        assert len(tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)) == 402
        assert len(tf1.losses.get_regularization_losses()) == 156
        names = {v.op.name for v in tf1.global_variables()}
    preact = "resnet_v2_152/block1/unit_1/bottleneck_v2/preact"
    assert {name for name in names if name.startswith(f"{preact}/{preact}")} == {
        f"{preact}/{preact}/moving_mean/biased", f"{preact}/{preact}/moving_mean/local_step"}
    assert capsys.readouterr().out == "resnet_v2_152/end_points\n"


@pytest.mark.parametrize("name, parameters", [
    ("subsample", "inputs factor scope=None"),
    ("conv2d_same", "inputs num_outputs kernel_size stride scope=None"),
    ("stack_block_dense", "net blocks outputs_collections=None"),
    ("bottleneck", "inputs depth depth_bottleneck stride outputs_collections=None scope=None"),
    ("resnet_arg_scope", "is_training=True weight_decay=0.0001 batch_norm_decay=0.997 "
                         "batch_norm_epsilon=1e-05 batch_norm_scale=True"),
    ("resnet_v2", "inputs blocks num_classes=None global_pool=True include_root_block=True "
                  "reuse=None scope=None announce=<built-in function print>"),
    ("resnet_v2_152", "inputs num_classes=None global_pool=True reuse=None "
                      "scope='resnet_v2_152'"),
])
def test_names_arguments_and_defaults(name, parameters):
    signature = inspect.signature(inspect.unwrap(getattr(blog, name)))
    untyped = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    assert " ".join(map(str, untyped)) == parameters
    assert blog.Block._fields == ("scope", "unit_fn", "args")


def run_unit(module, stride, size, values=None):
    """One unit on 4 channels in inference mode; returns its output and its values."""
    images = np.random.default_rng(3).normal(size=(1, size, size, 4)).astype(np.float32)
    with tf.Graph().as_default(), tf1.Session() as session:
        with slim.arg_scope(networks.inference_scope(module)):
            net = module.bottleneck(tf.constant(images), 4, 8, stride, scope="u")
        values = values or networks.values_for(tf1.global_variables())
        networks.load(session, values)
        return session.run(net), values, images


def relu_norm(x, values, scope):
    scale = values[f"{scope}/gamma"] / np.sqrt(values[f"{scope}/moving_variance"] + 1e-5)
    return np.maximum((x - values[f"{scope}/moving_mean"]) * scale + values[f"{scope}/beta"], 0)


@pytest.mark.parametrize("size, pads_before", [(6, 0), (5, 1)])
def test_unit_by_numpy(size, pads_before):
    """conv3 has norm and ReLU; strided conv2 is padded as TensorFlow pads SAME."""
    output, values, x = run_unit(blog, 2, size)
    preact = relu_norm(x, values, "u/preact")
    net = relu_norm(preact @ values["u/conv1/weights"][0, 0], values, "u/conv1/BatchNorm")
    out = (size + 1) // 2
    padded = np.pad(net, [(0, 0), (pads_before, 2), (pads_before, 2), (0, 0)])
    weights = values["u/conv2/weights"]
    conv2 = np.zeros((1, out, out, 8), np.float32)
    for i in range(out):
        for j in range(out):
            conv2[0, i, j] = np.einsum("hwc,hwcd->d", padded[0, 2 * i:2 * i + 3, 2 * j:2 * j + 3],
                                       weights)
    net = relu_norm(conv2, values, "u/conv2/BatchNorm")
    assert np.ptp(net, axis=(0, 1, 2)).max() > 1
    net = relu_norm(net @ values["u/conv3/weights"][0, 0], values, "u/conv3/BatchNorm")
    assert np.ptp(net, axis=(0, 1, 2)).max() > 1
    np.testing.assert_allclose(output, x[:, ::2, ::2] + net, rtol=1e-4, atol=1e-5)
    assert "u/conv3/biases" not in values


def test_slims_unit_has_other_variables_and_numbers():
    ours, blog_values, _ = run_unit(blog, 2, 6)
    theirs, values, _ = run_unit(resnet_v2, 2, 6)
    assert set(values) ^ set(blog_values) == {
        "u/conv3/biases", *(f"u/conv3/BatchNorm/{n}" for n in
                            ("beta", "gamma", "moving_mean", "moving_variance"))}
    assert np.abs(ours - theirs).max() > 1e-2


SCRIPT = """
import warnings; warnings.simplefilter("error", UserWarning)
import math, time, collections
from datetime import datetime
import tensorflow.compat.v1 as tf
import tf_slim as slim
from slim_resnet.blog import (Block, bottleneck, resnet_arg_scope, resnet_v2, stack_block_dense,
                              subsample, conv2d_same, time_tensorflow_run)
{before}
batch_size = 4
height, width = 32, 32
inputs = tf.random_uniform([batch_size, height, width, 3])
with slim.arg_scope(resnet_arg_scope(is_training=False)):
    blocks = [Block('block1', bottleneck, [(4, 1, 1)] * 2 + [(4, 1, 2)])]
    net, end_points = resnet_v2(inputs, blocks, 1000, scope='resnet_v2_152')
init = tf.global_variables_initializer()
sess = tf.Session()
sess.run(init)
num_batches = 100
result = time_tensorflow_run(sess, net, 'Forward')
print(len(result.durations_s), result.batch_size)
"""


@pytest.mark.slow
@pytest.mark.oldest
@pytest.mark.parametrize("before", ["tf.disable_v2_behavior()", """
assert tf.executing_eagerly()
in_graph = tf.Graph().as_default()
in_graph.__enter__()
"""])
def test_the_steps_of_the_blogs_script(before):
    lines = python(SCRIPT.format(before=before)).splitlines()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"
    assert lines[0] == "resnet_v2_152/end_points"
    steps = [re.fullmatch(stamp + r": step (\d+), duration = \d+\.\d{3}", line)
             for line in lines[1:-2]]
    assert [int(step[1]) for step in steps] == list(range(0, 100, 10))
    assert re.fullmatch(
        stamp + r": Forward across 100 steps, \d+\.\d{3} \+/- \d+\.\d{3} sec / batch", lines[-2])
    assert lines[-1] == "100 4"


def test_building_outside_the_arg_scope_warns(graph):
    with pytest.warns(ArgScopeWarning, match=re.escape(
            "slim.arg_scope(resnet_arg_scope(is_training=False))")) as caught:
        blog.resnet_v2(tf.zeros([1, 32, 32, 3]), networks.tiny_blog_blocks())
    assert caught[0].filename == __file__
