"""The engines that compare_peers.py measures: on tiny networks, and the process of each."""

import numpy as np
import pytest

from scripts.peers import child, counters, engines, makers, table
from scripts.peers import process as peer_process
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints
from tests.helpers.family import v1_builder


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("net") / "net.ckpt")


def files_of(written, folder):
    return makers.make_files(str(folder), written.path, 32, None)


def check_logits(written, run):
    np.testing.assert_allclose(run(written.images), written.net.reshape(1, -1), rtol=1e-4,
                               atol=1e-5)


def test_files_of_a_checkpoint(written, tmp_path):
    files = files_of(written, tmp_path)
    assert files["checkpoint"] == written.path and files["logits"] == "resnet_v2_50/logits"
    assert (files["num_classes"], files["model"], files["image_size"]) == (10, None, 32)
    assert files["parameters"] == sum(value.size for value in written.values.values())
    # What a table of blocks is timed at.
    assert makers.make_files(str(tmp_path), written.path, None, None)["image_size"] == 224
    with pytest.raises(SlimResnetError, match="at least 32 x 32 pixels, not 31"):
        makers.make_files(str(tmp_path), written.path, 31, None)


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
    form = "onnx" if engine == "onnxruntime" else engine
    files[form] = makers.MAKERS[f"make_{form}"](str(tmp_path), files)
    check_logits(written, engines.LOADERS[engine](files, "float32", 2))
    files["kept"] = {f"{engine} float32": makers.make_kept(files, engine, "float32")}
    check_logits(written, engines.LOADERS[f"our_{engine}"](files, "float32", 2))


@pytest.mark.slow
def test_openvino_converts_a_network_without_residual_units(tmp_path, monkeypatch):
    """Its logits have another key and shape, and it is timed at a size of its own."""
    pytest.importorskip("openvino", reason="openvino is not installed")
    monkeypatch.setenv("CI", "true")
    files = makers.make_files(str(tmp_path), "inception_v1", 193, 7)
    assert (files["model"], files["logits"]) == ("inception_v1", "Logits")
    files["openvino"] = makers.make_openvino(str(tmp_path), files)
    images = engines.images_for(2, 193)
    logits = [engines.LOADERS[engine](files, "float32", 2)(images)
              for engine in ("session", "openvino")]
    assert logits[1].shape == (2, 7) and np.ptp(logits[0]) > 0
    np.testing.assert_allclose(logits[1], logits[0], rtol=0,
                               atol=1e-4 * np.abs(logits[0]).max())


def test_resnet_v1(tmp_path):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    written = checkpoints.write(tmp_path / "net.ckpt", v1_builder())
    files = files_of(written, tmp_path)
    files["onnx"] = makers.make_onnx(str(tmp_path), files)
    check_logits(written, engines.LOADERS["onnxruntime"](files, "float32", 2))


@pytest.mark.slow
def test_a_random_network_is_restored_by_tf_slim(tmp_path):
    files = makers.make_files(str(tmp_path), "resnet_v2_50", 32, 11)
    assert (files["model"], files["num_classes"]) == ("resnet_v2_50", 11)
    images = engines.images_for(2, 32)
    logits = [engines.LOADERS[engine](files, "float32", 2)(images)
              for engine in ("session", "tf_slim")]
    assert logits[0].shape == (2, 11) and np.ptp(logits[0]) > 0
    np.testing.assert_allclose(logits[1], logits[0], rtol=1e-5)


def test_networks_that_an_engine_lacks(written, tmp_path):
    files = files_of(written, tmp_path)
    for engine, message in (("tf_slim", "tf_slim.nets has no such network"),
                            ("keras", "Keras Applications has no such network")):
        with pytest.raises(SlimResnetError, match=message):
            engines.LOADERS[engine](files, "float32", 2)


def test_every_engine_has_a_loader():
    assert set(engines.LOADERS) == {*table.ENGINES, table.GEMM}
    assert table.PEERS == ("tf_slim", "onnxruntime", "openvino", "torch")


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
    assert all(answer["cpu_s"] > 0 for answer in answers[1:])
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
    arguments = {"files": {"onnx": None, "onnx_missing": "needs onnx",
                           "image_size": 2},
                 "precision": "float32", "threads": 1, "batch_sizes": [1]}
    started = child.EngineProcess("onnxruntime", arguments)
    assert started.first["unavailable"] in (
        "needs onnx", "needs onnxruntime: pip install 'slim-resnet[peers]'")
    assert started.startup_s > 0
    with pytest.raises(SlimResnetError, match="the process of onnxruntime ended with status 0: it "
                                              "said nothing"):
        started.run({"batch_size": 1, "steps": 1})
    started.close()
    with pytest.raises(SlimResnetError, match="status 1: TypeError: .*missing 4"):
        child.EngineProcess("make_files", {})


def test_what_threads_did_in_the_meantime(tmp_path, monkeypatch):
    """Of two threads, one new; a third never sleeps; elsewhere than on Linux nothing is counted."""
    def say(**threads):
        for name, count in threads.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "status").write_text(
                f"Name:\ta\nvoluntary_ctxt_switches:\t{count}\nnonvoluntary_ctxt_switches:\t99\n")

    monkeypatch.setattr(counters, "_TASKS", str(tmp_path))
    seconds = iter((1.0, 3.0, 4.0, 6.0))
    monkeypatch.setattr(counters.time, "process_time", lambda: next(seconds))
    say(a=5, b=7)
    started = counters.Counters()
    say(a=9, b=7, c=6)
    assert started.per_step(4) == {"cpu_s": 0.5, "sleeps": [1.5, 1.0]}
    monkeypatch.setattr(counters, "_TASKS", str(tmp_path / "no"))
    assert counters.Counters().per_step(2) == {"cpu_s": 1.0, "sleeps": None}
