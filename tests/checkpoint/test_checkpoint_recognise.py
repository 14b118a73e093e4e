"""Recognition from names and shapes alone; no file, no session."""

import functools
import types

import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v2 as slim_resnet_v2

from slim_resnet import blog, resnet_v2
from slim_resnet.checkpoint import Selection, recognise
from slim_resnet.checkpoint.recognition import UnbuildableNetwork
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints

tf1 = tf.compat.v1


def shapes_of(build, channels=3, size=32):
    """Returns what `recognise` looks at of the graph that ``build(images)`` makes."""
    return dict(_shapes_of(build, channels, size))


@functools.cache
def _shapes_of(build, channels, size):
    with tf.Graph().as_default():
        build(tf1.placeholder(tf.float32, [1, size, size, channels]))
        return {v.op.name: tuple(v.shape.as_list()) for v in tf1.global_variables()}


def shapes_of_units(units, base_depth):
    """Returns the shapes of slim's network in the scope S, without building all of its units."""
    shapes = shapes_of(checkpoints.slim_builder((1, 1, 1, 1), 1001, "S", base_depth=base_depth))
    for block, number in enumerate(units, 1):
        first = {n: s for n, s in shapes.items() if f"/block{block}/unit_1/" in n}
        width = first[f"S/block{block}/unit_1/bottleneck_v2/conv3/weights"][-1]
        for unit in range(2, number + 1):
            for name, shape in first.items():
                if "/shortcut/" in name:
                    continue
                if "/preact/" in name:
                    shape = (width,)
                elif name.endswith("/conv1/weights"):
                    shape = (1, 1, width, shape[-1])
                shapes[name.replace("/unit_1/", f"/unit_{unit}/")] = shape
    return shapes


def found(shapes, selection=None):
    return recognise(types.SimpleNamespace(
        path="net.ckpt", shapes=shapes, selection=selection or Selection("net.ckpt"),
        notes={}))


@pytest.fixture(scope="module")
def tiny():
    return shapes_of(checkpoints.slim_builder())


@pytest.mark.parametrize("depth,units", resnet_v2.DEPTHS.items())
def test_released_depths(depth, units):
    result = found(shapes_of_units(units, base_depth=64))
    assert (result.variant, result.depth, result.scope) == ("slim", depth, "S")
    assert (result.num_classes, result.input_channels, result.root_block) == (1001, 3, True)
    assert result.blocks == resnet_v2.blocks_of_depth(depth)
    assert result.leftovers == {}


def test_depth_needs_its_channels_too():
    result = found(shapes_of_units((3, 4, 6, 3), base_depth=1))
    assert (result.scope, result.depth) == ("S", None)
    assert [len(block.args) for block in result.blocks] == [3, 4, 6, 3]
    assert result.blocks[3].args[0] == {"depth": 32, "depth_bottleneck": 8, "stride": 1}
    assert [block.args[-1]["stride"] for block in result.blocks] == [2, 2, 2, 1]


@pytest.mark.parametrize("scope,num_classes", [
    ("resnet_v2_101", 1000), ("FirstStageFeatureExtractor/resnet_v2_101", None),
    ("a/b/c", 1001), ("block1", 1)])
def test_scope_and_classes(scope, num_classes):
    for builder, variant, unit_fn in (
            (checkpoints.slim_builder, "slim", resnet_v2.bottleneck),
            (checkpoints.blog_builder, "blog", blog.bottleneck)):
        result = found(shapes_of(builder((1, 1), num_classes, scope)))
        assert (result.variant, result.scope, result.num_classes) == (variant, scope, num_classes)
        assert [block.unit_fn for block in result.blocks] == [unit_fn] * 2


def test_blocks_are_in_order_of_their_numbers():
    result = found(shapes_of(checkpoints.slim_builder((1,) * 10)))
    assert [block.scope for block in result.blocks] == [f"block{i}" for i in range(1, 11)]


def test_without_root_block_and_scope():
    def build(images):
        with slim.arg_scope(slim_resnet_v2.resnet_arg_scope()):
            slim_resnet_v2.resnet_v2(images, checkpoints.slim_blocks((1, 2)), 10,
                                     include_root_block=False, scope="S")
    shapes = {n[2:]: s for n, s in shapes_of(build, channels=5).items()}
    result = found(shapes)
    assert (result.root_block, result.scope, result.input_channels) == (False, "", 5)


def test_leftovers_are_counted(tiny):
    start = "resnet_v2_50/conv1/weights/"
    extra = ["global_step", "mean_rgb", "beta1_power", "beta2_power", start + "Adam",
             start + "Adam_1", start + "Momentum", start + "RMSProp", start + "RMSProp_1",
             start + "ExponentialMovingAverage", "rpn/head/weights", "resnet_v2_50/mine"]
    result = found({**tiny, **dict.fromkeys(extra, ())})
    assert result.leftovers == {
        "Adam": 2, "ExponentialMovingAverage": 1, "Momentum": 1, "RMSProp": 2, "global_step": 1,
        "mean_rgb": 1, "other": 1, "scalar": 3}
    assert result.blocks == found(tiny).blocks


def test_zero_debias_repeats_the_scope():
    shapes = shapes_of(checkpoints.blog_builder(scope="a/block1", is_training=True))
    result = found(shapes)
    assert (result.variant, result.scope) == ("blog", "a/block1")
    assert [block.scope for block in result.blocks] == ["block1", "block2"]
    # 3 units of 4 batch norms, and postnorm.
    assert result.leftovers == {"zero_debias": 2 * 13}


@pytest.mark.parametrize("build,said", [
    (lambda x: tf1.get_variable("conv2d_3/kernel", [1]), "a network of Keras or tf.layers"),
    (lambda x: tf1.get_variable("w", [1]), "variables of no known network (w)"),
    (lambda x: tf1.get_variable("global_step", [1]), "no variables of a network"),
])
def test_other_networks_are_named(build, said):
    with pytest.raises(SlimResnetError) as caught:
        found(shapes_of(build))
    assert str(caught.value) == f"net.ckpt: holds {said}, and no network of slim or the blog"


@pytest.mark.parametrize("name,said", [
    ("FeatureExtractor/MobilenetV1/Conv2d_0/weights", "MobileNet (MobilenetV1)"),
    ("InceptionV4/Conv2d_1a_3x3/weights", "Inception V4 (InceptionV4)"),
    ("InceptionResnetV2/Conv2d_1a_3x3/weights", "Inception-ResNet (InceptionResnetV2)"),
    ("cell_stem_0/1x1/weights", "NASNet or PNASNet (cell_stem_0)"),
    ("xception_65/entry_flow/conv1_1/weights",
     "a network of research/slim or DeepLab (xception_65)")])
def test_networks_that_tf_slim_does_not_ship(name, said):
    with pytest.raises(UnbuildableNetwork) as caught:
        found({name: (3, 3, 3, 8), "global_step": ()})
    assert str(caught.value) == (f"net.ckpt: holds {said}, which tf_slim does not ship: it can be "
                                 "described, and not built here")
    assert caught.value.leftovers == {"global_step": 1, "other": 1}


@pytest.mark.parametrize("lost", [
    "conv1/weights", "conv1/biases", "postnorm/gamma", "logits/biases", "logits/weights",
    "block1/unit_1/bottleneck_v2/shortcut/weights",
    "block1/unit_2/bottleneck_v2/conv2/BatchNorm/moving_mean",
    "block2/unit_1/bottleneck_v2/conv3/weights"])
def test_part_of_a_network(tiny, lost):
    with pytest.raises(SlimResnetError, match=f"only part .* no resnet_v2_50/{lost}; --allow"):
        found({n: s for n, s in tiny.items() if n != f"resnet_v2_50/{lost}"})


def test_a_unit_that_is_missing(tiny):
    with pytest.raises(SlimResnetError, match="block1/unit_1/bottleneck_v2/conv3/weights; "):
        found({n: s for n, s in tiny.items() if "block1/unit_1" not in n})


@pytest.mark.parametrize("name,shape", [
    ("conv1/weights", (5, 5, 3, 64)), ("conv1/weights", (64,)), ("postnorm/beta", (9,)),
    ("block1/unit_1/bottleneck_v2/conv2/weights", (3, 3, 1, 2)),
    ("block1/unit_1/bottleneck_v2/preact/gamma", ()), ("logits/weights", (9, 10))])
def test_shapes_that_do_not_go_together(tiny, name, shape):
    with pytest.raises(SlimResnetError, match="has the shape .* it must have"):
        found({**tiny, f"resnet_v2_50/{name}": shape})


def test_two_networks(tiny):
    both = {**tiny, **{n.replace("resnet_v2_50", "other"): s for n, s in tiny.items()}}
    with pytest.raises(SlimResnetError, match="holds 2 networks: other, resnet_v2_50; choose"):
        found(both)
