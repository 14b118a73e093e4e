"""The folded form of networks beside ResNet V2 against what tf_slim gives."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim import layers

from slim_resnet import resnet_v1
from slim_resnet.checkpoint import open_checkpoint, plain, recognise
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.vgg import MEANS
from slim_resnet.inference import InferenceModel
from slim_resnet.inference.folded.graph import folded_graph
from slim_resnet.models import MODELS
from tests.helpers import checkpoints
from tests.helpers.family import plain_builder, v1_blocks, v1_builder

tf1 = tf.compat.v1


def check(written, images, keys=(), tolerance=1e-4, **options):
    """Returns the folded network, whose values are those that the file was written with."""
    keys = list(keys or written.end_points)
    with InferenceModel.from_checkpoint(written.path, end_points=keys, **options) as model:
        outputs = model(images)
        net = written.net.reshape(len(images), -1)
        np.testing.assert_allclose(outputs.logits, net, rtol=tolerance,
                                   atol=tolerance * np.abs(net).max())
        for key in keys:
            expected = written.end_points[key]
            np.testing.assert_allclose(outputs.end_points[key], expected, rtol=tolerance,
                                       atol=tolerance * np.abs(expected).max(), err_msg=key)
        exponentials = np.exp(net - net.max())
        np.testing.assert_allclose(outputs.predictions, exponentials / exponentials.sum(),
                                   rtol=max(1e-3, 10 * tolerance), atol=tolerance)
        return outputs


@pytest.mark.parametrize("scope", ["resnet_v1_50", "a/b"])
def test_resnet_v1(tmp_path, scope):
    written = checkpoints.write(tmp_path / "net.ckpt", v1_builder(scope=scope))
    check(written, written.images, precision="float32")


def in_bfloat16(written, images, keys):
    """Returns values of the folded graph in bfloat16, by TensorFlow's own slow kernels."""
    with open_checkpoint(written.path) as opened:
        folded = folded_graph(recognise(opened), opened.tensor, dtype=tf.bfloat16)
    with tf.Graph().as_default(), tf1.Session() as session:
        tensors = tf.import_graph_def(folded.graph_def, {"images": tf.constant(images)},
                                      [f"{folded.end_points[key]}:0" for key in keys], name="")
        assert any(op.type == "Conv2D" and op.get_attr("T") == tf.bfloat16
                   for op in session.graph.get_operations())
        return session.run(dict(zip(keys, tensors)))


def check_bfloat16(written, images, keys):
    values = in_bfloat16(written, images, keys)
    for key in keys:
        expected = written.end_points[key]
        assert values[key].dtype == np.float32
        error = np.abs(values[key] - expected).max() / np.abs(expected).max()
        assert 1e-6 < error < 0.1, (key, error)


def test_resnet_v1_in_bfloat16(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", v1_builder())
    check_bfloat16(written, written.images, ["resnet_v1_50/block1", "resnet_v1_50/logits"])


def test_resnet_v1_without_root_and_logits(tmp_path):
    def build(images):
        with slim.arg_scope(resnet_v1.resnet_arg_scope()):
            return resnet_v1.resnet_v1(images, v1_blocks(resnet_v1), is_training=False,
                                       include_root_block=False, scope="r")

    written = checkpoints.write(tmp_path / "net.ckpt", build)
    with InferenceModel.from_checkpoint(written.path, "float32", ["global_pool"]) as model:
        outputs = model(written.images)
    assert outputs.logits is None
    np.testing.assert_allclose(outputs.end_points["global_pool"], written.net, rtol=1e-4)


def test_deeplabs_root(tmp_path):
    def build(images):
        with slim.arg_scope(resnet_v1.resnet_arg_scope()):
            return resnet_v1.resnet_v1(images, v1_blocks(resnet_v1), 5, is_training=False,
                                       scope="r",
                                       root_block_fn=resnet_v1.root_block_fn_for_beta_variant)

    written = checkpoints.write(tmp_path / "net.ckpt", build)
    check(written, written.images, precision="float32")


def test_pixels_are_prepared_as_the_network_has_them(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", v1_builder())
    pixels = np.random.RandomState(0).randint(0, 256, (2, 32, 32, 3), np.uint8)
    with InferenceModel.from_checkpoint(written.path, "float32") as model:
        np.testing.assert_allclose(
            model(pixels).logits, model(pixels.astype(np.float32) - np.float32(MEANS)).logits,
            rtol=1e-5)
        assert np.abs(model(pixels).logits - model(pixels / np.float32(255)).logits).max() > 1e-3


def test_a_sessions_strides_and_rates(tmp_path):
    images = np.random.RandomState(0).uniform(-1, 1, [1, 64, 64, 3]).astype(np.float32)
    with tf.Graph().as_default(), tf1.Session() as session:
        with slim.arg_scope(resnet_v1.resnet_arg_scope()):
            net, _ = resnet_v1.resnet_v1(tf.constant(images), v1_blocks(resnet_v1, (2, 2, 1)), 5,
                                         is_training=False, output_stride=8, scope="r")
        session.run(tf1.global_variables_initializer())
        with InferenceModel.from_session(session, "float32") as model:
            np.testing.assert_allclose(model(images).logits, session.run(net)[:, 0, 0], rtol=1e-4,
                                       atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inception_v1", "inception_v2", "inception_v3", "alexnet_v2"])
def test_others(tmp_path, name):
    written = checkpoints.write(tmp_path / "net.ckpt", plain_builder(name, 6, "a/b"))
    size = MODELS[name].image_size
    with tf.Graph().as_default(), tf1.Session() as session:
        images = session.run(tf.image.resize(written.images, [size, size]))
    keys = [key for key in written.end_points if key != "AuxLogits"]
    outputs = check(written, images, keys, precision="float32")
    assert outputs.end_points.keys() == set(keys)


@pytest.fixture
def thin(monkeypatch):
    """tf_slim's VGG and OverFeat with a 64th of their channels, for all who build them."""
    whole = layers.conv2d

    @functools.wraps(whole)
    def conv2d(inputs, num_outputs, *args, scope, **options):
        channels = num_outputs if scope == "fc8" else num_outputs // 64 + 2
        return whole(inputs, channels, *args, scope=scope, **options)

    monkeypatch.setattr(layers, "conv2d", conv2d)
    plain.expected_shapes.cache_clear()
    yield
    plain.expected_shapes.cache_clear()


@pytest.mark.parametrize("name", [
    "overfeat", "vgg_19", *(pytest.param(name, marks=pytest.mark.slow)
                           for name in ("vgg_a", "vgg_16"))])
def test_networks_of_dense_layers(tmp_path, name, thin):
    written = checkpoints.write(tmp_path / "net.ckpt", plain_builder(name, 6, "a/b"))
    assert max(value.size for value in written.values.values()) < 100_000
    size = MODELS[name].image_size
    with tf.Graph().as_default(), tf1.Session() as session:
        images = session.run(tf.image.resize(written.images, [size, size]))
    outputs = check(written, images, precision="float32")
    assert {"a/b/fc6", "a/b/fc8", "a/b/pool5"} <= outputs.end_points.keys()


@pytest.mark.slow
def test_inception_in_bfloat16(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", plain_builder("inception_v1", 6))
    with tf.Graph().as_default(), tf1.Session() as session:
        images = session.run(tf.image.resize(written.images, [224, 224]))
    check_bfloat16(written, images, ["Mixed_5c", "Logits"])


@pytest.mark.slow
def test_a_session_of_an_inception():
    with tf.Graph().as_default(), tf1.Session() as session:
        images = np.random.RandomState(0).uniform(-1, 1, [1, 224, 224, 3]).astype(np.float32)
        net, _ = MODELS["inception_v1"].build(tf.constant(images), 5, is_training=False)
        session.run(tf1.global_variables_initializer())
        with InferenceModel.from_session(session, "float32") as model:
            np.testing.assert_allclose(model(images).logits, session.run(net), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_sessions_other_epsilon_is_refused():
    network = MODELS["inception_v1"].network
    with tf.Graph().as_default(), tf1.Session() as session:
        with slim.arg_scope(network.arg_scope(epsilon=0.01)):
            network.build(tf.zeros([1, 224, 224, 3]), 5, False)
        with pytest.raises(SlimResnetError, match="add 0.01 to variances.* tf_slim's 0.001 only"):
            InferenceModel.from_session(session)
