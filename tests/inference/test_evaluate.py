"""slim-resnet evaluate: counts against labels chosen from tf_slim's own ranking."""

import json
import pathlib

import numpy as np
import pytest

from slim_resnet.cli import main
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import find_data
from slim_resnet.inference import evaluation, fit, network
from tests.helpers import checkpoints, pictures

NUM_IMAGES = 12
# Place of each image's label in the network's ranking: 7 of 12 right, 10 in the top five.
PLACES = [0, 4, 0, 5, 0, 1, 0, 9, 0, 2, 0, 0]


@pytest.fixture(scope="module")
def labelled(slim, tmp_path_factory):
    """Returns paths of pictures, labels for them, and tf_slim's classes."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [pictures.write_png(folder / f"{i}.png", i) for i in range(NUM_IMAGES)]
    logits = pictures.run_with_saver(slim, checkpoints.slim_builder(), pictures.prepared(paths),
                                     lambda net, end_points: net)[:, 0, 0]
    order = np.argsort(-logits, axis=1)
    return paths, [int(row[place]) for row, place in zip(order, PLACES)], order[:, 0].tolist()


@pytest.fixture(scope="module")
def class_folders(labelled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("class_folders")
    for label in range(10):
        pictures.write_png(folder / f"class_{label}" / "extra.png", 100)
        (folder / f"class_{label}" / "extra.png").write_bytes(b"no image")
    for path, label in zip(*labelled[:2]):
        target = folder / f"class_{label}" / path.rsplit("/", 1)[1]
        target.write_bytes(pathlib.Path(path).read_bytes())
    return folder


def error_lines(err):
    """Returns the number of lines but for what is assumed of the network."""
    return sum(1 for line in err.splitlines() if ": strides: " not in line)


def records_of(labelled):
    return [pictures.record(pathlib.Path(path).read_bytes(), label)
            for path, label in zip(*labelled[:2])]


def run(*words):
    return main(["evaluate", *map(str, words), "--image-size", "32"])


def check_document(document, labelled, unreadable):
    confusion = np.zeros([10, 10], int)
    np.add.at(confusion, tuple(labelled[1:]), 1)
    assert document["num_images"] == NUM_IMAGES
    assert document["top_1_percent"] == pytest.approx(100 * 7 / 12)
    assert document["top_5_percent"] == pytest.approx(100 * 10 / 12)
    assert document["confusion"] == confusion.tolist()
    assert len(document["unreadable"]) == unreadable and document["interrupted"] is False


@pytest.mark.slow
def test_class_folders(slim, labelled, class_folders, capsys):
    assert run(slim.path, class_folders, "--json", "--batch-size", 5) == 2
    out, err = capsys.readouterr()
    document = json.loads(out)
    check_document(document, labelled, unreadable=10)
    assert document["classes"] == [f"class_{label}" for label in range(10)]
    assert document["unreadable"][0]["name"] == str(class_folders / "class_0" / "extra.png")
    lines = [line for line in err.splitlines() if ": strides: " not in line]
    assert lines[0] == ("slim-resnet evaluate: images: 32 pixels; inception (central, values from "
                        "-1 to 1), assumed; class 0 has label 0, assumed")
    assert lines[1].startswith("slim-resnet evaluate: 22 images in ") and len(lines) == 12
    assert lines[2].startswith(f"slim-resnet evaluate: {class_folders / 'class_0' / 'extra.png'}: "
                               "cannot be read: Unknown image file format")


@pytest.mark.slow
def test_shards_of_records(slim, labelled, tmp_path, capsys):
    contents = records_of(labelled)
    pictures.write_records(tmp_path / "validation-00000-of-00002", contents[:7])
    pictures.write_records(tmp_path / "validation-00001-of-00002", contents[7:])
    assert run(slim.path, tmp_path, "--json", "--batch-size", 4) == 0
    check_document(json.loads(capsys.readouterr().out), labelled, unreadable=0)
    assert run(slim.path, *sorted(tmp_path.iterdir()), "--json") == 0
    check_document(json.loads(capsys.readouterr().out), labelled, unreadable=0)


@pytest.mark.slow
def test_table(slim, labelled, tmp_path, capsys):
    path = pictures.write_records(tmp_path / "a.tfrecord", records_of(labelled))
    assert run(slim.path, path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["images      12", "unreadable  0", "top-1       58.33 %",
                         "top-5       83.33 %"]
    wrong = sorted((label, predicted) for label, predicted in zip(*labelled[1:])
                   if label != predicted)
    counts = {pair: wrong.count(pair) for pair in wrong}
    assert sorted(line.split(None, 1)[1] for line in lines[5:]) == sorted(
        f"{label} -> {predicted}" for label, predicted in counts)
    assert sum(int(line.split()[0]) for line in lines[5:]) == 5


@pytest.mark.slow
def test_python_gives_the_same(slim, labelled, class_folders):
    result = evaluation.evaluate(slim.path, [class_folders], image_size=32)
    assert (result.num_images, len(result.unreadable)) == (12, 10)
    assert (result.top_1, result.top_5) == pytest.approx((7 / 12, 10 / 12))


@pytest.mark.slow
def test_unreadable_records_are_counted_and_named(slim, labelled, tmp_path, capsys):
    contents = records_of(labelled)
    contents[2:2] = [pictures.record(b"no image", 1), pictures.record(None, 1),
                     pictures.record(b"", None), b"\xff\xff"]
    path = pictures.write_records(tmp_path / "a.tfrecord", contents)
    assert run(slim.path, path, "--json") == 2
    document = json.loads(capsys.readouterr().out)
    check_document(document, labelled, unreadable=4)
    assert [row["name"] for row in document["unreadable"]] == [
        f"{path}, record {number}" for number in (2, 3, 4, 5)]
    assert "image/encoded" in document["unreadable"][1]["cause"]
    assert "image/class/label" in document["unreadable"][2]["cause"]
    assert "\n" not in document["unreadable"][3]["cause"]


def damaged(path, how):
    path = pathlib.Path(path)
    contents = bytearray(path.read_bytes())
    if how == "cut short":
        del contents[-40:]
    elif how == "bit flipped":
        contents[len(contents) - 40] ^= 1
    else:
        contents = b"just words " * 20
    path.write_bytes(contents)


@pytest.mark.parametrize("how, number", [("cut short", 11), ("bit flipped", 11), ("text", 0)])
def test_damaged_records_are_one_line(slim, labelled, tmp_path, capsys, how, number):
    path = pictures.write_records(tmp_path / "a.tfrecord", records_of(labelled))
    damaged(path, how)
    assert run(slim.path, path) == 2
    out, err = capsys.readouterr()
    assert out == "" and error_lines(err) == 1
    assert f"{path}: is damaged or no TFRecord file, at record {number}: " in err


@pytest.mark.slow
@pytest.mark.parametrize("label", [-1, 10])
def test_label_out_of_range_is_one_line(slim, labelled, tmp_path, capsys, label):
    contents = records_of(labelled)[:2] + [
        pictures.record(pathlib.Path(labelled[0][0]).read_bytes(), label)]
    path = pictures.write_records(tmp_path / "a.tfrecord", contents)
    assert run(slim.path, path) == 2
    out, err = capsys.readouterr()
    assert out == "" and error_lines(err) == 1
    assert f"{path}, record 2: has label {label}, but the checkpoint's classes are 0 to 9" in err


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


@pytest.mark.parametrize("names, message", [
    ([], "has 0 class folders, but the checkpoint has 10 classes; give a folder with 10"),
    (["a/x.png", "b/x.png", ".c/x.png"], "has 2 class folders, but the checkpoint has 10"),
    ([f"{k}/x.txt" for k in range(10)], "0: holds no image"),
    (["train-00000-of-00001", "validation-00000-of-00001"],
     "holds 2 data sets (train, validation); name the files of one"),
    (["a.tfrecord", "b.tfrecord"], "holds 2 data sets (a, b)"),
    (["flowers_train_00000-of-00003.tfrecord", "flowers_train_00002-of-00003.tfrecord"],
     "2 of 3 shards of flowers_train are there"),
    (["a.tfrecord"], "no image could be read: the data is empty"),
    ([f"{k}/x.png" for k in range(10)], "no image could be read; the first, "),
])
def test_bad_folders_are_one_line(slim, tmp_path, capsys, names, message):
    touch(tmp_path, *names)
    assert run(slim.path, tmp_path) == 2
    out, err = capsys.readouterr()
    assert out == "" and error_lines(err) == 1 and message in err


def test_bad_paths_are_one_line(slim, tmp_path, capsys):
    assert run(slim.path, tmp_path / "no") == 2
    assert "no: no such file or folder" in capsys.readouterr().err
    touch(tmp_path, "a.tfrecord")
    assert run(slim.path, tmp_path, tmp_path / "a.tfrecord") == 2
    assert "is a folder; give one folder, or TFRecord files only" in capsys.readouterr().err


def test_a_thousand_folders_are_behind_the_background(tmp_path):
    touch(tmp_path, *(f"n{k:04}/{k}.png" for k in range(1000)))
    found = find_data([tmp_path], 1001)
    paths, labels, names = found.files, found.labels, found.classes
    assert (labels[0], labels[-1]) == (1, 1000) and paths[41].endswith("n0041/41.png")
    assert names[:2] == ["background", "n0000"] and len(names) == 1001
    assert find_data([tmp_path], 1000).labels == list(range(1000))
    with pytest.raises(SlimResnetError, match="1000 class folders.*has 999 classes"):
        find_data([tmp_path], 999)
    touch(tmp_path, "n9999/x.png")
    assert find_data([tmp_path], 1001).labels == list(range(1001))


def test_ranks():
    scores = [[0.1, 0.9, 0.5], [1, 1, 1], [3, 1, 2]]
    assert evaluation.ranks(scores, [2, 2, 0]).tolist() == [1, 2, 0]
    assert evaluation.ranks(scores, [0, 0, 1]).tolist() == [2, 0, 2]


def test_most_confused():
    confusion = np.array([[5, 2, 0], [0, 9, 0], [4, 0, 1]])
    result = evaluation.Evaluation(21, 15 / 21, 1.0, confusion, (), False)
    assert result.most_confused() == [(2, 0, 4), (0, 1, 2)]
    assert result.most_confused(1) == [(2, 0, 4)]
    assert confusion[0, 0] == 5


def test_interrupt_keeps_what_there_is(slim, labelled, tmp_path, capsys, monkeypatch):
    original, calls = network.Network.logits, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(network.Network, "logits", interrupted)
    monkeypatch.setattr(fit, "better_fit", lambda *_: None)
    path = pictures.write_records(tmp_path / "a.tfrecord", records_of(labelled))
    assert run(slim.path, path, "--json", "--batch-size", 2) == 130
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["num_images"], document["interrupted"]) == (4, True)
    assert err.endswith("\nslim-resnet evaluate: interrupted; these are the figures of a part\n")


def test_headless_checkpoint_is_one_line(tmp_path, class_folders, capsys):
    written = checkpoints.write(tmp_path / "net.ckpt", checkpoints.slim_builder(num_classes=None))
    assert run(written.path, class_folders) == 2
    assert "has no logits" in capsys.readouterr().err
