"""Files written by the oldest and the newest TensorFlow load on the one that is running."""

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.checkpoint import build_from_checkpoint, open_checkpoint, recognise
from tests.helpers import checkpoints, make_golden_checkpoints

tf1 = tf.compat.v1


@pytest.mark.parametrize("version", ["2.12.1", "2.21.0"])
@pytest.mark.parametrize("format", ["V1", "V2"])
def test_every_value(version, format):
    path = make_golden_checkpoints.DATA / f"tf-{version}-{format}.ckpt"
    leftovers = make_golden_checkpoints.leftovers()
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.format == format
        found = recognise(checkpoint)
        values = {name: checkpoint.tensor(name) for name in checkpoint.shapes}
    assert (found.variant, found.num_classes, found.scope) == ("slim", 1001, "resnet_v2_50")
    assert found.leftovers == {"ExponentialMovingAverage": 1, "Momentum": 1, "global_step": 1,
                               "mean_rgb": 1}
    assert len(values) == 60 + len(leftovers)
    for name, value in values.items():
        expected = leftovers.get(name)
        if expected is None:
            expected = checkpoints.distinct_value(name, value.shape, np.float32)
        assert value.dtype == np.asarray(expected).dtype, name
        np.testing.assert_array_equal(value, expected, err_msg=name)

    with tf.Graph().as_default(), tf1.Session() as session:
        build_from_checkpoint(path, tf1.placeholder(tf.float32, [None, 32, 32, 3]))
        for variable in tf1.global_variables():
            np.testing.assert_array_equal(session.run(variable), values[variable.op.name])
