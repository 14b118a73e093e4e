"""The table of networks: what its rows say is so of what they build."""

import subprocess
import sys

import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import models, resnet_v2
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import Preprocessing
from tests.helpers import checkpoints, networks

tf1 = tf.compat.v1


def test_the_table_needs_no_tensorflow():
    subprocess.run([sys.executable, "-c", "import sys; from slim_resnet import models; "
                    "assert models.MODELS and 'tensorflow' not in sys.modules"], check=True)


def test_rows_by_what_can_be_done_with_them():
    residual = ["blog_resnet_v2_152", "resnet_v2_50", "resnet_v2_101", "resnet_v2_152",
                "resnet_v2_200", "resnet_v1_50", "resnet_v1_101", "resnet_v1_152", "resnet_v1_200"]
    others = ["vgg_a", "vgg_16", "vgg_19", "inception_v1", "inception_v2", "inception_v3",
              "alexnet_v2", "overfeat"]
    from_blocks = ["resnet_v2", "blog_resnet_v2", "resnet_v1", "resnet_v1_beta"]
    assert list(models.MODELS) == [*residual, *others]
    assert list(models.FROM_BLOCKS) == from_blocks
    assert list(models.TRAINABLE) == [*from_blocks, *residual, *others]
    assert [name for name, model in models.MODELS.items() if model.network] == others
    assert [model.depth for model in models.MODELS.values() if model.variant == "slim"] \
        == list(resnet_v2.DEPTHS)
    assert {model.num_classes for model in models.MODELS.values()} == {1000}


def test_a_checkpoint_is_prepared_as_its_row_says(tmp_path):
    checkpoints.write(tmp_path / "net.ckpt")
    assert settings_of(str(tmp_path)) == (299, Preprocessing("inception"), None)
    for name, size, preprocessing in (
            ("resnet_v2_50", 299, "inception"), ("resnet_v1_50", 224, "vgg"),
            ("vgg_16", 224, "vgg"), ("inception_v1", 224, "inception"),
            ("inception_v3", 299, "inception"), ("overfeat", 231, "vgg")):
        row = models.MODELS[name]
        assert (row.evaluated_image_size, row.preprocessing) == (size, preprocessing)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg_a", "inception_v1", "inception_v2", "inception_v3",
                                  "alexnet_v2", "overfeat"])
def test_bounds_of_image_sizes(name):
    model = models.MODELS[name]
    for size, fits in ((model.min_image_size, True), (model.max_image_size, True),
                       (model.min_image_size - 1, name == "inception_v2"),
                       (model.max_image_size + 1, name == "vgg_a")):
        with tf.Graph().as_default():
            try:
                net, _ = model.build(tf1.placeholder(tf.float32, [1, size, size, 3]), 7, False)
            except ValueError:
                net = None
        assert (net is not None and net.shape == [1, 7]) == fits, size
        if not fits:
            with pytest.raises(SlimResnetError, match=f"{name} .*not {size}"):
                model.checked_image_size(size)


@pytest.mark.parametrize("name", ["vgg_16", "inception_v3"])
def test_classes_are_the_rows_unless_asked_for(graph, name):
    model = models.find_model(name)
    images = tf.zeros([1, model.image_size, model.image_size, 3])
    assert model.build(images, None, False)[0].shape == [1, 1000]


@pytest.mark.parametrize("name, conv3", [("slim", "biases"), ("blog", "BatchNorm/beta")])
@pytest.mark.parametrize("is_training", [True, False])
def test_variants_build_their_own_units_in_their_own_scope(capsys, name, conv3, is_training):
    variant = models.VARIANTS[name]
    blocks = variant.with_units(networks.tiny_blocks(resnet_v2))
    with tf.Graph().as_default():
        with slim.arg_scope(variant.arg_scope(is_training)):
            net, _ = variant.build(tf.zeros([2, 32, 32, 3]), blocks, 5, scope="s")
        names = {v.op.name for v in tf1.global_variables()}
        assert bool(tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)) == is_training
    assert net.shape == [2, 1, 1, 5]
    assert f"s/block2/unit_2/bottleneck_v2/conv3/{conv3}" in names
    assert any(name.endswith("/biased") for name in names) == (is_training and variant.zero_debias)
    assert capsys.readouterr().out == ""


def test_slims_may_be_dense_and_the_blogs_not(graph):
    slims, blogs = models.VARIANTS["slim"], models.VARIANTS["blog"]
    blocks = networks.tiny_blocks(resnet_v2)
    with slim.arg_scope(slims.arg_scope(False)):
        net, end_points = slims.build(tf.zeros([1, 32, 32, 3]), blocks, 5, output_stride=4,
                                      spatial_squeeze=True, scope="s")
    assert net.shape == [1, 5] and end_points["s/block2"].shape == [1, 8, 8, 8]
    for option in ({"output_stride": 4}, {"spatial_squeeze": True}):
        with pytest.raises(ValueError, match="the blog's has no output_stride"):
            blogs.build(tf.zeros([1, 32, 32, 3]), blocks, 5, **option)


def test_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(SlimResnetError, match="no model is named 'x'; there are blog_resnet_v2"):
        models.find_model("x")
