"""The folded network as an ONNX model gives what tf_slim does."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.checkpoint import Selection, open_checkpoint, recognise
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.preparation import preprocess
from slim_resnet.images.settings import Preprocessing
from slim_resnet.inference.folded import onnx_model
from slim_resnet.inference.folded.model import InferenceModel
from slim_resnet.inference.folded.network import checked_values, fold, own_end_points
from slim_resnet.inference.network import build_network
from slim_resnet.models import MODELS
from tests.helpers import checkpoints
from tests.helpers.family import plain_builder, v1_builder

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
tf1 = tf.compat.v1

BUILDERS = {"slim": checkpoints.slim_builder, "blog": checkpoints.blog_builder, "v1": v1_builder}


def folded_of(checkpoint, image_size, **options):
    with open_checkpoint(checkpoint) as opened:
        network = recognise(opened)
        read = checked_values(opened.path, opened.dtypes, opened.network_tensor)
        folded = fold(opened.path, network, read, "float32", image_size=image_size, onednn=False,
                      **options)
        return folded, list(own_end_points(network, folded.end_points))


def run(model, images):
    """Returns a model's outputs by name."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    name, = (one.name for one in session.get_inputs())
    return dict(zip((one.name for one in session.get_outputs()), session.run(None, {name: images})))


def by_session(checkpoint, images):
    with open_checkpoint(checkpoint) as opened, tf.Graph().as_default(), tf1.Session() as session:
        shape = [None, *images.shape[1:]]
        placeholder = tf1.placeholder(tf.float32, shape)
        _, _, end_points = build_network(opened, placeholder, session)
        return session.run(end_points, {placeholder: images})


def assert_same(outputs, expected):
    assert outputs.keys() == expected.keys()
    for key, value in expected.items():
        assert outputs[key].shape == value.shape, key
        np.testing.assert_allclose(outputs[key], value, rtol=0, err_msg=key,
                                   atol=2e-5 * max(np.abs(value).max(), 1e-30))


def pads(model, kind):
    """Returns pads, or what stands for them, of all nodes of a kind."""
    found = []
    for node in model.graph.node:
        if node.op_type == kind:
            values = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
            found.append(values.get("pads") or values["auto_pad"].decode())
    return found


@pytest.mark.parametrize("with_variables", [True, False])
@pytest.mark.parametrize("variant", BUILDERS)
def test_end_points_are_the_sessions(tmp_path, variant, with_variables):
    written = checkpoints.write(tmp_path / "net.ckpt", BUILDERS[variant]())
    folded, keys = folded_of(written.path, 48, with_variables=with_variables)
    images = np.random.RandomState(0).uniform(-1, 1, [3, 48, 48, 3]).astype(np.float32)
    model = onnx_model.onnx_model(folded, keys)
    assert_same(run(model, images), by_session(written.path, images))
    assert pads(model, "MaxPool")[0] == [0, 0, 1, 1]
    assert (model.ir_version, [(one.domain, one.version) for one in model.opset_import]) == (
        8, [("", 13)])


@pytest.mark.parametrize("variant, open_pads", [("slim", 1), ("blog", 2)])
def test_open_sizes(tmp_path, variant, open_pads):
    written = checkpoints.write(tmp_path / "net.ckpt", BUILDERS[variant]())
    folded, keys = folded_of(written.path, None)
    model = onnx_model.onnx_model(folded, keys)
    for size in ([33, 48], [64, 45]):
        images = np.random.RandomState(0).uniform(-1, 1, [2, *size, 3]).astype(np.float32)
        assert_same(run(model, images), by_session(written.path, images))
    # Where a window overlaps and strides: of pool1, and of the blog's conv2 with a stride.
    assert (pads(model, "MaxPool") + pads(model, "Conv")).count("SAME_UPPER") == open_pads


def test_an_odd_size_pads_pool1_on_both_sides(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt")
    folded, keys = folded_of(written.path, 33)
    images = np.random.RandomState(0).uniform(-1, 1, [1, 33, 33, 3]).astype(np.float32)
    model = onnx_model.onnx_model(folded, keys)
    assert_same(run(model, images), by_session(written.path, images))
    assert pads(model, "MaxPool")[0] == [1, 1, 1, 1]


def test_atrous_convolutions(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", checkpoints.slim_builder(units=(2, 2, 1)))
    chosen = Selection(written.path, output_stride=4)
    folded, keys = folded_of(chosen, 64)
    images = np.random.RandomState(0).uniform(-1, 1, [1, 64, 64, 3]).astype(np.float32)
    expected = by_session(chosen, images)
    assert expected["resnet_v2_50/block3"].shape[1] == 16
    assert_same(run(onnx_model.onnx_model(folded, keys), images), expected)


def test_end_points_that_were_asked_for(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt")
    folded, _ = folded_of(written.path, 32)
    keys = ["predictions", "resnet_v2_50/block1"]
    model = onnx_model.onnx_model(folded, keys, metadata={"labels": "a\nb"})
    assert_same(run(model, written.images), {key: written.end_points[key] for key in keys})
    assert {one.key: one.value for one in model.metadata_props} == {"labels": "a\nb"}
    first = onnx_model.onnx_model(folded, keys[1:])
    assert not [node for node in first.graph.node if "logits" in node.name]
    assert not [one for one in first.graph.initializer if "logits" in one.name]


@pytest.mark.parametrize("preprocessing", [
    "inception", "vgg", "none", Preprocessing("vgg", mean=(1.5, 2.25, 3.0))])
def test_pixels_are_prepared_as_images_of_that_size_are(tmp_path, preprocessing):
    chosen = Preprocessing.of(preprocessing)
    written = checkpoints.write(tmp_path / "net.ckpt")
    folded, _ = folded_of(written.path, 32)
    pixels = np.random.RandomState(0).randint(0, 256, [2, 32, 32, 3], np.uint8)
    with tf.Graph().as_default(), tf1.Session() as session:
        images = session.run(preprocess(pixels, 32, Preprocessing(
            chosen.name, chosen.mean, resize="whole")))
    model = onnx_model.onnx_model(folded, [folded.logits], pixels=chosen)
    prepared = onnx_model.onnx_model(folded, [folded.logits])
    np.testing.assert_array_equal(run(model, pixels)[folded.logits],
                                  run(prepared, images)[folded.logits])
    assert model.graph.input[0].name == "pixels"


@pytest.mark.parametrize("opset", [18, 21])
def test_newer_opsets(tmp_path, opset):
    written = checkpoints.write(tmp_path / "net.ckpt")
    folded, keys = folded_of(written.path, 32)
    model = onnx_model.onnx_model(folded, keys, opset=opset)
    assert model.opset_import[0].version == opset
    outputs = run(model, written.images)
    outputs.pop("global_pool")
    assert_same(outputs, written.end_points)


@pytest.mark.parametrize("opset", [12, 1000])
def test_opsets_that_cannot_be_written(opset):
    with pytest.raises(SlimResnetError, match=f"opset {opset}: models are written for 13 to "):
        onnx_model.check_opset(opset)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(SlimResnetError, match=r"pip install 'slim-resnet\[onnx\]'"):
        onnx_model.check_opset(13)


def test_a_package_that_its_ml_dtypes_is_too_old_for(tmp_path, monkeypatch):
    """onnx 1.19.0 with TensorFlow 2.15 to 2.17."""
    (tmp_path / "onnx.py").write_text("import math\nmath.float4_e2m1fn\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnx")
    written = checkpoints.write(tmp_path / "net.ckpt")
    for fail in (lambda: onnx_model.check_opset(13),
                 lambda: InferenceModel.from_checkpoint(written.path, engine="onnxruntime")):
        with pytest.raises(SlimResnetError, match=(
                r"^ONNX needs the package onnx, which cannot be imported \(module 'math' has no "
                r"attribute 'float4_e2m1fn'\); pip install 'slim-resnet\[onnx\]'$")):
            fail()


def test_more_than_a_file_holds(tmp_path, monkeypatch):
    written = checkpoints.write(tmp_path / "net.ckpt")
    folded, keys = folded_of(written.path, 32)
    monkeypatch.setattr(onnx_model, "_MAX_BYTES", 10_000)
    with pytest.raises(ValueError, match="more than the 2 GiB that an ONNX file can hold"):
        onnx_model.onnx_model(folded, keys)


def test_an_unknown_layer(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt")
    folded, keys = folded_of(written.path, 32)
    next(node for node in folded.graph_def.node if node.op == "Relu").op = "Selu"
    with pytest.raises(ValueError, match="a Selu, is not known to the ONNX form"):
        onnx_model.onnx_model(folded, keys)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inception_v2", "alexnet_v2"])
def test_networks_without_residual_units(tmp_path, name):
    written = checkpoints.write(tmp_path / "net.ckpt", plain_builder(name, 6, "a/b"))
    size = MODELS[name].image_size
    folded, keys = folded_of(written.path, size, with_variables=True)
    with tf.Graph().as_default(), tf1.Session() as session:
        images = session.run(tf.image.resize(written.images, [size, size]))
    outputs = run(onnx_model.onnx_model(folded, keys), images)
    outputs.pop("global_pool", None)
    written.end_points.pop("AuxLogits", None)
    assert_same(outputs, written.end_points)
