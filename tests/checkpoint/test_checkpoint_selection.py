"""Networks that are a part of a checkpoint, and what no checkpoint says of them."""

import json
import types

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v2 as slim_resnet_v2

from slim_resnet import cli
from slim_resnet.checkpoint import Selection, build_from_checkpoint, recognise, restore
from slim_resnet.checkpoint.recognition import UnbuildableNetwork
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference import InferenceModel
from tests.helpers import checkpoints

tf1 = tf.compat.v1

SCOPE = "resnet_v2_50"
UNITS = (1, 2, 1)


def save(path, arrays):
    """Writes arrays by name as a V2 checkpoint."""
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    with tf.Graph().as_default(), tf1.Session() as session:
        feeds = [tf1.placeholder(value.dtype, value.shape) for value in arrays.values()]
        session.run(tf.raw_ops.SaveV2(prefix=str(path), tensor_names=list(arrays),
                                      shape_and_slices=[""] * len(arrays), tensors=feeds),
                    dict(zip(feeds, arrays.values())))
    return str(path)


def values_of(selection, images):
    with tf.Graph().as_default(), tf1.Session() as session:
        return session.run(build_from_checkpoint(selection, tf.constant(images), session=session))


def check(selection, written, keys=None):
    """Asserts that end points have the values that tf_slim's network gave; returns their keys."""
    net, end_points = values_of(selection, written.images)
    for key, value in end_points.items():
        np.testing.assert_allclose(value, written.end_points[key], rtol=1e-5, atol=1e-5,
                                   err_msg=key)
    return net, list(end_points)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("whole") / "net",
                             checkpoints.slim_builder(UNITS))


@pytest.fixture(scope="module")
def towers(whole, tmp_path_factory):
    """A file with the network twice, of other values, and a head under its scope."""
    rng = np.random.RandomState(3)
    arrays = {f"tower_0/{name}": value for name, value in whole.values.items()}
    arrays.update({f"tower_1/{name}": value * rng.uniform(.5, 1, value.shape).astype(np.float32)
                   for name, value in whole.values.items()})
    arrays[f"tower_0/{SCOPE}/head/weights"] = np.ones([8, 2], np.float32)
    return save(tmp_path_factory.mktemp("towers") / "towers", arrays)


def strip(end_points, scope):
    return {key.removeprefix(f"{scope}/"): value for key, value in end_points.items()}


@pytest.mark.parametrize("scope", ["tower_0", f"tower_0/{SCOPE}", f"tower_0/{SCOPE}/"])
def test_towers(towers, whole, scope):
    _, end_points = values_of(Selection(towers, scope=scope), whole.images)
    expected = strip(whole.end_points, SCOPE)
    end_points = strip(end_points, f"tower_0/{SCOPE}")
    assert end_points.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(end_points[key], value, rtol=1e-5, atol=1e-5, err_msg=key)


def test_another_tower_has_other_values(towers, whole):
    other = values_of(Selection(towers, scope="tower_1"), whole.images)[0]
    assert np.abs(other - whole.net).max() > .01


@pytest.mark.parametrize("scope,said", [
    ((), r"holds 2 networks: tower_0/resnet_v2_50, tower_1/resnet_v2_50; choose one with --scope"),
    ("tower_2", r"holds no networks under the scope 'tower_2'; there are tower_0/resnet_v2_50, t"),
    ("", "holds no networks under the scope ''")])
def test_scopes_are_listed(towers, scope, said):
    with pytest.raises(SlimResnetError, match=said):
        values_of(Selection(towers, scope=scope), np.zeros([1, 9, 9, 3]))


@pytest.mark.parametrize("optimize", [False, True])
def test_one_network_over_two_scopes(whole, tmp_path, optimize):
    path = save(tmp_path / "stages", {
        name.replace(SCOPE, "Second/net" if "block3" in name or "logits" in name
                     else "First/net"): value for name, value in whole.values.items()})
    with pytest.raises(SlimResnetError, match="2 networks: First/net, Second/net; .*in parts"):
        values_of(path, whole.images)
    selection = Selection(path, scope=("First", "Second"))
    if optimize:
        with InferenceModel.from_checkpoint(selection, "float32") as model:
            np.testing.assert_allclose(model.logits(whole.images), whole.net[:, 0, 0], rtol=1e-4,
                                       atol=1e-5)
    else:
        np.testing.assert_allclose(values_of(selection, whole.images)[0], whole.net, rtol=1e-5)


@pytest.mark.parametrize("lost,last,missing", [
    ("postnorm/gamma", "block3", "postnorm/gamma"),
    ("block3/", "block2", "postnorm"),
    ("block2/unit_2/bottleneck_v2/conv2/weights", "block2/unit_1/bottleneck_v2", "block2/unit_2"),
    ("block3/unit_1/bottleneck_v2/preact/beta", "block2", "block3/unit_1")])
def test_features_up_to_what_is_whole(whole, tmp_path, lost, last, missing):
    path = save(tmp_path / "part", {
        name: value for name, value in whole.values.items()
        if not name.startswith(f"{SCOPE}/{lost}")
        and not (lost == "block3/" and "/postnorm/" in name)})
    with pytest.raises(SlimResnetError, match=f"only part .*no {SCOPE}/{missing}.*--allow-missing"):
        values_of(path, whole.images)
    net, keys = check(Selection(path, allow_missing=True), whole)
    assert keys[-1] == f"{SCOPE}/{last}"
    in_order = list(whole.end_points)
    assert keys == in_order[:in_order.index(keys[-1]) + 1]
    np.testing.assert_allclose(net, whole.end_points[keys[-1]], rtol=1e-5, atol=1e-5)


def test_exclude_hides_the_logits(whole):
    selection = Selection(whole.path, exclude="*/logits/*")
    net, keys = check(selection, whole)
    assert f"{SCOPE}/logits" not in keys and net.shape == (1, 1, 1, 16)
    with pytest.raises(SlimResnetError, match=r"exclude pattern '\*/nothing' fits no variable"):
        values_of(Selection(whole.path, exclude="*/nothing"), whole.images)


@pytest.mark.parametrize("optimize", [False, True])
def test_without_gamma_and_with_dense_logits(tmp_path, optimize):
    def build(images):
        with slim.arg_scope(slim_resnet_v2.resnet_arg_scope(batch_norm_scale=False)):
            return slim_resnet_v2.resnet_v2(images, checkpoints.slim_blocks(UNITS), 10,
                                            is_training=False, scope=SCOPE)
    written = checkpoints.write(tmp_path / "written", build)
    values = dict(written.values)
    values[f"{SCOPE}/logits/weights"] = values[f"{SCOPE}/logits/weights"][0, 0]
    path = save(tmp_path / "net", values)
    if optimize:
        with InferenceModel.from_checkpoint(path, "float32") as model:
            np.testing.assert_allclose(model.logits(written.images), written.net[:, 0, 0],
                                       rtol=1e-4, atol=1e-5)
    else:
        assert check(path, written)[0].shape == (1, 1, 1, 10)


@pytest.mark.parametrize("blocks,output_stride,strides", [
    ("1,2@1,1", None, ([1], [2, 1], [1])), ("2,1,2", None, ([2], [1, 1], [2])),
    (None, 8, ([2], [1, 1], [1])), ("2,2,2", 8, ([2], [1, 1], [1]))])
def test_strides(tmp_path, blocks, output_stride, strides):
    table = checkpoints.slim_blocks(UNITS)
    if blocks:
        given = {"1,2@1,1": ([1], [2, 1], [1]), "2,1,2": ([2], [1, 1], [2]),
                 "2,2,2": ([2], [1, 2], [2])}[blocks]
        table = [block._replace(args=[dict(unit, stride=stride) for unit, stride in
                                      zip(block.args, own)]) for block, own in zip(table, given)]

    def build(images):
        with slim.arg_scope(slim_resnet_v2.resnet_arg_scope()):
            return slim_resnet_v2.resnet_v2(images, table, 10, is_training=False, scope=SCOPE,
                                            output_stride=output_stride)
    written = checkpoints.write(tmp_path / "net", build)
    selection = Selection(written.path, blocks=blocks, output_stride=output_stride)
    check(selection, written)
    found = recognised(written.values, blocks=blocks, output_stride=output_stride)
    assert tuple([unit["stride"] for unit in block.args] for block in found.blocks) == strides
    assert ("strides" in found.assumed) == (blocks is None)
    with InferenceModel.from_checkpoint(selection, "float32") as model:
        np.testing.assert_allclose(model.logits(written.images), written.net[:, 0, 0], rtol=1e-4,
                                   atol=1e-5)


def recognised(values, **options):
    return recognise(types.SimpleNamespace(
        path="net", shapes={name: np.shape(value) for name, value in values.items()},
        selection=Selection("net", **options), notes={}))


@pytest.mark.parametrize("options,said", [
    ({"blocks": "2,2"}, "--blocks 2,2 has 2 strides, and the network 3 blocks"),
    ({"blocks": "2@4,2,1"}, "block1 has 1 units, and no unit 4"),
    ({"blocks": "2,²,1"}, "write the stride of each block's last unit"),
    ({"output_stride": 6}, "--output-stride 6: The output_stride needs to be a multiple of 4"),
    ({"output_stride": 64}, "--output-stride 64: The target output_stride cannot be reached")])
def test_strides_that_cannot_be(whole, options, said):
    with pytest.raises(SlimResnetError, match=said):
        recognised(whole.values, **options)


def test_what_is_assumed_is_said(whole, towers, capsys):
    assert recognised(whole.values).assumed == {
        "strides": "slim's, for no checkpoint records them: 2 in the last unit of block1, 2 in "
                   "the last unit of block2"}
    assert cli.main(["checkpoint", "describe", towers, "--scope", "tower_0", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["selection"] == {"scope": ["tower_0"]}
    assert record["network"]["assumed"]["others"] == (
        f"1 variables under its scope are none of its own, and left alone: "
        f"tower_0/{SCOPE}/head/weights")


def test_a_released_table_that_ends_early_keeps_its_strides():
    # As object detectors have it: the last block is elsewhere.
    with tf.Graph().as_default():
        with slim.arg_scope(slim_resnet_v2.resnet_arg_scope()):
            slim_resnet_v2.resnet_v2(
                tf1.placeholder(tf.float32, [1, 32, 32, 3]),
                [slim_resnet_v2.resnet_v2_block("block1", 64, 3, 2)], scope="S")
        values = {v.op.name: np.empty(v.shape.as_list(), np.bool_)
                  for v in tf1.global_variables() if "postnorm" not in v.op.name}
    found = recognised(values, allow_missing=True)
    assert [unit["stride"] for unit in found.blocks[0].args] == [1, 1, 2]
    assert (found.depth, found.missing) == (None, "S/postnorm/gamma")


@pytest.mark.parametrize("name,shape", [
    (f"{SCOPE}/block1/unit_1/bottleneck_v2/se/fc1/weights", (4, 1)),
    (f"{SCOPE}/block2/cbam/conv/weights", (7, 7, 2, 1)),
    (f"{SCOPE}/block2/unit_2/bottleneck_v2/shortcut/weights", (1, 1, 8, 8)),
    (f"{SCOPE}/conv1/BatchNorm/beta", (64,))])
def test_parts_of_others_are_not_called_slims(whole, name, shape):
    with pytest.raises(UnbuildableNetwork, match="with 1 variables more in its layers .*not built"
                       ) as caught:
        recognised({**whole.values, name: np.zeros(shape)})
    assert name in caught.value.title
    assert recognised({**whole.values, name: np.zeros(shape)}, exclude=name).scope == SCOPE


@pytest.mark.parametrize("block", ["²", "block²", "①", "block" + "7" * 5000, "٣"])
def test_odd_names_of_blocks(whole, block):
    values = {name.replace("block3", block): value for name, value in whole.values.items()}
    assert block in [one.scope for one in recognised(values).blocks]


@pytest.mark.parametrize("name,shape", [
    ("logits/weights", (1, 1, 16, 0)), ("logits/weights", (16, 0))])
def test_no_classes(whole, name, shape):
    with pytest.raises(SlimResnetError, match="a network without channels or classes"):
        recognised({**whole.values, f"{SCOPE}/{name}": np.zeros(shape),
                    f"{SCOPE}/logits/biases": np.zeros(0)})


def test_no_channels(whole):
    with pytest.raises(SlimResnetError, match="conv1/weights .*without channels or classes"):
        recognised({**whole.values, f"{SCOPE}/conv1/weights": np.zeros((7, 7, 0, 64))})


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_channels(whole, channels):
    values = {**whole.values, f"{SCOPE}/conv1/weights": np.zeros((7, 7, channels, 64))}
    assert recognised(values).input_channels == channels


def partitioned(shards):
    return tf1.get_variable("S/w", [6, 4], partitioner=tf1.fixed_size_partitioner(shards),
                            initializer=tf1.zeros_initializer())


@pytest.mark.parametrize("in_file", ["whole", "slices", "parts"])
@pytest.mark.parametrize("shards", [1, 3])
def test_partitioned_variables(tmp_path, in_file, shards):
    value = np.arange(24, dtype=np.float32).reshape(6, 4)
    if in_file == "slices":
        path = str(tmp_path / "net")
        with tf.Graph().as_default(), tf1.Session() as session:
            for at, part in enumerate(partitioned(2)):
                session.run(part.assign(value[3 * at:3 * at + 3]))
            tf1.train.Saver().save(session, path, write_meta_graph=False)
    else:
        path = save(tmp_path / "net", {"S/w": value} if in_file == "whole" else {
            f"S/w/part_{at}": part for at, part in enumerate(np.split(value, 3))})
    with tf.Graph().as_default(), tf1.Session() as session:
        if shards == 1:
            variable = tf1.get_variable("S/w", [6, 4])
        else:
            variable = tf.concat(list(partitioned(shards)), 0)
        names = restore(session, path)
        assert names == (["S/w"] if shards == 1 else [f"S/w/part_{at}" for at in range(3)])
        np.testing.assert_array_equal(session.run(variable), value)


def test_partitioned_variables_of_another_shape(tmp_path):
    path = save(tmp_path / "net", {"S/w": np.zeros([6, 5], np.float32)})
    with tf.Graph().as_default(), tf1.Session() as session:
        partitioned(3)
        with pytest.raises(SlimResnetError, match=r"S/w is \[6, 5\] in the file and \[6, 4\]"):
            restore(session, path)
