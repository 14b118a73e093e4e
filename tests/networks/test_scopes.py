import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v2 as tf_slim_resnet_v2

from slim_resnet import blog, resnet_v2
from tests.helpers import networks

tf1 = tf.compat.v1

NETWORKS = {"slim": (resnet_v2, lambda: networks.tiny_blocks(resnet_v2)),
            "blog": (blog, networks.tiny_blog_blocks)}


@pytest.fixture(params=NETWORKS)
def build(request):
    module, blocks = NETWORKS[request.param]

    def build(images, **kwargs):
        # slim's network takes its mode as an argument, the blog's from its scope.
        mode = {"is_training": False} if module is resnet_v2 else {}
        with slim.arg_scope(networks.inference_scope(module)):
            return module.resnet_v2(images, blocks(), 5, **mode, **kwargs)
    return build


@pytest.mark.parametrize("first_reuse, second_reuse", [
    (None, True), (None, tf1.AUTO_REUSE), (tf1.AUTO_REUSE, tf1.AUTO_REUSE)])
def test_reuse_shares_every_variable_and_gives_equal_outputs(graph, build, first_reuse,
                                                             second_reuse):
    images = tf.constant(networks.images_of(32, 32))
    first, _ = build(images, scope="r", reuse=first_reuse)
    names = [v.op.name for v in tf1.global_variables()]
    losses = len(tf1.losses.get_regularization_losses())
    again, _ = build(images, scope="r", reuse=second_reuse)
    assert [v.op.name for v in tf1.global_variables()] == names
    assert len(tf1.losses.get_regularization_losses()) == losses
    with tf1.Session() as session:
        networks.load(session, networks.values_for(tf1.global_variables()))
        a, b = session.run([first, again])
    np.testing.assert_array_equal(a, b)
    assert np.ptp(a) > 0


def test_a_second_build_without_reuse_names_the_variable(graph, build):
    build(tf.zeros([1, 32, 32, 3]), scope="r")
    with pytest.raises(ValueError, match="Variable r/conv1/weights already exists"):
        build(tf.zeros([1, 32, 32, 3]), scope="r")
    with pytest.raises(ValueError, match="Variable s/conv1/weights does not exist"):
        build(tf.zeros([1, 32, 32, 3]), scope="s", reuse=True)


def keys_of_builds(module):
    """Keys of a network under an outer scope, then built again, then without a scope twice."""
    keys = []
    with tf.Graph().as_default(), slim.arg_scope(module.resnet_arg_scope()):
        images = tf.zeros([1, 32, 32, 3])
        with tf1.variable_scope("outer"):
            keys.append(module.resnet_v2(images, networks.tiny_blocks(module), 5, scope="r")[1])
            keys.append(module.resnet_v2(images, networks.tiny_blocks(module), 5, scope="r",
                                         reuse=True)[1])
        keys.append(module.resnet_v2(images, networks.tiny_blocks(module))[1])
        keys.append(module.resnet_v2(images, networks.tiny_blocks(module))[1])
        names = [v.op.name for v in tf1.global_variables()]
    return [{key: tensor.name for key, tensor in k.items()} for k in keys], names


def test_keys_under_an_outer_scope_and_when_built_twice_are_those_of_tf_slim():
    ours, our_names = keys_of_builds(resnet_v2)
    theirs, their_names = keys_of_builds(tf_slim_resnet_v2)
    assert ours == theirs and our_names == their_names
    assert "outer/r/conv1" in ours[0] and "resnet_v2_1/conv1" in ours[3]
    assert ours[1]["outer/r/conv1"] != ours[0]["outer/r/conv1"]
