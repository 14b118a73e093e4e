"""What ``slim.batch_norm`` lost on tf-slim's own path, with the values that Keras gave."""

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet.errors import SlimResnetError

tf1 = tf.compat.v1
BATCH = np.random.default_rng(0).normal(3, 2, (5, 4, 4, 3)).astype(np.float32)


def names(key):
    return [member.name for member in tf1.get_collection(key)]


@pytest.mark.parametrize("shape", [(5, 4, 4, 3), (5, 16, 3), (5, 2, 2, 4, 3)])
@pytest.mark.parametrize("fused", [None, False])
def test_regularisers_add_their_losses(graph, shape, fused):
    net = tf.reshape(tf.constant(BATCH), shape)
    for reuse in (None, True):
        slim.batch_norm(net, scale=True, fused=fused, scope="bn", reuse=reuse,
                        param_regularizers={"gamma": slim.l2_regularizer(0.5),
                                            "beta": slim.l1_regularizer(2.0)})
    losses = tf1.losses.get_regularization_losses()
    assert len(losses) == 2  # the layer that shares the variables adds none
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        assert session.run(losses) == [0.75, 0.0]  # of three gammas of 1, and betas of 0


def test_gamma_comes_before_beta(graph):
    slim.batch_norm(tf.constant(BATCH), scale=True, scope="bn")
    assert [v.op.name for v in tf1.trainable_variables()] == ["bn/gamma", "bn/beta"]
    assert [name.split("/")[1] for name in names("update_ops")] == [
        "AssignMovingAvg", "AssignMovingAvg_1"]


def test_what_is_not_trainable_updates_nothing(graph):
    slim.batch_norm(tf.constant(BATCH), trainable=False, is_training=True)
    assert not tf1.get_collection("update_ops") and not tf1.trainable_variables()


def test_adjustment_scales_and_shifts_what_is_normalised(graph):
    is_training = tf1.placeholder(tf.bool, [])
    net = slim.batch_norm(tf.constant(BATCH), is_training=is_training, epsilon=0.0,
                          adjustment=lambda shape: (tf.fill(shape[-1:], 2.0),
                                                    tf.fill(shape[-1:], 0.5)))
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        normal = (BATCH - BATCH.mean((0, 1, 2))) / BATCH.std((0, 1, 2))
        np.testing.assert_allclose(session.run(net, {is_training: True}), 2 * normal + 0.5,
                                   rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(session.run(net, {is_training: False}), BATCH, rtol=1e-5)


def test_renorm_corrects_by_its_own_averages(graph):
    net = slim.batch_norm(tf.constant(BATCH), renorm=True, renorm_decay=0.5, epsilon=1e-3,
                          scope="bn")
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        # The averages begin at mean 0 and deviation 1: r and d undo the normalising at first.
        np.testing.assert_allclose(session.run(net), BATCH, rtol=1e-3, atol=1e-3)
        session.run(tf1.get_collection("update_ops"))
        averages = {v.op.name: session.run(v) for v in tf1.global_variables()}
    assert list(averages) == [f"bn/{name}" for name in (
        "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean",
        "renorm_stddev")]
    np.testing.assert_allclose(averages["bn/renorm_mean"], BATCH.mean((0, 1, 2)) / 2, rtol=1e-4)
    with pytest.raises(ValueError, match="renorm_clipping has keys"):
        slim.batch_norm(tf.constant(BATCH), renorm=True, renorm_clipping={"rmux": 1.0})


@pytest.mark.parametrize("fused", [None, False])
def test_gradients_added_after_the_first_run(graph, fused):
    is_training = tf1.placeholder(tf.bool, [])
    net = slim.batch_norm(tf.constant(BATCH), scale=True, is_training=is_training, fused=fused)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run(net, {is_training: True})
        gradients = tf1.gradients(tf.reduce_sum(tf.square(net)), tf1.trainable_variables())
        gamma, beta = session.run(gradients, {is_training: True})
    np.testing.assert_allclose(gamma, 2 * BATCH[..., 0].size, rtol=1e-3)
    np.testing.assert_allclose(beta, 0, atol=1e-3)


def test_in_eager_mode_and_in_functions():
    normal = (BATCH - BATCH.mean((0, 1, 2))) / np.sqrt(BATCH.var((0, 1, 2)) + 1e-3)
    net = slim.batch_norm(tf.constant(BATCH), scope="eager")
    np.testing.assert_allclose(net, normal, rtol=1e-3, atol=1e-4)
    wrapped = tf1.wrap_function(lambda x: slim.batch_norm(x, scope="bn"),
                                [tf.TensorSpec(BATCH.shape, tf.float32)])
    np.testing.assert_allclose(wrapped(tf.constant(BATCH)), normal, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("arguments, message", [
    ({"is_training": None}, "Keras' learning phase"),
    ({"inputs": None}, "has undefined rank"),
    ({"inputs": [None, 4, 4, None]}, "an undefined number of channels"),
    ({"inputs": [4], "data_format": "NCHW"}, "has no axis 1")])
def test_what_it_refuses_it_says_in_one_line(graph, arguments, message):
    inputs = tf1.placeholder(tf.float32, arguments.pop("inputs", [None, 4, 4, 3]))
    with pytest.raises((SlimResnetError, ValueError), match=message) as error:
        slim.batch_norm(inputs, **arguments)
    assert "\n" not in str(error.value)
