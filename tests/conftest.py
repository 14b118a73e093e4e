import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The same kernels on every CPU; test_inference_onednn.py has the others.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Tables as where there is no terminal, in whatever the tests run.
os.environ["COLUMNS"] = "80"

import pytest
import tensorflow as tf
import tf_slim

import slim_resnet  # noqa: F401
from slim_resnet.commands import progress_line
from slim_resnet.common import environment
from tests.helpers import checkpoints


@pytest.fixture(scope="session", autouse=True)
def no_bfloat16():
    """bfloat16 is refused alike on every CPU; tests that need it bring it back."""
    from tests.helpers import hardware  # noqa: F401 (sees the CPU as it is)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "has_bfloat16", lambda flags: False)
        yield


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Networks that are kept are kept for this session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def progress_each_minute():
    """For tests whose progress is said once a minute, as users' is."""


@pytest.fixture(autouse=True)
def no_progress_each_minute(request, monkeypatch):
    """Nothing is said of progress while a slow machine works: tests compare what is said."""
    if "progress_each_minute" not in request.fixturenames:
        monkeypatch.setattr(progress_line, "_SAY_SECONDS", math.inf)


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


@pytest.fixture(scope="module")
def slim(tmp_path_factory):
    """A tiny network of slim's as a checkpoint, a `checkpoints.Written` for each file."""
    return checkpoints.write(tmp_path_factory.mktemp("slim") / "net.ckpt")


@pytest.fixture(scope="session")
def blog_152():
    """The blog's network as its script builds it: ``(graph, net, end_points)``."""
    from slim_resnet import blog
    with tf.Graph().as_default() as graph:
        inputs = tf.compat.v1.random_uniform([32, 224, 224, 3])
        with tf_slim.arg_scope(blog.resnet_arg_scope(is_training=False)):
            net, end_points = blog.resnet_v2_152(inputs, 1000)
    return graph, net, end_points
