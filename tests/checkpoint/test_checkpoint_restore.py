"""Restoring: every variable or none, and messages that name all that does not fit."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import resnet_v2
from slim_resnet.checkpoint import restore
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints

tf1 = tf.compat.v1
SENTINEL = -7


@functools.cache
def graph_of(build):
    """Returns a network's graph, built once a builder, and its variables by name."""
    with tf.Graph().as_default() as graph:
        build(tf.zeros([1, 32, 32, 3]))
        return graph, {v.op.name: v for v in tf1.global_variables()}


class Restored:
    """A session over a graph whose variables all hold `SENTINEL`."""

    def __init__(self, build=None):
        graph, self.variables = graph_of(build or checkpoints.slim_builder())
        self.session = tf1.Session(graph=graph)
        self.session.run([v.initializer for v in self.variables.values()],
                         {v.initializer.inputs[1]: np.full(v.shape, SENTINEL)
                          for v in self.variables.values()})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()

    def values(self):
        return self.session.run(self.variables)

    def refusal(self, path, **options):
        """Returns the message of a restore that fails, having changed nothing."""
        with pytest.raises(SlimResnetError) as caught:
            restore(self.session, path, **options)
        for name, value in self.values().items():
            assert (value == SENTINEL).all(), name
        message = str(caught.value)
        assert "\n" not in message
        return message


def assert_restored(values, expected):
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(values[name], value, err_msg=name)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("tiny") / "net.ckpt")


@pytest.fixture(scope="module", params=["V1", "V2"])
def trained(request, tmp_path_factory):
    """As training leaves it: optimizer slots, a step, averages of all but one variable."""
    network = {name: variable.shape.as_list()
               for name, variable in graph_of(checkpoints.slim_builder())[1].items()}
    extra = {"global_step": np.int64(12345), "mean_rgb": np.float32([1, 2, 3])}
    for name, shape in network.items():
        extra[name + "/Momentum"] = np.ones(shape, np.float32)
        if not name.endswith("moving_variance"):
            average = name + "/ExponentialMovingAverage"
            extra[average] = checkpoints.distinct_value(average, shape, np.float32)
    return checkpoints.write(tmp_path_factory.mktemp("trained") / "net.ckpt", extra=extra,
                             version=checkpoints.FORMATS[request.param])


def network_of(written):
    return {n: v for n, v in written.values.items()
            if n.startswith("resnet_v2_50") and not n.endswith(("Momentum", "Average"))}


@pytest.mark.parametrize("resource", [True, False])
def test_restores_exactly_leaving_leftovers(trained, resource):
    def build(images):
        with tf1.variable_scope("", use_resource=resource):
            checkpoints.slim_builder()(images)

    with Restored(build) as graph:
        kinds = {type(v).__name__ for v in graph.variables.values()}
        assert kinds == {"ResourceVariable" if resource else "RefVariable"}
        names = restore(graph.session, trained.path)
        assert names == sorted(graph.variables)
        assert_restored(graph.values(), network_of(trained))


def test_leftovers_that_the_graph_wants_are_restored(trained):
    def build(images):
        checkpoints.slim_builder()(images)
        tf1.train.get_or_create_global_step()

    with Restored(build) as graph:
        restore(graph.session, trained.path)
        assert graph.values()["global_step"] == 12345


def test_moving_averages(trained, tiny):
    with Restored() as graph:
        restore(graph.session, trained.path, use_moving_averages=True)
        expected = {name: trained.values.get(name + "/ExponentialMovingAverage", value)
                    for name, value in network_of(trained).items()}
        assert_restored(graph.values(), expected)
        assert (expected["resnet_v2_50/postnorm/gamma"]
                != trained.values["resnet_v2_50/postnorm/gamma"]).all()
    with Restored() as graph:
        assert "holds no moving averages" in graph.refusal(tiny.path, use_moving_averages=True)


def test_moving_averages_of_every_trainable_variable(tmp_path, tiny):
    average = "resnet_v2_50/conv1/biases/ExponentialMovingAverage"
    written = checkpoints.write(tmp_path / "net.ckpt", extra={average: np.zeros(64, np.float32)})
    with Restored() as graph:
        message = graph.refusal(written.path, use_moving_averages=True)
        assert "wanted and not in the file" in message
        assert "/ExponentialMovingAverage" in message


def test_both_directions_in_one_message(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", checkpoints.slim_builder((1, 1)))
    with Restored(checkpoints.slim_builder((2, 1), None)) as graph:
        message = graph.refusal(written.path)
    assert message.startswith(f"{written.path}: does not fit the graph, and nothing was restored")
    assert "16 wanted and not in the file (resnet_v2_50/block1/unit_2/bottleneck_v2/" in message
    assert "2 in the file and not wanted (resnet_v2_50/logits/biases, " in message


def test_allow_missing_allows_what_is_missing_and_no_more(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", checkpoints.slim_builder((1, 1)))
    with Restored(checkpoints.slim_builder((2, 1), None)) as graph:
        message = graph.refusal(written.path, allow_missing=True)
        assert "wanted and not" not in message and "2 in the file and not wanted" in message
        names = restore(graph.session, written.path, allow_missing=True, exclude="*/logits/*")
        assert len(names) == len(graph.variables) - 16
        for name, value in graph.values().items():
            expected = written.values[name] if name in names else SENTINEL
            np.testing.assert_array_equal(value, np.broadcast_to(expected, value.shape), name)
    with Restored(lambda images: tf1.get_variable("elsewhere", [2])) as graph:
        assert "not in the file (elsewhere)" in graph.refusal(written.path, allow_missing=True)


@pytest.mark.parametrize("in_file,in_graph", [(1001, 1000), (1000, 1001), (10, 20)])
def test_class_mismatch_in_words(tmp_path, in_file, in_graph):
    written = checkpoints.write(tmp_path / "net.ckpt",
                                checkpoints.slim_builder(num_classes=in_file))
    with Restored(checkpoints.slim_builder(num_classes=in_graph)) as graph:
        message = graph.refusal(written.path)
        assert f"the file has {in_file} classes and the graph {in_graph}" in message
        assert f"num_classes={in_file}" in message and "exclude=['*/logits/*']" in message
        assert ("background, class 0" in message) == (in_file != 10)
        restore(graph.session, written.path, exclude=["*/logits/*"])
        values = graph.values()
        for name in values:
            expected = SENTINEL if "/logits/" in name else written.values[name]
            np.testing.assert_array_equal(values[name], np.broadcast_to(
                expected, values[name].shape), name)


def test_logits_too_many_or_too_few(tmp_path, tiny):
    features = checkpoints.write(tmp_path / "net.ckpt", checkpoints.slim_builder(num_classes=None))
    for build, path in ((checkpoints.slim_builder(num_classes=None), tiny.path),
                        (checkpoints.slim_builder(), features.path)):
        with Restored(build) as graph:
            assert "exclude=['*/logits/*']" in graph.refusal(path)
            restore(graph.session, path, exclude=["*/logits/*"])


def test_shape_and_dtype(tmp_path, tiny):
    def wrong_shape(values):
        values["resnet_v2_50/postnorm/beta"] = np.zeros(7, np.float32)

    def build(images):
        checkpoints.slim_builder(scope="a")(images)
        tf1.get_variable("b/half", [2], tf.float16)
        tf1.get_variable("b/more", [3])

    written = checkpoints.write(tmp_path / "net.ckpt", checkpoints.slim_builder(scope="a"),
                                extra={"b/half": np.float32([1, 2]), "b/more": np.float32([1, 2])})
    with Restored(build) as graph:
        message = graph.refusal(written.path)
        assert "b/half is float32 in the file and float16 in the graph" in message
        assert "b/more is [2] in the file and [3] in the graph" in message
        restore(graph.session, written.path, exclude=["b/*"])


def test_exclude_that_fits_nothing(tiny):
    with Restored() as graph:
        assert "'*/logit/*' fits no variable" in graph.refusal(tiny.path, exclude=["*/logit/*"])


def test_scope_map(tiny, tmp_path):
    with Restored(checkpoints.slim_builder(scope="backbone/net")) as graph:
        message = graph.refusal(tiny.path)
        assert "scope_map={'resnet_v2_50': 'backbone/net'}" in message
        restore(graph.session, tiny.path, scope_map={"resnet_v2_50": "backbone/net"})
        assert_restored(graph.values(), {n.replace("resnet_v2_50", "backbone/net"): v
                                         for n, v in tiny.values.items()})
    outer = checkpoints.write(tmp_path / "net.ckpt", checkpoints.slim_builder(scope="a/b"))
    with Restored(checkpoints.slim_builder(scope="b")) as graph:
        restore(graph.session, outer.path, scope_map={"a": ""})
        assert_restored(graph.values(), {n[2:]: v for n, v in outer.values.items()})
    with Restored(checkpoints.slim_builder(scope="c/a/b")) as graph:
        restore(graph.session, outer.path, scope_map={"": "c"})
        assert_restored(graph.values(), {"c/" + n: v for n, v in outer.values.items()})
    with Restored() as graph:
        assert "no variable under the scope 'resnet'" in graph.refusal(
            tiny.path, scope_map={"resnet": "x"})
        assert "the same name" in graph.refusal(
            tiny.path, scope_map={"resnet_v2_50/block1/unit_1": "x",
                                  "resnet_v2_50/block1/unit_2": "x"})


def test_scope_map_of_zero_debias(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt",
                                checkpoints.blog_builder(scope="a/b", is_training=True))
    with Restored(checkpoints.blog_builder(scope="c", is_training=True)) as graph:
        restore(graph.session, written.path, scope_map={"a/b": "c"})
        assert_restored(graph.values(), {n.replace("a/b", "c"): v
                                         for n, v in written.values.items()})


def test_variants_are_never_exchanged(tmp_path, tiny):
    blog = checkpoints.write(tmp_path / "net.ckpt", checkpoints.blog_builder(scope="resnet_v2_50"))
    with Restored() as graph:
        assert "the file holds the blog's network" in graph.refusal(blog.path)
    with Restored(checkpoints.blog_builder(scope="resnet_v2_50")) as graph:
        assert "the file holds slim's network" in graph.refusal(tiny.path)


def test_a_forgotten_arg_scope(tiny):
    def build(images):
        with pytest.warns(UserWarning):
            resnet_v2.resnet_v2(images, [resnet_v2.resnet_v2_block("block1", 1, 1, 1)], 10,
                                scope="resnet_v2_50")
    with Restored(build) as graph:
        assert "built outside resnet_arg_scope" in graph.refusal(tiny.path)


@pytest.mark.parametrize("format,bad", [("V1", np.nan), ("V2", np.inf), ("V2", -np.inf)])
def test_values_that_are_not_finite(tmp_path, format, bad):
    matrix, vector = names = ["resnet_v2_50/conv1/weights", "resnet_v2_50/postnorm/beta"]

    def spoil(values):
        for name in names:
            values[name].flat[-1] = bad

    written = checkpoints.write(tmp_path / "net.ckpt", change=spoil,
                                version=checkpoints.FORMATS[format])
    with Restored() as graph:
        assert (f"NaN or infinite values in 2 variables ({matrix}, {vector}); nothing"
                in graph.refusal(written.path))
        assert f"in 1 variables ({vector})" in graph.refusal(written.path, exclude=matrix)
        assert f"in 1 variables ({matrix})" in graph.refusal(written.path, exclude=vector)
        restore(graph.session, written.path, allow_non_finite=True)
        assert_restored(graph.values(), written.values)
    with Restored() as graph:
        restore(graph.session, written.path, exclude=names)


def test_damage_that_shows_in_the_middle_of_reading(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt")
    data = tmp_path / "net.ckpt.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[-1] ^= 1  # of resnet_v2_50/postnorm/moving_variance, the last by name
    data.write_bytes(content)
    with Restored() as graph:
        message = graph.refusal(written.path)
        assert "resnet_v2_50/postnorm/moving_variance cannot be read" in message


def test_a_finalized_graph(tiny):
    with Restored(lambda images: tf1.get_variable("own", [2])) as graph:
        graph.session.graph.finalize()
        assert "the graph is finalized" in graph.refusal(tiny.path)


def test_under_device_and_control_scopes(tiny):
    with Restored() as graph, graph.session.graph.as_default():
        never = tf.debugging.Assert(False, ["must not run"])
        with tf.device("/device:GPU:7"), tf.control_dependencies([never]), \
             tf1.variable_scope("outer"), slim.arg_scope([slim.conv2d], stride=2):
            restore(graph.session, tiny.path)
        assert_restored(graph.values(), tiny.values)
