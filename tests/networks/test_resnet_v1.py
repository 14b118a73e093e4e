import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v1 as tf_slim_resnet_v1

from slim_resnet import resnet_v1
from slim_resnet.errors import ArgScopeWarning
from tests.helpers import networks

tf1 = tf.compat.v1


def build_depth(module, depth, **kwargs):
    """Returns all that there is to a graph, and the shapes of its model variables."""
    with tf.Graph().as_default() as graph:
        images = tf1.placeholder(tf.float32, [None, None, None, 3])
        with slim.arg_scope(module.resnet_arg_scope()):
            net, end_points = getattr(module, f"resnet_v1_{depth}")(images, **kwargs)
        collections = {key: [member.name for member in graph.get_collection(key)]
                       for key in graph.get_all_collection_keys()}
        return ((graph.as_graph_def(), net.name, {k: v.name for k, v in end_points.items()},
                 collections), [v.shape.as_list() for v in slim.get_model_variables()])


# Equal GraphDefs are equal numbers on any weights, images and sizes. At 1000 classes the
# paper's networks have 25.6, 44.5 and 60.2 million weights; the moving statistics come on top.
@pytest.mark.slow
@pytest.mark.parametrize("depth, variables, values, kwargs", [
    (50, 267, 25_610_152, {"is_training": False}),
    (101, 522, 44_654_504, {"global_pool": False, "output_stride": 8}),
])
def test_depths_build_the_graph_of_tf_slim(depth, variables, values, kwargs):
    (ours, shapes), (theirs, _) = (build_depth(module, depth, num_classes=1000, **kwargs)
                                   for module in (resnet_v1, tf_slim_resnet_v1))
    assert ours == theirs
    assert (len(shapes), sum(map(np.prod, shapes))) == (variables, values)


@pytest.mark.parametrize("depth, units", [(152, [3, 8, 36, 3]), (200, [3, 24, 36, 3])])
def test_deeper_ones_have_the_blocks_of_tf_slim(depth, units, monkeypatch):
    ours, theirs = (networks.blocks_of(module, depth, monkeypatch)
                    for module in (resnet_v1, tf_slim_resnet_v1))
    assert ours == theirs
    assert [len(args) for _, args in ours] == units


@pytest.mark.slow
def test_tf_slims_own_tests_pass_on_ours(tmp_path):
    script = tmp_path / "tests_of_tf_slim.py"
    script.write_text(
        "import unittest\n"
        "from slim_resnet import resnet_utils, resnet_v1\n"
        "from tf_slim import nets\n"
        "nets.resnet_utils, nets.resnet_v1 = resnet_utils, resnet_v1\n"
        "from tf_slim.nets import resnet_v1_test\n"
        "assert resnet_v1_test.resnet_v1.__name__ == 'slim_resnet.resnet_v1'\n"
        "unittest.main(resnet_v1_test)\n")
    result = subprocess.run([sys.executable, script], capture_output=True, text=True,
                            env=dict(os.environ, PYTHONPATH=os.getcwd()))
    # Two of the 17 are the test case's own, and skip themselves.
    assert "Ran 17 tests" in result.stderr and "OK (skipped=2)" in result.stderr, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("size, kwargs", [
    ((32, 32), {"num_classes": 5, "is_training": False}),
    ((37, 44), {"num_classes": 5, "is_training": True}),
    ((37, 44), {"num_classes": 5, "is_training": False, "global_pool": False, "output_stride": 4}),
    ((32, 32), {"is_training": False, "include_root_block": False, "output_stride": 1}),
], ids=str)
def test_numbers_of_tf_slim(size, kwargs):
    images = networks.images_of(*size)
    training = kwargs["is_training"]
    ours, our_net, after = networks.run_network(resnet_v1, images, fetch_updates=training, **kwargs)
    theirs, their_net, their_after = networks.run_network(
        tf_slim_resnet_v1, images, fetch_updates=training, **kwargs)
    assert list(ours) == list(theirs)
    assert set(after) == set(their_after)
    for key in theirs:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-5, atol=1e-6, err_msg=key)
    np.testing.assert_allclose(our_net, their_net, rtol=1e-5, atol=1e-6)
    for name in after:
        np.testing.assert_allclose(after[name], their_after[name], rtol=1e-5, err_msg=name)
    assert np.ptp(our_net) > 1e-3


def variables_of_units(units, shortcuts):
    norm = [f"/BatchNorm/{name}" for name in ("beta", "gamma", "moving_mean", "moving_variance")]
    return {f"{scope}{name}" for scope in (*shortcuts, *(f"{unit}/{conv}" for unit in units
                                                         for conv in ("conv1", "conv2", "conv3")))
            for name in ("/weights", *norm)}


UNITS = [f"r/block{b}/unit_{u}/bottleneck_v1" for b in (1, 2) for u in (1, 2)]
SHORTCUTS = [f"{unit}/shortcut" for unit in UNITS if "unit_1" in unit]


@pytest.mark.parametrize("root_block_fn, convolutions", [
    (resnet_v1.root_block, {"r/conv1": (7, 7, 3, 64)}),
    (resnet_v1.root_block_fn_for_beta_variant,
     {"r/conv1_1": (3, 3, 3, 64), "r/conv1_2": (3, 3, 64, 64), "r/conv1_3": (3, 3, 64, 128)}),
])
def test_names_and_shapes_of_a_small_network(graph, root_block_fn, convolutions):
    with slim.arg_scope(resnet_v1.resnet_arg_scope()):
        net, end_points = resnet_v1.resnet_v1(
            tf.zeros([2, 32, 32, 3]), networks.tiny_blocks(resnet_v1), 7, scope="r",
            root_block_fn=root_block_fn)
    assert net.shape == [2, 1, 1, 7]
    inner = {f"{unit}/{conv}" for unit in UNITS for conv in ("conv1", "conv2", "conv3")}
    assert set(end_points) == {*convolutions, *inner, *SHORTCUTS, *UNITS, "r/block1", "r/block2",
                               "r/logits", "predictions"}
    assert all(end_points[scope].shape[1:3] == [16, 16] for scope in convolutions)
    assert end_points["r/block1"].shape == [2, 4, 4, 4]
    assert end_points["r/block2"].shape == [2, 4, 4, 8]
    assert {v.op.name for v in tf1.global_variables()} == \
        variables_of_units(UNITS, [*SHORTCUTS, *convolutions]) | {
            "r/logits/weights", "r/logits/biases"}
    shapes = {v.op.name: tuple(v.shape) for v in tf1.global_variables()}
    for scope, shape in convolutions.items():
        assert shapes[f"{scope}/weights"] == shape


def test_signatures_are_those_of_tf_slim():
    for name in ("resnet_v1", "resnet_v1_block", "bottleneck", "resnet_v1_50", "resnet_v1_101",
                 "resnet_v1_152", "resnet_v1_200"):
        ours, theirs = (inspect.signature(inspect.unwrap(getattr(module, name)))
                        for module in (resnet_v1, tf_slim_resnet_v1))
        shared = [(p.name, p.default) for p in ours.parameters.values()
                  if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        assert shared == [(p.name, p.default) for p in theirs.parameters.values()], name
    assert resnet_v1.resnet_v1.default_image_size == 224
    assert resnet_v1.resnet_v1_50.default_image_size == 224


def test_spatial_squeeze_is_that_of_research_slim():
    images = networks.images_of(32, 32)
    plain, net, values = networks.run_network(resnet_v1, images, num_classes=5, is_training=False)
    squeezed, squeezed_net, _ = networks.run_network(
        resnet_v1, images, values, num_classes=5, is_training=False, spatial_squeeze=True)
    assert net.shape == (2, 1, 1, 5) and squeezed_net.shape == (2, 5)
    np.testing.assert_array_equal(squeezed_net, net[:, 0, 0])
    np.testing.assert_allclose(squeezed["predictions"], plain["predictions"][:, 0, 0], rtol=1e-6)
    assert set(squeezed) - set(plain) == {"global_pool", "resnet_v1_tiny/spatial_squeeze"}


@pytest.mark.parametrize("output_stride", [None, 4, 8])
def test_stored_activations_are_larger_and_the_logits_the_same(output_stride):
    images = networks.images_of(37, 44)
    options = dict(num_classes=5, is_training=False, output_stride=output_stride)
    plain, net, values = networks.run_network(resnet_v1, images, **options)
    stored, stored_net, _ = networks.run_network(
        resnet_v1, images, values, store_non_strided_activations=True, **options)
    np.testing.assert_allclose(stored_net, net, rtol=1e-5)
    factor = 1 if output_stride == 4 else 2
    block1 = stored["resnet_v1_tiny/block1"]
    assert block1.shape == (2, 10, 11, 4)
    np.testing.assert_allclose(block1[:, ::factor, ::factor], plain["resnet_v1_tiny/block1"],
                               rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stored["resnet_v1_tiny/block2"], plain["resnet_v1_tiny/block2"],
                               rtol=1e-5, atol=1e-6)


def test_training_mode_may_come_from_the_arg_scope():
    images = networks.images_of(32, 32)
    inference, _, values = networks.run_network(resnet_v1, images, num_classes=5,
                                                is_training=False)
    with tf.Graph().as_default(), tf1.Session() as session:
        with slim.arg_scope(resnet_v1.resnet_arg_scope()), \
                slim.arg_scope([slim.batch_norm], is_training=False):
            _, end_points = resnet_v1.resnet_v1(
                tf.constant(images), networks.tiny_blocks(resnet_v1), 5, is_training=None,
                scope="resnet_v1_tiny")
        networks.load(session, values)
        np.testing.assert_allclose(session.run(end_points["predictions"]),
                                   inference["predictions"], rtol=1e-5)


def test_reuse_builds_on_the_same_variables(graph):
    images = tf.zeros([1, 32, 32, 3])
    with slim.arg_scope(resnet_v1.resnet_arg_scope()):
        resnet_v1.resnet_v1(images, networks.tiny_blocks(resnet_v1), 5, scope="r")
        number = len(tf1.global_variables())
        with pytest.raises(ValueError, match="already exists"):
            resnet_v1.resnet_v1(images, networks.tiny_blocks(resnet_v1), 5, scope="r")
        resnet_v1.resnet_v1(images, networks.tiny_blocks(resnet_v1), 5, scope="r", reuse=True)
    assert len(tf1.global_variables()) == number


def test_depth_multiplier_and_its_floor():
    blocks = resnet_v1.blocks_of_depth(50, min_base_depth=24, depth_multiplier=0.25)
    assert [block.args[0]["depth_bottleneck"] for block in blocks] == [24, 32, 64, 128]
    assert [len(block.args) for block in blocks] == [3, 4, 6, 3]
    assert resnet_v1.blocks_of_depth(50)[3].args[0] == {
        "depth": 2048, "depth_bottleneck": 512, "stride": 1}


def test_beta_network_has_the_rates_of_its_multi_grid(graph):
    with slim.arg_scope(resnet_v1.resnet_arg_scope()):
        net, end_points = resnet_v1.resnet_v1_50_beta(
            tf.zeros([1, 33, 33, 3]), output_stride=8, multi_grid=[1, 2, 4], is_training=False)
    assert net.shape == [1, 5, 5, 2048] and "resnet_v1_50/conv1_3" in end_points

    # Blocks 2 and 3 stride no more: their 2 x 2 is block 4's rate. At 33 pixels a rate of 16
    # still finds no more than the middle of its 5 x 5 map.
    rates = [tf.get_static_value(graph.get_tensor_by_name(
        f"resnet_v1_50/block4/unit_{unit}/bottleneck_v1/conv2/Conv2D/dilation_rate:0"))[0]
        for unit in (1, 2, 3)]
    assert rates == [4, 8, 16]
    with pytest.raises(ValueError, match="multi_grid needs 3 rates"):
        resnet_v1.resnet_v1_101_beta(tf.zeros([1, 33, 33, 3]), multi_grid=[1, 2])


@pytest.mark.parametrize("output_stride, message", [
    (6, "multiple of 4"), (64, "cannot be reached"), (0, "cannot be reached")])
def test_output_strides_that_do_not_exist(graph, output_stride, message):
    with slim.arg_scope(resnet_v1.resnet_arg_scope()), pytest.raises(ValueError, match=message):
        resnet_v1.resnet_v1(tf.zeros([1, 32, 32, 3]), networks.tiny_blocks(resnet_v1),
                            output_stride=output_stride)


def test_building_outside_the_arg_scope_warns_where_it_was_done(graph):
    with pytest.warns(ArgScopeWarning) as caught:
        resnet_v1.resnet_v1(tf.zeros([1, 32, 32, 3]), networks.tiny_blocks(resnet_v1))
    assert len(caught) == 1
    assert "slim.arg_scope(resnet_v1.resnet_arg_scope())" in str(caught[0].message)
    assert caught[0].filename == __file__
