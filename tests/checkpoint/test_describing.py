"""A checkpoint in a terminal and in a notebook: what it says is what the file holds."""

import math

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.checkpoint import describe, open_checkpoint, recognise
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints

tf1 = tf.compat.v1


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("describing") / "<i>net.ckpt",
                             extra={"other": np.ones([2], np.float32)})


def test_description_is_the_files(written):
    described = describe(written.path, statistics=True)
    assert repr(described) == (f"<{written.path}: slim's ResNet V2, blocks of 2, 1 units and 4, 8 "
                               f"channels; {len(written.values)} variables>")
    assert [row["name"] for row in described.variables] == sorted(written.values)
    for row in described.variables:
        value = written.values[row["name"]]
        assert (row["shape"], row["values"]) == (list(value.shape), math.prod(value.shape))
        assert row["mean"] == pytest.approx(value.mean(), rel=1e-5)
    frame = described.to_pandas()
    assert frame["values"].sum() == sum(value.size for value in written.values.values())
    assert frame.set_index("name").loc["resnet_v2_50/conv1/weights", "std"] == pytest.approx(
        written.values["resnet_v2_50/conv1/weights"].std(), rel=1e-5)
    assert set(frame.kind) == {"trainable", "moving_statistics", "other"}
    assert "mean" not in describe(written.path).to_pandas()


def test_an_open_checkpoint_shows_itself(written):
    with open_checkpoint(written.path) as opened:
        assert repr(opened).startswith(f"<Checkpoint {written.path}: V2, {len(written.values)} var")
        assert repr(recognise(opened)) == "<slim's ResNet V2, scope resnet_v2_50, 10 classes>"
        markup = opened._repr_html_()
    assert "&lt;i&gt;net.ckpt" in markup and "<i>" not in markup
    assert markup.count("<tr><td>") == len(written.values)
    assert opened.to_pandas().equals(describe(written.path).to_pandas())


def test_a_checkpoint_of_another_network_shows_its_variables(tmp_path):
    path = str(tmp_path / "other.ckpt")
    with tf.Graph().as_default(), tf1.Session() as session:
        variable = tf1.get_variable("own", [2, 3])
        session.run(variable.initializer)
        tf1.train.Saver({"<b>own": variable}).save(session, path)
    with open_checkpoint(path) as opened:
        markup = opened._repr_html_()
        assert opened.to_pandas()["values"].tolist() == [6]
    assert "<td>&lt;b&gt;own</td><td>2x3</td>" in markup and "<b>" not in markup
    assert "not known: " in markup
    with pytest.raises(SlimResnetError, match="variables of no known network"):
        describe(path)
