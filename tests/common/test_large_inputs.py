"""classify and evaluate on many images: kept, gone on with, all the same."""

import json
import os
import shutil

import pytest
import tensorflow as tf

from slim_resnet import compat
from slim_resnet.cli import main
from slim_resnet.commands import progress
from slim_resnet.common import environment
from slim_resnet.inference import fit, network
from tests.helpers import checkpoints, command_line, pictures
from tests.helpers.results import unfinish

BATCH_SIZE = 2
SAID = [command_line.strides("classify"), command_line.assumed_images("classify")]


@pytest.fixture(scope="module")
def slim(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("slim") / "net.ckpt").path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten class folders of a picture each; that of class 3 cannot be read."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(10):
        pictures.write_png(folder / f"class_{i}" / "a.png", i)
    (folder / "class_3" / "a.png").write_bytes(b"no image")
    return folder


def run(command, *words):
    return main([command, *map(str, words), "--image-size", "32", "--batch-size", str(BATCH_SIZE)])


@pytest.fixture(scope="module")
def classified(slim, folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("classified") / "f.jsonl"
    assert run("classify", slim, folder, "--output", path) == 2
    return path


def test_lines_are_what_json_prints(slim, folder, classified, capsys):
    assert run("classify", slim, folder, "--json") == 2
    printed = json.loads(capsys.readouterr().out)["images"]
    lines = [json.loads(line) for line in classified.read_text().splitlines()]
    assert lines == printed and len(lines) == 10
    assert [line["cause"] is None for line in lines] == [i != 3 for i in range(10)]


@pytest.mark.slow
def test_a_stopped_run_goes_on(slim, folder, classified, tmp_path, capsys, monkeypatch):
    path = tmp_path / "f.jsonl"
    original, batches = network.Network.probabilities, []

    def interrupted(self, images):
        batches.append(len(images))
        if len(batches) == 3:
            raise KeyboardInterrupt
        return original(self, images)

    monkeypatch.setattr(network.Network, "probabilities", interrupted)
    words = ["classify", slim, folder, "--output", path, "--resume"]
    assert run(*words) == 130
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == [
        *SAID, "slim-resnet classify: interrupted after 4 of 10 images; the same command with "
        "--resume goes on"]
    path.write_bytes(path.read_bytes()[:-30])
    assert run(*words) == 2
    # Four images again behind what was half written, and none for the unreadable one.
    assert batches == [2, 1, 2, 1, 2, 2, 2]
    assert path.read_bytes() == classified.read_bytes()
    out, err = capsys.readouterr()
    *said, busy, unreadable = err.splitlines()
    assert (out, said) == ("", SAID) and busy.startswith("slim-resnet classify: 8 images in ")
    assert unreadable == ("slim-resnet classify: 1 of 10 images could not be read; their "
                          f"lines in {path} say why")
    # Nothing is left to do, and no network is built to do it.
    assert run(*words) == 2 and len(batches) == 7
    assert sorted(capsys.readouterr().err.splitlines()) == sorted([SAID[0], unreadable])


def test_other_options_do_not_go_on(slim, folder, classified, tmp_path, capsys):
    for words, message in (
            ([folder, "--top", 3], "holds results made with another top (5, now 3)"),
            ([folder / "class_1"], "holds results of other images"),
            ([folder, "--preprocessing", "none"], "another preprocessing (inception, now none)")):
        assert run("classify", slim, *words, "--output", classified, "--resume") == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and message in err
    other = checkpoints.write(tmp_path / "other.ckpt", checkpoints.slim_builder((1, 1)))
    assert run("classify", other.path, folder, "--output", classified, "--resume") == 2
    assert "holds results of another checkpoint" in capsys.readouterr().err
    assert run("classify", slim, folder, "--output", classified) == 2
    assert "f.jsonl: exists already" in capsys.readouterr().err


def test_another_precision_version_or_kernel_does_not_go_on(slim, folder, classified, capsys,
                                                           monkeypatch):
    """What a file was made with is what was used, not what was asked for."""
    before, words = classified.read_bytes(), ["classify", slim, folder, "--output", classified]
    record = json.loads(classified.with_name("f.jsonl.run.json").read_text())
    assert record["options"]["precision"] == "float32" and record["options"]["oneDNN"] == "off"
    monkeypatch.setattr(environment, "check_bfloat16", lambda onednn=None: None)
    for change, message in (
            (lambda patch: patch.setattr(compat, "onednn_enabled", lambda: True),
             "another oneDNN (off, now on)"),
            (lambda patch: patch.setattr(tf, "__version__", "9.9"),
             f"another TensorFlow ({tf.__version__}, now 9.9)"),
            (lambda patch: patch.setattr(environment.slim_resnet, "__version__", "9.9"),
             "another slim resnet ("),
            (lambda patch: patch.setenv("TF_SET_ONEDNN_FPMATH_MODE", "BF16"),
             "another kernel settings (none, now TF_SET_ONEDNN_FPMATH_MODE=BF16)")):
        with monkeypatch.context() as patch:
            change(patch)
            assert run(*words, "--resume") == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and f"holds results made with {message}" in err
    assert classified.read_bytes() == before


def test_images_that_were_swapped_do_not_go_on(slim, folder, tmp_path, capsys):
    copy, path = tmp_path / "copy", tmp_path / "f.jsonl"
    shutil.copytree(folder, copy)
    assert run("classify", slim, copy, "--output", path) == 2
    unfinish(path, path.stat().st_size // 2, BATCH_SIZE)
    picture = copy / "class_1" / "a.png"
    content = picture.read_bytes()
    picture.write_bytes(content)  # as large, at another time
    os.utime(picture, ns=(1, 1))
    assert run("classify", slim, copy, "--output", path, "--resume") == 2
    err = capsys.readouterr().err
    assert "holds results of images that were changed since, as their times say" in err


def test_the_precisions_are_not_mixed(slim, folder, tmp_path, capsys, monkeypatch):
    """A file begun in float32 is not gone on with in bfloat16, nor the other way round."""
    monkeypatch.setattr(environment, "check_bfloat16", lambda onednn=None: None)
    path = tmp_path / "f.jsonl"
    words = ["classify", slim, folder, "--output", path, "--optimize", "--resume"]
    assert run(*words) == 2
    capsys.readouterr()
    assert run(*words, "--precision", "bfloat16") == 2
    assert "another precision (float32, now bfloat16)" in capsys.readouterr().err


def test_the_optimised_network_writes_lines_of_its_own(slim, folder, classified, tmp_path, capsys):
    words = ["classify", slim, folder, "--optimize", "--precision", "float32", "--resume"]
    assert run(*words, "--output", classified) == 2
    assert "made with another engine (plain, now optimized)" in capsys.readouterr().err
    path = tmp_path / "f.jsonl"
    assert run(*words, "--output", path) == 2
    assert "slim-resnet classify: 10 images in " in capsys.readouterr().err
    for line, expected in zip(path.read_text().splitlines(), classified.read_text().splitlines(),
                              strict=True):
        line, expected = json.loads(line), json.loads(expected)
        assert (line["path"], line["cause"]) == (expected["path"], expected["cause"])
        assert line["probabilities"] == pytest.approx(expected["probabilities"], rel=1e-4)


def test_a_copy_of_the_checkpoint_is_the_same_checkpoint(slim, folder, classified, tmp_path):
    shutil.copy(f"{slim}.index", tmp_path / "copy.index")
    shutil.copy(f"{slim}.data-00000-of-00001", tmp_path / "copy.data-00000-of-00001")
    before = classified.read_bytes()
    assert run("classify", tmp_path / "copy", folder, "--output", classified, "--resume") == 2
    assert classified.read_bytes() == before


@pytest.fixture(scope="module")
def records(folder, tmp_path_factory):
    """Seven labelled records in three files; that of class 3 cannot be read."""
    root = tmp_path_factory.mktemp("records")
    contents = [pictures.record((folder / f"class_{i}" / "a.png").read_bytes(), i)
                for i in range(7)]
    return [pictures.write_records(root / f"validation-0000{i}-of-00003", part)
            for i, part in enumerate((contents[:3], [], contents[3:]))]


def test_a_stopped_evaluation_prints_no_figures(slim, folder, tmp_path, capsys, monkeypatch):
    def interrupted(self, images):
        raise KeyboardInterrupt

    monkeypatch.setattr(network.Network, "logits", interrupted)
    words, strides = ["evaluate", slim, folder, "--output"], command_line.strides("evaluate")
    # While other preparations are tried, and after that.
    said = (f"{strides}\nslim-resnet evaluate: interrupted after 0 of 10 images; the same command "
            "with --resume goes on\n")
    assert run(*words, tmp_path / "a.jsonl") == 130
    assert capsys.readouterr() == ("", said)
    monkeypatch.setattr(fit, "better_fit", lambda *args: None)
    assert run(*words, tmp_path / "b.jsonl") == 130
    assert capsys.readouterr() == ("", said)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "records"])
def test_evaluation_is_the_same_however_it_was_made(kind, slim, folder, records, tmp_path,
                                                    capsys):
    data = [folder] if kind == "folder" else records
    assert run("evaluate", slim, *data, "--json") == 2
    expected = json.loads(capsys.readouterr().out)
    assert len(expected["unreadable"]) == 1
    assert expected["num_images"] == (9 if kind == "folder" else 6)

    kept = tmp_path / "kept.jsonl"
    assert run("evaluate", slim, *data, "--json", "--output", kept) == 2
    assert json.loads(capsys.readouterr().out) == expected
    whole = kept.read_bytes()
    unfinish(kept, len(whole) // 2, BATCH_SIZE)
    assert run("evaluate", slim, *data, "--json", "--output", kept, "--resume") == 2
    assert json.loads(capsys.readouterr().out) == expected and kept.read_bytes() == whole
    rows = [json.loads(line) for line in whole.splitlines()]
    assert rows[3]["cause"] and rows[3]["rank"] is None
    assert [row["path"] for row in rows][3:5] == (
        [str(folder / f"class_{k}" / "a.png") for k in (3, 4)] if kind == "folder" else
        [f"{records[2]}, record {k}" for k in (0, 1)])


def test_busy_line(capsys):
    progress.report_busy("classify", 300, 40.0, 39.2)
    assert capsys.readouterr().err == ("slim-resnet classify: 300 images in 40.0 s, 7.50 a second; "
                                       "network busy 98.0 % of the time\n")


def test_network_counts_its_time(slim, monkeypatch):
    images = pictures.np.zeros([1, 32, 32, 3], "float32")
    with network.Network(slim, 32) as net:
        clock = iter([10.0, 12.5, 20.0, 20.5])
        monkeypatch.setattr(network.time, "perf_counter", lambda: next(clock))
        net.logits(images)
        net.probabilities(images)
        assert net.busy_s == 3.0
