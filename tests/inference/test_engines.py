"""Every engine against TensorFlow and tf_slim, on the same weights: values, errors, threads."""

import concurrent.futures
import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.common import environment
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.engines import table
from slim_resnet.inference.folded import onnx_model
from slim_resnet.inference.folded.model import InferenceModel
from slim_resnet.inference.protocol import ImageNetwork
from tests.helpers import checkpoints, hardware
from tests.helpers.family import plain_builder, v1_builder

BUILDERS = {"slim": checkpoints.slim_builder(), "blog": checkpoints.blog_builder(),
            "features": checkpoints.slim_builder(num_classes=None), "v1": v1_builder()}


def engine(name):
    row = table.ENGINES[name]
    missing = [one for one in row.packages if importlib.util.find_spec(one) is None]
    return pytest.param(name, marks=pytest.mark.skipif(
        bool(missing), reason=f"{', '.join(missing)} is not installed"))


OTHERS = [engine("onnxruntime"), engine("openvino")]
needs_bfloat16 = pytest.mark.skipif(not hardware.HAS_BFLOAT16, reason="the CPU has no bfloat16")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    return {name: checkpoints.write(str(folder / f"{name}.ckpt"), build)
            for name, build in BUILDERS.items()}


@pytest.fixture(scope="module", params=OTHERS)
def model(request, written):
    with InferenceModel.from_checkpoint(written["slim"].path, engine=request.param,
                                        image_size=32) as model:
        yield model


def largest_error(expected, got):
    assert got.shape == expected.shape and got.dtype == np.float32
    return np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-3)


@pytest.mark.parametrize("image_size", [32, None])
@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("engine", OTHERS)
def test_every_end_point_is_tf_slims(written, engine, name, image_size):
    made = written[name]
    with InferenceModel.from_checkpoint(made.path, "float32", [*made.end_points, "global_pool"],
                                        image_size=image_size, engine=engine) as model:
        outputs = model(made.images)
        assert isinstance(model, ImageNetwork)
        shapes = {key: one.shape for key, one in model.end_points.items()}
    for key, expected in made.end_points.items():
        assert largest_error(expected, outputs.end_points[key]) < 2e-5, key
        assert len(shapes[key]) == 4 and shapes[key][0] is None
        if image_size:
            assert shapes[key][1:] == expected.shape[1:], key
    if name == "features":
        assert outputs.logits is None and outputs.predictions is None
    else:
        assert largest_error(made.net.reshape(1, -1), outputs.logits) < 2e-5
        np.testing.assert_allclose(outputs.predictions.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("engine", OTHERS)
def test_without_end_points_and_logits(written, engine):
    with InferenceModel.from_checkpoint(written["features"].path, engine=engine) as model:
        assert model(written["features"].images) == (None, None, {})


@pytest.mark.slow
@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("network", ["inception_v1", "alexnet_v2"])
def test_networks_without_residual_units(tmp_path, engine, network):
    made = checkpoints.write(tmp_path / f"{network}.ckpt", plain_builder(network, 6))
    images = np.random.RandomState(3).uniform(-1, 1, [2, 224, 224, 3]).astype(np.float32)
    with InferenceModel.from_checkpoint(made.path) as reference, \
         InferenceModel.from_checkpoint(made.path, engine=engine) as model:
        assert largest_error(reference.logits(images), model.logits(images)) < 2e-5
        with pytest.raises(SlimResnetError, match="made for images of 224 x 224 pixels, not 32"):
            model(images[:, :32, :32])


@pytest.mark.parametrize("engine", OTHERS)
def test_of_a_session(written, engine):
    made = written["slim"]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        build = BUILDERS["slim"]
        build(tf.constant(made.images))
        for variable in tf.compat.v1.global_variables():
            variable.load(made.values[variable.op.name], session)
        with InferenceModel.from_session(session, engine=engine) as model:
            assert largest_error(made.net[:, 0, 0], model.logits(made.images)) < 2e-5


def test_batches_of_any_size_and_pixels(model, written):
    pixels = np.random.RandomState(0).randint(0, 256, [5, 32, 32, 3], np.uint8)
    with InferenceModel.from_checkpoint(written["slim"].path) as reference:
        expected = reference(pixels).logits
    for number in (5, 2, 1, 5, 3):
        assert largest_error(expected[:number], model(pixels[:number]).logits) < 2e-5


@pytest.mark.parametrize("engine", OTHERS)
def test_vgg_pixels(written, engine):
    pixels = np.random.RandomState(0).randint(0, 256, [2, 32, 32, 3], np.uint8)
    with InferenceModel.from_checkpoint(written["v1"].path) as reference, \
         InferenceModel.from_checkpoint(written["v1"].path, engine=engine) as model:
        assert largest_error(reference(pixels).logits, model(pixels).logits) < 2e-5


def test_many_threads_give_what_one_does(model):
    batches = [np.random.RandomState(k).uniform(-1, 1, [1 + k % 3, 32, 32, 3]).astype(np.float32)
               for k in range(12)]
    alone = [model.logits(batch) for batch in batches]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for expected, got in zip(alone, pool.map(model.logits, batches)):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("batch, message", [
    (np.zeros([0, 32, 32, 3], np.float32), "the batch is empty"),
    (np.zeros([32, 32, 3], np.float32), r"images are \[N, H, W, 3\], not \[32, 32, 3\]"),
    (np.zeros([1, 32, 32, 4], np.float32), r"images are \[N, H, W, 3\], not \[1, 32, 32, 4\]"),
    (np.zeros([1, 33, 32, 3], np.float32), "made for images of 32 x 32 pixels, not 33 x 32"),
    (np.zeros([1, 32, 32, 3], np.int64), "images are float or uint8, not int64"),
    (np.full([1, 32, 32, 3], np.nan, np.float32), "the images hold NaN or infinite")])
def test_bad_images(model, written, batch, message):
    with pytest.raises(SlimResnetError, match=message) as error:
        model(batch)
    assert str(error.value).startswith(written["slim"].path) and "\n" not in str(error.value)


@pytest.mark.parametrize("engine", OTHERS)
def test_end_points_that_are_not_there_and_calls_after_close(written, engine):
    path = written["slim"].path
    with pytest.raises(SlimResnetError, match="no end point 'conv9'; nearest: "):
        InferenceModel.from_checkpoint(path, end_points="conv9", engine=engine)
    with InferenceModel.from_checkpoint(path, end_points="block1", engine=engine) as model:
        images = written["slim"].images
        assert model.features({"a": "block1"}, images)["a"].shape[0] == 1
        with pytest.raises(SlimResnetError, match="made without the end point .*block2"):
            model.features("block2", images)
    model.close()
    with pytest.raises(SlimResnetError, match="the model is closed"):
        model(images)


def test_what_an_engine_says_is_one_line(model, written, monkeypatch):
    def fail(streams, shape):
        raise RuntimeError("bad thing\nand more")

    monkeypatch.setattr(model._loaded, "ready", fail)
    title = model.engine.rpartition(" ")[0]
    with pytest.raises(SlimResnetError, match=f"{title} could not run the network: bad thing$"):
        model(written["slim"].images)


@pytest.mark.parametrize("engine", OTHERS)
def test_networks_that_an_engine_cannot_run(written, engine, monkeypatch):
    path = written["slim"].path

    def fail(*_):
        raise RuntimeError("no such kernel\nand more")

    with monkeypatch.context() as patch:
        patch.setattr(table.ENGINES[engine].module.Loaded, "__init__", fail)
        title = table.ENGINES[engine].title
        with pytest.raises(SlimResnetError, match=f"^{path}: {title} cannot load the network: no "
                                                  "such kernel$"):
            InferenceModel.from_checkpoint(path, engine=engine)
    monkeypatch.setattr(onnx_model, "_MAX_BYTES", 1000)
    with pytest.raises(SlimResnetError, match=f"^{path}: only the engine tensorflow can run it: "
                                              "folded, it takes more than the 2 GiB"):
        InferenceModel.from_checkpoint(path, engine=engine)


@needs_bfloat16
@pytest.mark.skipif(bool(table.ENGINES["openvino"].missing("bfloat16")),
                    reason="openvino is not installed")
def test_bfloat16_is_asked_for_and_float32_too(written, monkeypatch):
    """OpenVINO takes bfloat16 by itself on such CPUs."""
    monkeypatch.setattr(environment, "has_bfloat16", lambda flags: True)
    made, errors = written["slim"], {}
    for precision in environment.PRECISIONS:
        with InferenceModel.from_checkpoint(made.path, precision, engine="openvino") as model:
            assert model.precision == precision
            errors[precision] = largest_error(made.net[:, 0, 0], model.logits(made.images))
    assert errors["float32"] < 2e-5 and 1e-4 < errors["bfloat16"] < 0.05


@pytest.mark.parametrize("engine, precision, message", [
    ("tvm", "float32", "there is no engine 'tvm'; choose one of tensorflow, onnxruntime, "),
    ("auto", "float64", "there is no precision 'float64'; choose one of float32, bfloat16, int8"),
    ("onnxruntime", "bfloat16", "engine onnxruntime: no bfloat16, as .*; choose openvino or "),
    ("tensorflow", "int8", "engine tensorflow: no int8, as .*; choose openvino or onnxruntime")])
def test_engines_and_precisions_that_do_not_go_together(written, engine, precision, message):
    with pytest.raises(SlimResnetError, match=message):
        InferenceModel.from_checkpoint(written["slim"].path, precision, engine=engine)


def installed(monkeypatch, *names):
    found = importlib.util.find_spec
    monkeypatch.setattr(table.importlib.util, "find_spec", lambda name: (
        None if name in ("onnx", "onnxruntime", "openvino", "nncf") and name not in names
        else found("sys")))


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name, there, missing", [
    ("onnxruntime", ["onnx"], "onnxruntime"), ("onnxruntime", ["onnxruntime"], "onnx"),
    ("openvino", ["onnx", "nncf"], "openvino"), ("openvino", ["openvino", "nncf"], "onnx")])
def test_an_engine_that_is_not_installed(written, monkeypatch, name, precision, there, missing):
    installed(monkeypatch, *there)
    with pytest.raises(SlimResnetError, match=f"^engine {name}: needs {missing}: pip install "
                                              rf"'slim-resnet\[{name}\]'$"):
        InferenceModel.from_checkpoint(written["slim"].path, precision, engine=name)


def test_a_quantiser_that_is_not_installed(written, monkeypatch):
    installed(monkeypatch, "onnx", "openvino", "onnxruntime")
    with pytest.raises(SlimResnetError, match="^engine openvino: needs nncf for int8: pip install "
                                              r"'slim-resnet\[int8\]'$"):
        InferenceModel.from_checkpoint(written["slim"].path, "int8", engine="openvino")
    assert table.choose("openvino", "float32").name == "openvino"
    assert table.choose("auto", "int8").name == "onnxruntime"


def test_auto_takes_the_first_that_is_installed(monkeypatch):
    monkeypatch.setattr(environment, "has_bfloat16", lambda flags: True)
    for there, float32, bfloat16 in (
            (["onnx", "onnxruntime", "openvino"], "openvino", "openvino"),
            (["onnx", "onnxruntime"], "onnxruntime", "tensorflow"),
            (["onnxruntime", "openvino"], "tensorflow", "tensorflow")):
        installed(monkeypatch, *there)
        assert table.choose("auto", "float32").name == float32
        assert table.choose("auto", "bfloat16").name == bfloat16
    with pytest.raises(SlimResnetError, match="engine openvino: needs onnx: pip install"):
        table.choose("auto", "int8")


@pytest.mark.parametrize("engine", ["tensorflow", OTHERS[1]])
def test_bfloat16_that_the_cpu_lacks(written, engine):
    with pytest.raises(SlimResnetError, match="^precision bfloat16: this CPU .* has neither "
                                              "avx512_bf16 nor amx_bf16; use float32$"):
        InferenceModel.from_checkpoint(written["slim"].path, "bfloat16", engine=engine)
