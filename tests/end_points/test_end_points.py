"""The table of end points, against counts worked by hand from the table of blocks."""

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import models, resnet_v2
from slim_resnet.end_points import table as ep
from slim_resnet.errors import SlimResnetError
from tests.helpers import networks

tf1 = tf.compat.v1

UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}


def by_hand(depth, num_classes, size=224, conv3_norm=False):
    """Works a network out on paper: ``(parameters, multiply-adds)`` by name of its parts.

    Args:
      depth: Of Table 1.
      num_classes: Number of logits.
      size: Of the images, in pixels; a multiple of 32.
      conv3_norm: Whether conv3 has a batch norm for its biases, as the blog's has.
    """
    parts = {"conv1": (7 * 7 * 3 * 64 + 64, 7 * 7 * 3 * 64 * (size // 2) ** 2)}
    side, channels = size // 4, 64
    for block, (count, width) in enumerate(zip(UNITS[depth], (64, 128, 256, 512)), 1):
        for unit in range(1, count + 1):
            after = side // 2 if unit == count and block < 4 else side
            out = 4 * width
            convolutions = [(channels * width, side), (9 * width * width, after),
                            (width * out, after)]
            norms = [channels, width, width]
            biases = 0 if conv3_norm else out
            if conv3_norm:
                norms.append(out)
            if channels != out:
                convolutions.append((channels * out, after))
                biases += out
            parts[f"block{block}/unit_{unit}/bottleneck_v2"] = (
                sum(weights for weights, _ in convolutions) + 4 * sum(norms) + biases,
                sum(weights * pixels ** 2 for weights, pixels in convolutions))
            side, channels = after, out
    parts["logits"] = (4 * channels + channels * num_classes + num_classes,
                       channels * num_classes)
    parts["predictions"] = (0, 0)
    return parts


@pytest.fixture(scope="module", params=[
    50, *(pytest.param(depth, marks=pytest.mark.slow) for depth in (101, 152, 200)), "blog"])
def counted(request):
    """Rows of a network at 224 x 224, its parts by hand, and its scope."""
    if request.param == "blog":
        end_points = request.getfixturevalue("blog_152")[2]
        return ep.summary(end_points), by_hand(152, 1000, conv3_norm=True), "resnet_v2_152/"
    name = f"resnet_v2_{request.param}"
    with tf.Graph().as_default():
        images = tf1.placeholder(tf.float32, [None, 224, 224, 3])
        _, end_points = models.find_model(name).build(images, 1001, False)
    return ep.summary(end_points), by_hand(request.param, 1001), f"{name}/"


def test_every_unit_has_the_counts_worked_by_hand(counted):
    rows, parts, scope = counted
    assert {row.key.removeprefix(scope): (row.parameters, row.multiply_adds) for row in rows
            if row.level == "unit" or row.parent is None and row.level == "layer"} == parts


def test_every_block_and_the_network_add_up(counted):
    rows, parts, scope = counted
    for block in range(1, 5):
        row, = [row for row in rows if row.key == f"{scope}block{block}"]
        assert row.level == "block" and row.parent is None
        inside = [cost for part, cost in parts.items() if part.startswith(f"block{block}/")]
        assert (row.parameters, row.multiply_adds) == tuple(map(sum, zip(*inside)))
        assert row.op_name == f"{row.key}/unit_{len(inside)}/bottleneck_v2/add"
    for depth in ("block", "unit", "layer"):
        total = ep.total(ep.select(rows, depth=depth))
        assert (total.parameters, total.multiply_adds) == tuple(map(sum, zip(*parts.values())))
    assert [row.level for row in ep.select(rows, depth="block")] == [
        "layer", *["block"] * 4, "layer", "layer"]
    units = sum(UNITS[{"resnet_v2_50/": 50, "resnet_v2_101/": 101, "resnet_v2_152/": 152,
                       "resnet_v2_200/": 200}[scope]])
    assert len(ep.select(rows, depth="unit")) == 3 + 4 + units


def test_published_network(blog_152):
    total = ep.total(ep.summary(blog_152[2]))
    assert total.parameters == 60_524_264
    assert total.multiply_adds == sum(macs for _, macs in by_hand(152, 1000).values())
    assert f"{total.multiply_adds / 1e9:.2f}" == "10.91"
    assert (total.key, total.level, total.shape) == ("total", "network", (32, 1, 1, 1000))


def tiny(images, module=resnet_v2, scope=None, num_classes=3, **kwargs):
    with slim.arg_scope(module.resnet_arg_scope()):
        return module.resnet_v2(images, networks.tiny_blocks(module), num_classes, scope=scope,
                                **kwargs)[1]


def images_placeholder(size=32):
    return tf1.placeholder(tf.float32, [None, size, size, 3])


def by_key(end_points):
    return {row.key: row for row in ep.summary(end_points)}


def test_fields_of_a_row(graph):
    rows = by_key(tiny(images_placeholder(), is_training=False))
    unit = "resnet_v2/block1/unit_1/bottleneck_v2"
    # One channel within: 64 to 1, 3 x 3, 1 to 4, and the shortcut 64 to 4 with the preact.
    assert rows[f"{unit}/conv2"] == ep.EndPoint(
        key=f"{unit}/conv2", op_name=f"{unit}/conv2/Relu", shape=(None, 8, 8, 1),
        parameters=9 + 4, trainable_parameters=9 + 2, moving_statistics=2, multiply_adds=9 * 64,
        activation_bytes=256, stride=4, receptive_field=19, level="layer", parent=unit)
    assert rows[f"{unit}/shortcut"].parameters == 4 * 64 + (64 * 4 + 4)
    assert rows[unit].parameters == 4 * 64 + (64 * 4 + 4) + (64 + 4) + (9 + 4) + (4 + 4)
    assert (rows[unit].level, rows[unit].parent) == ("unit", "resnet_v2/block1")
    assert (rows["predictions"].parameters, rows["predictions"].multiply_adds) == (0, 0)


def test_rows_are_in_graph_order_and_the_end_points_stay_as_they_are(graph):
    end_points = tiny(images_placeholder())
    before = dict(end_points)
    shuffled = {key: end_points[key] for key in sorted(end_points)}
    expected = [key for key in end_points if not key.startswith("predictions")] + ["predictions"]
    assert [row.key for row in ep.summary(shuffled)] == expected
    assert end_points == before


def test_training_mode_has_the_same_parameters(graph):
    rows = ep.summary(tiny(images_placeholder(), is_training=True))
    total = ep.total(rows)
    trainable, all_of_it = (sum(v.shape.num_elements() for v in variables) for variables in
                            (tf1.trainable_variables(), tf1.global_variables()))
    assert (total.parameters, total.trainable_parameters, total.moving_statistics) == (
        all_of_it, trainable, all_of_it - trainable)
    inference = ep.summary(tiny(images_placeholder(), is_training=False, scope="resnet_v2",
                                reuse=True))
    assert ep.total(inference).parameters == sum(
        v.shape.num_elements() for v in tf1.global_variables())
    assert ep.total(inference).multiply_adds == ep.total(rows).multiply_adds


def test_outer_scope_and_a_network_built_twice(graph):
    images = images_placeholder()
    with tf1.variable_scope("tower"):
        once = tiny(images, scope="net", is_training=False)
        twice = tiny(images, scope="net", is_training=False, reuse=True)
    assert "tower/net/block1/unit_1/bottleneck_v2/conv1" in by_key(once)
    alone, other = ep.total(ep.summary(once)), ep.total(ep.summary(twice))
    assert alone.parameters == other.parameters > 0
    # Together the work is done twice, and the variables are there once.
    both = {**once, **{f"again/{key}": tensor for key, tensor in twice.items()}}
    together = ep.total(ep.summary(both))
    assert together.parameters == alone.parameters
    assert together.multiply_adds == 2 * alone.multiply_adds
    assert by_key(both)["again/tower/net/block1"].level == "block"


def test_without_logits_and_with_a_dense_output(graph):
    rows = ep.summary(tiny(images_placeholder(64), num_classes=None, is_training=False))
    assert rows[-1].key == "resnet_v2/block2"
    dense = tiny(images_placeholder(64), is_training=False, scope="dense", global_pool=False,
                 output_stride=4)
    found = by_key(dense)
    assert found["dense/block2"].shape == (None, 16, 16, 8)
    assert found["dense/logits"].stride == 4
    # From block2 on, a map of 16 x 16 instead of 8 x 8, and the taps are apart instead.
    conv2 = "dense/block2/unit_1/bottleneck_v2/conv2"
    assert found[conv2].multiply_adds == 16 * 16 * 9 * 2 * 2
    assert found[conv2].receptive_field == 43


def test_unknown_sizes_are_none_and_no_error(graph):
    rows = ep.summary(tiny(images_placeholder(None), is_training=False))
    known = ep.summary(tiny(images_placeholder(32), is_training=False, scope="known"))
    conv1 = rows[0]
    assert (conv1.shape, conv1.multiply_adds, conv1.activation_bytes) == (
        (None, None, None, 64), None, None)
    total = ep.total(rows)
    assert (total.multiply_adds, total.activation_bytes) == (None, None)
    assert [row.parameters for row in rows] == [row.parameters for row in known]
    assert [row.stride for row in rows] == [row.stride for row in known]
    # A map of one pixel does not depend on the images.
    assert rows[-2].multiply_adds == known[-2].multiply_adds == 8 * 3


def test_vgg_by_hand(graph):
    _, end_points = models.find_model("vgg_16").build(images_placeholder(224), 1000, False)
    rows = ep.summary(end_points)
    # 3 x 3 convolutions at 224 to 14 pixels, then three dense layers.
    convolutions = [(224, 3, 64), (224, 64, 64), (112, 64, 128), (112, 128, 128),
                    (56, 128, 256), *[(56, 256, 256)] * 2, (28, 256, 512),
                    *[(28, 512, 512)] * 2, *[(14, 512, 512)] * 3]
    dense = 49 * 512 * 4096 + 4096 * 4096 + 4096 * 1000
    total = ep.total(rows)
    assert total.multiply_adds == dense + sum(
        9 * before * after * side ** 2 for side, before, after in convolutions)
    assert total.parameters == 138_357_544
    assert {row.level for row in rows} == {"layer"}


def test_inception(graph):
    _, end_points = models.find_model("inception_v3").build(images_placeholder(299), 1001, False)
    rows = ep.summary(end_points)
    assert {row.key for row in rows} == set(end_points)
    total = ep.total(rows)
    assert total.parameters == sum(v.shape.num_elements() for v in tf1.global_variables())
    # 5.72 GMAC, 5.7 million of them in the auxiliary head's two convolutions and its logits.
    assert f"{total.multiply_adds / 1e9:.2f}" == "5.72"
    assert by_key(end_points)["AuxLogits"].multiply_adds == (
        25 * 768 * 128 + 25 * 128 * 768 + 768 * 1001)


def test_total_of_some_rows_counts_what_is_within_others_once(graph):
    rows = ep.summary(tiny(images_placeholder(), is_training=False))
    some = ep.select(rows, ["*/block1", "*/block1/*/conv2", "*/logits"])
    assert [row.key.split("/")[-1] for row in some] == ["conv2", "conv2", "block1", "logits"]
    found = {row.key: row for row in rows}
    assert ep.total(some).parameters == (found["resnet_v2/block1"].parameters
                                         + found["resnet_v2/logits"].parameters)
    # block1 is its last unit's tensor, which is in memory once.
    pair = ep.select(rows, ["*/block1", "*/block1/unit_2/bottleneck_v2"])
    assert len(pair) == 2 and ep.total(pair).activation_bytes == pair[0].activation_bytes


def test_only_a_slash_and_what_comes_before_make_a_key_hold_another(graph):
    images = images_placeholder()
    a = tf.nn.relu(images)
    ab, inner, holder = tf.nn.relu(a), tf.nn.relu(a), tf.nn.relu(a)
    later = tf.nn.relu(holder)
    rows = by_key({"a": a, "ab": ab, "net/inner": inner, "net": holder, "net/later": later,
                   "ab/c": later})
    assert {key: row.parent for key, row in rows.items() if row.parent} == {"net/inner": "net"}
    assert rows["net"].level == "unit" and rows["ab"].level == "layer"


def test_bad_input(graph):
    end_points = tiny(images_placeholder())
    rows = ep.summary(end_points)
    with pytest.raises(SlimResnetError, match="there is no end point '\\*/blok1'; nearest: "
                       "resnet_v2/block1"):
        ep.select(rows, ["*/blok1"])
    with pytest.raises(SlimResnetError, match="'mine' is no tensor of a graph"):
        ep.summary({**end_points, "mine": np.zeros(3)})
    with tf.Graph().as_default():
        other = {"other": images_placeholder()}
    with pytest.raises(SlimResnetError, match="of 2 graphs"):
        ep.summary({**end_points, **other})
    assert ep.summary({}) == []
