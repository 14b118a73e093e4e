"""Builders in eager mode: refused, as their variables would be nobody's and at random."""

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet import blog, resnet_utils, resnet_v2
from slim_resnet.checkpoint import build_from_checkpoint
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints, networks

tf1 = tf.compat.v1

BUILDERS = {
    "resnet_v2_50": resnet_v2.resnet_v2_50,
    "resnet_v2": lambda images: resnet_v2.resnet_v2(images, networks.tiny_blocks(resnet_v2), 10),
    "bottleneck": lambda images: resnet_v2.bottleneck(images, 4, 1, 1),
    "conv2d_same": lambda images: resnet_utils.conv2d_same(images, 4, 3, 2),
    "subsample": lambda images: resnet_utils.subsample(images, 2),
    "stack_blocks_dense": lambda images: resnet_utils.stack_blocks_dense(
        images, networks.tiny_blocks(resnet_v2)),
    "blog.resnet_v2_152": blog.resnet_v2_152,
    "blog.resnet_v2": lambda images: blog.resnet_v2(images, networks.tiny_blog_blocks(), 10),
    "blog.bottleneck": lambda images: blog.bottleneck(images, 4, 1, 1),
    "blog.conv2d_same": lambda images: blog.conv2d_same(images, 4, 3, 2),
    "blog.stack_block_dense": lambda images: blog.stack_block_dense(
        images, networks.tiny_blog_blocks()),
}
ADVICE = r"build within 'with tf.Graph\(\).as_default\(\):' and make the inputs there too"


@pytest.mark.parametrize("name", BUILDERS)
def test_one_line_says_where_to_build(name, capsys):
    images = tf.zeros([1, 32, 32, 3])
    with pytest.raises(SlimResnetError, match=f"their inputs are an EagerTensor; {ADVICE}"):
        BUILDERS[name](images)
    with pytest.raises(SlimResnetError, match=f"eager mode is on; {ADVICE}"):
        BUILDERS[name](np.zeros([1, 32, 32, 3], np.float32))
    with tf.Graph().as_default() as graph:
        with pytest.raises(SlimResnetError, match=f"their inputs are an EagerTensor; {ADVICE}"):
            BUILDERS[name](images)
        # Before anything is built, or said.
        assert not graph.get_operations()
    assert capsys.readouterr().out == ""


def test_a_checkpoint_s_network(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt")
    images = tf.constant(written.images)
    with pytest.raises(SlimResnetError, match="call it within 'with tf.Graph"):
        build_from_checkpoint(written.path, images)
    with tf.Graph().as_default(), tf1.Session() as session:
        with pytest.raises(SlimResnetError, match="a tensor of the session's graph; make them "
                           r"within 'with tf.Graph\(\).as_default\(\):' too"):
            build_from_checkpoint(written.path, images)
        # What it says works.
        net, _ = build_from_checkpoint(written.path, tf.constant(written.images))
        np.testing.assert_allclose(session.run(net), written.net, rtol=1e-4, atol=1e-5)
