"""What training leaves beside a network, told by its place and not by its name."""

import types

import pytest
import tensorflow as tf

from slim_resnet.checkpoint import Selection, recognise
from slim_resnet.checkpoint.leftovers import Leftovers
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints

tf1 = tf.compat.v1

SCOPE = "resnet_v2_50"
WEIGHTS = f"{SCOPE}/block1/unit_1/bottleneck_v2/conv2/weights"


def apply(optimizer):
    return optimizer.apply_gradients([(tf.zeros_like(v), v) for v in tf1.trainable_variables()])


def shapes_with(train):
    """Returns shapes of a network and of what ``train()`` adds, and the network's names."""
    with tf.Graph().as_default():
        checkpoints.slim_builder((1, 1))(tf1.placeholder(tf.float32, [1, 32, 32, 3]))
        network = {v.op.name for v in tf1.global_variables()}
        train()
        return {v.op.name: tuple(v.shape.as_list()) for v in tf1.global_variables()}, network


def found(shapes):
    return recognise(types.SimpleNamespace(path="n", shapes=shapes, selection=Selection("n"),
                                           notes={}))


def in_scope(optimizer):
    with tf1.variable_scope("train"):
        apply(optimizer)


def zeros_under(scope):
    for v in tf1.trainable_variables():
        tf1.get_variable(f"{scope}/{v.op.name}", v.shape, trainable=False)


@pytest.mark.parametrize("train,kinds", [
    (lambda: apply(tf1.train.MomentumOptimizer(.1, .9)), {"Momentum": 1}),
    (lambda: apply(tf1.train.MomentumOptimizer(.1, .9, name="LARSOptimizer")),
     {"LARSOptimizer": 1}),
    (lambda: apply(tf1.train.AdagradOptimizer(.1, name="mine")), {"mine": 1}),
    (lambda: apply(tf1.train.RMSPropOptimizer(.1, centered=True)), {"RMSProp": 3}),
    (lambda: apply(tf1.train.AdamOptimizer(.1)), {"Adam": 2, "scalar": 2}),
    (lambda: in_scope(tf1.train.AdamOptimizer(.1, name="Mine")), {"Mine": 2, "scalar": 2}),
    (lambda: tf.train.ExponentialMovingAverage(.9, name="avg").apply(tf1.trainable_variables()),
     {"avg": 1}),
    (lambda: zeros_under("my_optimizer"), {"my_optimizer": 1}),
    (lambda: zeros_under("a/my_optimizer_1"), {"my_optimizer": 1}),
    (tf1.train.create_global_step, {"global_step": 1})])
def test_optimizers_and_averages(train, kinds):
    shapes, network = shapes_with(train)
    result = found(shapes)
    assert (result.scope, set(result.names)) == (SCOPE, network)
    each = sum(1 for name in network if not name.endswith(("moving_mean", "moving_variance")))
    assert result.leftovers == {
        kind: count if kind in ("scalar", "global_step") else count * each
        for kind, count in kinds.items()}
    assert "others" not in result.assumed


def test_below_a_variable_shapes_are_not_looked_at():
    shapes, network = shapes_with(lambda: None)
    shapes.update({f"{WEIGHTS}/Adafactor": (3, 3, 1), f"{WEIGHTS}/Adafactor_1": (3, 3, 1),
                   f"opt/{WEIGHTS}/vr": (7,)})
    assert found(shapes).leftovers == {"Adafactor": 2, "vr": 1}


def test_a_whole_copy_is_another_network():
    shapes, network = shapes_with(lambda: None)
    shapes.update({f"shadow/{name}": shapes[name] for name in network})
    with pytest.raises(SlimResnetError, match=f"2 networks: {SCOPE}, shadow/{SCOPE}; choose"):
        found(shapes)


@pytest.mark.parametrize("name,kind", [
    ("S/bn/S/bn/moving_mean/biased", "zero_debias"), ("S/beta1_power", "scalar"),
    ("S/bn/temperature", None), ("loss_scale/good_steps", "scalar"), ("S/mean_rgb", "mean_rgb"),
    ("head/weights", None), ("S/bn/moving_mean", None)])
def test_kinds(name, kind):
    shapes = {"S/bn/moving_mean": (4,), "head/weights": (4, 2)}
    shapes.setdefault(name, ())
    assert Leftovers(shapes).kind(name) == kind
