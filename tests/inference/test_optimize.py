"""--optimize in the commands that take it, and slim-resnet evaluate --compare."""

import json
import os
import sys

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.benchmark import records
from slim_resnet.cli import main
from slim_resnet.commands import optimize
from slim_resnet.common import environment
from slim_resnet.inference import accuracy
from tests.helpers import checkpoints, command_line, hardware, pictures

tf1 = tf.compat.v1

SIZE = ["--image-size", "32"]
needs_bfloat16 = pytest.mark.skipif(
    not hardware.RUNS_BFLOAT16, reason="oneDNN has bfloat16 kernels only for CPUs with it")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("optimize")


@pytest.fixture(scope="module")
def made(folder):
    return checkpoints.write(str(folder / "net.ckpt"))


@pytest.fixture(scope="module")
def paths(folder):
    return [pictures.write_png(folder / "pictures" / f"{i}.png", i) for i in range(3)]


@pytest.fixture(scope="module")
def expected(made, paths):
    """``(logits, pooled features)`` of the pictures, by TensorFlow's own Saver."""
    return pictures.run_with_saver(
        made, checkpoints.slim_builder(), pictures.prepared(paths),
        lambda net, end_points: (net, end_points["resnet_v2_50/block2"]))


def softmax(logits):
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def test_classify(made, paths, expected, capsys):
    assert main(["classify", made.path, *paths, *SIZE, "--optimize", "--json", "--top", "10"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines() == ["slim-resnet classify: optimised, float32, oneDNN off",
                                command_line.strides("classify"),
                                command_line.assumed_images("classify")]
    assert (json.loads(out)["optimized"], json.loads(out)["precision"]) == (True, "float32")
    for image, logits in zip(json.loads(out)["images"], expected[0][:, 0, 0]):
        probabilities = softmax(logits)
        np.testing.assert_allclose(image["probabilities"], probabilities[image["classes"]],
                                   rtol=1e-4)


def test_verbose_says_what_the_first_result_took(made, paths, capsys):
    assert main(["classify", made.path, paths[0], *SIZE, "--optimize", "--verbose"]) == 0
    err = capsys.readouterr().err
    for part in ("read and fold", "load", "first call"):
        assert f" s  {part}\n" in err


def test_nothing_is_left_beside_the_checkpoint(tmp_path, paths):
    """A graph found there was run once; weights are folded anew each time."""
    made = checkpoints.write(str(tmp_path / "net.ckpt"))
    before = sorted(os.listdir(tmp_path))
    assert main(["classify", made.path, paths[0], *SIZE, "--optimize"]) == 0
    assert sorted(os.listdir(tmp_path)) == before


def test_features(made, paths, expected, folder):
    output = str(folder / "features.npz")
    assert main(["end-points", made.path, "--images", *paths, *SIZE, "--optimize", "--save", output,
                 "--end-points", "*/block2"]) == 0
    np.testing.assert_allclose(np.load(output)["resnet_v2_50/block2"], expected[1], atol=1e-4)


def test_features_of_no_layer(made, paths, folder, capsys):
    output = str(folder / "none.npz")
    assert main(["end-points", made.path, "--images", *paths, *SIZE, "--optimize", "--save", output,
                 "--end-points", "conv9"]) == 2
    assert "there is no end point 'conv9'; nearest: " in capsys.readouterr().err
    assert not os.path.exists(output)


@pytest.mark.slow
def test_evaluate(made, paths, expected, folder, capsys):
    labels = expected[0][:, 0, 0].argmax(axis=1)
    data = folder / "data"
    for number in range(10):
        (data / f"class_{number}").mkdir(parents=True)
    for i, label in enumerate(labels):
        pictures.write_png(data / f"class_{label}" / f"{i}.png", i)
    for number in set(range(10)) - set(labels.tolist()):  # no class folder may be empty
        pictures.write_png(data / f"class_{number}" / "0.png", 0)
    documents = []
    for options in ([], ["--optimize"]):
        assert main(["evaluate", made.path, str(data), *SIZE, "--json", *options]) == 0
        documents.append(json.loads(capsys.readouterr().out))
        assert documents[-1].pop("precision") == "float32"
    assert [document.pop("optimized") for document in documents] == [False, True]
    assert documents[0] == documents[1]
    assert documents[0]["top_1_percent"] > 0


@pytest.mark.parametrize("command", ["classify", "evaluate", "export", "end-points"])
def test_precision_without_optimize(made, paths, folder, command, capsys):
    extra = {"export": ["out.pb", "--format", "frozen"],
             "end-points": ["--images", paths[0], "--save", str(folder / "no.npz"), "--end-points",
                            "x"]}.get(command, [paths[0]])
    other = "" if command == "export" else " or another engine"
    assert main([command, made.path, *extra, "--precision", "float32"]) == 2
    assert capsys.readouterr().err == (f"slim-resnet {command}: error: --precision goes with "
                                       f"--optimize{other}; give both or neither\n")


def test_what_is_fastest_is_set_unless_the_user_has_set_it(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr(os, "environ", {"TF_ENABLE_ONEDNN_OPTS": "0"})
    optimize.turn_onednn_on(verbose=True, command="classify")
    assert os.environ == {"TF_ENABLE_ONEDNN_OPTS": "0",
                          "TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD": "1",
                          "TF_OVERRIDE_GLOBAL_THREADPOOL": "1"}
    assert capsys.readouterr().err == (
        "slim-resnet classify: TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD=1 is set\n"
        "slim-resnet classify: TF_OVERRIDE_GLOBAL_THREADPOOL=1 is set\n")


@pytest.mark.parametrize("command, extra", [
    ("classify", ["{image}", "--optimize"]), ("evaluate", ["{image}", "--compare"]),
    ("export", ["{out}", "--format", "frozen", "--optimize"]),
    ("end-points", ["--images", "{image}", "--save", "{out}", "--end-points", "*/block2",
                    "--optimize"])])
@pytest.mark.parametrize("has_bfloat16, message", [
    (False, "has neither avx512_bf16 nor amx_bf16; use float32\n"),
    (True, "precision bfloat16: needs oneDNN, which is off; set TF_ENABLE_ONEDNN_OPTS=1, or use "
           "float32\n")])
def test_bfloat16_that_would_not_be_used_is_refused(made, paths, command, extra, has_bfloat16,
                                                    message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(environment, "has_bfloat16", lambda flags: has_bfloat16)
    words = [word.format(image=paths[0], out=tmp_path / "out.npz") for word in extra]
    assert main([command, made.path, *words, "--precision", "bfloat16"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.endswith(message)
    assert os.listdir(tmp_path) == []


@needs_bfloat16
def test_float32_is_the_default_on_every_cpu(made, paths, folder, capsys, monkeypatch):
    """Where bfloat16 is to be had, it is taken when it is asked for and said to be."""
    monkeypatch.setattr(environment, "has_bfloat16", lambda flags: True)
    monkeypatch.setattr(environment, "check_bfloat16", lambda onednn=None: None)
    for asked, precision in (([], "float32"), (["--precision", "bfloat16"], "bfloat16")):
        words = ["--optimize", *asked]
        assert main(["classify", made.path, paths[0], *SIZE, "--json", *words]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["precision"] == precision and f"optimised, {precision}, " in err
        output = str(folder / f"{precision}.pb")
        assert main(["export", made.path, output, "--format", "frozen", *words]) == 0
        assert f"optimised, {precision}" in capsys.readouterr().out
        graph_def = tf1.GraphDef.FromString(open(output, "rb").read())
        kinds = {tf.as_dtype(node.attr["T"].type).name for node in graph_def.node
                 if node.op == "DepthwiseConv2dNative" or node.name.endswith("conv2/Conv2D")}
        assert kinds == {precision}
        with tf.Graph().as_default(), tf1.Session() as session:
            text, = tf.import_graph_def(graph_def, return_elements=["slim_resnet_metadata:0"])
            assert json.loads(session.run(text))["precision"] == precision


def test_frozen(made, paths, expected, folder):
    """In a plain session: stock ops, no variables, and the metadata says what it is."""
    output = str(folder / "net.pb")
    assert main(["export", made.path, output, "--format", "frozen", "--optimize",
                 "--end-points", "resnet_v2_50/logits", "resnet_v2_50/block2"]) == 0
    graph_def = tf1.GraphDef.FromString(open(output, "rb").read())
    assert not [node.op for node in graph_def.node
                if node.op.startswith("_") or "Var" in node.op or "BatchNorm" in node.op]
    batch = pictures.prepared(paths)
    with tf.Graph().as_default(), tf1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        logits, block2, metadata = session.run(
            ["end_points/resnet_v2_50/logits:0", "end_points/resnet_v2_50/block2:0",
             "slim_resnet_metadata:0"], {"images:0": batch})
    np.testing.assert_allclose(logits, expected[0], atol=1e-4)
    np.testing.assert_allclose(block2, expected[1], atol=1e-4)
    metadata = json.loads(metadata)
    assert metadata["optimized"] and metadata["precision"] == "float32"
    assert metadata["tensorflow_version"] == tf.__version__


def test_saved_model(made, paths, expected, folder):
    output = str(folder / "saved_model")
    assert main(["export", made.path, output, "--format", "saved_model", "--optimize", *SIZE]) == 0
    served = tf.saved_model.load(output).signatures
    got = served["serving_default"](tf.constant([open(path, "rb").read() for path in paths]))
    np.testing.assert_allclose(got["probabilities"], softmax(expected[0][:, 0, 0]), rtol=1e-4)
    got = served["end_points"](tf.constant(pictures.prepared(paths)))
    np.testing.assert_allclose(got["resnet_v2_50/logits"], expected[0], atol=1e-4)


def test_benchmark_of_another_engine(tmp_path, capsys):
    pytest.importorskip("onnx", reason="onnx is not installed")
    engine = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    file = tmp_path / "record.json"
    made = checkpoints.write(tmp_path / "resnet_v2_50.ckpt")
    assert main(["benchmark", "--checkpoint", made.path,
                 "--image-size", "32", "--batch-size", "1", "--num-batches", "2", "--burn-in", "1",
                 "--engine", "onnxruntime", "--json", str(file)]) == 0
    record = json.loads(file.read_text())
    assert (record["options"]["engine"], record["options"]["optimize"]) == ("onnxruntime", True)
    name = f"ONNX Runtime {engine.__version__}"
    assert [run["engine"] for run in record["runs"]] == [f"TensorFlow {tf.__version__}", name]
    assert f"resnet_v2_50.ckpt optimized, {name} " in capsys.readouterr().out
    assert main(["benchmark", "--engine", "onnxruntime", "--mode", "forward-backward"]) == 2
    assert "--optimize goes with --mode forward" in capsys.readouterr().err


def test_checkpoints_are_not_optimized(made, capsys):
    assert main(["export", made.path, "out", "--format", "v2", "--optimize"]) == 2
    assert "--optimize has no effect on --format v2" in capsys.readouterr().err


@pytest.mark.slow
def test_benchmark(tmp_path, capsys):
    """The ratio is that of the record's own steps, and both runs are of the same images."""
    file = tmp_path / "record.json"
    assert main(["benchmark", "--model", "resnet_v2_50", "--image-size", "32", "--batch-size", "1",
                 "--num-classes", "4", "--num-batches", "3", "--burn-in", "1", "--optimize",
                 "--wide", "--json", str(file)]) == 0
    record = json.loads(file.read_text())
    plain, optimized = record["runs"]
    assert (plain["model"], optimized["model"]) == ("resnet_v2_50", "resnet_v2_50 optimized")
    assert record["options"]["input"] == "feed" and record["options"]["optimize"]
    plain["durations_s"], optimized["durations_s"] = [2.0, 6.0, 5.0], [1.0, 2.0, 2.0]
    assert records.optimized_lines(record) == [
        "resnet_v2_50: plain / optimized = 2.500 (median step by step; 2.000 to 3.000)"]
    out, err = capsys.readouterr()
    assert "resnet_v2_50: plain / optimized = " in out
    table = [line.split() for line in out.splitlines() if line.startswith("resnet_v2_50")]
    assert [cells[1 + (cells[1] == "optimized")] for cells in table[:2]] == ["float32"] * 2
    assert "folding resnet_v2_50, float32, tensorflow\n" in err


@pytest.mark.parametrize("arguments, message", [
    (["--mode", "forward-backward"], "--optimize goes with --mode forward"),
    (["--input", "random"], "--optimize goes with --input feed"),
    (["--fetch", "none"], "--optimize goes with --fetch output"),
    (["--device", "/CPU:0"], "--optimize runs in this process; leave --device out"),
    (["--target", "grpc://a:1"], "--optimize runs in this process; leave --target out"),
    (["--trace", "t.json"], "--optimize and --trace exclude each other")])
def test_benchmark_options_that_do_not_go_together(arguments, message, capsys):
    assert main(["benchmark", "--optimize", *arguments]) == 2
    assert capsys.readouterr().err == f"slim-resnet benchmark: error: {message}\n"


def test_error_by_hand():
    error = accuracy.Error()
    error.add(np.array([[4.0, -2.0], [0.0, 1.0]]), np.array([[4.0, -1.0], [0.5, 1.0]]))
    assert error.largest == 0.5
    assert error.mean == (0.5 + 0.25) / (3 + 0.5)
    error.add(np.zeros([1, 2]), np.zeros([1, 2]))
    assert (error.largest, error.mean) == (0.5, 0.75 / 3.5)


def test_agreement_by_hand():
    reference = np.array([[9, 8, 7, 6, 5, 0.0], [9, 8, 7, 6, 5, 0.0], [9, 8, 7, 6, 5, 0.0]])
    values = np.array([[8, 9, 7, 6, 5, 0.0], [9, 8, 7, 6, 0, 5.0], [9, 5, 6, 7, 8, 0.0]])
    assert accuracy._agreements(reference, values) == [2, 2]


@pytest.mark.slow
def test_compare(made, paths, folder, capsys):
    broken = folder / "pictures" / "broken.png"
    broken.write_bytes(b"no picture")
    plot = str(folder / "accuracy.png")
    arguments = ["evaluate", made.path, *paths, str(broken), *SIZE, "--compare", "--plot", plot]
    assert main([*arguments, "--json"]) == 2
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert f"{broken}: cannot be read" in err and len(record["unreadable"]) == 1
    assert (record["num_images"], record["layer_images"]) == (3, 2)
    assert record["top_1_agreement_percent"] == record["top_5_agreement_percent"] == 100
    assert 0 < record["logits"]["mean"] <= record["logits"]["largest"] < 1e-5
    assert [layer["end_point"] for layer in record["layers"]] == [*made.end_points, "global_pool"]
    assert max(layer["largest"] for layer in record["layers"]) < 1e-4
    assert open(plot, "rb").read(4) == b"\x89PNG"
    assert main(arguments) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("engine           TensorFlow 2.")
    assert lines[3] == "top-1 agreement  100.00 %"
    assert lines[-1].startswith("global_pool")


@needs_bfloat16
def test_compare_tells_bfloat16_apart(made, paths, capsys, monkeypatch):
    monkeypatch.setattr(environment, "check_bfloat16", lambda onednn=None: None)
    assert main(["evaluate", made.path, *paths, *SIZE, "--compare", "--precision", "bfloat16",
                 "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["precision"] == "bfloat16"
    assert 1e-3 < record["logits"]["largest"] < 0.2


def test_compare_without_images(made, capsys, folder):
    bad = folder / "bad.png"
    bad.write_bytes(b"x")
    assert main(["evaluate", made.path, str(bad), *SIZE, "--compare"]) == 2
    assert "no image could be read; the first, " in capsys.readouterr().err


@pytest.mark.parametrize("arguments, message", [
    (["--compare", "--output", "f.jsonl"], "--output keeps what images are taken for"),
    (["--compare", "--ray"], "--ray keeps what images are taken for"),
    (["--compare", "--plot", "f.gif"], "ends in .png, .svg or .pdf"),
    (["--plot", "f.png"], "--plot goes with --compare")])
def test_compare_options_that_do_not_go_together(made, paths, arguments, message, capsys,
                                                 monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", made.path, paths[0], *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1
    assert os.listdir(tmp_path) == []
