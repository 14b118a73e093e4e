"""int8 timed beside float32: what is said, what is recorded, what is refused."""

import importlib.util
import json

import pytest

from slim_resnet import cli
from slim_resnet.benchmark import comparison, records
from slim_resnet.inference.engines import judged, table
from tests.helpers import checkpoints, pictures, timing_records
from tests.helpers.command_line import one_error_line

SMALL = ["--batch-size", "1", "--image-size", "32", "--num-batches", "2", "--burn-in", "0"]
QUANTISED = {"quantiser": "nncf 3", "calibration_images": 48, "judged_images": 16,
             "top_1_agreement_percent": 93.75, "top_5_agreement_percent": 100.0,
             "logits": {"largest": 0.012, "mean": 0.008}, "accepted": True,
             "calibrated_with": "photos, inception"}


def engine(name):
    row = table.ENGINES[name]
    missing = [one for one in (*row.packages, *row.needs.values())
               if importlib.util.find_spec(one) is None]
    return pytest.param(name, row.title, marks=[pytest.mark.skipif(
        bool(missing), reason=f"{', '.join(missing)} is not installed"), pytest.mark.slow])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("made") / "net.ckpt",
                             checkpoints.slim_builder((1, 1))).path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(64):
        pictures.write_png(folder / f"{number:02}.png", number)
    return str(folder)


@pytest.mark.parametrize("name, title", [engine("onnxruntime"), engine("openvino")])
def test_int8_is_timed_beside_float32(made, photos, tmp_path, capsys, monkeypatch, name, title):
    monkeypatch.setattr(judged, "LEAST_AGREEMENT", 1.01)
    file = tmp_path / "run.json"
    words = ["benchmark", "--checkpoint", made, *SMALL, "--engine", name, "--precision", "int8",
             "--calibrate", photos, "--json", str(file)]
    assert cli.main(words) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith(f"slim-resnet benchmark: error: {made}: int8 by ") and err.endswith(
        "less than 101 % in top-1 is taken only with --accept")
    assert not file.exists()
    assert cli.main([*words, "--accept"]) == 0
    out, err = capsys.readouterr()
    assert f"calibrating int8 with 64 images of {photos}, inception (central, " in err
    record = json.loads(file.read_text())
    plain, quantised = record["runs"]
    assert (plain["precision"], plain["quantised"]) == ("float32", None)
    assert quantised["precision"] == "int8" and quantised["engine"].startswith(f"{title} ")
    found = quantised["quantised"]
    assert (found["calibration_images"], found["judged_images"]) == (48, 16)
    # Rounded to 8 bits, and not to nothing.
    assert 1e-4 < found["logits"]["largest"] < 0.25
    assert 50 <= found["top_1_agreement_percent"] <= found["top_5_agreement_percent"]
    assert found["calibrated_with"].startswith(f"{photos}, inception (central, ")
    assert (record["options"]["calibrate"], record["options"]["accept"]) == (photos, True)
    assert "net.ckpt optimized int8 Forward across 2 steps" in out
    assert records.int8_lines(record)[0][:60] in " ".join(out.split())


@pytest.mark.slow
@pytest.mark.skipif(bool(table.ENGINES["onnxruntime"].missing("int8")),
                    reason="onnxruntime is not installed")
def test_random_weights_are_judged_by_nobody(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(judged, "LEAST_AGREEMENT", 1.01)
    file = tmp_path / "run.json"
    assert cli.main(["benchmark", "--model", "resnet_v2_50", *SMALL, "--num-classes", "4",
                     "--engine", "onnxruntime", "--precision", "int8", "--json", str(file)]) == 0
    out, err = capsys.readouterr()
    assert "calibrating int8 with 64 images of random numbers" in err
    assert "of random numbers; of random weights, whose classes mean nothing" in " ".join(
        out.split())
    assert json.loads(file.read_text())["runs"][1]["quantised"]["calibrated_with"] == \
        "random numbers"


def record(quantised=QUANTISED, checkpoints=("net.ckpt",), engine="OpenVINO 1"):
    made = timing_records.record(compare=False)
    made["options"].update(precision="int8", checkpoints=list(checkpoints))
    made["runs"] = [
        {**timing_records.run_record("net", [4.0, 8.0, 6.0], 1e9), "precision": "float32",
         "engine": "TensorFlow 2.21.0", "quantised": None},
        {**timing_records.run_record("net optimized", [2.0, 2.0, 2.0], 1e9), "precision": "int8",
         "engine": engine, "quantised": quantised}]
    return made


def test_what_is_said_of_a_record():
    assert "; forward, float32 and int8, input random" in records.heading(record())
    titles, rows = records.run_table(record()).exact()
    assert [row[:2] for row in rows] == [["net", "float32"],
                                         ["net optimized, OpenVINO 1, int8", "int8"]]
    assert records.optimized_lines(record()) == [
        "net: plain in float32 / optimized in int8 = 3.000 (median step by step; 2.000 to 4.000)"]
    said = ("net optimized: int8 by nncf 3: of 16 images that it was not calibrated with, it "
            "agrees with float32 in 93.8 % (top-1) and 100.0 % (top-5); logits are within "
            "1.2e-02, 8.0e-03 in the mean; calibrated with 48 images of photos, inception")
    assert records.int8_lines(record()) == [said]
    assert records.int8_lines(record(checkpoints=())) == [
        said + "; of random weights, whose classes mean nothing"]


def test_a_record_is_shown_and_a_damaged_one_refused(tmp_path, capsys):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(record()))
    assert cli.main(["benchmark", "--show", str(path)]) == 0
    assert "calibrated with 48 images of photos" in " ".join(capsys.readouterr().out.split())
    path.write_text(json.dumps(record({**QUANTISED, "judged_images": "many"})))
    assert cli.main(["benchmark", "--show", str(path)]) == 2
    assert "runs/1/quantised/judged_images is no whole number" in one_error_line(capsys)


def test_what_differs_in_one_network_is_said_of_it():
    other = record(None, engine="OpenVINO 1")
    other["runs"][1].update(precision="float32", engine="TensorFlow 2.21.0")
    assert comparison.compare(record(), other)["differences"] == {
        "precision of net optimized": ["int8", "float32"],
        "engine of net optimized": ["OpenVINO 1", "TensorFlow"]}
    assert comparison.compare(record(), record())["differences"] == {}


@pytest.mark.parametrize("words, message", [
    (["--precision", "int8"], "engine tensorflow: no int8, as it has no kernels"),
    (["--checkpoint", "{made}", "--precision", "int8"], "needs --calibrate FOLDER"),
    (["--precision", "int8", "--accept"], "--accept goes with --checkpoint; of random weights"),
    (["--calibrate", "{photos}"], "--calibrate goes with --precision int8"),
    (["--accept"], "--accept goes with --precision int8"),
    (["--precision", "int8", "--calibrate", "none"], "none: no such file"),
    (["--precision", "int8", "--calibrate", "{photos}/00.png"],
     "00.png: 1 images are too few to calibrate int8 with; give at least 64")])
def test_bad_options(made, photos, words, message, capsys, monkeypatch):
    monkeypatch.setattr(table.Engine, "missing", lambda row, precision: None)
    engine = [] if message.startswith("engine") else ["--engine", "onnxruntime"]
    assert cli.main(["benchmark", *engine, *(word.format(made=made, photos=photos)
                                             for word in words)]) == 2
    assert message in one_error_line(capsys)
