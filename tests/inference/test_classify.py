"""slim-resnet classify: against tf_slim.nets restored by TensorFlow's own Saver."""

import inspect
import json
import os
import shutil
import tarfile

import numpy as np
import pytest

from slim_resnet.cli import build_parser, main
from slim_resnet.commands import progress
from slim_resnet.common import archives
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import reading
from slim_resnet.images.labels import read_labels
from slim_resnet.inference import classification, network
from tests.helpers import checkpoints, command_line, interrupts, pictures

STRIDES = command_line.strides("classify")
ASSUMED = command_line.assumed_images("classify")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pictures and, in the middle, one that is cut short."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, name in enumerate(("a.png", "c.png", "sub/d.png")):
        pictures.write_png(folder / name, i)
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:90])
    return folder


@pytest.fixture(scope="module")
def readable(folder):
    return [str(folder / name) for name in ("a.png", "c.png", "sub/d.png")]


@pytest.fixture(scope="module")
def slim(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("slim") / "net.ckpt",
                             version=checkpoints.V1)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A checkpoint of 1001 classes that prefers class 0."""
    def prefer_background(values):
        values["resnet_v2_50/logits/biases"][0] = 20

    return checkpoints.write(tmp_path_factory.mktemp("imagenet") / "net.ckpt",
                             checkpoints.slim_builder(num_classes=1001), change=prefer_background)


@pytest.fixture(scope="module")
def headless(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("headless") / "net.ckpt",
                             checkpoints.slim_builder(num_classes=None))


def predictions(written, paths):
    return pictures.run_with_saver(written, checkpoints.slim_builder(), pictures.prepared(paths),
                                   lambda net, end_points: end_points["predictions"])[:, 0, 0]


def run(*words):
    return main(["classify", *map(str, words), "--image-size", "32"])


def test_json_has_tf_slim_s_probabilities_in_order(slim, folder, readable, capsys):
    assert run(slim.path, folder, "--json", "--top", 3, "--batch-size", 2) == 2
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["num_classes"], document["interrupted"]) == (10, False)
    assert [row["path"] for row in document["images"]] == [
        str(folder / name) for name in ("a.png", "b.png", "c.png", "sub/d.png")]
    broken = document["images"].pop(1)
    assert broken["classes"] == [] and broken["cause"].startswith("Invalid PNG data")
    assert sorted(err.splitlines()) == sorted([
        ASSUMED, STRIDES,
        f"slim-resnet classify: {folder / 'b.png'}: cannot be read: {broken['cause']}"])
    for row, expected in zip(document["images"], predictions(slim, readable)):
        assert row["classes"] == sorted(range(10), key=lambda k: -expected[k])[:3]
        np.testing.assert_allclose(row["probabilities"], expected[row["classes"]], rtol=1e-5)
        assert row["names"] == [None] * 3 and row["cause"] is None


def test_an_archive_is_unpacked_once(slim, readable, tmp_path, capsys, monkeypatch):
    archive, unpacked, extract = tmp_path / "net.tar.gz", [], archives.extract
    with tarfile.open(archive, "w:gz") as file:
        file.add(slim.path, "net.ckpt")
    monkeypatch.setattr(archives, "extract", lambda *paths: (unpacked.append(paths[1]),
                                                             extract(*paths)))
    assert run(archive, readable[0], "--json") == 0
    row, = json.loads(capsys.readouterr().out)["images"]
    np.testing.assert_allclose(row["probabilities"][0], predictions(slim, readable[:1]).max(),
                               rtol=1e-5)
    assert len(unpacked) == 1 and not os.path.exists(unpacked[0])


def test_table_with_labels(slim, folder, readable, tmp_path, capsys):
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"name {k}\n" for k in range(10)))
    assert run(slim.path, readable[1], "--labels", labels) == 0
    expected = predictions(slim, readable[1:2])[0]
    order = sorted(range(10), key=lambda k: -expected[k])[:5]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{readable[1]}:"
    assert [line.split(None, 2)[1:] for line in lines[1:]] == [[str(k), f"name {k}"]
                                                              for k in order]
    assert float(lines[1].split()[0]) == pytest.approx(expected[order[0]], abs=1e-6)


def test_table_says_what_is_unreadable(slim, folder, capsys):
    assert run(slim.path, folder / "b.png") == 2
    assert capsys.readouterr().out == f"{folder / 'b.png'}: unreadable\n"


@pytest.mark.slow
def test_python_and_command_agree(slim, folder, readable, capsys):
    results = list(classification.classify(slim.path, [folder], top=2, image_size=32))
    assert [result.cause is None for result in results] == [True, False, True, True]
    run(slim.path, folder, "--json", "--top", 2)
    rows = json.loads(capsys.readouterr().out)["images"]
    assert [list(result.classes) for result in results] == [row["classes"] for row in rows]


def test_preprocessing_none_reaches_the_network(slim, readable):
    result, = classification.classify(slim.path, readable[:1], top=10, image_size=32,
                                preprocessing="none")
    batch = reading.load_images(readable[:1], 32, "none")
    expected = pictures.run_with_saver(slim, checkpoints.slim_builder(), batch,
                                       lambda net, end_points: end_points["predictions"])[0, 0, 0]
    np.testing.assert_allclose(result.probabilities, expected[list(result.classes)], rtol=1e-5)


@pytest.mark.slow
def test_background_is_named(imagenet, readable, tmp_path):
    result, = classification.classify(imagenet.path, readable[:1], image_size=32)
    assert (result.classes[0], result.names[0], result.names[1]) == (0, "background", None)
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"name {k}" for k in range(1, 1001)))
    result, = classification.classify(imagenet.path, readable[:1], labels, image_size=32)
    assert result.names == ("background", *(f"name {k}" for k in result.classes[1:]))


def test_labels_with_background_for_networks_without(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("background\n" + "".join(f"{k}\n" for k in range(1000)))
    assert read_labels(path, 1000) == [str(k) for k in range(1000)]
    assert read_labels(path, 1001)[:2] == ["background", "0"]
    path.write_text("".join(f"{k}\n" for k in range(1001)))
    with pytest.raises(SlimResnetError, match="has 1001 labels, but the checkpoint has 1000"):
        read_labels(path, 1000)


def test_labels_of_full_length_are_taken_as_they_are(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(map(str, range(1001))) + "\n\n")
    assert read_labels(path, 1001) == [str(k) for k in range(1001)]
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\r\n")
    assert read_labels(path, 2) == ["a", "b"]


@pytest.mark.parametrize("text, num_classes, message", [
    (b"a\nb\n", 3, "has 2 labels, but the checkpoint has 3 classes; give 3 lines$"),
    (b"a\nb\n", 1001, "has 2 labels.*give 1001 lines, or 1000 without background"),
    (b"a\n" * 1000, 1002, "has 1000 labels, but the checkpoint has 1002"),
    (b"\n", 1, "is empty"),
    (b"\xff\xfe\n", 1, "is not UTF-8"),
    (None, 1, "labels.txt: cannot be read: No such file"),
])
def test_bad_labels(tmp_path, text, num_classes, message):
    path = tmp_path / "labels.txt"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(SlimResnetError, match=message):
        read_labels(path, num_classes)


def test_top_classes_break_ties_by_number():
    classes, values = classification.top_classes([[0.1, 0.4, 0.1, 0.4], [0.7, 0.1, 0.1, 0.1]], 3)
    assert classes.tolist() == [[1, 3, 0], [0, 1, 2]]
    np.testing.assert_array_equal(values, [[0.4, 0.4, 0.1], [0.7, 0.1, 0.1]])
    assert classification.top_classes([[0.5, 0.5]], 5)[0].shape == (1, 2)


def test_blog_network_has_pooled_features(tmp_path, readable):
    written = checkpoints.write(tmp_path / "blog.ckpt", checkpoints.blog_builder())
    with network.Network(written.path, 32) as net:
        assert net.num_classes == 10
        pooled = net.features("global_pool", written.images)
        logits = net.logits(written.images)
    weights, biases = (written.values[f"resnet_v2_152/logits/{name}"]
                       for name in ("weights", "biases"))
    np.testing.assert_array_equal(logits, written.net[:, 0, 0])
    np.testing.assert_allclose(pooled[0, 0, 0] @ weights[0, 0] + biases, logits[0], rtol=1e-4)


@pytest.mark.parametrize("words, message", [
    (["--output", "{}/f.npz"], "f.npz: holds JSON lines; name it .jsonl"),
    (["--output", "{}/f.jsonl", "--json"], "--json prints and --output writes"),
    (["--resume"], "--resume needs --output FILE.jsonl"),
    (["--ray-cpus", "2"], "--ray-cpus goes with --ray"),
    (["--ray"], "--ray needs --output FOLDER, for the parts"),
    (["--output", "{}/none/f.jsonl"], "none does not exist"),
    (["--labels", "{}/labels.txt"], "labels.txt: cannot be read"),
])
def test_bad_options_are_one_line(slim, readable, tmp_path, capsys, words, message):
    assert run(slim.path, readable[0], *(word.format(tmp_path) for word in words)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_not_utf_8(slim, readable, tmp_path, capsys):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    shutil.copy(readable[0], path)
    assert run(slim.path, path) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path}/?.png:\n")


def test_headless_checkpoint_is_one_line(headless, readable, capsys):
    assert run(headless.path, readable[0]) == 2
    err = capsys.readouterr().err
    assert "has no logits" in err and err.count("\n") == 1


def test_missing_paths_are_one_line(slim, tmp_path, capsys):
    assert run(slim.path, tmp_path / "no.jpg") == 2
    assert "no.jpg: no such file or folder" in capsys.readouterr().err
    (tmp_path / "a.jpg").touch()
    assert run(tmp_path / "no.ckpt", tmp_path / "a.jpg") == 2
    assert "no.ckpt: no such checkpoint" in capsys.readouterr().err


def test_interrupt_keeps_what_there_is(slim, readable, capsys, monkeypatch):
    interrupts.at_call(monkeypatch, network.Network, "probabilities", 2)
    assert run(slim.path, *readable, "--json", "--batch-size", 1) == 130
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["interrupted"] is True and len(document["images"]) == 1
    assert sorted(err.splitlines()) == sorted([
        ASSUMED, STRIDES, "slim-resnet classify: interrupted after 1 of 3 images"])


def test_outputs_that_are_not_finite_are_one_line(readable, tmp_path, capsys):
    def overflow(values):
        values["resnet_v2_50/logits/weights"][:] = 3e38

    written = checkpoints.write(tmp_path / "net.ckpt", change=overflow)
    assert run(written.path, readable[0]) == 2
    out, err = capsys.readouterr()
    said, error = err.splitlines()
    assert (out, said) == ("", STRIDES) and "outputs are NaN or infinite" in error


def test_progress_is_for_terminals(capsys, monkeypatch):
    assert list(progress.with_progress("ab", 2)) == ["a", "b"]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert list(progress.with_progress("ab", 2)) == ["a", "b"]
    assert "1 of 2 images (50 %)" in capsys.readouterr().err


def test_defaults_of_command_and_library_agree():
    arguments = build_parser().parse_args(["classify", "x", "y"])
    defaults = {name: parameter.default for name, parameter in
                inspect.signature(classification.classify).parameters.items()}
    assert (arguments.image_size, arguments.batch_size, arguments.preprocessing) == (
        defaults["image_size"], defaults["batch_size"], defaults["preprocessing"])
