"""One training step: against tf_slim.nets, TensorFlow's own optimizers, and hand values."""

import contextlib
import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v2 as tf_slim_resnet_v2

from slim_resnet import blog, compat, resnet_v2
from slim_resnet.errors import SlimResnetError
from slim_resnet.training import graph as training_graph
from slim_resnet.training.options import TrainingOptions, batch_norm_decay_for
from tests.helpers import networks

tf1 = tf.compat.v1

CLASSES = 3
IMAGES = networks.images_of(32, 32, batch=4)
LABELS = np.array([0, 2, 1, 1])
BLOCKS = ((1, 2), (2, 2))
_RUNS = {}
# Plain descent, so that one step shows the gradients themselves.
OPTIONS = TrainingOptions(steps=100, model="resnet_v2", blocks=BLOCKS, image_size=32,
                          optimizer="sgd", learning_rate=0.1, schedule="constant",
                          batch_norm_decay=0.9)


def step(options, steps=1):
    """`run_steps`, once for the same arguments."""
    if (options, steps) not in _RUNS:
        _RUNS[options, steps] = run_steps(options, steps)
    return _RUNS[options, steps]


def run_steps(options, steps=1, values=None, wrap_optimizer=None):
    """Builds and runs steps on fixed weights, those in ``values`` for one.

    Returns:
      ``(values before, values after, cross entropy, total loss, graph)``.
    """
    architecture = training_graph.architecture_of(options.model, options.blocks)
    with tf.Graph().as_default(), tf1.Session() as session:
        graph = training_graph.build_training_graph(
            tf.constant(IMAGES), tf.constant(LABELS), CLASSES,
            lambda images: training_graph.build_logits(
                images, CLASSES, architecture, options,
                is_training=not options.freeze_batch_norm),
            options, wrap_optimizer=wrap_optimizer)
        session.run(tf1.global_variables_initializer())
        values = {**networks.values_for(graph.network_variables), **(values or {})}
        for variable in graph.network_variables:
            variable.load(values[variable.op.name], session)
        before = session.run({v.op.name: v for v in tf1.global_variables()})
        for _ in range(steps):
            _, cross_entropy, total = session.run(
                [graph.train_op, graph.cross_entropy, graph.total_loss])
        after = session.run({v.op.name: v for v in tf1.global_variables()})
    return before, after, cross_entropy, total, graph


def tf_slim_step(values, label_smoothing=0.0):
    """The same step on the same values, by tf_slim.nets and its own losses.

    Returns:
      ``(cross entropy, total loss, gradients, moving statistics after the update ops)``.
    """
    with tf.Graph().as_default(), tf1.Session() as session:
        with slim.arg_scope(tf_slim_resnet_v2.resnet_arg_scope(batch_norm_decay=0.9)):
            net, _ = tf_slim_resnet_v2.resnet_v2(
                tf.constant(IMAGES), networks.tiny_blocks(tf_slim_resnet_v2), CLASSES,
                is_training=True, scope="resnet_v2")
        networks.load(session, values)
        cross_entropy = slim.losses.softmax_cross_entropy(
            tf.squeeze(net, [1, 2]), tf.one_hot(LABELS, CLASSES), label_smoothing=label_smoothing)
        total = cross_entropy + tf.add_n(
            tf1.get_collection(tf1.GraphKeys.REGULARIZATION_LOSSES))
        trained = tf1.trainable_variables()
        fetched = session.run([cross_entropy, total, tf.gradients(total, trained)])
        session.run(tf1.get_collection(tf1.GraphKeys.UPDATE_OPS))
        moving = session.run({v.op.name: v for v in tf1.global_variables()
                              if "moving_" in v.op.name})
    return (*fetched[:2], dict(zip([v.op.name for v in trained], fetched[2])), moving)


def network_values(values):
    return {name: value for name, value in values.items() if name.startswith("resnet_v2/")
            and not name.endswith("ExponentialMovingAverage")}


def assert_step_is_tf_slim_s(options):
    before, after, cross_entropy, total, _ = step(options)
    expected = tf_slim_step(network_values(before), options.label_smoothing)
    np.testing.assert_allclose((cross_entropy, total), expected[:2], rtol=1e-5)
    assert total > cross_entropy
    assert len(expected[2]) + len(expected[3]) == len(network_values(before)) == 76
    for name, gradient in expected[2].items():
        moved = (before[name] - after[name]) / options.learning_rate
        np.testing.assert_allclose(moved, gradient, rtol=1e-5, err_msg=name,
                                   atol=1e-5 * np.abs(gradient).max() + 2e-6)
    for name, moving in expected[3].items():
        np.testing.assert_allclose(after[name], moving, rtol=1e-5, atol=1e-6, err_msg=name)
        assert not np.allclose(after[name], before[name])


@pytest.mark.slow
@pytest.mark.oldest
@pytest.mark.parametrize("change", [
    {}, {"batch_norm_updates": "in-place"}, {"label_smoothing": 0.2}])
def test_a_step_is_tf_slim_s(change):
    assert_step_is_tf_slim_s(dataclasses.replace(OPTIONS, **change))


@pytest.mark.parametrize("begun_before", [0, 5])
def test_zero_debias_by_hand(begun_before):
    """mean_t = biased_t / (1 - decay^t) with biased_t = decay * biased + (1 - decay) * batch."""
    # The batch is the same at each step, and only the logits learn.
    options = dataclasses.replace(OPTIONS, train_only=("logits",))
    mean = "resnet_v2/block1/unit_1/bottleneck_v2/preact/moving_mean"
    biased, local_step = (f"resnet_v2/block1/unit_1/bottleneck_v2/preact/{mean}/{part}"
                          for part in ("biased", "local_step"))
    plain, plain_after, *_ = step(options)
    batch = (plain_after[mean] - 0.9 * plain[mean]) / 0.1
    start = np.linspace(-1, 1, 64, dtype=np.float32) if begun_before else np.zeros(64, np.float32)
    values = {**plain, biased: start, local_step: np.float32(begun_before)}
    _, after, *_ = run_steps(dataclasses.replace(options, zero_debias=True), 2, values)
    expected = 0.9 ** 2 * start + (1 - 0.9 ** 2) * batch
    debiased = expected / (1 - 0.9 ** (begun_before + 2))
    np.testing.assert_allclose(after[mean], debiased, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(after[biased], expected, rtol=1e-3, atol=1e-5)
    assert after[local_step] == begun_before + 2
    if not begun_before:
        np.testing.assert_allclose(debiased, batch, rtol=1e-5)


def test_models_take_the_zero_debias_of_their_code():
    def debiased(options):
        with tf.Graph().as_default():
            training_graph.build_logits(
                tf.constant(IMAGES), CLASSES,
                training_graph.architecture_of(options.model, options.blocks), options)
            return any(v.op.name.endswith("/biased") for v in tf1.global_variables())

    blog_s = dataclasses.replace(OPTIONS, model="blog_resnet_v2")
    assert [debiased(options) for options in (
        OPTIONS, dataclasses.replace(OPTIONS, zero_debias=True),
        blog_s, dataclasses.replace(blog_s, zero_debias=False))] == [False, True, True, False]


@pytest.mark.slow
def test_blog_s_network_is_built_as_published():
    """Its step is that of blog.resnet_v2 in the blog's own arg scope."""
    options = dataclasses.replace(OPTIONS, model="blog_resnet_v2", batch_norm_decay=0.997)
    before, after, cross_entropy, total, _ = step(options)
    with tf.Graph().as_default(), tf1.Session() as session:
        with slim.arg_scope(blog.resnet_arg_scope(is_training=True)):
            net, _ = blog.resnet_v2(tf.constant(IMAGES), networks.tiny_blog_blocks(), CLASSES,
                                    scope="resnet_v2", announce=None)
        networks.load(session, before)
        total_loss = tf1.losses.softmax_cross_entropy(
            tf.one_hot(LABELS, CLASSES), tf.squeeze(net, [1, 2])) + \
            tf1.losses.get_regularization_loss()
        assert session.run(total_loss) == pytest.approx(total, rel=1e-5)
        session.run(tf1.get_collection(tf1.GraphKeys.UPDATE_OPS))
        for name, value in session.run({v.op.name: v for v in tf1.global_variables()
                                        if "moving_" in v.op.name}).items():
            np.testing.assert_allclose(after[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer, change", [
    # First steps by the papers' formulas: m = g; m_hat / sqrt(v_hat) = sign(g).
    ("momentum", lambda gradient: gradient), ("adam", np.sign)])
def test_optimizers(optimizer, change):
    before, after, *_ = step(dataclasses.replace(OPTIONS, optimizer=optimizer))
    gradients = tf_slim_step(network_values(before))[2]
    name = "resnet_v2/logits/weights"
    np.testing.assert_allclose((before[name] - after[name]) / 0.1, change(gradients[name]),
                               rtol=1e-3, atol=1e-4)


def test_momentum_of_two_steps():
    """The second step is momentum times the first and its own gradient."""
    name = "resnet_v2/logits/biases"
    options = dataclasses.replace(OPTIONS, optimizer="momentum", train_only=(name,))
    before, one, *_ = step(options)
    _, two, *_ = step(options, steps=2)
    accumulator = name + "/Momentum"
    np.testing.assert_allclose(one[name] - two[name], 0.1 * two[accumulator], rtol=1e-4)
    second_gradient = two[accumulator] - 0.9 * one[accumulator]
    assert np.abs(second_gradient - one[accumulator]).max() < 0.5 * np.abs(one[accumulator]).max()


@pytest.mark.slow
@pytest.mark.oldest
def test_clipping_shortens_all_gradients_together():
    before, after, *_ = step(dataclasses.replace(OPTIONS, clip_norm=0.01))
    gradients = tf_slim_step(network_values(before))[2]
    norm = math.sqrt(sum((gradient.astype(float) ** 2).sum() for gradient in gradients.values()))
    assert norm > 0.1
    name = "resnet_v2/logits/weights"
    np.testing.assert_allclose((before[name] - after[name]) / 0.1, gradients[name] * 0.01 / norm,
                               rtol=2e-2, atol=1e-6)


@pytest.mark.slow
@pytest.mark.oldest
def test_averages_of_weights():
    """After the update, and with decay min(decay, (1 + n) / (10 + n)) at step n."""
    before, after, *_ = step(dataclasses.replace(OPTIONS, ema_decay=0.99))
    name = "resnet_v2/logits/weights"
    initial = before[name + "/ExponentialMovingAverage"]
    decay = 2 / 11
    np.testing.assert_allclose(after[name + "/ExponentialMovingAverage"],
                               decay * initial + (1 - decay) * after[name], rtol=1e-5, atol=1e-6)


def test_optimizer_can_be_wrapped():
    seen = []

    def wrap(optimizer):
        seen.append(optimizer)
        return tf1.train.GradientDescentOptimizer(0.0)

    before, after, _, _, graph = run_steps(OPTIONS, wrap_optimizer=wrap)
    assert type(seen[0]) is tf1.train.GradientDescentOptimizer and graph.optimizer is not seen[0]
    np.testing.assert_array_equal(after["resnet_v2/logits/weights"],
                                  before["resnet_v2/logits/weights"])


def changed(options):
    before, after, *_ = step(options)
    return {name for name in before if not np.array_equal(before[name], after[name])
            and name != "global_step"}


def test_train_only():
    names = changed(dataclasses.replace(
        OPTIONS, train_only=("logits", "*/block2/unit_1/*/weights")))
    learnt = {name for name in names if "moving_" not in name}
    assert learnt == {"resnet_v2/logits/weights", "resnet_v2/logits/biases", *(
        f"resnet_v2/block2/unit_1/bottleneck_v2/{conv}/weights"
        for conv in ("shortcut", "conv1", "conv2", "conv3"))}


def test_frozen_batch_norm_changes_in_nothing():
    names = changed(dataclasses.replace(OPTIONS, freeze_batch_norm=True, batch_norm_decay=None,
                                        checkpoint="x"))
    assert not [name for name in names
                if name.endswith(("gamma", "beta", "moving_mean", "moving_variance"))]
    assert "resnet_v2/conv1/weights" in names and "resnet_v2/logits/weights" in names


def test_pattern_that_fits_nothing():
    with pytest.raises(SlimResnetError, match="--train-only 'logit' fits no variable"):
        step(dataclasses.replace(OPTIONS, train_only=("logit",)))


@pytest.mark.parametrize("onednn, units, root_block, refused", [
    (True, 1, False, True), (False, 1, False, False), (True, 2, False, False),
    (True, 1, True, False)])
def test_what_onednn_trains_wrongly_is_refused(monkeypatch, onednn, units, root_block, refused):
    monkeypatch.setattr(compat, "onednn_enabled", lambda: onednn)
    architecture = training_graph.architecture_of("resnet_v2", ((1, units), (2, 1)), root_block)
    with tf.Graph().as_default(), contextlib.ExitStack() as stack:
        if refused:
            stack.enter_context(pytest.raises(
                SlimResnetError, match="cannot train resnet_v2/block1/unit_1/bottleneck_v2/"
                "shortcut/Conv2D, a strided 1x1 convolution of 3 channels; set TF_ENABLE_ONEDNN"))
        training_graph.build_training_graph(
            tf.constant(IMAGES), tf.constant(LABELS), CLASSES,
            lambda images: training_graph.build_logits(images, CLASSES, architecture, OPTIONS),
            OPTIONS)


def rates(steps=(0, 1, 5, 9, 10, 50, 99), **change):
    options = dataclasses.replace(OPTIONS, learning_rate=2.0, **change)
    with tf.Graph().as_default(), tf1.Session() as session:
        at = tf1.placeholder(tf.int64, [])
        rate = training_graph.learning_rate(options, at)
        return [float(session.run(rate, {at: step})) for step in steps]


def test_schedules_by_hand():
    assert rates(schedule="constant") == [2] * 7
    assert rates((0, 9, 10, 49, 50), schedule="piecewise", boundaries=(10, 50),
                 decay_rate=0.5) == [2, 2, 1, 1, 0.5]
    np.testing.assert_allclose(
        rates((0, 25, 50, 100), schedule="cosine", end_learning_rate=0.5),
        [0.5 + 1.5 * (1 + math.cos(math.pi * share)) / 2 for share in (0, 0.25, 0.5, 1)], rtol=1e-6)
    np.testing.assert_allclose(
        rates((0, 25, 50, 100), schedule="polynomial", end_learning_rate=0.5, power=2.0),
        [0.5 + 1.5 * (1 - share) ** 2 for share in (0, 0.25, 0.5, 1)], rtol=1e-6)


def test_warm_up_grows_in_equal_parts_and_the_schedule_begins_behind_it():
    np.testing.assert_allclose(
        rates((0, 1, 8, 9, 10, 55), schedule="cosine", warmup_steps=10),
        [0.2, 0.4, 1.8, 2, 2, 1], rtol=1e-6)


def test_batch_norm_decay_follows_the_length_of_the_run():
    def decay(steps, given=None):
        return batch_norm_decay_for(TrainingOptions(steps=steps, model="resnet_v2_50",
                                                    batch_norm_decay=given))

    assert decay(200) == pytest.approx(0.95) and decay(100, 0.5) == 0.5
    assert decay(10 ** 6) == decay(3334) == 0.997 and decay(3) == 0
    assert all(decay(steps) ** steps < math.exp(-9.9) for steps in (10, 100, 3000, 4000))


def test_models_of_the_published_depths():
    for name, variant, units in (("resnet_v2_101", "slim", (3, 4, 23, 3)),
                                 ("blog_resnet_v2_152", "blog", (3, 8, 36, 3))):
        architecture = training_graph.architecture_of(name)
        module = {"slim": resnet_v2, "blog": blog}[variant]
        assert architecture.variant == variant
        assert architecture.scope == name.replace("blog_", "")
        assert tuple(len(block.args) for block in architecture.blocks) == units
        assert all(block.unit_fn is module.bottleneck for block in architecture.blocks)
