"""research/slim's networks by its own names, arguments and end points."""

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v1 as tf_slim_resnet_v1

from slim_resnet.tf1.research.nets import (
    alexnet,
    inception,
    inception_v1,
    nets_factory,
    overfeat,
    resnet_utils,
    resnet_v1,
    resnet_v2,
    vgg,
)
from tests.helpers import networks

tf1 = tf.compat.v1


def tiny_blocks(module):
    block = module.resnet_v2_block if module is resnet_v2 else module.resnet_v1_block
    return [block("block1", 1, 2, 2), block("block2", 2, 2, 1)]


def build_tiny(module, *args, **kwargs):
    version = "v2" if module is resnet_v2 else "v1"
    with slim.arg_scope(module.resnet_arg_scope()):
        return getattr(module, f"resnet_{version}")(
            tf1.placeholder(tf.float32, [2, 32, 32, 3]), tiny_blocks(module), *args,
            scope="r", **kwargs)


@pytest.mark.parametrize("module", [resnet_v1, resnet_v2])
def test_logits_are_squeezed_and_end_points_research_slims(module, graph):
    net, end_points = build_tiny(module, 7, False)
    assert net.shape == [2, 7]
    assert net.op.name == "r/SpatialSqueeze"
    assert end_points["r/spatial_squeeze"] is net
    assert end_points["r/logits"].shape == [2, 1, 1, 7]
    assert end_points["global_pool"].op.name == "r/pool5"
    assert end_points["global_pool"].shape == [2, 1, 1, 8]
    # The name that research/slim's README freezes graphs with.
    assert end_points["predictions"].name == "r/predictions/Reshape_1:0"
    assert end_points["predictions"].shape == [2, 7]


@pytest.mark.parametrize("module", [resnet_v1, resnet_v2])
def test_logits_that_are_not_squeezed(module, graph):
    net, end_points = build_tiny(module, 7, False, spatial_squeeze=False)
    assert net.shape == [2, 1, 1, 7]
    assert end_points["global_pool"].op.name == "r/pool5"
    assert "r/spatial_squeeze" not in end_points
    assert end_points["predictions"].shape == [2, 1, 1, 7]


@pytest.mark.parametrize("module", [resnet_v1, resnet_v2])
@pytest.mark.parametrize("num_classes", [0, None])
def test_no_classes_gives_the_features(module, num_classes, graph):
    net, end_points = build_tiny(module, num_classes, False)
    assert net.op.name == "r/pool5"
    assert end_points["global_pool"] is net
    assert not {"predictions", "r/logits"} & set(end_points)


@pytest.mark.parametrize("module", [resnet_v1, resnet_v2])
def test_positions_that_changed_between_versions_are_refused(module, graph):
    version = "v2" if module is resnet_v2 else "v1"
    with pytest.raises(TypeError):
        getattr(module, f"resnet_{version}_50")(tf.zeros([1, 32, 32, 3]), 7, False, True, None,
                                                True)


@pytest.mark.slow
@pytest.mark.oldest
@pytest.mark.parametrize("kwargs", [
    {"num_classes": 5, "is_training": False},
    {"num_classes": 5, "is_training": True},
    {"num_classes": 5, "is_training": False, "global_pool": False, "output_stride": 4},
    {"is_training": False, "global_pool": False, "output_stride": 8},
    {"is_training": False, "include_root_block": False, "output_stride": 1},
], ids=str)
def test_resnet_v1_has_tf_slims_numbers(kwargs):
    images = networks.images_of(33, 40)
    results = []
    for module in (resnet_v1, tf_slim_resnet_v1):
        with tf.Graph().as_default(), tf1.Session() as session:
            options = {"spatial_squeeze": False} if module is resnet_v1 else {}
            placeholder = tf1.placeholder(tf.float32, [None, None, None, 3])
            with slim.arg_scope(module.resnet_arg_scope()):
                net, end_points = module.resnet_v1(placeholder, tiny_blocks(module), scope="r",
                                                   **options, **kwargs)
            networks.load(session, networks.values_for(tf1.global_variables()))
            results.append(session.run((net, end_points), {placeholder: images}))
            results[-1] += (sorted(v.name for v in tf1.global_variables()),)
    (ours, our_points, our_names), (theirs, their_points, their_names) = results
    assert our_names == their_names
    our_points.pop("global_pool", None)
    assert set(our_points) == set(their_points)
    for key, value in their_points.items():
        np.testing.assert_allclose(our_points[key], value, rtol=1e-5, atol=1e-6, err_msg=key)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert np.ptp(ours) > 1e-3


def test_resnet_v1_depth_multiplier(graph):
    resnet_v1.resnet_v1_50(tf.zeros([1, 32, 32, 3]), is_training=False, depth_multiplier=0.25)
    shapes = {v.op.name: v.shape.as_list() for v in tf1.global_variables()}
    assert shapes["resnet_v1_50/block1/unit_1/bottleneck_v1/conv1/weights"] == [1, 1, 64, 16]
    assert shapes["resnet_v1_50/block4/unit_3/bottleneck_v1/conv3/weights"] == [1, 1, 128, 512]


def test_undecimated_activations_are_refused(graph):
    with pytest.raises(ValueError, match="store_non_strided_activations"):
        build_tiny(resnet_v1, 7, store_non_strided_activations=True)


def test_scripts_build_their_own_blocks_of_the_units(graph):
    block = resnet_utils.Block("block1", resnet_v1.bottleneck, [(16, 4, 2)])
    with slim.arg_scope(resnet_utils.resnet_arg_scope()):
        net, _ = resnet_v1.resnet_v1(tf.zeros([1, 16, 16, 3]), [block], global_pool=False,
                                     include_root_block=False, scope="r")
    assert net.shape == [1, 8, 8, 16]


def test_every_name_of_the_factory_builds_its_network():
    sizes = {"inception_v3": 299, "overfeat": 231}
    assert set(nets_factory.networks_map) == set(nets_factory.arg_scopes_map)
    for name, network in nets_factory.networks_map.items():
        assert network.default_image_size == sizes.get(name, 224), name
        assert nets_factory.get_network_fn(name, 3).default_image_size == \
            network.default_image_size


@pytest.mark.parametrize("name", [
    "resnet_v2_50", "alexnet_v2", *(pytest.param(name, marks=pytest.mark.slow)
                                    for name in ("resnet_v1_50", "inception_v1"))])
def test_networks_of_the_factory(name, graph):
    network_fn = nets_factory.get_network_fn(name, num_classes=5, weight_decay=0.5,
                                             is_training=True)
    size = 32 if "resnet" in name else network_fn.default_image_size
    logits, end_points = network_fn(tf.zeros([2, size, size, 3]))
    assert logits.shape == [2, 5]
    assert end_points
    weights = [v for v in tf1.trainable_variables() if v.op.name.endswith("/weights")]
    assert len(tf1.get_collection(tf1.GraphKeys.REGULARIZATION_LOSSES)) >= len(weights)
    updates = tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)
    assert bool(updates) == (name != "alexnet_v2")


def test_a_name_that_only_research_slim_has_is_said():
    with pytest.raises(ValueError, match="unknown nasnet_large.*resnet_v2_50"):
        nets_factory.get_network_fn("nasnet_large", 5)


def test_vgg_shares_variables_when_told_to(graph):
    images = tf.zeros([1, 224, 224, 3])
    with slim.arg_scope(vgg.vgg_arg_scope()):
        vgg.vgg_a(images, 3, is_training=False, fc_conv_padding="VALID")
        names = {v.op.name for v in tf1.global_variables()}
        logits, _ = vgg.vgg_a(images, 3, is_training=False, reuse=True)
    assert "vgg_a/fc8/weights" in names and len(names) == 22
    assert {v.op.name for v in tf1.global_variables()} == names
    assert logits.shape == [1, 3]
    assert vgg.vgg_d is vgg.vgg_16


@pytest.mark.parametrize("network, kwargs, named", [
    (vgg.vgg_16, {"fc_conv_padding": "SAME"}, "fc_conv_padding='SAME'"),
    (vgg.vgg_19, {"global_pool": True}, "global_pool=True"),
    (vgg.vgg_16, {"num_classes": None}, "num_classes=None"),
    (inception.inception_v3, {"global_pool": True}, "global_pool=True"),
    (inception_v1.inception_v1, {"num_classes": 0}, "num_classes=0"),
    (alexnet.alexnet_v2, {"global_pool": True}, "global_pool=True"),
    (overfeat.overfeat, {"global_pool": True}, "global_pool=True"),
])
def test_what_tf_slim_cannot_build_is_refused(network, kwargs, named, graph):
    with pytest.raises(ValueError, match=f"has no {named}.*folder nets"):
        network(tf.zeros([1, 224, 224, 3]), **kwargs)


def test_vgg_takes_what_stood_at_two_positions_by_keyword_only(graph):
    with pytest.raises(TypeError, match="from number 6 on by keyword"):
        vgg.vgg_16(tf.zeros([1, 224, 224, 3]), 3, False, 0.5, True, "scope")
