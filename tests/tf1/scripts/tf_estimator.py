import tempfile

import tensorflow as tf

tf.logging.set_verbosity(tf.logging.ERROR)


def model_fn(features, labels, mode, params):
    weight = tf.get_variable("w", [], initializer=tf.zeros_initializer())
    loss = tf.square(weight - params["target"])
    if mode == tf.estimator.ModeKeys.EVAL:
        return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops={
            "mean": tf.metrics.mean(features)})
    train_op = tf.train.GradientDescentOptimizer(0.5).minimize(
        loss, tf.train.get_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def input_fn():
    return tf.data.Dataset.from_tensors((tf.constant([2.0]), tf.constant([0.0]))).repeat(2)


with tempfile.TemporaryDirectory() as folder:
    estimator = tf.estimator.Estimator(
        model_fn, folder, tf.estimator.RunConfig(save_summary_steps=1), params={"target": 3.0})
    estimator.train(input_fn, max_steps=2)
    assert estimator.get_variable_value("w") == 3.0
    assert estimator.evaluate(input_fn) == {"loss": 0.0, "mean": 2.0, "global_step": 2}
