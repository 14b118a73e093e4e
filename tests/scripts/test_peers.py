"""compare_peers.py: what it has processes do, and tables of made-up records."""

import json

import numpy as np
import pytest

from scripts import compare_peers
from scripts.peers import comparison, plot, records, table
from slim_resnet import cli
from slim_resnet.errors import SlimResnetError

SECONDS = {"gemm": 2, "session": 4, "optimised": 6, "keras": 8, "onnxruntime": 9,
           "our_onnxruntime": 5}


class FakeProcess:
    """Answers as an engine would; each start of one takes a second longer for a step."""

    started, dies_in = [], None

    def __init__(self, engine, arguments, **variables):
        self.engine, self.arguments, self.variables = engine, arguments, variables
        self.startup_s, self.closed = 1.5, False
        self.first = {"peak_bytes": 2 ** 20, "made": engine}
        if engine == "make_files":
            self.first["made"] = {"multiply_adds_per_image": 1000, "parameters": 10 ** 6,
                                  "onednn_by_default": False, "image_size": 224}
        if engine == "make_onnx" and "dies" in FakeProcess.started[0].arguments["network"]:
            raise SlimResnetError("the process of make_onnx ended with status -9: it said nothing")
        if engine == "openvino":
            self.first = {"unavailable": "needs openvino"}
        self.of = (engine, arguments.get("precision"), variables.get("TF_ENABLE_ONEDNN_OPTS"),
                   variables["XDG_CACHE_HOME"])
        self.before = sum(process.of == self.of for process in FakeProcess.started)
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
        if (self.engine, command["batch_size"], self.before) == ("keras", 4, self.dies_in):
            raise SlimResnetError("the process of keras ended with status -11: it said nothing")
        seconds = SECONDS[self.engine] + self.before
        return {"cpu_s": 2 * seconds, "sleeps": [10.0 + self.before, 0.25][:1 + self.before],
                "peak_bytes": 2 ** 20 * (1 + self.before),
                "durations_s": [seconds] * command["steps"]}


def compared(monkeypatch, **options):
    monkeypatch.setattr(comparison, "EngineProcess", FakeProcess)
    # Whether bfloat16 is there is asked of `environment`, whose tests hide it.
    monkeypatch.setattr(FakeProcess, "started", [])
    return comparison.compare(comparison.Comparison(
        engines=("session", "optimised", "our_onnxruntime", "keras", "onnxruntime", "openvino"),
        batch_sizes=(4, 1), rounds=3, threads=2, **options))


@pytest.fixture
def record(monkeypatch):
    record = compared(monkeypatch)
    network, = record["networks"]
    assert not record["partial"]
    json.dumps(record)
    return network


def test_every_measurement_is_a_process_of_its_own(record):
    assert all(process.closed for process in FakeProcess.started)
    made = [process.engine for process in FakeProcess.started if process.engine.startswith("make")]
    assert made == ["make_files", "make_onnx", "make_openvino", "make_kept", "make_kept"]
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
    variables = {name: engine.variables for name, engine in table.ENGINES.items()}
    assert {name for name, given in variables.items() if given} == {"optimised", "optimised_whole"}
    assert variables["optimised_whole"] == {
        **variables["optimised"], "TF_OVERRIDE_GLOBAL_THREADPOOL": "0"}
    assert "optimised_whole" not in table.DEFAULT + table.PEERS + table.OURS


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
    assert first["batches"][0]["cpu_s"] == [8, 10, 12]
    assert first["batches"][0]["sleeps"] == [[10], [11, 0.25], [12, 0.25]]
    assert record["runs"][6]["agreement"] == {"relative_error": 2.0, "top_1": 0.0}
    assert record["runs"][3]["agreement"] == {"relative_error": 0.0, "top_1": 1.0}
    assert "agreement" not in record["runs"][5]
    assert [(one["title"], one["precision"]) for one in record["unavailable"]] == [
        ("all engines", "bfloat16"), ("OpenVINO", "float32")]
    assert record["making_peak_bytes"]["onnxruntime int8"] == 2 ** 20


@pytest.mark.parametrize("networks, whole, expected", [
    # A round of one network has 7 runs in float32, one that fails, and one in int8.
    (("a",), 11, {"a": 1}), (("a", "b"), 11, {"a": 1}), (("a", "b"), 32, {"a": 3}),
    (("a", "b"), 36, {"a": 3, "b": 1})])
def test_a_stop_leaves_whole_rounds(monkeypatch, networks, whole, expected):
    measure, done = comparison._Network._measure_run, []

    def stopped(*arguments):
        if len(done) == whole:
            raise KeyboardInterrupt
        done.append(measure(*arguments))
        return done[-1]

    monkeypatch.setattr(comparison._Network, "_measure_run", stopped)
    record = compared(monkeypatch, networks=networks)
    assert record["partial"]
    assert {network["name"]: {len(durations) for run in network["runs"]
                              for durations in (run["startups_s"], *(
                                  batch[name] for batch in run["batches"]
                                  for name in ("durations_s", "cpu_s", "sleeps")))}
            for network in record["networks"]} == {
        name: {rounds} for name, rounds in expected.items()}


def test_a_stop_before_the_first_round_is_over_leaves_nothing(monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison._Network, "_measure_run", stopped)
    with pytest.raises(KeyboardInterrupt):
        compared(monkeypatch)


def test_networks_are_looked_at_first_and_timed_one_after_the_other(monkeypatch):
    record = compared(monkeypatch, networks=("a", "b"))
    order = [(process.engine, process.arguments.get("network")) for process in FakeProcess.started]
    assert order[:3] == [("make_files", "a"), ("make_files", "b"), ("make_onnx", None)]
    folders = [process.variables["XDG_CACHE_HOME"] for process in FakeProcess.started[2:]]
    half = len(folders) // 2
    assert set(folders[:half]).isdisjoint(folders[half:]) and len(set(folders)) == 2
    first, second = record["networks"]
    assert (first.pop("name"), second.pop("name")) == ("a", "b") and first == second


def test_what_ends_of_itself_is_a_line(monkeypatch):
    monkeypatch.setattr(FakeProcess, "dies_in", 1)
    network, = compared(monkeypatch, networks=("dies",))["networks"]
    assert "keras" not in [run["engine"] for run in network["runs"]]
    assert [(one["title"], one["why"]) for one in network["unavailable"][1:]] == [
        ("OpenVINO", "needs openvino"),
        ("Keras Applications, oneDNN off",
         "the process of keras ended with status -11: it said nothing")]
    assert network["network"]["onnx"] is None
    assert network["network"]["onnx_missing"].startswith("the process of make_onnx ended")
    assert network["making_peak_bytes"]["onnx"] is None


def test_tables(record):
    lines = records.table(record)
    assert len(lines) == 2 + 2 * 8 + 2 + 2
    plain, tensorflow = (next(line for line in lines if line.startswith(f"slim_resnet, {name}"))
                         for name in ("session.run, oneDNN off", "TensorFlow, oneDNN off"))
    # Time over that of our fastest, which takes 5, 6 and 7 s.
    assert plain.split()[5:11] == ["1", "5.0000", "4.0000", "6.0000", "0.20", "0.833"]
    assert tensorflow.split()[10] == "1.167"
    assert lines[-4:-2] == [
        "ONNX Runtime and PyTorch run the ONNX file that we write.",
        "With weights and a count of multiply-adds of its own: Keras Applications, oneDNN off."]
    assert lines[-2].startswith("Not measured: all engines, bfloat16: precision bfloat16: this CPU")
    assert lines[-2].endswith("has neither avx512_bf16 nor amx_bf16; use float32")
    assert lines[-1] == "Not measured: OpenVINO, float32: needs openvino"
    assert records.conclusions(record) == [
        *(line.format(n) for n in (1, 4) for line in (
            "float32, batch {}: slim_resnet, ONNX Runtime 6.0000 s; 0.00 of the GEMM limit; best "
            "of ours / best peer 0.600 (ONNX Runtime, float32); our TensorFlow / best peer 0.700",
            "int8, batch {}: slim_resnet, ONNX Runtime 6.0000 s; best of ours / best peer 0.600 "
            "(ONNX Runtime, float32)")),
        "float32, ours, batch 1: the fastest, slim_resnet, ONNX Runtime, has its first result "
        "after 1.50 s and a peak of 3 MiB; least are 1.50 s (slim_resnet, TensorFlow, oneDNN off) "
        "and 3 MiB (slim_resnet, TensorFlow, oneDNN off)",
        "float32, peers, batch 1: the fastest, ONNX Runtime, has its first result after 1.50 s "
        "and a peak of 3 MiB; least are 1.50 s (ONNX Runtime) and 3 MiB (ONNX Runtime)",
        "int8, ours, batch 1: the fastest, slim_resnet, ONNX Runtime, has its first result after "
        "1.50 s and a peak of 3 MiB; least are 1.50 s (slim_resnet, ONNX Runtime) and 3 MiB "
        "(slim_resnet, ONNX Runtime)",
        "largest peak of a process: 3 MiB (slim_resnet, session.run, oneDNN on, float32, batch 4)"]
    assert records.heading(record) == [
        "resnet_v2_152: 1.0 M parameters, 0.00 GMAC an image of 224 x 224; oneDNN is off by "
        "default here",
        "float32 matrix product: oneDNN off: 69 GFLOP/s; oneDNN on: 69 GFLOP/s"]


def run_of(engine, precision, batches, startup=1.0):
    """Returns a run; ``batches`` maps sizes to seconds, round by round."""
    return {"engine": engine, "title": engine, "precision": precision, "startup_s": startup,
            "same_weights": True, "batches": [
                {"batch_size": size, "durations_s": durations, "median_s": np.median(durations),
                 "share_of_gemm": None, "peak_bytes": size * 2 ** 20, "images_per_s": 1.0,
                 "cpu_s": durations, "sleeps": [None]}
                for size, durations in batches.items()]}


def test_int8_is_held_against_the_best_peer_of_any_precision():
    network = {"making_peak_bytes": {"openvino int8": 5 * 2 ** 30, "onnx": None}, "runs": [
        run_of("our_openvino", "float32", {1: [8, 8]}), run_of("openvino", "float32", {1: [9, 9]}),
        run_of("optimised", "bfloat16", {1: [6, 6]}, 4), run_of("torch", "bfloat16", {1: [4, 5]}),
        run_of("our_openvino", "int8", {1: [1, 2]}), run_of("session", "int8", {1: [.1, .1]})]}
    assert [line for line in records.conclusions(network) if "best peer" in line] == [
        "float32, batch 1: our_openvino 8.0000 s; best of ours / best peer 0.889 (openvino, "
        "float32)",
        "bfloat16, batch 1: optimised 6.0000 s; best of ours / best peer 1.350 (torch, bfloat16); "
        "our TensorFlow / best peer 1.350",
        "int8, batch 1: our_openvino 1.5000 s; best of ours / best peer 0.325 (torch, bfloat16)"]
    assert records.conclusions(network)[-1] == (
        "largest peak of a process: 5120 MiB (making openvino int8)")
    assert records.profile(network)[-1].split() == ["session", "int8", "100.0", "100.0", "1.00"]


def test_profile(record):
    lines = records.profile(record)
    assert len(lines) == 1 + 2 + 8 and lines[0].startswith("One step of batch 1: ")
    # 6 s of our ONNX Runtime, 12 of CPU; one thread slept 10, 11 and 12 times, one 0, 1/4, 1/4.
    assert lines[-1].split()[-6:] == ["int8", "6000.0", "12000.0", "2.00", "11.0,", "0.2"]
    assert records.sleeps({"sleeps": [[], []]}) == []
    assert records.sleeps({"sleeps": [[3.0] * 6, [2.0] * 6, [4.0]]}) == [3.0] + [2.0] * 5
    row = dict(record, runs=[dict(record["runs"][0], batches=[dict(
        record["runs"][0]["batches"][0], sleeps=[sleeps])]) for sleeps in ([5.0] * 6, [], None)])
    assert [" ".join(line.split()[7:]) for line in records.profile(row)[3:]] == [
        "2.00 5.0, 5.0, 5.0, 5.0 and 2 more", "2.00 0", "2.00"]


def test_nothing_measured_is_still_told():
    network = {"name": "a", "network": {"multiply_adds_per_image": 1}, "gemm": {}, "runs": [],
               "making_peak_bytes": {"files": 2 ** 20},
               "unavailable": [{"title": "b", "precision": "c", "why": "d"}]}
    assert records.table(network)[-1] == "Not measured: b, c: d"
    assert records.conclusions(network) == ["largest peak of a process: 1 MiB (making files)"]
    assert records.profile(network) == []


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
    assert "resnet_v2_152: images a second" in text


def test_a_picture_of_several_networks_bears_the_name_of_its_own():
    assert plot.path_of("out/p.png", "vgg_16", 1) == "out/p.png"
    assert plot.path_of("out/p.png", "vgg_16", 2) == "out/p_vgg_16.png"
    assert plot.path_of("out/p.png", "in/net.ckpt", 2) == "out/p_net.ckpt.png"


@pytest.mark.parametrize("words, message", [
    (["--batch-sizes", "1", "1"], "--batch-sizes names one twice"),
    (["--peers", "keras", "keras"], "--peers names one twice"),
    (["--precisions", "int8", "int8"], "--precisions names one twice"),
    (["--json", "{}/no/f.json"], "no does not exist"),
    (["--plot", "{}/f.txt"], "a plot's name ends in .png, .svg or .pdf"),
    (["--image-size", "8"], "needs images of at least 32 x 32 pixels, not 8"),
    (["--model", "resnet_v1_50", "vgg_16", "--image-size", "225"],
     "vgg_16 takes images of 224 x 224 pixels only, not 225"),
    (["--model", "vgg_a", "vgg_a"], "--model names one twice"),
    (["--checkpoint", "a/n.ckpt", "b/n.ckpt", "--plot", "{}/p.png"], "two of them have the same"),
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
