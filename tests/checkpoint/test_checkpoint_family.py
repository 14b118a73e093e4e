"""The rest of tf_slim's networks: found by names and shapes, built and restored."""

import functools
import math
import types

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v1 as slim_resnet_v1

from slim_resnet import resnet_v1
from slim_resnet.checkpoint import Selection, build_from_checkpoint, recognise
from slim_resnet.checkpoint.plain import aux_kernel_of
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import MODELS
from tests.helpers import checkpoints, networks
from tests.helpers.family import MODULES, plain_builder, v1_blocks, v1_builder

tf1 = tf.compat.v1


@functools.cache
def shapes_of(build):
    with tf.Graph().as_default():
        build(tf1.placeholder(tf.float32, [1, 32, 32, 3]))
        return {v.op.name: tuple(v.shape.as_list()) for v in tf1.global_variables()}


@functools.cache
def shapes_of_plain(name, size=None):
    """Those of a network of `MODULES`, which are not to be changed."""
    return types.MappingProxyType(shapes_of(plain_builder(name, size=size)))


def found(shapes, selection=None):
    return recognise(types.SimpleNamespace(
        path="net.ckpt", shapes=shapes, selection=selection or Selection("net.ckpt"),
        notes={}))


def built(path, images, size=None, **options):
    """Returns the recognised network's values and the auxiliary head's kernel for images."""
    with tf.Graph().as_default(), tf1.Session() as session:
        images = tf.constant(images)
        if size:
            images = tf.image.resize(images, [size, size])
        return session.run(build_from_checkpoint(path, images, **options))


@pytest.mark.parametrize("options", [
    {}, {"num_classes": None, "scope": "FirstStageFeatureExtractor/resnet_v1_101"},
    {"num_classes": 1000, "include_root_block": False}], ids=str)
def test_resnet_v1_to_every_end_point(tmp_path, options):
    written = checkpoints.write(tmp_path / "V1" / "net.ckpt", v1_builder(**options),
                                checkpoints.V1, also={checkpoints.V2: tmp_path / "V2" / "net.ckpt"},
                                extra={"global_step": 3})
    for folder in ("V1", "V2"):
        net, end_points = built(tmp_path / folder, written.images)
        np.testing.assert_allclose(net, written.net, rtol=1e-5)
        networks.assert_close(end_points, written.end_points)
        if "predictions" in end_points:
            assert len(set(end_points["predictions"].ravel())) > 2


def test_resnet_v1_of_any_table():
    result = found(shapes_of(v1_builder()))
    assert (result.variant, result.model, result.depth) == ("slim_v1", None, None)
    assert (result.num_classes, result.input_channels, result.root_block) == (10, 3, True)
    assert result.blocks == v1_blocks(resnet_v1)
    assert result.row.name == "resnet_v1" and result.row.preprocessing == "vgg"


def test_resnet_v1_of_a_released_depth():
    with tf.Graph().as_default():
        with slim.arg_scope(slim_resnet_v1.resnet_arg_scope()):
            slim_resnet_v1.resnet_v1_50(tf.zeros([1, 32, 32, 3]), 1000, is_training=False)
        shapes = {v.op.name: tuple(v.shape.as_list()) for v in tf1.global_variables()}
    result = found(shapes)
    assert (result.variant, result.model, result.depth) == ("slim_v1", "resnet_v1_50", 50)
    assert result.blocks == resnet_v1.blocks_of_depth(50)


def test_deeplabs_root(tmp_path):
    def build(images):
        with slim.arg_scope(resnet_v1.resnet_arg_scope()):
            return resnet_v1.resnet_v1(images, v1_blocks(resnet_v1), 5, is_training=False,
                                       scope="resnet_v1_50",
                                       root_block_fn=resnet_v1.root_block_fn_for_beta_variant)
    written = checkpoints.write(tmp_path / "net.ckpt", build)
    result = found({name: value.shape for name, value in written.values.items()})
    assert (result.variant, result.input_channels) == ("deeplab_v1", 3)
    assert (result.row.name, result.row.preprocessing) == ("resnet_v1_beta", "inception")
    net, end_points = built(written.path, written.images)
    networks.assert_close(end_points, written.end_points)
    assert "resnet_v1_50/conv1_3" in end_points


@pytest.mark.parametrize("lost", [
    "conv1/BatchNorm/beta", "block1/unit_1/bottleneck_v1/shortcut/BatchNorm/gamma",
    "block2/unit_1/bottleneck_v1/conv3/BatchNorm/moving_mean", "logits/biases"])
def test_part_of_a_resnet_v1(lost):
    shapes = dict(shapes_of(v1_builder()))
    del shapes[f"resnet_v1_50/{lost}"]
    with pytest.raises(SlimResnetError, match=f"only part of slim's ResNet V1: it holds no "
                                               f"resnet_v1_50/{lost}; --allow-missing"):
        found(shapes)


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.slow) if name == "inception_v2" else name
    for name in MODULES])
def test_each_is_told_from_the_others(name):
    shapes = {variable.replace(MODELS[name].scope, "a/b", 1): shape
              for variable, shape in shapes_of_plain(name).items()}
    result = found(shapes)
    assert (result.model, result.scope, result.num_classes) == (name, "a/b", 7)
    assert (result.variant, result.blocks, result.input_channels) == (None, [], 3)
    assert result.aux_kernel == (5 if name == "inception_v3" else None)
    assert result.leftovers == {}
    assert found({"global_step": (), "a/b/mine": (1,), **shapes}).leftovers == {
        "global_step": 1, "other": 1}


@pytest.mark.parametrize("name,lost", [
    ("vgg_16", "conv3/conv3_3/weights"), ("vgg_19", "conv5/conv5_4/biases"),
    ("inception_v3", "Mixed_7c/Branch_1/Conv2d_0a_1x1/BatchNorm/beta"),
    ("inception_v3", "AuxLogits/Conv2d_1b_1x1/weights"), ("alexnet_v2", "fc7/biases"),
    ("inception_v1", "Logits/Conv2d_0c_1x1/weights")])
def test_part_of_one(name, lost):
    shapes, scope = dict(shapes_of_plain(name)), MODELS[name].scope
    del shapes[f"{scope}/{lost}"]
    with pytest.raises(SlimResnetError, match="only part of .*: it holds no"):
        found(shapes)


def test_shapes_that_do_not_go_together():
    shapes = dict(shapes_of_plain("vgg_a"))
    shapes["vgg_a/conv2/conv2_1/weights"] = (3, 3, 64, 127)
    with pytest.raises(SlimResnetError, match=r"in VGG A it must have \[3, 3, 64, 128\]"):
        found(shapes)


def test_two_networks():
    shapes = shapes_of_plain("vgg_a")
    with pytest.raises(SlimResnetError, match="holds 2 networks: other, vgg_a"):
        found({**shapes, **{name.replace("vgg_a", "other"): shape
                            for name, shape in shapes.items()}})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet_v2", "vgg_16", "inception_v1", "inception_v2",
                                  "inception_v3"])
def test_every_end_point(tmp_path, name):
    written = checkpoints.write(tmp_path / "net.ckpt", plain_builder(name, 3, "a/b"),
                                checkpoints.V1)
    net, end_points = built(written.path, written.images, MODELS[name].image_size)
    np.testing.assert_allclose(net, written.net, rtol=1e-5, atol=1e-5 * np.abs(written.net).max())
    networks.assert_close(end_points, written.end_points)
    assert np.ptp(net) > 1e-3


@pytest.mark.slow
def test_dense_layers_are_the_convolutions_that_they_equal(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", plain_builder("alexnet_v2", 3))
    values = {name: value.reshape(math.prod(value.shape[:-1]), -1)
              if "/fc" in name and value.ndim == 4 else value
              for name, value in written.values.items()}

    def build(images):
        for name, value in values.items():
            tf1.get_variable(name, value.shape)
        return tf.zeros([]), {}

    checkpoints.write(tmp_path / "dense.ckpt", build, change=lambda all: all.update(values))
    net, end_points = built(tmp_path / "dense.ckpt", written.images, 224)
    networks.assert_close(end_points, written.end_points)
    # Without the squeeze it is fully convolutional: 288 pixels have a map of 3 x 3.
    net, _ = built(tmp_path / "dense.ckpt", written.images, 288, spatial_squeeze=False)
    assert net.shape == (1, 3, 3, 3)


@pytest.mark.parametrize("size,kernel", [(None, 5), (346, 5), (299, 5), (298, 4), (251, 4),
                                         (250, 3), (203, 3), (155, 2), (107, 1)])
def test_size_of_the_auxiliary_head(size, kernel):
    assert aux_kernel_of(size) == kernel


@pytest.mark.parametrize("size,kernel", [
    (None, 5), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(250, 3), (107, 1)])])
def test_kernel_of_the_auxiliary_head(size, kernel):
    shapes = shapes_of_plain("inception_v3", size)
    assert f"InceptionV3/AuxLogits/Conv2d_2a_{kernel}x{kernel}/weights" in shapes
    assert found(shapes).aux_kernel == kernel


@pytest.mark.slow
def test_auxiliary_logits_of_another_size_are_left_out(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", plain_builder("inception_v3", 3, size=203))
    _, end_points = built(written.path, written.images, 203)
    networks.assert_close(end_points, written.end_points)
    _, end_points = built(written.path, written.images, 155)
    assert "AuxLogits" not in end_points and "Predictions" in end_points
