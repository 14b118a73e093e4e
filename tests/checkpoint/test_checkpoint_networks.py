"""From a file by tf_slim.nets to every end point, for each depth, format and class count."""

import contextlib
import io

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v2 as slim_resnet_v2

from slim_resnet import resnet_v2
from slim_resnet.checkpoint import build_from_checkpoint, open_checkpoint, recognise, restore
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints, networks

tf1 = tf.compat.v1

CASES = [(50, 1000), (50, 10), (50, None), (101, 1001), (152, 1000)]


def built(path, images, **options):
    """Returns what `build_from_checkpoint` gives for an array of images."""
    with tf.Graph().as_default(), tf1.Session() as session:
        net, end_points = build_from_checkpoint(path, tf.constant(images), **options)
        return session.run([net, end_points])


@pytest.mark.slow
@pytest.mark.parametrize("depth,num_classes", CASES)
def test_every_end_point(tmp_path, depth, num_classes):
    build = checkpoints.slim_builder(resnet_v2.DEPTHS[depth], num_classes, f"resnet_v2_{depth}")
    written = checkpoints.write(tmp_path / "V1" / "net.ckpt", build, checkpoints.V1,
                                also={checkpoints.V2: tmp_path / "V2" / "net.ckpt"})
    with tf.Graph().as_default(), tf1.Session() as session:
        fetches = build_from_checkpoint(tmp_path / "V1", tf.constant(written.images))
        from_v1 = session.run(fetches)
        session.run([v.initializer for v in tf1.global_variables()])
        restore(session, tmp_path / "V2")
        from_v2 = session.run(fetches)
    for net, end_points in (from_v1, from_v2):
        np.testing.assert_allclose(net, written.net, rtol=1e-5,
                                   atol=1e-5 * np.abs(written.net).max())
        networks.assert_close(end_points, written.end_points)


@pytest.mark.slow
@pytest.mark.oldest
def test_the_full_resnet_v2_50(tmp_path):
    def build(images):
        with slim.arg_scope(slim_resnet_v2.resnet_arg_scope()):
            return slim_resnet_v2.resnet_v2_50(images, 1001, is_training=False)

    written = checkpoints.write(tmp_path / "resnet_v2_50.ckpt", build, checkpoints.V1)
    with open_checkpoint(written.path) as checkpoint:
        assert recognise(checkpoint).depth == 50
        assert len(checkpoint.shapes) == 272
        assert sum(map(np.prod, checkpoint.shapes.values())) == 25_615_849
    net, end_points = built(written.path, written.images)
    np.testing.assert_array_equal(net, end_points["resnet_v2_50/logits"])
    networks.assert_close(end_points, written.end_points)


@pytest.mark.parametrize("format", ["V1", "V2"])
@pytest.mark.parametrize("scope", ["resnet_v2_152", "outer/resnet_v2_152"])
def test_the_blogs_network_bit_for_bit(tmp_path, format, scope):
    written = checkpoints.write(
        tmp_path / "net.ckpt", checkpoints.blog_builder((2, 1, 1), 1000, scope),
        checkpoints.FORMATS[format])
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        net, end_points = built(written.path, written.images)
    assert printed.getvalue() == ""
    np.testing.assert_array_equal(net, written.net)
    assert end_points.keys() == written.end_points.keys()
    for name, value in written.end_points.items():
        np.testing.assert_array_equal(end_points[name], value, err_msg=name)


def test_the_blogs_training_checkpoint(tmp_path):
    build = checkpoints.blog_builder(scope="a/b", is_training=True)
    written = checkpoints.write(tmp_path / "net.ckpt", build)
    with tf.Graph().as_default(), tf1.Session() as session:
        build_from_checkpoint(written.path, tf.constant(written.images), is_training=True)
        values = {v.op.name: v for v in tf1.global_variables()}
        assert values.keys() == written.values.keys()
        for name, value in session.run(values).items():
            np.testing.assert_array_equal(value, written.values[name], err_msg=name)
    # The same file serves inference, without its zero-debias variables.
    inference = checkpoints.write(tmp_path / "b.ckpt", checkpoints.blog_builder(scope="a/b"))
    np.testing.assert_array_equal(built(written.path, written.images)[0], inference.net)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("tiny") / "net.ckpt")


@pytest.fixture(scope="module")
def blog(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("blog") / "net.ckpt",
                             checkpoints.blog_builder())


def test_options_reach_the_network(tiny):
    def slims(**options):
        with tf.Graph().as_default(), tf1.Session() as session, \
             slim.arg_scope(slim_resnet_v2.resnet_arg_scope()):
            net, end_points = slim_resnet_v2.resnet_v2(
                tf.constant(tiny.images), checkpoints.slim_blocks(checkpoints.TINY), 10,
                is_training=False, scope="resnet_v2_50", **options)
            tf1.train.Saver().restore(session, tiny.path)
            return session.run([net, end_points])

    net, end_points = built(tiny.path, tiny.images, output_stride=4)
    expected, expected_end_points = slims(output_stride=4)
    np.testing.assert_array_equal(net, expected)
    networks.assert_close(end_points, expected_end_points)
    assert end_points["resnet_v2_50/block1"].shape != tiny.end_points["resnet_v2_50/block1"].shape

    net, _ = built(tiny.path, tiny.images, global_pool=False)
    assert net.shape == (1, 4, 4, 10)
    np.testing.assert_allclose(net.mean((1, 2), keepdims=True), tiny.net, atol=1e-5)

    net, end_points = built(tiny.path, tiny.images, spatial_squeeze=True)
    np.testing.assert_array_equal(net, tiny.net[:, 0, 0])
    assert "resnet_v2_50/spatial_squeeze" in end_points

    net, _ = built(tiny.path, tiny.images, is_training=True)
    assert not np.allclose(net, tiny.net, atol=1e-3)


def test_beside_other_variables_and_scopes(tiny):
    with tf.Graph().as_default(), tf1.Session() as session:
        images = tf.constant(tiny.images)
        mine = tf1.get_variable("mine", initializer=[3.0])
        session.run(mine.initializer)
        with tf1.variable_scope("outer"):
            first, _ = build_from_checkpoint(tiny.path, images)
        second, _ = build_from_checkpoint(tiny.path, images)
        first, second, mine = session.run([first, second, mine])
    np.testing.assert_array_equal(first, tiny.net)
    np.testing.assert_array_equal(second, tiny.net)
    assert mine == [3.0]


def test_a_detectors_backbone(tmp_path):
    scope = "FirstStageFeatureExtractor/resnet_v2_101"
    written = checkpoints.write(tmp_path / "net.ckpt",
                                checkpoints.slim_builder(num_classes=None, scope=scope),
                                extra={"BoxPredictor/weights": [1.0], "global_step": 9})
    net, _ = built(written.path, written.images)
    np.testing.assert_array_equal(net, written.net)


def test_a_session_that_is_named(tiny):
    with tf.Graph().as_default():
        images, session = tf.constant(tiny.images), tf1.Session()
        net, _ = build_from_checkpoint(tiny.path, images, session=session)
        np.testing.assert_array_equal(session.run(net), tiny.net)
        session.close()


def refusal(path, images, **options):
    with pytest.raises(SlimResnetError) as caught:
        build_from_checkpoint(path, images, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_refusals(tiny, blog):
    assert "needs a session" in refusal(tiny.path, tiny.images)
    with tf.Graph().as_default(), tf1.Session():
        images = tf.constant(tiny.images)
        assert "no output_stride" in refusal(blog.path, images, output_stride=8)
        assert "no output_stride" in refusal(blog.path, images, spatial_squeeze=True)
        assert "multiple of 4" in refusal(tiny.path, images, output_stride=3)
    with tf.Graph().as_default(), tf1.Session():
        assert "images that are a tensor" in refusal(tiny.path, tiny.images)
        images = tf1.placeholder(tf.float32, [None, 32, 32, 1])
        assert "takes 3 channels, the images have 1" in refusal(tiny.path, images)
        images = tf1.placeholder(tf.uint8, [None, 32, 32, 3])
        assert "float32 and four dimensions, not uint8" in refusal(tiny.path, images)
        images = tf1.placeholder(tf.float32, [None, 32, 32, 3])
        build_from_checkpoint(tiny.path, images)
        assert "cannot be built: Variable resnet_v2_50/conv1/weights already exists" in refusal(
            tiny.path, images)
        with tf.Graph().as_default():
            assert "of the session's graph" in refusal(tiny.path, tf.constant(tiny.images))
