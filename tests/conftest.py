import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The same kernels on every CPU; test_inference_onednn.py has the others.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Tables as where there is no terminal, in whatever the tests run.
os.environ["COLUMNS"] = "80"

import pytest
import tensorflow as tf
import tf_slim as slim

import slim_resnet  # noqa: F401
from slim_resnet.common import environment


@pytest.fixture(scope="session", autouse=True)
def no_bfloat16():
    """bfloat16 is refused alike on every CPU; tests that need it bring it back."""
    from tests.helpers import hardware  # noqa: F401 (sees the CPU as it is)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "has_bfloat16", lambda flags: False)
        yield


@pytest.fixture
def own_process():
    """For tests whose exports are checked in a process of their own, as users' are."""


@pytest.fixture(autouse=True)
def checks_in_this_process(request, monkeypatch):
    """The runtimes that check exports run here: a process for each takes seconds."""
    if "own_process" not in request.fixturenames:
        from slim_resnet.export import checking, runtimes
        monkeypatch.setattr(checking, "run_elsewhere", runtimes.run)


@pytest.fixture
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture(scope="session")
def blog_152():
    """The blog's network as its script builds it: ``(graph, net, end_points)``."""
    from slim_resnet import blog
    with tf.Graph().as_default() as graph:
        inputs = tf.compat.v1.random_uniform([32, 224, 224, 3])
        with slim.arg_scope(blog.resnet_arg_scope(is_training=False)):
            net, end_points = blog.resnet_v2_152(inputs, 1000)
    return graph, net, end_points
