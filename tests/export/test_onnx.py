"""slim-resnet export to ONNX: what is in the file, and what cannot be."""

import dataclasses
import importlib.util
import json
import os

import numpy as np
import pytest

from slim_resnet.cli import main
from slim_resnet.export import export_checkpoint, formats
from slim_resnet.images import load_images
from slim_resnet.inference import InferenceModel
from slim_resnet.inference.folded import onnx_model
from tests.helpers import checkpoints, pictures
from tests.helpers.family import plain_builder, v1_builder

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def session_of(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_what_the_file_says(slim, tmp_path, capsys):
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"name {k}\n" for k in range(10)))
    path = tmp_path / "net.onnx"
    assert main(["export", slim.path, str(path), "--image-size", "32", "--labels", str(labels),
                 "--end-points", "block1", "logits"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{path}: onnx of slim's ResNet V2, 10 classes, optimised, float32\n"
                          "checked by onnxruntime ")
    session = session_of(path)
    texts = session.get_modelmeta().custom_metadata_map
    assert texts.pop("labels").split("\n") == [f"name {k}" for k in range(10)]
    record = json.loads(texts.pop("slim_resnet_metadata"))
    assert texts == {}
    beside = json.loads((tmp_path / "net.onnx.json").read_text())
    assert (beside.pop("format"), beside.pop("written_as")) == ("slim_resnet export 1", "onnx")
    assert beside.pop("check")["largest_error"] < 1e-6
    assert beside == record
    assert (record["scope"], record["image_size_pixels"], record["preprocessing"],
            len(record["source_sha256"])) == ("resnet_v2_50", 32, "inception", 64)
    assert [(one.name, one.type, one.shape) for one in session.get_inputs()] == [
        ("images", "tensor(float)", ["N", 32, 32, 3])]
    keys = ["resnet_v2_50/block1", "resnet_v2_50/logits"]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [
        (keys[0], ["N", 4, 4, 4]), (keys[1], ["N", 1, 1, 10])]
    for key, value in zip(keys, session.run(keys, {"images": slim.images})):
        np.testing.assert_allclose(value, slim.end_points[key], rtol=0,
                                   atol=1e-6 * np.abs(slim.end_points[key]).max())


def test_pixels_are_prepared_inside(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", v1_builder())
    record = export_checkpoint(written.path, tmp_path / "net.onnx", image_size=32, pixels=True)
    assert record["input"] == {"name": "pixels", "dtype": "uint8", "size_pixels": 32, "channels": 3}
    pixels = np.random.RandomState(0).randint(0, 256, [2, 32, 32, 3], np.uint8)
    predictions, = session_of(tmp_path / "net.onnx").run(["predictions"], {"pixels": pixels})
    with InferenceModel.from_checkpoint(written.path) as model:
        np.testing.assert_allclose(predictions[:, 0, 0], model(pixels).predictions, rtol=1e-4)


def test_pixels_of_a_users_images(slim, tmp_path):
    paths = [pictures.write_png(tmp_path / f"{k}.png", k) for k in range(2)]
    record = export_checkpoint(slim.path, tmp_path / "net.onnx", image_size=40, pixels=True,
                               verify=paths)
    assert record["check"]["batches"] == [[1, 40, 40, 3], [3, 40, 40, 3], [2, 40, 40, 3]]
    # Rounded to pixels, the images are nearly those that are prepared from files.
    pixels = np.rint(load_images(paths, 40) * 127.5 + 127.5).astype(np.uint8)
    model = session_of(tmp_path / "net.onnx")
    logits, = model.run(["resnet_v2_50/logits"], {"pixels": pixels})
    with InferenceModel.from_checkpoint(slim.path) as whole:
        np.testing.assert_allclose(logits[:, 0, 0], whole(load_images(paths, 40)).logits,
                                   atol=0.02 * np.abs(logits).max())


def test_any_size(slim, tmp_path, capsys):
    path = str(tmp_path / "net.onnx")
    assert main(["export", slim.path, path, "--open-size"]) == 0
    record = json.loads((tmp_path / "net.onnx.json").read_text())
    assert record["check"]["batches"] == [[1, 299, 299, 3], [3, 97, 75, 3]]
    assert record["input"]["size_pixels"] is None
    assert session_of(path).get_inputs()[0].shape == ["N", "height", "width", 3]
    capsys.readouterr()
    assert main(["export", slim.path, path, "--open-size", "--image-size", "32"]) == 2
    assert "--open-size: is for images of any size" in capsys.readouterr().err


def test_openvino_checks_where_it_is_alone(slim, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    row = dataclasses.replace(formats.FORMATS["onnx"], runtimes=("no_such_runtime", "openvino"))
    monkeypatch.setitem(formats.FORMATS, "onnx", row)
    record = export_checkpoint(slim.path, tmp_path / "net.onnx", image_size=48)
    assert record["check"]["runtime"] == "openvino"
    # Above what float32 gives, far below bfloat16's.
    assert record["check"]["largest_error"] < 1e-5


def test_who_checks_is_chosen(slim, tmp_path, capsys, monkeypatch):
    """By default ONNX Runtime does; `auto` takes the fastest that is installed."""
    openvino = pytest.importorskip("openvino")
    path = str(tmp_path / "net.onnx")
    words = ["export", slim.path, path, "--image-size", "32"]
    for engine in ("openvino", "auto"):
        assert main([*words, "--engine", engine]) == 0
        assert f"checked by openvino {openvino.__version__}: " in capsys.readouterr().out
        assert json.loads((tmp_path / "net.onnx.json").read_text())["check"]["runtime"] == \
            "openvino"
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name, *rest: None if name == "openvino" else find(name, *rest))
    assert main([*words, "--engine", "auto"]) == 0
    assert f"checked by onnxruntime {onnxruntime.__version__}: " in capsys.readouterr().out
    os.unlink(path)
    assert main([*words, "--engine", "openvino"]) == 2
    assert capsys.readouterr().err == ("slim-resnet export: error: engine openvino: needs "
                                       "openvino: pip install 'slim-resnet[openvino]'\n")
    assert not os.path.exists(path)


@pytest.mark.parametrize("words, message", [
    (["--opset", "12"], "opset 12: models are written for 13 to "),
    (["--opset", "0"], "'0' is not a whole number of at least 1"),
    (["--labels", "{}"], "labels.txt: has 2 labels, but the checkpoint has 10 classes"),
    (["--end-points", "block9"], "there is no end point 'block9'; nearest: "),
    (["--optimize"], "--optimize has no effect on --format onnx; leave it out"),
    (["--no-decoding"], "--no-decoding has no effect on --format onnx"),
    (["--engine", "tensorflow"], "--engine tensorflow: does not run onnx; choose one of "
     "onnxruntime, openvino, auto"),
    (["--format", "npz", "--engine", "auto"], "--engine has no effect on --format npz"),
    (["--format", "frozen", "--engine", "tensorflow"], "--engine has no effect on --format frozen"),
    (["--format", "npz", "--pixels"], "--pixels has no effect on --format npz"),
])
def test_bad_options(slim, tmp_path, capsys, words, message):
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\n")
    try:
        status = main(["export", slim.path, str(tmp_path / "net.onnx"),
                       *(word.format(labels) for word in words)])
    except SystemExit as error:
        status = error.code
    err = capsys.readouterr().err
    assert status == 2 and err.count("\n") == 1 and message in err
    assert os.listdir(tmp_path) == ["labels.txt"]


def test_a_missing_package(slim, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    assert main(["export", slim.path, str(tmp_path / "net.onnx")]) == 2
    assert ("ONNX needs the package onnx, which cannot be imported (import of onnx halted; None in "
            "sys.modules); pip install 'slim-resnet[onnx]'") in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_more_than_a_file_holds(slim, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(onnx_model, "_MAX_BYTES", 1000)
    assert main(["export", slim.path, str(tmp_path / "net.onnx")]) == 2
    assert f"{slim.path}: folded, it takes more than the 2 GiB that an ONNX file can hold" in \
        capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_networks_that_cannot_be_folded(tmp_path, capsys):
    def change(values):
        values["resnet_v2_50/conv1/biases"][:] = np.inf

    written = checkpoints.write(tmp_path / "net.ckpt", change=change)
    assert main(["export", written.path, str(tmp_path / "net.onnx")]) == 2
    assert "NaN or infinite values in resnet_v2_50/conv1/biases" in capsys.readouterr().err
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.slow
def test_a_network_of_one_size(tmp_path, capsys):
    written = checkpoints.write(tmp_path / "net.ckpt", plain_builder("inception_v1", 6))
    path = str(tmp_path / "net.onnx")
    for words, message in ((["--open-size"], "Inception V1 is built for one size"),
                           (["--image-size", "600"], "at most 224 x 224 pixels")):
        assert main(["export", written.path, path, *words]) == 2
        assert message in capsys.readouterr().err
    assert main(["export", written.path, path, "--end-points", "Mixed_3c", "Predictions"]) == 0
    record = json.loads((tmp_path / "net.onnx.json").read_text())
    assert record["check"]["largest_error"] < 1e-5
    assert record["check"]["batches"] == [[1, 224, 224, 3], [3, 224, 224, 3]]
