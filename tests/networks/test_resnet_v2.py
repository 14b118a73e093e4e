import collections
import inspect

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v2 as tf_slim_resnet_v2

from slim_resnet import resnet_v2
from slim_resnet.errors import ArgScopeWarning
from tests.helpers import networks

tf1 = tf.compat.v1


Built = collections.namedtuple("Built", "graph_def net end_points collections shapes")


def build_depth(module, depth, **kwargs):
    with tf.Graph().as_default() as graph:
        images = tf1.placeholder(tf.float32, [None, None, None, 3])
        with slim.arg_scope(module.resnet_arg_scope()):
            net, end_points = getattr(module, f"resnet_v2_{depth}")(images, **kwargs)
        return Built(
            graph.as_graph_def(), net.name, {k: v.name for k, v in end_points.items()},
            {key: [member.name for member in graph.get_collection(key)]
             for key in graph.get_all_collection_keys()},
            [v.shape.as_list() for v in slim.get_model_variables()])


# Equal GraphDefs are equal numbers on any weights, images and sizes. The counts are those
# of the released checkpoints: model variables, and their values at 1001 classes.
@pytest.mark.slow
@pytest.mark.parametrize("depth, variables, values, kwargs", [
    (50, 272, 25_615_849, {"is_training": False}),
    (101, 544, 44_677_609, {"is_training": False, "global_pool": False, "output_stride": 8}),
    (152, 816, 60_382_697, {}),
])
def test_depths_build_the_graph_of_tf_slim(depth, variables, values, kwargs):
    ours, theirs = (build_depth(module, depth, num_classes=1001, **kwargs)
                    for module in (resnet_v2, tf_slim_resnet_v2))
    assert ours == theirs
    model_variables = ours.shapes
    assert (len(model_variables), sum(map(np.prod, model_variables))) == (variables, values)


def test_the_deepest_has_the_blocks_of_tf_slim(monkeypatch):
    ours, theirs = (networks.blocks_of(module, 200, monkeypatch)
                    for module in (resnet_v2, tf_slim_resnet_v2))
    assert ours == theirs
    assert [len(args) for _, args in ours] == [3, 24, 36, 3]


# Padding is another at even, odd and uneven sizes, whatever the mode and the classes.
@pytest.mark.parametrize("size, kwargs", [
    ((32, 32), {"num_classes": 5, "is_training": False}),
    ((33, 33), {"num_classes": 5, "is_training": False}),
    ((37, 44), {"num_classes": 5, "is_training": True}),
    ((33, 33), {"num_classes": 5, "is_training": False, "global_pool": False, "output_stride": 4}),
    ((37, 44), {"num_classes": 5, "is_training": False, "global_pool": False, "output_stride": 4}),
    ((32, 32), {"is_training": False, "global_pool": False, "output_stride": 8}),
    ((37, 44), {"is_training": False, "include_root_block": False, "output_stride": 1}),
    ((32, 32), {"is_training": True, "include_root_block": False, "num_classes": 3}),
], ids=str)
def test_numbers_of_tf_slim(size, kwargs):
    images = networks.images_of(*size)
    training = kwargs["is_training"]
    ours, our_net, after = networks.run_network(resnet_v2, images, fetch_updates=training, **kwargs)
    theirs, their_net, their_after = networks.run_network(
        tf_slim_resnet_v2, images, fetch_updates=training, **kwargs)
    assert list(ours) == list(theirs)
    assert set(after) == set(their_after)
    for key in theirs:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-5, atol=1e-6, err_msg=key)
    np.testing.assert_allclose(our_net, their_net, rtol=1e-5, atol=1e-6)
    for name in after:
        np.testing.assert_allclose(after[name], their_after[name], rtol=1e-5, err_msg=name)
    assert np.ptp(our_net) > 1e-3


def test_names_and_shapes_of_a_small_network(graph):
    with slim.arg_scope(resnet_v2.resnet_arg_scope()):
        net, end_points = resnet_v2.resnet_v2(
            tf.zeros([2, 32, 32, 3]), networks.tiny_blocks(resnet_v2), 7, scope="r")
    assert net.shape == [2, 1, 1, 7]
    units = [f"r/block{b}/unit_{u}/bottleneck_v2" for b in (1, 2) for u in (1, 2)]
    inner = {f"{unit}/{conv}" for unit in units for conv in ("conv1", "conv2", "conv3")}
    shortcuts = {f"{unit}/shortcut" for unit in units if "unit_1" in unit}
    assert set(end_points) == {"r/conv1", *inner, *shortcuts, *units, "r/block1", "r/block2",
                               "r/logits", "predictions"}
    assert end_points["r/block1"].shape == [2, 4, 4, 4]
    assert end_points["r/block2"].shape == [2, 4, 4, 8]
    norm = [f"/{name}" for name in ("beta", "gamma", "moving_mean", "moving_variance")]
    assert {v.op.name for v in tf1.global_variables()} == {
        *(f"{scope}/{name}" for scope in ("r/conv1", "r/logits", *shortcuts,
                                          *(f"{unit}/conv3" for unit in units))
          for name in ("weights", "biases")),
        *(f"{unit}/{conv}/weights" for unit in units for conv in ("conv1", "conv2")),
        *(f"{unit}/{conv}/BatchNorm{name}" for unit in units for conv in ("conv1", "conv2")
          for name in norm),
        *(f"{unit}/preact{name}" for unit in units for name in norm),
        *(f"r/postnorm{name}" for name in norm)}


def test_signatures_are_those_of_tf_slim():
    for name in ("resnet_v2", "resnet_v2_block", "bottleneck", "resnet_v2_50", "resnet_v2_101",
                 "resnet_v2_152", "resnet_v2_200"):
        ours, theirs = (inspect.signature(inspect.unwrap(getattr(module, name)))
                        for module in (resnet_v2, tf_slim_resnet_v2))
        shared = [(p.name, p.default) for p in ours.parameters.values()
                  if p.name != "spatial_squeeze"]
        assert shared == [(p.name, p.default) for p in theirs.parameters.values()], name
    assert resnet_v2.resnet_v2.default_image_size == 224
    assert resnet_v2.resnet_v2_50.default_image_size == 224
    assert inspect.signature(resnet_v2.resnet_v2_50).parameters["spatial_squeeze"].kind \
        is inspect.Parameter.KEYWORD_ONLY


def test_spatial_squeeze_is_that_of_research_slim():
    images = networks.images_of(32, 32)
    plain, net, values = networks.run_network(resnet_v2, images, num_classes=5, is_training=False)
    squeezed, squeezed_net, _ = networks.run_network(
        resnet_v2, images, values, num_classes=5, is_training=False, spatial_squeeze=True)
    assert net.shape == (2, 1, 1, 5) and squeezed_net.shape == (2, 5)
    np.testing.assert_array_equal(squeezed_net, net[:, 0, 0])
    np.testing.assert_array_equal(squeezed["resnet_v2_tiny/spatial_squeeze"], squeezed_net)
    np.testing.assert_allclose(squeezed["predictions"], plain["predictions"][:, 0, 0], rtol=1e-6)
    assert squeezed["global_pool"].shape == (2, 1, 1, 8)
    assert set(squeezed) - set(plain) == {"global_pool", "resnet_v2_tiny/spatial_squeeze"}


def test_training_mode_may_come_from_the_arg_scope():
    images = networks.images_of(32, 32)
    inference, _, values = networks.run_network(resnet_v2, images, num_classes=5,
                                                is_training=False)
    with tf.Graph().as_default(), tf1.Session() as session:
        with slim.arg_scope(resnet_v2.resnet_arg_scope()), \
                slim.arg_scope([slim.batch_norm], is_training=False):
            _, end_points = resnet_v2.resnet_v2(
                tf.constant(images), networks.tiny_blocks(resnet_v2), 5, is_training=None,
                scope="resnet_v2_tiny")
        networks.load(session, values)
        np.testing.assert_allclose(session.run(end_points["predictions"]),
                                   inference["predictions"], rtol=1e-5)


@pytest.mark.parametrize("kwargs, message", [
    ({"output_stride": 6}, "multiple of 4"),
    ({"output_stride": 64}, "cannot be reached"),
    ({"output_stride": 0}, "cannot be reached"),
])
def test_output_strides_that_do_not_exist(graph, kwargs, message):
    with slim.arg_scope(resnet_v2.resnet_arg_scope()), pytest.raises(ValueError, match=message):
        resnet_v2.resnet_v2(tf.zeros([1, 32, 32, 3]), networks.tiny_blocks(resnet_v2), **kwargs)


@pytest.mark.parametrize("build, advice", [
    (lambda x: resnet_v2.resnet_v2(x, networks.tiny_blocks(resnet_v2)),
     "slim.arg_scope(resnet_v2.resnet_arg_scope())"),
    (lambda x: resnet_v2.resnet_v2_50(x), "slim.arg_scope(resnet_v2.resnet_arg_scope())"),
])
def test_building_outside_the_arg_scope_warns_where_it_was_done(graph, build, advice):
    with pytest.warns(ArgScopeWarning) as caught:
        build(tf.zeros([1, 32, 32, 3]))
    assert len(caught) == 1 and advice in str(caught[0].message)
    assert caught[0].filename == __file__


def test_building_without_batch_norm_on_purpose_does_not_warn(graph, recwarn):
    with slim.arg_scope(resnet_v2.resnet_arg_scope(use_batch_norm=False)):
        resnet_v2.resnet_v2(tf.zeros([1, 32, 32, 3]), networks.tiny_blocks(resnet_v2), scope="r")
    assert not [w for w in recwarn.list if w.category is ArgScopeWarning]
    assert not [v for v in tf1.global_variables() if "BatchNorm" in v.op.name]
