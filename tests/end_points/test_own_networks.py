"""`summary` and `statistics` for one's own network: the dict of any builder of tf_slim's."""

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import (
    alexnet,
    inception_v1,
    inception_v2,
    inception_v3,
    overfeat,
    resnet_v1,
    resnet_v2,
    vgg,
)

from slim_resnet import end_points as ep
from slim_resnet.errors import SlimResnetError
from tests.helpers import networks

tf1 = tf.compat.v1


def residual(module):
    def build(images):
        with slim.arg_scope(module.resnet_arg_scope()):
            return getattr(module, networks.version_of(module))(
                images, networks.tiny_blocks(module), 10, is_training=False, scope="net")
    return build


def plain(builder, **options):
    return lambda images: builder(images, 10, is_training=False, **options)


NETWORKS = {
    "resnet_v1": (residual(resnet_v1), 32, "block1/unit_1/bottleneck_v1/conv2"),
    "resnet_v2": (residual(resnet_v2), 32, "block1/unit_1/bottleneck_v2/conv2"),
    "vgg_16": (plain(vgg.vgg_16), 224, "conv3_2"),
    "alexnet_v2": (plain(alexnet.alexnet_v2), 224, "conv3"),
    "overfeat": (plain(overfeat.overfeat), 231, "conv3"),
    "inception_v1": (plain(inception_v1.inception_v1), 224, "Mixed_3b"),
    "inception_v2": (plain(inception_v2.inception_v2, depth_multiplier=0.1), 224, "Mixed_3b"),
    "inception_v3": (plain(inception_v3.inception_v3, depth_multiplier=0.1), 139, "Mixed_5b"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_summary_of_tf_slim_s_networks(graph, name):
    build, size, key = NETWORKS[name]
    _, end_points = build(tf1.placeholder(tf.float32, [None, size, size, 3]))
    rows = ep.summary(end_points)
    assert {row.key for row in rows} == set(end_points)
    assert ep.total(rows).parameters == sum(
        variable.shape.num_elements() for variable in tf1.model_variables())
    chosen = ep.summary(end_points, key)
    assert chosen == [row for row in rows if row.key == key or row.key.endswith(f"/{key}")]
    assert len(chosen) == 1 and chosen[0].parameters > 0
    assert len(ep.summary(end_points, [key, "*"])) == len(rows)
    shown = ep.EndPoints(end_points)
    assert shown == end_points and repr(shown).startswith(f"<{len(rows)} end points by key: ")
    assert shown._repr_html_() == rows._repr_html_()
    assert rows._repr_html_().count("<tr><td>") == len(rows)
    assert len(repr(rows)) < 80 and repr(rows).startswith(f"<{len(rows)} end points: ")
    assert shown.to_pandas().parameters.tolist() == [row.parameters for row in rows]


@pytest.fixture
def own(graph):
    images = tf1.placeholder(tf.float32, [None, 32, 32, 3])
    _, end_points = residual(resnet_v2)(images)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        yield session, images, end_points


def test_statistics_are_numpy_s(own):
    session, images, end_points = own
    fed = networks.images_of(32, 32, batch=5)
    rows = ep.statistics(end_points, session, images, [fed[:3], fed[3:]], keys="net/block*")
    assert [row.key for row in rows] == [row.key for row in ep.summary(end_points, "net/block*")]
    values = session.run({row.key: end_points[row.key] for row in rows}, {images: fed})
    for row in rows:
        exact = values[row.key].astype(np.float64)
        assert row.images == 5
        assert (row.mean, row.std) == (pytest.approx(exact.mean(), abs=1e-6),
                                       pytest.approx(exact.std(), rel=1e-5))
    one, = ep.statistics(end_points, session, images, fed, keys="block2")
    assert one.mean == pytest.approx(rows[-1].mean, rel=1e-6) and one.key == "net/block2"
    assert repr(one).startswith("<net/block2: mean ") and repr(one).endswith("5 images>")
    assert repr(rows).startswith(f"<{len(rows)} end points: values of 5 images, ")
    assert rows._repr_html_().count("<tr><td>") == len(rows)
    assert rows.to_pandas()["std"].tolist() == [row.std for row in rows]


def test_doubts_are_shown_and_safe(own):
    session, images, _ = own
    dead = tf.nn.relu(tf.reshape(images, [-1, 32 * 32, 3]) - 10)
    rows = ep.statistics({"<b>dead": dead}, session, images, networks.images_of(32, 32))
    assert repr(rows) == "<1 end point: values of 2 images, 1 doubt>"
    markup = rows._repr_html_()
    assert "are zero everywhere, for all images; first &lt;b&gt;dead" in markup
    assert "<b>" not in markup and rows[0].dead == (0, 1, 2)


def test_bad_input(own):
    session, images, end_points = own
    fed = networks.images_of(32, 32)
    with tf.Graph().as_default():
        other = tf1.placeholder(tf.float32, [None, 32, 32, 3])
    with pytest.raises(SlimResnetError, match="^images: is no tensor of the session's graph"):
        ep.statistics(end_points, session, other, fed)
    with pytest.raises(SlimResnetError, match="^own: is no tensor of the session's graph"):
        ep.statistics({"own": other}, session, images, fed)
    with pytest.raises(SlimResnetError, match="^the network takes float32, and the images are "
                       "uint8; prepare them first$"):
        ep.statistics(end_points, session, images, np.zeros([1, 32, 32, 3], np.uint8))
    with pytest.raises(SlimResnetError, match="there is no end point 'block9'"):
        ep.statistics(end_points, session, images, fed, keys="block9")
    with pytest.raises(SlimResnetError, match="there is no end point 'block9'"):
        ep.summary(end_points, "block9")
