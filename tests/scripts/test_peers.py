"""compare_peers.py: engines on tiny networks, processes, and tables of made-up records."""

import json

import numpy as np
import pytest

from scripts import compare_peers
from scripts.peers import comparison, engines, plot, records
from scripts.peers import process as peer_process
from slim_resnet import cli
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints

CPU = {"model": "a CPU", "flags": [], "cores": 2}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("net") / "net.ckpt")


def files_of(written, folder, with_onnx=False):
    return engines.make_files(str(folder), written.path, 32, None, with_onnx)


def check_logits(written, run):
    np.testing.assert_allclose(run(written.images), written.net[:, 0, 0], rtol=1e-4, atol=1e-5)


def test_files_of_a_checkpoint(written, tmp_path):
    files = files_of(written, tmp_path)
    assert files["checkpoint"] == written.path and files["onnx"] is None
    assert (files["num_classes"], files["depth"], files["variant"]) == (10, None, "slim")
    assert files["parameters"] == sum(value.size for value in written.values.values())


@pytest.mark.parametrize("engine", ["session", "optimised"])
def test_our_engines_give_tf_slim_s_logits(written, tmp_path, engine):
    check_logits(written, engines.LOADERS[engine](files_of(written, tmp_path), "float32", 2))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_onnx_engines_give_tf_slim_s_logits(written, tmp_path, engine):
    for package in ("onnx", engine):
        pytest.importorskip(package, reason=f"{package} is not installed")
    files = files_of(written, tmp_path, with_onnx=True)
    check_logits(written, engines.LOADERS[engine](files, "float32", 2))


@pytest.mark.slow
def test_a_random_network_is_restored_by_tf_slim(tmp_path):
    files = engines.make_files(str(tmp_path), "resnet_v2_50", 32, 11, False)
    assert (files["depth"], files["num_classes"]) == (50, 11)
    images = engines.images_for(2, 32)
    logits = [engines.LOADERS[engine](files, "float32", 2)(images)
              for engine in ("session", "tf_slim")]
    assert logits[0].shape == (2, 11) and np.ptp(logits[0]) > 0
    np.testing.assert_allclose(logits[1], logits[0], rtol=1e-5)


def test_networks_that_an_engine_lacks(written, tmp_path):
    files = files_of(written, tmp_path)
    for engine, message in (("tf_slim", "tf_slim.nets has no such network"),
                            ("keras", "Keras Applications has no ResNet V2 of this depth")):
        with pytest.raises(SlimResnetError, match=message):
            engines.LOADERS[engine](files, "float32", 2)


def test_every_engine_has_a_loader():
    assert set(engines.LOADERS) == {*comparison.ENGINES, comparison.GEMM}


def served(monkeypatch, loader, commands=()):
    monkeypatch.setitem(engines.LOADERS, "session", loader)
    answers = []
    peer_process.serve("session", {"files": {"image_size": 2}, "batch_sizes": [1, 3]}, commands,
                       answers.append)
    return answers


def test_a_process_does_what_it_is_told(monkeypatch, tmp_path):
    shapes = []

    def run(images):
        shapes.append(images.shape)
        return images.sum((1, 2))

    path = str(tmp_path / "outputs.npy")
    answers = served(monkeypatch, lambda files: run,
                     [{"batch_size": 3}, {"batch_size": 2, "save": path}])
    assert shapes == [(1, 2, 2, 3), (3, 2, 2, 3), (2, 2, 2, 3)]
    assert [answer["peak_bytes"] > 2 ** 20 for answer in answers] == [True] * 3
    expected = engines.images_for(3, 2)[:2].sum((1, 2))
    np.testing.assert_array_equal(np.load(path), expected)


@pytest.mark.parametrize("error, why", [
    (ImportError("no", name="openvino"), "needs openvino: pip install 'slim-resnet[peers]'"),
    (ImportError("no", name="torch"), "needs torch: pip install torch"),
    (SlimResnetError("has no such network"), "has no such network"),
    (RuntimeError("first line\nsecond"), "first line"),
    (ValueError(), "ValueError"),
])
def test_what_cannot_be_loaded_is_a_line(monkeypatch, error, why):
    def load(files):
        raise error

    assert served(monkeypatch, load) == [{"unavailable": why}]


def test_a_real_process_says_what_is_missing_and_how_it_died():
    arguments = {"files": {"onnx": None, "onnx_missing": "needs onnx", "image_size": 2},
                 "precision": "float32", "threads": 1, "batch_sizes": [1]}
    started = comparison.EngineProcess("onnxruntime", arguments)
    assert started.first["unavailable"] in (
        "needs onnx", "needs onnxruntime: pip install 'slim-resnet[peers]'")
    assert started.startup_s > 0
    with pytest.raises(SlimResnetError, match="the process of onnxruntime ended with status 0: it "
                                              "said nothing"):
        started.run({"batch_size": 1})
    started.close()
    with pytest.raises(SlimResnetError, match="status 1: TypeError: .*missing 5"):
        comparison.EngineProcess("make_files", {})


class FakeProcess:
    """Answers as an engine would; the later it was started, the longer it takes."""

    started = []

    def __init__(self, engine, arguments, **variables):
        self.engine, self.arguments, self.variables = engine, arguments, variables
        self.startup_s, self.peak_bytes, self.closed = 1.5, 2 ** 20, False
        self.first = {"peak_bytes": 2 ** 20}
        if engine == "make_files":
            self.first = {"files": {"multiply_adds_per_image": 1000, "parameters": 10 ** 6,
                                    "onednn_by_default": False}}
        if engine == "openvino":
            self.first = {"unavailable": "needs openvino"}
        FakeProcess.started.append(self)
        self.number = len(FakeProcess.started)

    def run(self, command, feed_dict=None):
        FakeProcess.clock += self.number
        if "save" in command:
            outputs = np.eye(command["batch_size"], 4, dtype=np.float32)
            np.save(command["save"], -outputs if self.engine == "onnxruntime" else outputs)

    def close(self):
        self.closed = True


@pytest.fixture
def record(monkeypatch):
    monkeypatch.setattr(comparison, "EngineProcess", FakeProcess)
    monkeypatch.setattr(comparison, "cpu", lambda: CPU)
    monkeypatch.setattr(comparison.timing.time, "perf_counter", lambda: FakeProcess.clock)
    FakeProcess.started, FakeProcess.clock = [], 0.0
    return comparison.compare(comparison.Comparison(
        engines=("session", "optimised", "keras", "onnxruntime", "openvino"),
        batch_sizes=(4, 1), rounds=3, threads=2))


def test_record(record):
    assert all(process.closed for process in FakeProcess.started)
    assert [(process.engine, process.variables.get("TF_ENABLE_ONEDNN_OPTS"))
            for process in FakeProcess.started] == [
        ("make_files", None), ("gemm", "0"), ("gemm", "1"), ("session", "0"), ("session", "1"),
        ("optimised", "0"), ("optimised", "1"), ("keras", "0"), ("onnxruntime", None),
        ("openvino", None)]
    for process in FakeProcess.started:
        assert process.variables["TF_NUM_INTRAOP_THREADS"] == "2"
        # As --optimize sets it.
        assert ("TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD" in process.variables) == (
            process.engine == "optimised")
    assert [(run["title"], run["batches"][0]["durations_s"]) for run in record["runs"]] == [
        ("slim_resnet, session.run, oneDNN off", [4] * 3),
        ("slim_resnet, session.run, oneDNN on", [5] * 3),
        ("slim_resnet, optimised, oneDNN off", [6] * 3),
        ("slim_resnet, optimised, oneDNN on", [7] * 3),
        ("Keras Applications, oneDNN off", [8] * 3), ("ONNX Runtime", [9] * 3)]
    assert [batch["batch_size"] for batch in record["runs"][0]["batches"]] == [1, 4]
    # The faster product took 2 s.
    assert record["gemm"]["float32"]["flops"] == 2 * 4096 ** 3 / 2
    assert record["runs"][0]["batches"][1]["images_per_s"] == 1
    assert record["runs"][0]["batches"][1]["share_of_gemm"] == pytest.approx(
        2 * 1000 * 4 / 4 / 4096 ** 3)
    assert record["runs"][4]["batches"][1]["share_of_gemm"] is None
    assert record["runs"][5]["agreement"] == {"relative_error": 2.0, "top_1": 0.0}
    assert record["runs"][3]["agreement"] == {"relative_error": 0.0, "top_1": 1.0}
    assert "agreement" not in record["runs"][4]
    assert [(one["title"], one["precision"]) for one in record["unavailable"]] == [
        ("OpenVINO", "float32"), ("all engines", "bfloat16")]
    json.dumps(record)


def test_tables(record):
    lines = records.table(record)
    assert len(lines) == 2 + 2 * 6 + 1 + 2
    plain, ours = (next(line for line in lines if line.startswith(f"slim_resnet, {name}"))
                   for name in ("session.run, oneDNN off", "optimised, oneDNN off"))
    # Time over that of our faster setting, which takes 6 s.
    assert plain.split()[5:11] == ["1", "4.0000", "4.0000", "4.0000", "0.25", "0.667"]
    assert ours.split()[10] == "1.000"
    assert lines[-2] == "Not measured: OpenVINO, float32: needs openvino"
    assert lines[-1].startswith("Not measured: all engines, bfloat16: precision bfloat16: this CPU")
    assert lines[-1].endswith("has neither avx512_bf16 nor amx_bf16; use float32")
    assert records.conclusions(record) == [
        f"float32, batch {n}: slim_resnet, optimised, oneDNN off: 0.00 of the GEMM limit; 0.667 of "
        "the time of the best peer, ONNX Runtime; plain session.run takes 0.67 times as long"
        for n in (1, 4)]
    assert records.heading(record)[-1] == (
        "float32 matrix product: oneDNN off: 69 GFLOP/s; oneDNN on: 46 GFLOP/s")


def test_ratio_is_taken_round_by_round():
    def batch(*durations):
        return {"durations_s": durations}

    assert records.ratio(batch(1, 2, 9), batch(2, 2, 3)) == 1


def test_plot(record, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "peers.svg"
    plot.plot(record, str(path))
    text = path.read_text()
    assert "ONNX Runtime" in text and "float32, batch 4" in text


@pytest.mark.parametrize("words, message", [
    (["--batch-sizes", "1", "1"], "--batch-sizes names one twice"),
    (["--peers", "keras", "keras"], "--peers names one twice"),
    (["--json", "{}/no/f.json"], "no does not exist"),
    (["--plot", "{}/f.txt"], "a plot's name ends in .png, .svg or .pdf"),
    (["--image-size", "8"], "needs images of at least 32 x 32 pixels, not 8"),
])
def test_bad_options_are_one_line(tmp_path, capsys, words, message):
    assert cli.run(compare_peers.build_parser(), [*(word.format(tmp_path) for word in words)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


def test_no_checkpoint_is_one_line(tmp_path, capsys):
    assert cli.run(compare_peers.build_parser(), ["--checkpoint", str(tmp_path / "no.ckpt")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1] == (
        f"compare_peers.py: error: {tmp_path / 'no.ckpt'}: no such checkpoint")
