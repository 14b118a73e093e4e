"""InferenceModel against the unfolded networks, slim's and the blog's, on the same weights."""

import concurrent.futures
import contextlib
import io
import threading

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import blog, compat, resnet_v2
from slim_resnet.checkpoint import open_checkpoint, recognise
from slim_resnet.common import environment
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import reading
from slim_resnet.inference.folded import graph as inference_graph
from slim_resnet.inference.folded import network as folded_network
from slim_resnet.inference.folded.model import InferenceModel
from slim_resnet.inference.network import Network
from tests.helpers import checkpoints, hardware, networks

tf1 = tf.compat.v1

needs_bfloat16 = pytest.mark.skipif(
    not hardware.RUNS_BFLOAT16, reason="oneDNN has bfloat16 kernels only for CPUs with it")

BUILDERS = {"slim": checkpoints.slim_builder(), "blog": checkpoints.blog_builder(),
            "features": checkpoints.slim_builder(num_classes=None),
            "wide": checkpoints.slim_builder(base_depth=16)}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inference")
    return {name: checkpoints.write(str(folder / f"{name}.ckpt"), build)
            for name, build in BUILDERS.items()}


@pytest.fixture(scope="module")
def model(written):
    with InferenceModel.from_checkpoint(written["slim"].path, "float32") as model:
        yield model


def largest_error(expected, got):
    assert got.shape == expected.shape and got.dtype == np.float32
    return np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-3)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_end_point_is_the_unfolded_networks(written, name):
    """The reference values are tf_slim's own, or the blog's; all keys, at once and alone."""
    made = written[name]
    with InferenceModel.from_checkpoint(made.path, "float32",
                                        [*made.end_points, "global_pool"]) as model:
        outputs = model(made.images)
    for key, expected in made.end_points.items():
        assert largest_error(expected, outputs.end_points[key]) < 2e-5, key
    pooled = outputs.end_points["global_pool"]
    if name == "features":
        assert outputs.logits is None and outputs.predictions is None
        assert largest_error(made.net, pooled) < 2e-5
    else:
        assert largest_error(made.net[:, 0, 0], outputs.logits) < 2e-5
        np.testing.assert_allclose(outputs.predictions.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("onednn", [False, True], ids=["for Eigen", "for oneDNN"])
@pytest.mark.parametrize("name", ["slim", "blog"])
def test_both_forms_of_the_graph_give_the_same(written, name, onednn):
    """Stock ops of either form run on any kernels; only their speed differs."""
    made = written[name]
    outputs = run_folded(made, onednn=onednn)
    for key, expected in made.end_points.items():
        assert largest_error(expected, outputs[key]) < 2e-5, key


def run_folded(made, fed=None, **options):
    with open_checkpoint(made.path) as opened:
        folded = inference_graph.folded_graph(recognise(opened), opened.tensor, **options)
    with tf.Graph().as_default() as graph, tf1.Session() as session:
        tf.import_graph_def(folded.graph_def, name="")
        fetches = {key: graph.get_tensor_by_name(f"{node}:0")
                   for key, node in folded.end_points.items()}
        return session.run(fetches, {"images:0": made.images if fed is None else fed})


def test_negative_and_zero_scales_are_not_folded_through_the_relu(tmp_path):
    def change(values):
        for name, value in values.items():
            if name.endswith("preact/gamma"):
                value[::2] *= -1
                value[1::4] = 0

    made = checkpoints.write(str(tmp_path / "c.ckpt"), change=change)
    for onednn in (False, True):
        outputs = run_folded(made, onednn=onednn)
        assert largest_error(made.net, outputs["resnet_v2_50/logits"]) < 2e-5


def test_layers_are_fused_and_weights_are_variables(written):
    """What is left of a unit's dozen ops is counted, so that a lost fusion shows."""
    with open_checkpoint(written["wide"].path) as opened:
        network = recognise(opened)
        folded = folded_network.fold("", network, opened.tensor, "float32", with_variables=True)
    assert sum(v.nbytes for v in folded.variables.values()) > 0.7 * sum(
        v.nbytes for name, v in written["wide"].values.items() if name.endswith("weights"))
    assert not any(v.ctypes.data % 64 for v in folded.variables.values())
    graph_def = compat.fuse(folded.graph_def, ["resnet_v2_50/predictions"])
    ops = [node.op for node in graph_def.node]
    # conv1 and logits, block2's shortcut (block1's channels are conv1's), three a unit; the
    # last are fused with the addition too where oneDNN runs them.
    assert sum(op.endswith("FusedConv2D") for op in ops) == 2 + 1 + 3 * 3
    assert "Conv2D" not in ops
    if compat.onednn_enabled():
        assert "AddN" not in ops
        assert all(node.attr["is_filter_const"].b for node in graph_def.node
                   if node.op.startswith("_Mkl"))


@pytest.mark.parametrize("output_stride", [4, pytest.param(8, marks=pytest.mark.slow)])
def test_output_stride(tmp_path, output_stride):
    made = checkpoints.write(str(tmp_path / "c.ckpt"), checkpoints.slim_builder((2, 2, 1)))
    with tf.Graph().as_default(), tf1.Session() as session:
        with slim.arg_scope(resnet_v2.resnet_arg_scope()):
            net, end_points = resnet_v2.resnet_v2(
                tf.constant(made.images), checkpoints.slim_blocks((2, 2, 1)), 10, False,
                output_stride=output_stride, scope="resnet_v2_50")
        networks.load(session, made.values)
        expected = session.run(end_points)
        with InferenceModel.from_session(session, "float32", list(expected)) as live:
            from_session = live(made.images).end_points
    with InferenceModel.from_checkpoint(made.path, "float32", list(expected),
                                        output_stride=output_stride) as model:
        from_checkpoint = model(made.images).end_points
    for key, value in expected.items():
        assert largest_error(value, from_checkpoint[key]) < 2e-5, key
        assert largest_error(value, from_session[key]) < 2e-5, key


@pytest.mark.parametrize("root_block", [True, False])
def test_live_session_with_a_table_of_its_own(root_block):
    """Strides, epsilon and the absence of a root block are read off the graph."""
    blocks = [resnet_v2.Block("block1", resnet_v2.bottleneck, [
        {"depth": 8, "depth_bottleneck": 2, "stride": 2},
        {"depth": 8, "depth_bottleneck": 4, "stride": 1, "rate": 2}])]
    batch = networks.images_of(17, 20)
    with tf.Graph().as_default(), tf1.Session() as session:
        with slim.arg_scope(resnet_v2.resnet_arg_scope(batch_norm_epsilon=0.1)), \
                tf1.variable_scope("outer"):
            net, end_points = resnet_v2.resnet_v2(
                tf.constant(batch), blocks, 5, False, include_root_block=root_block, scope="net")
        networks.load(session, networks.values_for(tf1.global_variables()))
        expected = session.run(end_points)
        with InferenceModel.from_session(session, "float32", list(expected)) as model:
            got = model(batch).end_points
    assert "outer/net/block1/unit_2/bottleneck_v2/conv2" in expected
    for key, value in expected.items():
        assert largest_error(value, got[key]) < 2e-5, key


def test_table_of_blocks_with_other_strides(written):
    made = written["blog"]
    blocks = [blog.Block("block1", blog.bottleneck, [(4, 1, 2), (4, 1, 1)]),
              blog.Block("block2", blog.bottleneck, [(8, 2, 1)])]
    with tf.Graph().as_default(), tf1.Session() as session:
        with slim.arg_scope(blog.resnet_arg_scope(is_training=False)), \
                contextlib.redirect_stdout(io.StringIO()):
            net, _ = blog.resnet_v2(tf.constant(made.images), blocks, 10, scope="resnet_v2_152")
        networks.load(session, made.values)
        expected = session.run(net)[:, 0, 0]
    with InferenceModel.from_checkpoint(made.path, "float32", blocks=blocks) as model:
        assert largest_error(expected, model(made.images).logits) < 2e-5
    with pytest.raises(SlimResnetError, match="other names, numbers of units or channels"):
        InferenceModel.from_checkpoint(made.path, blocks=blocks[:1])


def test_uint8_is_prepared_as_images_are(written, model):
    pixels = np.random.default_rng(0).integers(0, 256, [2, 32, 32, 3], np.uint8)
    prepared = np.stack([(reading.tf.image.convert_image_dtype(image, tf.float32).numpy() - 0.5)
                         * 2 for image in pixels])
    np.testing.assert_array_equal(model(pixels).logits, model(prepared).logits)
    # And the borders of conv1, which are padded with 0 and not with -1.
    with Network(written["slim"].path, 32) as network:
        assert largest_error(network.logits(prepared), model(pixels).logits) < 2e-5


@pytest.mark.parametrize("shape", [(1, 32, 32, 3), (5, 33, 47, 3), (2, 1, 1, 3)])
def test_any_batch_and_image_size(written, model, shape):
    batch = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    expected = networks_logits(written["slim"], batch)
    assert largest_error(expected, model(batch).logits) < 2e-5
    assert largest_error(expected, model(batch.astype(np.float64)).logits) < 2e-5


def networks_logits(made, batch):
    with tf.Graph().as_default(), tf1.Session() as session:
        net, _ = checkpoints.slim_builder()(tf.constant(batch))
        networks.load(session, made.values)
        return session.run(net)[:, 0, 0]


def test_like_a_network(written, model):
    made = written["slim"]
    key = "resnet_v2_50/block1"
    with InferenceModel.from_checkpoint(made.path, "float32", [key], image_size=32) as other:
        assert other.end_points[key].shape[1:].as_list() == [4, 4, 4]
        assert largest_error(made.end_points[key], other.features(key, made.images)) < 2e-5
    np.testing.assert_array_equal(model.probabilities(made.images), model(made.images).predictions)
    np.testing.assert_array_equal(model.logits(made.images), model(made.images).logits)
    assert (model.num_classes, model.path) == (10, made.path)


@needs_bfloat16
@pytest.mark.parametrize("onednn", [False, True], ids=["for Eigen", "for oneDNN"])
@pytest.mark.parametrize("name", ["wide", "blog"])
def test_bfloat16(written, name, onednn):
    """Each layer is near and none is float32's."""
    made = written[name]
    outputs = run_folded(made, dtype=tf.bfloat16, onednn=onednn)
    for key, expected in made.end_points.items():
        error = largest_error(expected, outputs[key])
        assert error < 0.06, key
        assert error > 1e-6 or not expected.any(), key
    np.testing.assert_allclose(outputs["predictions"].sum(axis=-1), 1, rtol=1e-6)


@needs_bfloat16
def test_bfloat16_keeps_pool_and_logits_in_float32(written):
    """bfloat16 steps of the logits would be 2^-8; theirs are finer."""
    outputs = run_folded(written["slim"], dtype=tf.bfloat16)
    for key in ("global_pool", "resnet_v2_50/logits"):
        values = outputs[key]
        assert (values != values.astype(tf.bfloat16.as_numpy_dtype).astype(np.float32)).any()


def test_precision(written, monkeypatch):
    made = written["slim"]
    with InferenceModel.from_checkpoint(made.path) as model:
        assert model.precision == "float32"
    with pytest.raises(SlimResnetError, match=r"bfloat16: this CPU \(.*\) has neither .*use float"):
        InferenceModel.from_checkpoint(made.path, "bfloat16")
    with pytest.raises(SlimResnetError, match="no precision 'half'; choose one of float32, b"):
        InferenceModel.from_checkpoint(made.path, "half")
    monkeypatch.setattr(environment, "has_bfloat16", lambda flags: True)
    with InferenceModel.from_checkpoint(made.path) as model:
        assert model.precision == "float32"
    with pytest.raises(SlimResnetError, match="bfloat16: needs oneDNN, which is off"):
        InferenceModel.from_checkpoint(made.path, "bfloat16")
    monkeypatch.setattr(compat, "onednn_enabled", lambda: True)
    folded_network.check_precision("bfloat16")


@needs_bfloat16
def test_bfloat16_model(written, monkeypatch):
    monkeypatch.setattr(environment, "check_bfloat16", lambda onednn=None: None)
    made = written["wide"]
    with InferenceModel.from_checkpoint(made.path, "bfloat16") as model:
        assert 1e-6 < largest_error(made.net[:, 0, 0], model(made.images).logits) < 0.06


def test_from_several_threads(written, model):
    rng = np.random.default_rng(3)
    batches = [rng.uniform(-1, 1, [1 + i % 3, 32, 32, 3]).astype(np.float32) for i in range(12)]
    expected = [model(batch).logits for batch in batches]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(lambda batch: model(batch).logits, batches), expected):
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_closed(written):
    model = InferenceModel.from_checkpoint(written["slim"].path, "float32")
    model.close()
    model.close()
    with pytest.raises(SlimResnetError, match="the model is closed; make another one"):
        model(written["slim"].images)


def test_closing_waits_for_calls_and_takes_no_more(written):
    model = InferenceModel.from_checkpoint(written["slim"].path, "float32")
    entered, go_on, run = threading.Event(), threading.Event(), model._loaded.run

    def slow(images):
        entered.set()
        assert go_on.wait(60)
        return run(images)

    model._loaded.run = slow
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        call = pool.submit(model, written["slim"].images)
        assert entered.wait(60)
        closing = pool.submit(model.close)
        while not model._closed:
            pass
        with pytest.raises(SlimResnetError, match="the model is closed"):
            model(written["slim"].images)
        assert not closing.done()
        go_on.set()
        closing.result(60)
        assert call.result(60).logits.shape == (1, 10)
