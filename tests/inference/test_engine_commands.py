"""Engines, int8 and the cache on the command line: what is said, recorded and refused."""

import json
import subprocess
import sys

import numpy as np
import pytest

from slim_resnet import cli
from slim_resnet.common.environment import child_environment
from slim_resnet.inference.engines import cache, judged, table
from tests.helpers import checkpoints, pictures

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")
ENGINE = f"ONNX Runtime {onnxruntime.__version__}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("made") / "net.ckpt",
                             checkpoints.slim_builder((1, 1)))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(64):
        pictures.write_png(folder / f"{number:02}.png", number)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "slim-resnet"


def run(capsys, *words):
    status = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


SMALL = ("--image-size", 32)


def document(capsys, *words):
    status, out, err = run(capsys, *words, "--json")
    assert status == 0, err
    return json.loads(out), err


def test_classify_says_and_records_the_engine(made, photos, capsys):
    words = ["classify", made.path, photos / "00.png", *SMALL]
    plain, _ = document(capsys, *words, "--optimize")
    assert plain["engine"].startswith("TensorFlow ") and plain["quantised"] is None
    ort, err = document(capsys, *words, "--engine", "onnxruntime", "--no-cache")
    assert f"optimised, float32, {ENGINE}\n" in err and "kept in" not in err
    assert (ort["engine"], ort["optimized"], ort["precision"]) == (ENGINE, True, "float32")
    assert ort["images"][0]["classes"] == plain["images"][0]["classes"]
    np.testing.assert_allclose(ort["images"][0]["probabilities"],
                               plain["images"][0]["probabilities"], rtol=1e-4)


def test_auto_says_which(made, photos, capsys, monkeypatch):
    monkeypatch.setattr(table.Engine, "missing", lambda row, precision: (
        "needs it" if row.name == "openvino" else None))
    _, _, err = run(capsys, "classify", made.path, photos / "00.png", *SMALL, "--engine", "auto",
                    "--no-cache")
    assert f"optimised, float32, {ENGINE}\n" in err
    monkeypatch.setattr(table.Engine, "missing", lambda row, precision: (
        None if row.name == "tensorflow" else "needs it"))
    _, _, err = run(capsys, "classify", made.path, photos / "00.png", *SMALL, "--engine", "auto")
    assert "optimised, float32, oneDNN " in err


def test_the_cache_gives_the_same_and_needs_no_tensorflow(made, photos, capsys, home):
    words = ["classify", made.path, photos / "00.png", photos / "01.png", "--engine",
             "onnxruntime", "--image-size", "32"]
    first, err = document(capsys, *words)
    assert f"kept in {home}; --no-cache keeps nothing" in err
    said = [line for line in err.splitlines() if "kept in" not in line]
    code = ("import sys; from slim_resnet import cli; status = cli.main(sys.argv[1:]); "
            "assert 'tensorflow' not in sys.modules; sys.exit(status)")
    done = subprocess.run([sys.executable, "-c", code, *map(str, words), "--json"],
                          capture_output=True, text=True, env=child_environment())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == first
    assert done.stderr.splitlines() == said
    # Nor does the engine leave its makers a note of it.
    assert [path.name for path in home.parent.iterdir()] == ["slim-resnet"]
    # Another size is another network, and no default is another's.
    assert cli.main([*map(str, words[:-2]), "--image-size", "48"]) == 0
    assert len(list(home.iterdir())) == 3


def test_files_of_float32_are_kept_once_for_all_engines(made, photos, capsys, home):
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    words = ["classify", made.path, photos / "00.png", *SMALL, "--engine"]
    first, _ = document(capsys, *words, "onnxruntime")
    kept = sorted(home.iterdir())
    second, err = document(capsys, *words, "openvino")
    assert sorted(home.iterdir()) == kept and len(kept) == 2 and "kept in" not in err
    assert (first.pop("engine"), second.pop("engine")) == (
        ENGINE, f"OpenVINO {openvino.__version__}")
    for one in (first, second):
        one["images"][0]["probabilities"] = pytest.approx(one["images"][0]["probabilities"],
                                                          rel=1e-4)
    assert f"optimised, float32, OpenVINO {openvino.__version__}\n" in err
    assert second["images"][0]["classes"] == first["images"][0]["classes"]


def test_defaults_are_known_from_the_cache(made, photos, capsys, monkeypatch):
    words = ["classify", made.path, photos / "00.png", "--engine", "onnxruntime"]
    first, err = document(capsys, *words)
    assert first["image_size_pixels"] == 299
    monkeypatch.setattr("slim_resnet.checkpoint.reader.open_checkpoint", None)
    again, said = document(capsys, *words)
    assert again == first
    assert said.splitlines() == [line for line in err.splitlines() if "kept in" not in line]


def test_what_was_changed_in_the_cache_is_said_and_not_used(made, photos, capsys, home):
    words = ["classify", made.path, photos / "00.png", *SMALL, "--engine", "onnxruntime"]
    first, _ = document(capsys, *words)
    for path in home.glob("*/model.bin"):
        path.write_bytes(path.read_bytes()[:-1] + b"\1")
    again, err = document(capsys, *words)
    assert again == first
    assert "warning: " in err and "is not what was written there, and is not used" in err


def test_a_cache_that_cannot_be_is_a_warning(made, photos, capsys, home, caplog):
    home.parent.write_text("a file")
    status, out, err = run(capsys, "classify", made.path, photos / "00.png", *SMALL, "--engine",
                           "onnxruntime")
    assert status == 0 and "cannot be kept: " in caplog.text and "kept in" not in err
    assert out.startswith(str(photos / "00.png"))


def test_results_are_of_one_engine(made, photos, tmp_path, capsys):
    output = tmp_path / "classes.jsonl"
    words = ["classify", made.path, photos / "00.png", *SMALL, "--output", output]
    assert run(capsys, *words, "--engine", "onnxruntime", "--no-cache")[0] == 0
    record = json.loads((tmp_path / "classes.jsonl.run.json").read_text())
    assert record["options"]["engine"] == ENGINE and record["quantised"] is None
    for other, shown in ((["--optimize"], "optimized"), ([], "plain")):
        status, _, err = run(capsys, *words, "--resume", *other)
        assert status == 2 and f"made with another engine ({ENGINE}, now {shown})" in err
    assert run(capsys, *words, "--resume", "--engine", "onnxruntime")[0] == 0


def test_features_of_an_engine(made, photos, tmp_path, capsys):
    saved = tmp_path / "features.npz"
    assert run(capsys, "end-points", made.path, "--images", photos / "00.png", *SMALL, "--save",
               saved, "--end-points", "block1", "global_pool", "--engine", "onnxruntime")[0] == 0
    with np.load(saved) as features:
        assert features["engine"] == ENGINE and features["precision"] == "float32"
        assert features["global_pool"].shape == (1, 1, 1, 8)
        values = features["resnet_v2_50/block1"]
    assert run(capsys, "end-points", made.path, "--images", photos / "00.png", *SMALL, "--save",
               saved, "--end-points", "block1", "global_pool")[0] == 0
    with np.load(saved) as features:
        np.testing.assert_allclose(values, features["resnet_v2_50/block1"], atol=1e-5)
        assert str(features["engine"]).startswith("TensorFlow ")


def test_compare_goes_with_an_engine(made, photos, capsys):
    record, _ = document(capsys, "evaluate", made.path, photos / "00.png", photos / "01.png",
                         *SMALL, "--compare", "--engine", "onnxruntime")
    assert record["engine"] == ENGINE and record["top_1_agreement_percent"] == 100
    assert 0 < record["logits"]["largest"] < 1e-4 and len(record["layers"]) > 5


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_compare_of_int8(made, photos, tmp_path, capsys, engine):
    row = table.ENGINES[engine]
    if row.missing("int8"):
        pytest.skip(f"{engine} {row.missing('int8')}")
    for number in range(4):
        pictures.write_png(tmp_path / f"{number}.png", 100 + number)
    words = ["evaluate", made.path, tmp_path, *SMALL, "--compare", "--engine", engine,
             "--precision", "int8", "--calibrate", photos]
    record, err = document(capsys, *words)
    assert (record["precision"], record["engine"]) == ("int8", row.described)
    assert record["num_images"] == 4 and record["quantised"]["judged_images"] == 16
    assert judged.described(record["quantised"]) in err
    # Rounded to 8 bits, and not to nothing, in every layer.
    errors = [record["logits"]["largest"], *(layer["largest"] for layer in record["layers"])]
    assert len(errors) > 5 and 1e-4 < min(errors) < max(errors) < 0.25
    (tmp_path / "linked.png").symlink_to(photos / "03.png")
    status, out, err = run(capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "linked.png: is in DATA and in --calibrate (1 in all); int8 is to be compared on" in err


def test_what_does_not_go_with_int8(made, photos, tmp_path, capsys):
    int8 = [*SMALL, "--engine", "onnxruntime", "--precision", "int8", "--calibrate", photos]
    for words, message in (
            (["evaluate", made.path, tmp_path, "--compare", "--accept"],
             "--accept takes int8 that agrees too little, and --compare only says how little"),
            (["classify", made.path, photos, "--ray", "--output", tmp_path / "out"],
             "--precision int8: each process of --ray would calibrate by itself")):
        status, out, err = run(capsys, *words, *int8)
        assert (status, out, err.count("\n")) == (2, "", 1) and message in err


def test_evaluate_gives_what_tensorflow_does(made, photos, tmp_path, capsys):
    for number in range(10):
        pictures.write_png(tmp_path / "data" / f"{number}" / "a.png", number)
    words = ["evaluate", made.path, tmp_path / "data", *SMALL]
    expected, _ = document(capsys, *words)
    got, err = document(capsys, *words, "--engine", "onnxruntime")
    assert got.pop("engine") == ENGINE and f"optimised, float32, {ENGINE}\n" in err
    assert expected.pop("engine").startswith("TensorFlow ")
    assert (got.pop("optimized"), expected.pop("optimized")) == (True, False)
    assert got == expected and sum(map(sum, got["confusion"])) == 10


@pytest.mark.slow
def test_int8_is_said_recorded_and_kept(made, photos, tmp_path, capsys, home):
    output = tmp_path / "classes.jsonl"
    int8 = ["--engine", "onnxruntime", "--precision", "int8", "--calibrate", photos, "--accept"]
    words = ["classify", made.path, photos / "00.png", *SMALL, *int8]
    first, err = document(capsys, *words)
    found = first["quantised"]
    assert (found["calibration_images"], found["judged_images"]) == (48, 16)
    assert f"int8 by {found['quantiser']}: of 16 images that it was not calibrated with" in err
    again, err = document(capsys, *words)
    assert again == first and "of 16 images" in err and "kept in" not in err
    assert run(capsys, *words, "--output", output)[0] == 0
    record = json.loads((tmp_path / "classes.jsonl.run.json").read_text())
    assert record["quantised"] == found and record["options"]["precision"] == "int8"
    assert set(record["options"]["calibration"]) == {"data_sha256", "times_sha256"}
    other = tmp_path / "others"
    for number in range(64):
        pictures.write_png(other / f"{number:02}.png", number)
    words[words.index(photos)] = other
    status, _, err = run(capsys, *words, "--output", output, "--resume")
    assert status == 2 and "made with another calibration" in err
    weights = sorted(path.name for path in home.glob("*/*") if path.name != "record.json")
    assert weights == ["int8.onnx"] or weights == ["int8.onnx", "int8.onnx.data"]


def test_what_was_accepted_once_is_not_accepted_for_good(made, photos, capsys, monkeypatch):
    words = ["classify", made.path, photos / "00.png", *SMALL, "--engine", "onnxruntime",
             "--precision", "int8", "--calibrate", photos]
    monkeypatch.setattr(judged, "LEAST_AGREEMENT", 1.01)
    assert run(capsys, *words, "--accept")[0] == 0
    status, out, err = run(capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "less than 101 % in top-1 is taken only with --accept" in err


@pytest.mark.parametrize("words, message", [
    (["--precision", "bfloat16"], "--precision goes with --optimize or another engine"),
    (["--precision", "int8"], "--precision goes with --optimize or another engine"),
    (["--precision", "int8", "--optimize"], "engine tensorflow: no int8, as it has no kernels"),
    (["--engine", "onnxruntime", "--precision", "bfloat16"], "engine onnxruntime: no bfloat16"),
    (["--engine", "onnxruntime", "--precision", "int8"], "needs --calibrate FOLDER"),
    (["--engine", "onnxruntime", "--calibrate", "."], "--calibrate goes with --precision int8"),
    (["--accept"], "--accept goes with --precision int8"),
    (["--engine", "tvm"], "invalid choice: 'tvm'")])
def test_options_that_do_not_go_together(made, photos, capsys, words, message):
    try:
        status, out, err = run(capsys, "classify", made.path, photos / "00.png", *SMALL, *words)
    except SystemExit as error:
        status, (out, err) = error.code, capsys.readouterr()
    assert (status, out) == (2, "") and message in err.replace("'int8'", "int8")
    assert err.splitlines()[-1].startswith("slim-resnet classify: error: ")


# Each command that takes int8, with what it needs beside.
INT8_COMMANDS = {
    "classify": ["classify", "{made}", "{image}"],
    "classify --output": ["classify", "{made}", "{image}", "--output", "{folder}/out.jsonl"],
    "evaluate": ["evaluate", "{made}", "{data}"],
    "evaluate --compare": ["evaluate", "{made}", "{image}", "--compare"],
    "end-points": ["end-points", "{made}", "--images", "{image}", "--save", "{folder}/out.npz",
                   "--end-points", "block1"],
    "benchmark": ["benchmark", "--checkpoint", "{made}", "--json", "{folder}/out.json"]}


@pytest.fixture(scope="module")
def unfit(tmp_path_factory):
    """Returns folders that int8 cannot be calibrated with, and what is said of each."""
    folder = tmp_path_factory.mktemp("unfit")
    for number in range(64):
        (folder / "damaged").mkdir(exist_ok=True)
        (folder / "damaged" / f"{number}.png").write_bytes(b"damaged")
        if number:
            pictures.write_png(folder / "few" / f"{number:02}.png", number)
    (folder / "empty").mkdir()
    return {folder / "none": "none: no such file", folder / "empty": "empty: ",
            folder / "few": "few: 63 images are too few to calibrate int8 with; give at least 64",
            folder / "damaged": "damaged/0.png: cannot be read: "}


@pytest.mark.parametrize("command", INT8_COMMANDS)
def test_folders_that_int8_cannot_be_calibrated_with(made, photos, unfit, tmp_path, capsys,
                                                     command):
    (tmp_path / "out").mkdir()
    for number in range(10):
        pictures.write_png(tmp_path / "data" / f"{number}" / "a.png", number)
    words = [word.format(made=made.path, image=photos / "00.png", data=tmp_path / "data",
                         folder=tmp_path / "out") for word in INT8_COMMANDS[command]]
    for folder, message in unfit.items():
        status, out, err = run(capsys, *words, *SMALL, "--engine", "onnxruntime", "--precision",
                               "int8", "--calibrate", folder)
        last = err.splitlines()[-1]
        assert (status, out) == (2, "") and message in last, err
        assert last.startswith(f"slim-resnet {words[0]}: error: ")
        assert list((tmp_path / "out").iterdir()) == []


def test_the_table_of_end_points_has_no_engine(made, capsys):
    status, _, err = run(capsys, "end-points", made.path, "--engine", "onnxruntime")
    assert status == 2 and "--engine goes with --save" in err


def test_cache_bound_is_what_help_says(capsys):
    with pytest.raises(SystemExit):
        cli.main(["classify", "--help"])
    assert "at most 2 GiB" in " ".join(capsys.readouterr().out.split())
    assert cache.MOST_BYTES == 2 * 2 ** 30
    assert (judged.LEAST_IMAGES, judged.LEAST_AGREEMENT) == (64, 0.97)
