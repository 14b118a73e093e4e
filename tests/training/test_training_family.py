"""What training is for networks beside ResNet V2: arg scopes, auxiliary logits, defaults."""

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import models
from slim_resnet.checkpoint import open_checkpoint, recognise
from slim_resnet.errors import SlimResnetError
from slim_resnet.training import graph as training_graph
from slim_resnet.training import run as training
from slim_resnet.training.options import TrainingOptions
from tests.helpers import checkpoints
from tests.helpers.family import v1_builder

tf1 = tf.compat.v1


def test_auxiliary_logits_count_by_slims_weight(graph):
    logits, aux = [[1.0, 2.0]], [[0.5, -1.0]]

    def network(images):
        return tuple(tf1.get_variable(name, initializer=value)
                     for name, value in (("main", logits), ("aux", aux)))

    built = training_graph.build_training_graph(
        tf.zeros([1, 8, 8, 3]), tf.constant([1]), 2, network,
        TrainingOptions(steps=10, weight_decay=0.0, schedule="constant", learning_rate=0.5,
                        optimizer="sgd"))
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        cross_entropy, total = session.run([built.cross_entropy, built.total_loss])
        session.run(built.train_op)
        after = session.run([v for v in built.network_variables])

    def entropy(scores):
        return np.log(np.exp(scores).sum()) - scores[0][1]

    def gradient(scores):
        return np.exp(scores) / np.exp(scores).sum() - [[0, 1]]

    np.testing.assert_allclose(cross_entropy, entropy(logits), rtol=1e-6)
    np.testing.assert_allclose(total, entropy(logits) + 0.4 * entropy(aux), rtol=1e-6)
    np.testing.assert_allclose(after[0], logits - 0.5 * gradient(logits), rtol=1e-5)
    np.testing.assert_allclose(after[1], aux - 0.5 * 0.4 * gradient(aux), rtol=1e-5)


def test_arg_scope_of_a_network_takes_the_options_of_batch_norm():
    network = models.MODELS["inception_v2"].network
    scope = network.arg_scope(0.25, is_training=False, decay=0.5)
    conv2d = scope[slim.arg_scope_func_key(slim.conv2d)]
    assert conv2d["normalizer_params"]["decay"] == 0.5
    assert conv2d["normalizer_params"]["epsilon"] == 0.001
    assert conv2d["normalizer_params"]["is_training"] is False
    with tf.Graph().as_default(), tf1.Session() as session:
        assert session.run(conv2d["weights_regularizer"](tf.constant([2.0, 4.0]))) == 2.5
    assert "normalizer_params" not in models.MODELS["vgg_16"].network.arg_scope(0.25)[
        slim.arg_scope_func_key(slim.conv2d)]
    # Its own is not changed by that.
    assert network.arg_scope()[slim.arg_scope_func_key(slim.conv2d)]["normalizer_params"][
        "decay"] == 0.9997


@pytest.mark.slow
def test_inception_is_trained_as_the_options_say(graph):
    architecture = training_graph.architecture_of("inception_v1")
    options = TrainingOptions(steps=10, batch_norm_decay=0.75, weight_decay=0.5)
    images = tf.zeros([2, 224, 224, 3])
    outputs = training_graph.build_all_logits(images, 3, architecture, options, dropout=True)
    assert [output.shape.as_list() for output in outputs] == [[2, 3]]
    updates = len(tf1.get_collection(tf1.GraphKeys.UPDATE_OPS))
    assert updates == 2 * 57
    drops = [op for op in graph.get_operations() if "Dropout_0b" in op.name
             and op.type == "RandomUniform"]
    assert len(drops) == 1
    with tf1.variable_scope("", reuse=True):
        training_graph.build_logits(images, 3, architecture, options, is_training=False)
    assert len(tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)) == updates
    assert len([op for op in graph.get_operations() if "Dropout_0b" in op.name
                and op.type == "RandomUniform"]) == 1


@pytest.mark.slow
def test_inception_v3_has_its_auxiliary_logits(graph):
    architecture = training_graph.architecture_of("inception_v3")
    images = tf.zeros([2, 107, 107, 3])
    outputs = training_graph.build_all_logits(images, 3, architecture, TrainingOptions(steps=10))
    assert [output.shape.as_list() for output in outputs] == [[2, 3], [2, 3]]
    assert "AuxLogits" in outputs[1].op.name


@pytest.mark.parametrize("options", [
    {"freeze_batch_norm": True, "checkpoint": "x"}, {"zero_debias": False},
    {"batch_norm_decay": 0.9}, {"batch_norm_updates": "in-place"}], ids=str)
def test_batch_norm_of_what_has_none(graph, options):
    with pytest.raises(SlimResnetError, match="VGG 16 has no batch norms; leave the options"):
        training_graph.build_all_logits(
            tf.zeros([1, 224, 224, 3]), 3, training_graph.architecture_of("vgg_16"),
            TrainingOptions(steps=10, **options))


@pytest.mark.parametrize("name,size,preprocessing", [
    ("resnet_v2_50", 224, "inception"), ("resnet_v1_50", 224, "vgg"), ("vgg_19", 224, "vgg"),
    ("inception_v3", 299, "inception"), ("overfeat", 231, "vgg")])
def test_a_network_brings_its_own_size_and_preparation(name, size, preprocessing):
    options = training.completed(TrainingOptions(steps=10, model=name))
    assert (options.image_size, options.preprocessing) == (size, preprocessing)
    options = training.completed(TrainingOptions(steps=10, model=name, preprocessing="none"))
    assert (options.image_size, options.preprocessing) == (size, "none")


def test_a_size_that_the_network_cannot_take():
    with pytest.raises(SlimResnetError, match="vgg_16 needs images of at least 224 x 224 pixels"):
        training.completed(TrainingOptions(steps=10, model="vgg_16", image_size=192))


def test_fine_tuning_takes_the_files_network(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", v1_builder(num_classes=4))
    options = training.completed(TrainingOptions(steps=10, checkpoint=written.path))
    assert (options.image_size, options.preprocessing) == (224, "vgg")
    architecture = training.find_architecture(options)
    assert (architecture.variant, architecture.network) == ("slim_v1", None)
    with open_checkpoint(written.path) as opened:
        assert architecture.blocks == recognise(opened).blocks
    with tf.Graph().as_default():
        logits = training_graph.build_logits(tf.zeros([2, 32, 32, 3]), 4, architecture, options)
        assert logits.shape == [2, 4]
        assert {v.op.name for v in tf1.global_variables()} == set(written.values)
