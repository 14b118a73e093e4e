"""Statistics of end points against numpy, and what they betray."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import resnet_v2
from slim_resnet.end_points import activations
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.network import BuiltNetwork, Network
from tests.helpers import checkpoints, networks

tf1 = tf.compat.v1


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("activations") / "net.ckpt"
    written = checkpoints.write(path, checkpoints.slim_builder(base_depth=2))
    with Network(written.path, 32) as opened:
        yield opened


def images_of(count, seed=0):
    return np.random.RandomState(seed).uniform(-1, 1, [count, 32, 32, 3]).astype(np.float32)


def batches_of(images, size):
    return (images[start:start + size] for start in range(0, len(images), size))


def test_statistics_are_numpy_s(network):
    images = images_of(7)
    rows = {row.key: row for row in activations.layer_statistics(network, batches_of(images, 3))}
    values = network.run(network.end_points, images)
    assert set(rows) == set(values)
    for key, array in values.items():
        row, exact = rows[key], array.astype(np.float64)
        assert (row.images, row.values, row.channels) == (7, array.size, array.shape[-1])
        np.testing.assert_allclose([row.mean, row.std, row.min, row.max],
                                   [exact.mean(), exact.std(), exact.min(), exact.max()],
                                   rtol=1e-5, atol=1e-6, err_msg=key)
        assert (row.nan, row.inf) == (0, 0)
        relu = key.endswith(("bottleneck_v2/conv1", "bottleneck_v2/conv2"))
        assert (row.zeros is not None) == (row.dead is not None) == relu, key
        if relu:
            assert row.zeros == pytest.approx((array == 0).mean(), abs=1e-4)
            assert row.dead == tuple(np.flatnonzero((array == 0).all((0, 1, 2))))
    assert any(0 < row.zeros < 1 for row in rows.values() if row.zeros is not None)


def test_batch_norms_are_held_to_their_gamma_and_beta(network):
    images = images_of(4)
    unit = "resnet_v2_50/block1/unit_1/bottleneck_v2"
    rows = {row.key: row for row in activations.layer_statistics(network, [images])}

    def norms_of(unit):
        for name in ("preact/FusedBatchNormV3", "conv1/BatchNorm/FusedBatchNormV3"):
            op = network.session.graph.get_operation_by_name(f"{unit}/{name}")
            outputs, gamma, beta = network.run([op.outputs[0], *op.inputs[1:3]], images)
            squares = (((outputs - beta) / gamma) ** 2).mean((0, 1, 2), dtype=np.float64)
            yield np.sqrt(np.median(squares))

    preact, conv1 = norms_of(unit)
    # preact is what the shortcut, built first, depends on first.
    assert rows[f"{unit}/shortcut"].norm == pytest.approx(preact, rel=1e-4)
    assert rows[f"{unit}/conv1"].norm == pytest.approx(conv1, rel=1e-4)
    # Without a shortcut convolution conv1 is the first behind both: the farther from 1 counts.
    unit = "resnet_v2_50/block1/unit_2/bottleneck_v2"
    preact, conv1 = norms_of(unit)
    least = min(preact, conv1)
    assert 1 / least > max(preact, conv1)
    assert rows[f"{unit}/conv1"].norm == pytest.approx(least, rel=1e-4)
    assert rows["resnet_v2_50/conv1"].norm is None


def own(build, value, updates=0):
    """Builds end points in a session of their own, and gives the variables values."""
    graph = tf.Graph()
    session = tf1.Session(graph=graph)
    with graph.as_default():
        images = tf1.placeholder(tf.float32, [None, 32, 32, 3])
        end_points = build(images)
        networks.load(session, {v.op.name: value(v) for v in tf1.global_variables()})
        for _ in range(updates):
            session.run(tf1.get_collection(tf1.GraphKeys.UPDATE_OPS), {images: images_of(16)})
    return BuiltNetwork(session, images, end_points)


def plain(images):
    with slim.arg_scope([slim.conv2d], outputs_collections="own"):
        net = slim.conv2d(images, 3, [1, 1], scope="relu")
        slim.conv2d(net, 2, [1, 1], activation_fn=None, scope="linear")
    return slim.utils.convert_collection_to_dict("own")


def test_nan_infinity_dead_channels_and_constants():
    def build(images):
        return {"relu": tf.nn.relu(images - [0., 10., 0.]), "zero": images * 0}

    network = own(build, None)
    images = images_of(2)
    images[0, 0, 0, 0], images[1, 3, 4, 2], images[1, 5, 5, 2] = np.inf, np.nan, np.nan
    with network.session:
        relu, zero = activations.layer_statistics(network, [images[:1], images[1:]])
    assert (relu.nan, relu.inf, relu.dead, relu.values) == (2, 1, (1,), 2 * 32 * 32 * 3)
    made = np.maximum(images - np.float32([0, 10, 0]), 0)
    finite = made[np.isfinite(made)].astype(np.float64)
    assert (relu.mean, relu.std) == pytest.approx((finite.mean(), finite.std()), rel=1e-12)
    assert (relu.min, relu.max) == (0, finite.max())
    assert relu.zeros == (made == 0).mean()
    # Infinity times zero is NaN.
    assert (zero.nan, zero.inf, zero.min, zero.max, zero.std) == (3, 0, 0, 0, 0)
    assert zero.dead is None and relu.batch_change is None
    assert activations.doubts([relu, zero]) == [
        "2 of 2 end points hold NaN or infinite values; first relu",
        "1 of 2 end points are zero everywhere, for all images; first zero"]


def test_all_nan_has_counts_and_no_mean():
    network = own(plain, lambda variable: np.full(variable.shape, np.nan))
    with network.session:
        row = activations.layer_statistics(network, [images_of(2)], ["linear"])[0]
    assert (row.mean, row.std, row.min, row.max) == (None,) * 4
    assert row.nan == row.values == 2 * 32 * 32 * 2


def tiny(**kwargs):
    def build(images):
        with slim.arg_scope(resnet_v2.resnet_arg_scope(batch_norm_decay=0.5)):
            return resnet_v2.resnet_v2(images, networks.tiny_blocks(resnet_v2), 3, **kwargs)[1]
    return build


def learned(variable):
    """Values of a network that training has touched: nothing is what it begins with."""
    return checkpoints.distinct_value(variable.op.name, variable.shape.as_list(), np.float32)


def moved(variable):
    # Averages that have never been updated.
    if variable.op.name.endswith("moving_mean"):
        return np.zeros(variable.shape)
    if variable.op.name.endswith("moving_variance"):
        return np.ones(variable.shape)
    return 30 * learned(variable) if variable.op.name.endswith("weights") else learned(variable)


@pytest.mark.slow
def test_training_mode_shows():
    def doubts_of(is_training):
        network = own(tiny(is_training=is_training), learned)
        with network.session:
            rows = activations.layer_statistics(network, batches_of(images_of(6), 4))
        return rows, [doubt for doubt in activations.doubts(rows) if "training mode" in doubt]

    rows, doubts = doubts_of(True)
    # Only the root convolution is before the first batch norm.
    assert doubts == [
        f"{len(rows) - 1} of {len(rows)} end points change with the other images of the batch: "
        "the network was built in training mode (is_training=True), or something in it is "
        "random; first resnet_v2/block1/unit_1/bottleneck_v2/shortcut"]
    rows, doubts = doubts_of(False)
    assert not doubts and max(row.batch_change for row in rows) < 1e-4


@pytest.mark.slow
def test_moving_statistics_that_were_never_updated_show():
    images = images_of(16)

    def rows_after(updates):
        # Inference shares the variables of a training graph, whose updates it needs.
        def build(images):
            tiny(is_training=True, scope="resnet_v2")(images)
            return tiny(is_training=False, scope="resnet_v2", reuse=True)(images)

        network = own(build, moved, updates)
        with network.session:
            return activations.layer_statistics(network, [images])

    rows = rows_after(0)
    doubt, = [doubt for doubt in activations.doubts(rows) if "gamma and beta" in doubt]
    assert "UPDATE_OPS" in doubt and "were not updated" in doubt
    # One update follows the layers below as they were; a few settle all of them.
    rows = rows_after(30)
    norms = [row.norm for row in rows if row.norm is not None]
    assert len(norms) == 11 and norms == pytest.approx([1] * 11, abs=0.35)
    assert not activations.doubts(rows)


def test_growth_without_batch_norm_shows():
    def build(images):
        with slim.arg_scope(resnet_v2.resnet_arg_scope(use_batch_norm=False)):
            return plain(images)

    network = own(build, lambda variable: np.full(variable.shape, 3000.)
                  if variable.op.name == "linear/weights" else
                  np.full(variable.shape, 0.5))
    with network.session:
        rows = activations.layer_statistics(network, [images_of(2)])
    assert activations.doubts(rows) == [
        "1 of 2 end points have a standard deviation more than 1000 times that of relu: values "
        "grow from layer to layer, as nothing normalises them; first linear"]


def test_memory_is_bounded_by_channels_not_by_images(network, monkeypatch):
    fetched = []
    run = network.run

    def measured(fetches, images):
        values = run(fetches, images)
        fetched.append(max(np.size(array) for array in tf.nest.flatten(values)))
        return values

    monkeypatch.setattr(network, "run", measured)
    activations.layer_statistics(network, batches_of(images_of(5), 2))
    # Three batches, and the first image alone.
    assert fetched == [64] * 4


def test_chosen_keys_ctrl_c_and_bad_keys(network):
    def interrupted():
        yield images_of(3)
        yield images_of(2)
        raise KeyboardInterrupt

    keys = ["resnet_v2_50/logits", "resnet_v2_50/block1"]
    rows = activations.layer_statistics(network, interrupted(), keys)
    assert [row.key for row in rows] == keys[::-1]
    assert {row.images for row in rows} == {5}
    assert activations.layer_statistics(network, iter(())) == []
    assert activations.doubts([]) == []
    with network.session.graph.as_default():
        loss = tf.reduce_sum(network.end_points[keys[0]])
    with pytest.raises(SlimResnetError, match="'loss' has no images and channels"):
        activations.layer_statistics(
            BuiltNetwork(network.session, network.images, {"loss": loss}), [images_of(1)])
    with pytest.raises(SlimResnetError, match="no end point 'blok1'; nearest: resnet_v2_50/block1"):
        activations.layer_statistics(network, [images_of(1)], ["blok1"])


def test_a_sound_network_raises_no_doubt():
    sound = activations.Statistics(
        key="a", images=2, values=8, mean=0.0, std=1.0, min=-1.0, max=2.0, nan=0, inf=0,
        channels=2, zeros=None, dead=None, norm=1.9, batch_change=1e-6)
    assert activations.doubts([sound, dataclasses.replace(sound, key="b", std=999.0)]) == []
    for norm in (0.0, 0.49, 2.1):
        assert activations.doubts([sound, dataclasses.replace(sound, norm=norm)])[0].startswith(
            "1 of 2 end points have a batch norm")
