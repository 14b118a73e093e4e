"""Networks as Keras models and for PyTorch: slim's numbers there, and slim's values back."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v1 as slim_resnet_v1
from tf_slim.nets import resnet_v2 as slim_resnet_v2

from slim_resnet.checkpoint import Selection, open_checkpoint, recognise
from slim_resnet.checkpoint.foreign import safetensors
from slim_resnet.cli import main
from slim_resnet.errors import SlimResnetError
from slim_resnet.export import export_checkpoint
from slim_resnet.models import MODELS
from tests.helpers import checkpoints, torch_layout
from tests.helpers.command_line import ROOT

tf1 = tf.compat.v1
KERAS_3 = int(keras.__version__.split(".")[0]) >= 3
needs_keras_3 = pytest.mark.skipif(not KERAS_3, reason="a Keras model needs Keras 3")


def v1(images):
    with slim.arg_scope(slim_resnet_v1.resnet_arg_scope()):
        return slim_resnet_v1.resnet_v1(
            images, [slim_resnet_v1.resnet_v1_block("block1", 1, 2, 2),
                     slim_resnet_v1.resnet_v1_block("block2", 2, 1, 1)], 10, is_training=False,
            scope="resnet_v1_50")


def features(images):
    """Without a root block, without logits, without gamma, in a scope of two parts."""
    with slim.arg_scope(slim_resnet_v2.resnet_arg_scope(batch_norm_scale=False)):
        return slim_resnet_v2.resnet_v2(images, checkpoints.slim_blocks((2, 2)), None,
                                        is_training=False, include_root_block=False,
                                        scope="tower/resnet")


BUILDERS = {"slim": checkpoints.slim_builder(), "blog": checkpoints.blog_builder(), "v1": v1,
            "features": features}


@pytest.fixture(scope="module", params=BUILDERS)
def exported(request, tmp_path_factory):
    """A network, and its exports' folder; written without the check, which has its own test."""
    folder = tmp_path_factory.mktemp("exported")
    written = checkpoints.write(folder / "net.ckpt", BUILDERS[request.param],
                                extra={"global_step": np.int64(7)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slim_resnet.export.checking.check", lambda *arguments: {"unchecked": ""})
        for name in ("net.safetensors", "net.npz", *(["net.keras"] if KERAS_3 else [])):
            export_checkpoint(written.path, folder / name)
    return written, folder


def outputs_of(written):
    if "predictions" in written.end_points:
        return written.net[:, 0, 0], written.end_points["predictions"][:, 0, 0]
    return written.net[:, 0, 0], None


def assert_comes_home(path, values, format):
    with open_checkpoint(path) as opened:
        assert opened.format == format
        assert opened.shapes == {name: np.shape(values[name]) for name in sorted(values)}
        for name, value in values.items():
            np.testing.assert_array_equal(opened.tensor(name), value, err_msg=name)
        return recognise(opened)


def test_there_and_back_bit_for_bit(exported):
    written, folder = exported
    assert_comes_home(folder / "net.npz", written.values, "npz")
    network = {name: value for name, value in written.values.items() if name != "global_step"}
    assert_comes_home(folder / "net.safetensors", network, "safetensors")
    if KERAS_3:
        found = assert_comes_home(folder / "net.keras", network, "Keras")
        # It is slim's network: nothing is to be said but what no file records.
        assert set(found.assumed) == {"strides"}


@needs_keras_3
def test_a_keras_model_has_slim_s_numbers(exported):
    written, folder = exported
    model = keras.models.load_model(folder / "net.keras")
    net, predictions = outputs_of(written)
    expected = net if predictions is None else predictions
    np.testing.assert_allclose(model(written.images), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.slow
@needs_keras_3
def test_names_of_layers_are_those_of_keras_applications(tmp_path, monkeypatch):
    monkeypatch.setattr("slim_resnet.export.checking.check", lambda *arguments: {"unchecked": ""})
    written = checkpoints.write(tmp_path / "net.ckpt",
                                checkpoints.slim_builder((3, 4, 6, 3), 1000))
    export_checkpoint(written.path, tmp_path / "net.keras")
    ours = keras.models.load_model(tmp_path / "net.keras")
    theirs = keras.applications.ResNet50V2(weights=None)
    with_weights = [[layer.name for layer in model.layers if layer.weights]
                    for model in (ours, theirs)]
    assert with_weights[0] == with_weights[1]
    names = [{layer.name for layer in model.layers} for model in (ours, theirs)]
    assert "pool1_pad" in names[1] - names[0] and "conv3_block4_2_pad" in names[0] & names[1]
    norm = ours.get_layer("conv2_block1_preact_bn")
    assert (norm.epsilon, norm.momentum) == (1e-5, 0.997)
    # Saved by Keras itself, weights alone, they come home too; under the scope of 50 layers.
    ours.save_weights(tmp_path / "net.weights.h5")
    found = assert_comes_home(tmp_path / "net.weights.h5", written.values, "Keras")
    assert set(found.assumed) == {"strides"}


def test_the_layout_of_safetensors_by_numpy(exported):
    """What `resnet_torch.py` computes, spelt out in numpy."""
    written, folder = exported
    arrays, texts = safetensors.read_arrays(folder / "net.safetensors")
    net = torch_layout.run(arrays, json.loads(texts["slim_resnet_metadata"])["network"],
                           written.images.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(net, outputs_of(written)[0], rtol=2e-5, atol=1e-5)


def torch_model(path):
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location(
        "resnet_torch", os.path.join(os.path.dirname(path), "resnet_torch.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ResNet(path).eval()


def test_pytorch_has_slim_s_numbers(exported):
    written, folder = exported
    model = torch_model(folder / "net.safetensors")
    import torch
    with torch.no_grad():
        net = model(torch.from_numpy(written.images.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(net, outputs_of(written)[0], rtol=2e-5, atol=1e-5)
    norm = next(one for one in model.modules() if isinstance(one, torch.nn.BatchNorm2d))
    assert (norm.eps, norm.momentum) == (1e-5, 0.003)


def test_the_module_is_short_and_beside_the_weights(exported):
    lines = (exported[1] / "resnet_torch.py").read_text().splitlines()
    assert len(lines) <= 60 and lines == (
        ROOT / "slim_resnet/export/resnet_torch.py").read_text().splitlines()


def test_another_file_of_the_module_s_name_is_left_alone(exported, tmp_path):
    (tmp_path / "resnet_torch.py").write_text("mine")
    with pytest.raises(SlimResnetError, match="resnet_torch.py: is there, and not what this"):
        export_checkpoint(exported[0].path, tmp_path / "net.safetensors")
    assert os.listdir(tmp_path) == ["resnet_torch.py"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A small AlexNet's checkpoint, its images and logits."""
    return written_plain(tmp_path_factory.mktemp("plain") / "net.ckpt", "alexnet_v2", 195)


def written_plain(path, name, size):
    return checkpoints.write(path, lambda images: MODELS[name].build(
        tf1.image.resize_bilinear(images, [size, size]), 7, False))


@pytest.mark.slow
@needs_keras_3
@pytest.mark.parametrize("name", ["inception_v2", "inception_v3"])
def test_networks_without_residual_units(name, tmp_path):
    written = written_plain(tmp_path / "net.ckpt", name, MODELS[name].image_size)
    record = export_checkpoint(written.path, tmp_path / "net.keras")
    assert record["check"]["largest_error"] < 2e-5
    without_aux = {key: value for key, value in written.values.items() if "/AuxLogits/" not in key}
    assert assert_comes_home(tmp_path / "net.keras", without_aux, "Keras").model == name
    # What Keras itself saves of it has no record of ours.
    keras.models.load_model(tmp_path / "net.keras").save(tmp_path / "net.h5")
    assert assert_comes_home(tmp_path / "net.h5", without_aux, "Keras").model == name


@pytest.mark.parametrize("format", ["keras", "safetensors"])
def test_the_check_and_what_is_printed(format, tmp_path, capsys):
    if format == "keras" and not KERAS_3:
        pytest.skip("a Keras model needs Keras 3")
    if format == "safetensors":
        pytest.importorskip("torch")
    written = checkpoints.write(tmp_path / "net.ckpt")
    output = tmp_path / f"out.{format}"
    assert main(["export", written.path, str(output)]) == 0
    printed = capsys.readouterr()
    runtime = {"keras": "keras", "safetensors": "torch"}[format]
    assert printed.out.splitlines()[0] == f"{output}: {format} of slim's ResNet V2, 10 classes"
    assert printed.out.splitlines()[1].startswith(f"checked by {runtime} ")
    record = json.loads((tmp_path / f"out.{format}.json").read_text())
    assert sorted(record["check"]["errors"]) == ["predictions", "resnet_v2_50/logits"]
    assert 0 < record["check"]["largest_error"] < 2e-5
    assert record["check"]["batches"] == [[1, 299, 299, 3], [3, 97, 75, 3]]
    assert (record["image_size_pixels"], record["preprocessing"]) == (299, "inception")


FORMATS = ("safetensors", *(["keras"] if KERAS_3 else []))


@pytest.mark.parametrize("format", FORMATS)
def test_atrous_rates(format, tmp_path):
    if format == "safetensors":
        pytest.importorskip("torch")
    written = checkpoints.write(tmp_path / "net.ckpt")
    for options in ({"output_stride": 4}, {"blocks": "2@1,2"}):
        record = export_checkpoint(Selection(written.path, **options), tmp_path / f"out.{format}",
                                   image_size=48)
        assert 0 < record["check"]["largest_error"] < 2e-5


@pytest.mark.parametrize("format", FORMATS)
def test_averaged_weights_come_home_as_the_weights(format, tmp_path, monkeypatch):
    monkeypatch.setattr("slim_resnet.export.checking.check", lambda *arguments: {"unchecked": ""})
    names = checkpoints.write(tmp_path / "names.ckpt").values
    averages = {f"{name}/ExponentialMovingAverage": value + 1 for name, value in names.items()
                if "/moving_" not in name}
    written = checkpoints.write(tmp_path / "net.ckpt", extra=averages)
    export_checkpoint(written.path, tmp_path / f"out.{format}", use_moving_averages=True)
    assert_comes_home(tmp_path / f"out.{format}", {
        name: averages.get(f"{name}/ExponentialMovingAverage", value)
        for name, value in names.items()}, {"keras": "Keras"}.get(format, format))


@pytest.mark.slow
@needs_keras_3
def test_another_backend_of_keras(tmp_path):
    pytest.importorskip("torch")
    written = checkpoints.write(tmp_path / "net.ckpt", checkpoints.blog_builder())
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run([sys.executable, "-m", "slim_resnet", "export", written.path,
                           str(tmp_path / "net.keras")], capture_output=True, text=True, cwd=ROOT,
                          env=environment)
    assert done.returncode == 0, done.stderr
    assert "checked by keras" in done.stdout


@pytest.mark.parametrize("output,says", [
    ("net.h5", "Keras opens files whose names end in .keras only"),
    ("no/net.keras", "does not exist; make it first"), ("folder.keras", "is a folder")])
@needs_keras_3
def test_unwritable_targets(output, says, exported, tmp_path):
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(SlimResnetError, match=says):
        export_checkpoint(exported[0].path, tmp_path / output, "keras")
    assert os.listdir(tmp_path) == ["folder.keras"]


@pytest.mark.skipif(KERAS_3, reason="for Keras 2")
def test_keras_2_is_one_line(exported, tmp_path):
    with pytest.raises(SlimResnetError, match=r"needs Keras 3, which TensorFlow brings from 2\.16"):
        export_checkpoint(exported[0].path, tmp_path / "net.keras")
    assert os.listdir(tmp_path) == []


def test_networks_that_a_format_cannot_hold(plain, tmp_path):
    with pytest.raises(SlimResnetError, match="AlexNet V2 cannot become a PyTorch module"):
        export_checkpoint(plain.path, tmp_path / "net.safetensors")
    with tf.Graph().as_default(), tf1.Session() as session:
        written = checkpoints.write(tmp_path / "net.ckpt")
        tensors = [tf.constant(value.astype(np.float64)) for value in written.values.values()]
        session.run(tf.raw_ops.SaveV2(prefix=str(tmp_path / "double"), tensors=tensors,
                                      tensor_names=list(written.values),
                                      shape_and_slices=[""] * len(tensors)))
    for name in ("net.safetensors", *(["net.keras"] if KERAS_3 else [])):
        with pytest.raises(SlimResnetError, match="is of dtype float64, and a .* of float32"):
            export_checkpoint(tmp_path / "double", tmp_path / name)
        assert not (tmp_path / name).exists()
