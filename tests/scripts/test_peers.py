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


def files_of(written, folder):
    return engines.make_files(str(folder), written.path, 32, None)


def check_logits(written, run):
    np.testing.assert_allclose(run(written.images), written.net[:, 0, 0], rtol=1e-4, atol=1e-5)


def test_files_of_a_checkpoint(written, tmp_path):
    files = files_of(written, tmp_path)
    assert files["checkpoint"] == written.path and files["logits"] == "resnet_v2_50/logits"
    assert (files["num_classes"], files["depth"], files["variant"]) == (10, None, "slim")
    assert files["parameters"] == sum(value.size for value in written.values.values())


@pytest.mark.parametrize("engine", ["session", "optimised"])
def test_our_engines_give_tf_slim_s_logits(written, tmp_path, engine):
    check_logits(written, engines.LOADERS[engine](files_of(written, tmp_path), "float32", 2))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_engines_give_tf_slim_s_logits(written, tmp_path, monkeypatch, engine):
    """As a peer, from what its maker wrote, and as ours, from the cache."""
    for package in ("onnx", engine):
        pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CI", "true")
    files = files_of(written, tmp_path)
    files[engine] = engines.MAKERS[f"make_{engine}"](str(tmp_path), files)
    check_logits(written, engines.LOADERS[engine](files, "float32", 2))
    files["kept"] = {f"{engine} float32": engines.make_kept(files, engine, "float32")}
    check_logits(written, engines.LOADERS[f"our_{engine}"](files, "float32", 2))


@pytest.mark.slow
def test_a_random_network_is_restored_by_tf_slim(tmp_path):
    files = engines.make_files(str(tmp_path), "resnet_v2_50", 32, 11)
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
                     [{"batch_size": 3, "steps": 2}, {"batch_size": 2, "steps": 1, "save": path}])
    assert shapes == [(1, 2, 2, 3), *[(3, 2, 2, 3)] * 3, *[(2, 2, 2, 3)] * 2]
    assert [answer["peak_bytes"] > 2 ** 20 for answer in answers] == [True] * 3
    assert [len(answer["durations_s"]) for answer in answers[1:]] == [2, 1]
    assert all(duration > 0 for answer in answers[1:] for duration in answer["durations_s"])
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
    arguments = {"files": {"onnxruntime": None, "onnxruntime_missing": "needs onnx",
                           "image_size": 2},
                 "precision": "float32", "threads": 1, "batch_sizes": [1]}
    started = comparison.EngineProcess("onnxruntime", arguments)
    assert started.first["unavailable"] in (
        "needs onnx", "needs onnxruntime: pip install 'slim-resnet[peers]'")
    assert started.startup_s > 0
    with pytest.raises(SlimResnetError, match="the process of onnxruntime ended with status 0: it "
                                              "said nothing"):
        started.run({"batch_size": 1, "steps": 1})
    started.close()
    with pytest.raises(SlimResnetError, match="status 1: TypeError: .*missing 4"):
        comparison.EngineProcess("make_files", {})


SECONDS = {"gemm": 2, "session": 4, "optimised": 6, "keras": 8, "onnxruntime": 9,
           "our_onnxruntime": 5}


class FakeProcess:
    """Answers as an engine would; each start of one takes a second longer for a step."""

    started = []

    def __init__(self, engine, arguments, **variables):
        self.engine, self.arguments, self.variables = engine, arguments, variables
        self.startup_s, self.closed = 1.5, False
        self.first = {"peak_bytes": 2 ** 20, "made": engine}
        if engine == "make_files":
            self.first["made"] = {"multiply_adds_per_image": 1000, "parameters": 10 ** 6,
                                  "onednn_by_default": False}
        if engine == "openvino":
            self.first = {"unavailable": "needs openvino"}
        self.before = sum(process.of == (engine, arguments.get("precision"),
                                         variables.get("TF_ENABLE_ONEDNN_OPTS"))
                          for process in FakeProcess.started)
        self.of = (engine, arguments.get("precision"), variables.get("TF_ENABLE_ONEDNN_OPTS"))
        FakeProcess.started.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def run(self, command):
        assert [one for one in FakeProcess.started if not one.closed] == [self]
        if "save" in command:
            outputs = np.eye(command["batch_size"], 4, dtype=np.float32)
            np.save(command["save"], -outputs if self.engine == "onnxruntime" else outputs)
        seconds = SECONDS[self.engine] + self.before
        return {"peak_bytes": 2 ** 20 * (1 + self.before),
                "durations_s": [seconds] * command["steps"]}


def compared(monkeypatch, **options):
    monkeypatch.setattr(comparison, "EngineProcess", FakeProcess)
    # Whether bfloat16 is there is asked of `environment`, whose tests hide it.
    FakeProcess.started = []
    return comparison.compare(comparison.Comparison(
        engines=("session", "optimised", "our_onnxruntime", "keras", "onnxruntime", "openvino"),
        batch_sizes=(4, 1), rounds=3, threads=2, **options))


@pytest.fixture
def record(monkeypatch):
    return compared(monkeypatch)


def test_every_measurement_is_a_process_of_its_own(record):
    assert all(process.closed for process in FakeProcess.started)
    made = [process.engine for process in FakeProcess.started if process.engine.startswith("make")]
    assert made == ["make_files", "make_onnxruntime", "make_openvino", "make_kept", "make_kept"]
    measured = [(process.engine, process.arguments["precision"], process.of[2])
                for process in FakeProcess.started if not process.engine.startswith("make")]
    engines = [("session", "float32", "0"), ("session", "float32", "1"),
               ("optimised", "float32", "0"), ("optimised", "float32", "1"),
               ("our_onnxruntime", "float32", None), ("keras", "float32", "0"),
               ("onnxruntime", "float32", None)]
    int8 = ("our_onnxruntime", "int8", None)
    assert measured == [
        ("gemm", "float32", "0"), ("gemm", "float32", "1"),
        # What cannot be had is not tried again.
        *engines, ("openvino", "float32", None), int8, *[*engines, int8] * 2]
    for process in FakeProcess.started:
        assert process.variables["TF_NUM_INTRAOP_THREADS"] == "2"
        assert process.arguments["threads"] == 2
        # As --optimize sets it.
        assert ("TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD" in process.variables) == (
            process.engine == "optimised")


def test_record(record):
    assert [(run["title"], run["precision"], run["batches"][0]["durations_s"])
            for run in record["runs"]] == [
        ("slim_resnet, session.run, oneDNN off", "float32", [4, 5, 6]),
        ("slim_resnet, session.run, oneDNN on", "float32", [4, 5, 6]),
        ("slim_resnet, TensorFlow, oneDNN off", "float32", [6, 7, 8]),
        ("slim_resnet, TensorFlow, oneDNN on", "float32", [6, 7, 8]),
        ("slim_resnet, ONNX Runtime", "float32", [5, 6, 7]),
        ("Keras Applications, oneDNN off", "float32", [8, 9, 10]),
        ("ONNX Runtime", "float32", [9, 10, 11]), ("slim_resnet, ONNX Runtime", "int8", [5, 6, 7])]
    first = record["runs"][0]
    assert [batch["batch_size"] for batch in first["batches"]] == [1, 4]
    assert (first["batches"][1]["median_s"], first["batches"][1]["peak_bytes"]) == (5, 3 * 2 ** 20)
    assert first["startups_s"] == [1.5] * 3 and first["startup_s"] == 1.5
    # The faster product took 2 s.
    assert record["gemm"]["float32"]["flops"] == 2 * 4096 ** 3 / 2
    assert first["batches"][1]["images_per_s"] == 4 / 5
    assert first["batches"][1]["share_of_gemm"] == pytest.approx(2 * 1000 * 4 / 5 / 4096 ** 3)
    assert record["runs"][5]["batches"][1]["share_of_gemm"] is None
    assert record["runs"][7]["batches"][1]["share_of_gemm"] is None
    assert record["runs"][6]["agreement"] == {"relative_error": 2.0, "top_1": 0.0}
    assert record["runs"][3]["agreement"] == {"relative_error": 0.0, "top_1": 1.0}
    assert "agreement" not in record["runs"][5]
    assert [(one["title"], one["precision"]) for one in record["unavailable"]] == [
        ("all engines", "bfloat16"), ("OpenVINO", "float32")]
    assert record["making_peak_bytes"]["onnxruntime int8"] == 2 ** 20
    json.dumps(record)


def test_a_stop_leaves_whole_rounds(monkeypatch):
    measure, done = comparison._measure, []

    def stopped(*arguments):
        if len(done) == 11:
            raise KeyboardInterrupt
        done.append(measure(*arguments))
        return done[-1]

    monkeypatch.setattr(comparison, "_measure", stopped)
    record = compared(monkeypatch)
    assert record["partial"]
    assert {len(batch["durations_s"]) for run in record["runs"] for batch in run["batches"]} == {1}


def test_tables(record):
    lines = records.table(record)
    assert len(lines) == 2 + 2 * 8 + 1 + 1 + 2
    plain, tensorflow = (next(line for line in lines if line.startswith(f"slim_resnet, {name}"))
                         for name in ("session.run, oneDNN off", "TensorFlow, oneDNN off"))
    # Time over that of our fastest, which takes 5, 6 and 7 s.
    assert plain.split()[5:11] == ["1", "5.0000", "4.0000", "6.0000", "0.20", "0.833"]
    assert tensorflow.split()[10] == "1.167"
    assert lines[-2].startswith("Not measured: all engines, bfloat16: precision bfloat16: this CPU")
    assert lines[-2].endswith("has neither avx512_bf16 nor amx_bf16; use float32")
    assert lines[-1] == "Not measured: OpenVINO, float32: needs openvino"
    assert records.conclusions(record) == [
        *(line.format(n) for n in (1, 4) for line in (
            "float32, batch {}: slim_resnet, ONNX Runtime 6.0000 s; 0.00 of the GEMM limit; best "
            "of ours / best peer 0.600 (ONNX Runtime, float32); TensorFlow / best peer 0.700",
            "int8, batch {}: slim_resnet, ONNX Runtime 6.0000 s; best of ours / best peer 0.600 "
            "(ONNX Runtime, float32)")),
        "float32, ours: first result 1.50 s (slim_resnet, TensorFlow, oneDNN off); peak memory, "
        "batch 1, 3 MiB (slim_resnet, TensorFlow, oneDNN off)",
        "float32, peers: first result 1.50 s (ONNX Runtime); peak memory, batch 1, 3 MiB (ONNX "
        "Runtime)",
        "int8, ours: first result 1.50 s (slim_resnet, ONNX Runtime); peak memory, batch 1, 3 MiB "
        "(slim_resnet, ONNX Runtime)"]
    assert records.heading(record)[-1] == (
        "float32 matrix product: oneDNN off: 69 GFLOP/s; oneDNN on: 69 GFLOP/s")


def test_ratio_is_taken_round_by_round():
    def batch(*durations):
        return {"durations_s": durations}

    assert records.ratio(batch(1, 2, 9), batch(2, 2, 3)) == 1


def test_plot(record, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "peers.svg"
    plot.plot(record, str(path))
    text = path.read_text()
    assert "ONNX Runtime" in text and "float32, batch 4" in text and "int8, batch 1" in text


@pytest.mark.parametrize("words, message", [
    (["--batch-sizes", "1", "1"], "--batch-sizes names one twice"),
    (["--peers", "keras", "keras"], "--peers names one twice"),
    (["--precisions", "int8", "int8"], "--precisions names one twice"),
    (["--json", "{}/no/f.json"], "no does not exist"),
    (["--plot", "{}/f.txt"], "a plot's name ends in .png, .svg or .pdf"),
    (["--image-size", "8"], "needs images of at least 32 x 32 pixels, not 8"),
])
def test_bad_options_are_one_line(tmp_path, capsys, words, message):
    assert cli.run(compare_peers.build_parser(), [*(word.format(tmp_path) for word in words)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


@pytest.mark.slow
def test_no_checkpoint_is_one_line(tmp_path, capsys):
    assert cli.run(compare_peers.build_parser(), ["--checkpoint", str(tmp_path / "no.ckpt")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1] == (
        f"compare_peers.py: error: {tmp_path / 'no.ckpt'}: no such checkpoint")
