"""research/slim's model_deploy: clones of a model are one model on a larger batch."""

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet.tf1.research.deployment import model_deploy

tf1 = tf.compat.v1


def model(inputs, labels):
    outputs = slim.fully_connected(
        inputs, 1, activation_fn=None, biases_initializer=None, scope="fc",
        weights_initializer=tf1.constant_initializer(0.5),
        weights_regularizer=slim.l2_regularizer(0.25))
    tf1.losses.mean_squared_error(labels, outputs)
    tf1.add_to_collection(tf1.GraphKeys.UPDATE_OPS, tf1.assign_add(
        tf1.get_variable("updates", [], initializer=tf1.zeros_initializer(), trainable=False),
        1.0))
    return outputs


def deploy(num_clones, **kwargs):
    config = model_deploy.DeploymentConfig(num_clones=num_clones, clone_on_cpu=True)
    return model_deploy.deploy(
        config, model, [tf.constant([[1.0, 2.0]]), tf.constant([[3.5]])], **kwargs)


@pytest.mark.parametrize("num_clones", [1, 2, 3])
def test_clones_average_losses_and_count_regularisation_once(num_clones, graph):
    deployed = deploy(num_clones, optimizer=tf1.train.GradientDescentOptimizer(0.1))
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        # Output 1.5, error -2: loss 4. Weights (0.5, 0.5): 0.25 * 0.5 / 2.
        assert session.run(deployed.total_loss) == pytest.approx(4 + 0.0625)
        assert session.run(deployed.train_op) == pytest.approx(4 + 0.0625)
        (weights,) = slim.get_variables_by_name("fc/weights")
        # Gradient 2 * error * input, and 0.25 * weight.
        expected = np.array([[0.5], [0.5]]) - 0.1 * (
            np.array([[-4.0], [-8.0]]) + 0.25 * 0.5)
        np.testing.assert_allclose(session.run(weights), expected, rtol=1e-6)
        # The update ops of the first clone alone.
        assert session.run(slim.get_variables_by_name("updates")[0]) == 1
        assert session.run(tf1.train.get_global_step()) == 1
        summary = tf1.Summary.FromString(session.run(deployed.summary_op))
    # As TensorBoard shows it with research/slim: the loss itself has the name total_loss.
    assert "total_loss_1" in {value.tag for value in summary.value}
    assert [clone.scope for clone in deployed.clones] == (
        [""] if num_clones == 1 else [f"clone_{i}/" for i in range(num_clones)])
    assert len(tf1.trainable_variables()) == 1


def test_without_an_optimizer_there_are_losses_only(graph):
    deployed = deploy(2)
    assert deployed.train_op is None
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        assert session.run(deployed.total_loss) == pytest.approx(4 + 0.0625)


def test_gradients_are_summarised_when_asked_for(graph):
    deployed = deploy(1, optimizer=tf1.train.GradientDescentOptimizer(0.1),
                      summarize_gradients=True)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        tags = {value.tag for value in
                tf1.Summary.FromString(session.run(deployed.summary_op)).value}
    assert {"fc/weights_gradient", "fc/weights_gradient_norm"} <= tags


def test_a_model_without_losses(graph):
    config = model_deploy.DeploymentConfig(clone_on_cpu=True)
    deployed = model_deploy.deploy(config, lambda: tf.constant(3.0))
    assert deployed.total_loss is None and deployed.summary_op is None
    assert deployed.clones[0].outputs.op.name == "Const"


def test_devices_of_a_single_process():
    config = model_deploy.DeploymentConfig(num_clones=2)
    assert [config.clone_device(i) for i in range(2)] == ["/device:GPU:0", "/device:GPU:1"]
    assert config.clone_scope(1) == "clone_1"
    assert config.inputs_device() == config.optimizer_device() == "/device:CPU:0"
    assert config.variables_device() == "/device:CPU:0"
    assert config.caching_device() is None
    with pytest.raises(ValueError, match="clone_index"):
        config.clone_device(2)


def test_devices_with_parameter_servers(graph):
    config = model_deploy.DeploymentConfig(clone_on_cpu=True, num_replicas=2, num_ps_tasks=2)
    assert config.clone_device(0) == "/job:worker/device:CPU:0"
    assert config.optimizer_device() == "/job:worker/device:CPU:0"
    with tf1.device(config.variables_device()):
        variables = [tf1.Variable(0.0, use_resource=False) for _ in range(3)]
        constant = tf.constant(1.0)
    assert [v.device for v in variables] == [
        f"/job:ps/device:CPU:0/task:{task}" for task in (0, 1, 0)]
    assert constant.device == ""
    assert config.caching_device()(constant.op) == ""


@pytest.mark.parametrize("kwargs, named", [
    ({"num_replicas": 2}, "num_ps_tasks"),
    ({"num_ps_tasks": 1, "worker_job_name": ""}, "worker_job_name"),
    ({"num_ps_tasks": 1, "ps_job_name": None}, "ps_job_name"),
    ({"replica_id": 1}, "replica_id"),
])
def test_numbers_that_do_not_fit(kwargs, named):
    with pytest.raises(ValueError, match=named):
        model_deploy.DeploymentConfig(**kwargs)
