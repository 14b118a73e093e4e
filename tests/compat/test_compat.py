import ast
import importlib
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import inception_v3, vgg

from slim_resnet import compat
from tests.helpers.command_line import ROOT, python

tf1 = tf.compat.v1


def test_only_compat_names_what_is_private():
    paths = [*(ROOT / "slim_resnet").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
    assert len(paths) > 30
    for path in paths:
        if not {"compat", "tf1"} & set(path.parts):
            assert "tensorflow.python" not in path.read_text(), path
            assert "tensorflow.core" not in path.read_text(), path


# Whichever comes first, tf_slim is mended; TensorFlow keeps its names and eager mode.
@pytest.mark.slow
@pytest.mark.oldest
@pytest.mark.parametrize("imports", [
    "import slim_resnet, tf_slim", "import tf_slim, slim_resnet",
    # Who asks whether it is there has not imported it.
    "import slim_resnet, importlib.util; importlib.util.find_spec('tf_slim'); import tf_slim"])
def test_import_mends_tf_slim_alone(imports):
    out = python(f"""
import tensorflow as tf
from tensorflow.python.framework import ops
before = set(vars(ops))
{imports}
assert set(vars(ops)) == before
assert tf.executing_eagerly()
print(float(tf.reduce_sum(tf.function(lambda x: x * 2)(tf.ones([3])))))
with tf.Graph().as_default():
    print(tf_slim.batch_norm(tf.ones([1, 2, 2, 3])).shape)
""")
    assert out.splitlines() == ["6.0", "(1, 2, 2, 3)"]


def test_every_name_that_tf_slim_asks_of_tensorflow_is_there():
    asked = []
    for path in pathlib.Path(slim.__file__).parent.rglob("*.py"):
        if path.stem.endswith("_test"):
            continue
        relative = path.relative_to(pathlib.Path(slim.__file__).parents[1]).with_suffix("")
        module = importlib.import_module(".".join(relative.parts).removesuffix(".__init__"))
        module = sys.modules[module.__name__]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = vars(module).get(node.value.id)
                if (getattr(owner, "__name__", "").startswith("tensorflow.")
                        and isinstance(owner, types.ModuleType)):
                    asked.append((module.__name__, owner, node.attr))
    assert len(asked) > 1000
    lost = {(module, owner.__name__, name) for module, owner, name in asked
            # Keras' own, which slim.batch_norm is led past.
            if name != "BatchNormalization" and not hasattr(owner, name)}
    assert not lost


def test_importing_the_package_imports_no_tensorflow():
    assert python("import slim_resnet, sys; print('tensorflow' in sys.modules)") == "False\n"


def conv2d_graph(build, keras):
    """GraphDef and members of the collections of what ``build(images)`` builds."""
    with tf.Graph().as_default() as graph:
        images = tf1.placeholder(tf.float32, [None, 9, 8, 3])
        if keras:
            with compat.keras_convolutions():
                build(images)
        else:
            build(images)
        collections = {key: [member.name for member in graph.get_collection(key)]
                       for key in graph.get_all_collection_keys()}
        return graph.as_graph_def(), {key: names for key, names in collections.items() if names}


def _reused(images):
    for reuse in (None, True):
        slim.conv2d(images, 4, 3, scope="c", reuse=reuse,
                    weights_regularizer=slim.l2_regularizer(0.1))


CONV2DS = {
    "plain": lambda x: slim.conv2d(x, 4, 3),
    "strided": lambda x: slim.conv2d(x, 4, [3, 2], stride=2, padding="VALID", scope="c"),
    "atrous": lambda x: slim.conv2d(x, 4, 3, rate=2, scope="c"),
    "normalised": lambda x: slim.conv2d(x, 4, 1, normalizer_fn=slim.batch_norm, scope="c"),
    "regularised": lambda x: slim.conv2d(
        x, 4, 1, weights_regularizer=slim.l2_regularizer(0.1),
        biases_regularizer=slim.l2_regularizer(0.2), scope="c"),
    "weight decay 0": lambda x: slim.conv2d(
        x, 4, 1, weights_regularizer=slim.l2_regularizer(0.0), scope="c"),
    "reused": _reused,
    "frozen": lambda x: slim.conv2d(x, 4, 1, trainable=False, scope="c"),
    "without biases": lambda x: slim.conv2d(x, 4, 1, biases_initializer=None, scope="c"),
    "in collections": lambda x: slim.conv2d(
        x, 4, 1, variables_collections=["mine"], outputs_collections=["out"], scope="c"),
}


@pytest.mark.parametrize("name", CONV2DS)
def test_conv2d_builds_what_keras_built(name):
    ours, ours_collections = conv2d_graph(CONV2DS[name], keras=False)
    theirs, theirs_collections = conv2d_graph(CONV2DS[name], keras=True)
    assert ours == theirs
    assert ours_collections == theirs_collections
    assert any(node.op == "Conv2D" for node in ours.node)


def test_conv2d_goes_through_keras_where_a_plain_graph_does_not_serve(graph):
    def partitioned(images):
        with tf1.variable_scope("p", partitioner=tf1.fixed_size_partitioner(2)):
            slim.conv2d(images, 4, 3, scope="c", weights_regularizer=slim.l2_regularizer(0.1))
    ours, theirs = conv2d_graph(partitioned, keras=False), conv2d_graph(partitioned, keras=True)
    assert ours == theirs
    assert ours[1]["variables"] == ["p/c/weights/part_0:0", "p/c/weights/part_1:0",
                                    "p/c/biases/part_0:0", "p/c/biases/part_1:0"]
    net = slim.conv2d(tf.zeros([1, 3, 4, 4]), 4, 3, data_format="NCHW", scope="nchw")
    assert net.shape == [1, 4, 4, 4]
    with pytest.raises(ValueError, match="channel dimension"):
        slim.conv2d(tf1.placeholder(tf.float32, [1, 4, 4, None]), 4, 3)


@pytest.mark.parametrize("zero_debias", [False, True])
@pytest.mark.parametrize("shape", [(5, 4, 4, 3), (5, 3)])
def test_batch_norm_training(graph, zero_debias, shape):
    batch = np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)
    net = slim.batch_norm(tf.constant(batch), decay=0.9, epsilon=1e-3, scale=True,
                          zero_debias_moving_mean=zero_debias, scope="bn")
    updates = tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)
    names = {v.op.name for v in tf1.global_variables()}
    assert names >= {f"bn/{n}" for n in ("beta", "gamma", "moving_mean", "moving_variance")}
    assert len(names) == (6 if zero_debias else 4) and len(updates) == 2
    axes = tuple(range(len(shape) - 1))
    mean, variance, n = batch.mean(axes), batch.var(axes), batch[..., 0].size
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        np.testing.assert_allclose(session.run(net), (batch - mean) / np.sqrt(variance + 1e-3),
                                   rtol=1e-4, atol=1e-5)
        moving = {v.op.name: v for v in tf1.global_variables()}
        np.testing.assert_array_equal(session.run(moving["bn/moving_mean"]), 0)
        session.run(updates)
        # Debiased, the first moving mean is the batch's own; else a tenth of the way to it.
        np.testing.assert_allclose(session.run(moving["bn/moving_mean"]),
                                   mean if zero_debias else 0.1 * mean, rtol=1e-4)
        np.testing.assert_allclose(session.run(moving["bn/moving_variance"]),
                                   0.9 + 0.1 * variance * n / (n - 1), rtol=1e-4)


def test_batch_norm_inference_and_switch(graph):
    batch = np.random.default_rng(0).normal(3, 2, (5, 4, 4, 3)).astype(np.float32)
    is_training = tf1.placeholder(tf.bool, [])
    net = slim.batch_norm(tf.constant(batch), is_training=is_training, epsilon=0.0, scope="bn")
    fixed = slim.batch_norm(tf.constant(batch), is_training=False, epsilon=0.0, scope="bn",
                            reuse=True)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        np.testing.assert_allclose(session.run(fixed), batch, rtol=1e-5)
        np.testing.assert_allclose(session.run(net, {is_training: False}), batch, rtol=1e-5)
        np.testing.assert_allclose(session.run(net, {is_training: True}).mean((0, 1, 2)), 0,
                                   atol=1e-5)


def test_batch_norm_of_other_ranks_and_in_place(graph):
    batch = np.random.default_rng(0).normal(3, 2, (5, 7, 3)).astype(np.float32)
    net = slim.batch_norm(tf.constant(batch), epsilon=0.0, scope="rank3")
    in_place = slim.batch_norm(tf.constant(batch[..., None, :]), updates_collections=None,
                               decay=0.5, scope="in_place")
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        expected = (batch - batch.mean((0, 1))) / batch.std((0, 1))
        np.testing.assert_allclose(session.run(net), expected, rtol=1e-4, atol=1e-5)
        session.run(in_place)
        moving_mean = [v for v in tf1.global_variables() if v.op.name == "in_place/moving_mean"]
        np.testing.assert_allclose(session.run(moving_mean[0]), batch.mean((0, 1)) / 2, rtol=1e-4)


def test_pooling_and_dense_layers_build_without_warnings(graph, recwarn):
    net = slim.max_pool2d(tf.reshape(tf.range(16.0), [1, 4, 4, 1]), 2)
    dense = slim.fully_connected(tf.reshape(net, [1, 4]), 2, activation_fn=None,
                                 weights_initializer=tf1.ones_initializer())
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        np.testing.assert_array_equal(session.run(dense), [[40, 40]])
    assert not recwarn.list


@pytest.mark.slow
@pytest.mark.oldest
def test_other_networks_of_tf_slim(graph):
    with slim.arg_scope(vgg.vgg_arg_scope()):
        logits, _ = vgg.vgg_16(tf.zeros([1, 224, 224, 3]), 10, is_training=False)
    assert logits.shape == [1, 10]
    with slim.arg_scope(inception_v3.inception_v3_arg_scope()):
        logits, end_points = inception_v3.inception_v3(tf.zeros([1, 107, 107, 3]), 10)
    assert logits.shape == [1, 10] and end_points["Mixed_7c"].shape == [1, 2, 2, 2048]
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        np.testing.assert_allclose(session.run(end_points["Predictions"]).sum(), 1, rtol=1e-5)


def test_optimizer_and_learning_find_their_tensor_class(graph):
    variable = tf1.get_variable("x", [], initializer=tf1.constant_initializer(4.0))
    train = slim.optimize_loss(tf.square(variable), tf1.train.get_or_create_global_step(),
                               learning_rate=tf.constant(0.25), optimizer="SGD")
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run(train)
        assert session.run(variable) == 2.0


UNTOUCHED = """
import numpy as np, sys, tensorflow as tf, tf_slim as slim
sys.path.insert(0, '.')
from tests.helpers import networks
from tf_slim.nets import resnet_v2
assert 'slim_resnet' not in sys.modules
end_points, _, after = networks.run_network(
    resnet_v2, networks.images_of(33, 32), num_classes=5, fetch_updates=True)
np.savez(sys.argv[1], **{'end:' + k: v for k, v in end_points.items()},
         **{'var:' + k: v for k, v in after.items()})
"""


@pytest.mark.skipif(tf.__version__.split(".")[:2] != ["2", "12"],
                    reason="tf-slim 1.1.0 runs unmended on TensorFlow 2.12 at the latest")
def test_equals_an_untouched_tf_slim(tmp_path):
    from slim_resnet import resnet_v2
    from tests.helpers import networks
    subprocess.run([sys.executable, "-c", UNTOUCHED, str(tmp_path / "a.npz")], check=True,
                   cwd=ROOT)
    end_points, _, after = networks.run_network(
        resnet_v2, networks.images_of(33, 32), num_classes=5, fetch_updates=True)
    with np.load(tmp_path / "a.npz") as file:
        assert set(file.files) == {"end:" + k for k in end_points} | {"var:" + k for k in after}
        for key, value in [*(("end:" + k, v) for k, v in end_points.items()),
                           *(("var:" + k, v) for k, v in after.items())]:
            np.testing.assert_allclose(value, file[key], rtol=1e-5, atol=1e-6, err_msg=key)
