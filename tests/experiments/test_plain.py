"""Plain networks are the residual ones without their shortcuts, and nothing else."""

import re

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import resnet_v2
from slim_resnet.experiments import plain
from tests.helpers import networks

tf1 = tf.compat.v1


@pytest.mark.parametrize("stride", [1, 2])
def test_unit_is_the_residual_unit_less_its_shortcut(graph, stride):
    inputs = tf.constant(np.random.default_rng(0).normal(size=[2, 6, 6, 4]).astype(np.float32))
    with slim.arg_scope(networks.inference_scope(resnet_v2)):
        residual = resnet_v2.bottleneck(inputs, 4, 2, stride, scope="unit")
        with tf1.variable_scope("", reuse=True):
            alone = plain.bottleneck(inputs, 4, 2, stride, scope="unit")
    with tf1.Session() as session:
        networks.load(session, networks.values_for(tf1.global_variables()))
        sum_, branch, identity = session.run([residual, alone, inputs[:, ::stride, ::stride]])
    np.testing.assert_allclose(branch, sum_ - identity, atol=1e-5)
    assert np.abs(branch).max() > 0.1


def built(block):
    blocks = [block("block1", 1, 2, 2), block("block2", 2, 2, 1)]
    with tf.Graph().as_default():
        with slim.arg_scope(resnet_v2.resnet_arg_scope()):
            resnet_v2.resnet_v2(tf.zeros([2, 16, 16, 3]), blocks, 5, scope="net",
                                include_root_block=False)
        return {v.op.name: v.shape.as_list() for v in tf1.global_variables()}


def test_network_has_the_residual_one_s_variables_but_the_shortcuts():
    ours = built(plain.plain_v2_block)
    theirs = built(resnet_v2.resnet_v2_block)

    def renamed(name):
        return re.sub("bottleneck_v2", "plain_v2", name)

    assert ours == {renamed(name): shape for name, shape in theirs.items()
                    if "/shortcut/" not in name}
    assert len(theirs) - len(ours) == 4
