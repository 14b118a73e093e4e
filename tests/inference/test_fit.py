"""What is said where images prepared otherwise, or labels counted otherwise, fit far better."""

import json

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.cli import main
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import find_data, labels, settings
from slim_resnet.inference import evaluation, fit, network
from tests.helpers import checkpoints, pictures

CHOSEN = settings.Preprocessing("inception")


class ByBrightness:
    """A network whose class is how bright an image is, prepared as it was trained."""

    channels, num_classes = 3, 10

    def __init__(self, least, step):
        self._least, self._step = least, step

    def logits(self, images):
        classes = np.round((images.mean((1, 2, 3)) - self._least) / self._step)
        return np.eye(self.num_classes)[np.clip(classes, 0, 9).astype(int)]


OF_VGG = ByBrightness(20 - np.mean(settings.MEAN), 20)
OF_NONE = ByBrightness(20, 20)
OF_INCEPTION = ByBrightness(20 / 127.5 - 1, 20 / 127.5)


def bright(label):
    return tf.io.encode_png(np.full([8, 8, 3], 20 + 20 * label, np.uint8)).numpy()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """40 images of ten classes, in folders; the first 32 alone would miss two classes."""
    folder = tmp_path_factory.mktemp("data")
    for label in range(10):
        (folder / str(label)).mkdir()
        for k in range(4):
            (folder / str(label) / f"{k}.png").write_bytes(bright(label))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("net, chosen, better", [
    (OF_VGG, "inception", "vgg"), (OF_NONE, "inception", "none"),
    (OF_INCEPTION, "vgg", "inception"),
    (OF_VGG, "vgg", None), (OF_INCEPTION, "inception", None), (OF_NONE, "none", None)])
def test_another_preparation(net, chosen, better, data):
    source = find_data([data], 10)
    found = fit.better_fit(net, source, 32, settings.Preprocessing(chosen), 0)
    if better is None:
        assert found is None
        return
    mine, best = found
    assert (mine.preprocessing.name, best.preprocessing.name) == (chosen, better)
    assert best.top_1 == 1 and mine.top_1 < 0.3 and best.labels_offset == 0
    assert best.num_images == fit.NUM_IMAGES
    assert f"with --preprocessing {better} 100 %" in fit.described(found)


def test_a_window_that_does_not_fit_is_made_to(data):
    found = fit.better_fit(OF_VGG, find_data([data], 10), 300, CHOSEN, 0)
    assert found[1].preprocessing.resize_side == 343
    assert "--preprocessing vgg --resize-side 343 100 %" in fit.described(found)


@pytest.mark.slow
@pytest.mark.parametrize("label_of_first, chosen, best", [(1, 0, 1), (0, 1, 0), (1, 1, None)])
def test_another_label_of_the_first_class(label_of_first, chosen, best, tmp_path):
    path = pictures.write_records(tmp_path / "a.tfrecord", [
        pictures.record(bright(k % 9), k % 9 + label_of_first) for k in range(20)])
    source = find_data([path], 10, labels_offset=chosen)
    found = fit.better_fit(OF_INCEPTION, source, 32, CHOSEN, chosen)
    assert (found and found[1].labels_offset) == best
    if found:
        assert f"with --labels-offset {best} 100 %" in fit.described(found)


def test_far_better_is_no_matter_of_chance():
    def far(best, chosen, count):
        one, other = (fit.Fit(CHOSEN, 0, share, count) for share in (best, chosen))
        return fit._is_far_better(one, other)

    assert far(0.97, 0.08, 32) and far(1.0, 0.7, 32)
    assert not far(0.5, 0.25, 32) and not far(1.0, 0.85, 1000) and not far(0.5, 0.5, 32)


def test_few_images_say_nothing(tmp_path):
    path = pictures.write_records(tmp_path / "a.tfrecord", [
        pictures.record(bright(k), k + 1) for k in range(7)])
    assert fit.better_fit(OF_INCEPTION, find_data([path], 10), 32, CHOSEN, 0) is None


@pytest.fixture(scope="module")
def one_off(tmp_path_factory):
    """A checkpoint, and records whose labels are the classes that it names, and one more."""
    folder = tmp_path_factory.mktemp("one_off")
    written = checkpoints.write(folder / "net.ckpt")
    paths = [pictures.write_png(folder / f"{k}.png", k) for k in range(24)]
    with network.Network(written.path, 32) as opened:
        classes = opened.logits(pictures.prepared(paths)).argmax(1).tolist()
    records = pictures.write_records(folder / "a.tfrecord", [
        pictures.record(open(path, "rb").read(), label + 1)
        for path, label in zip(paths, classes) if label < 9])
    return written.path, records, sum(label < 9 for label in classes)


@pytest.mark.slow
def test_evaluate_says_it_and_changes_nothing(one_off, capsys):
    checkpoint, records, count = one_off
    words = ["evaluate", checkpoint, records, "--image-size", "32", "--json"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["better_fit"]["labels_offset"] == 1
    assert document["better_fit"]["top_1_percent"] == 100
    assert (document["labels_offset"], document["num_images"]) == (0, count)
    assert document["top_1_percent"] < 50
    warnings = [line for line in err.splitlines() if "warning" in line]
    assert len(warnings) == 1 and "--labels-offset 1 100 %" in warnings[0]
    result = evaluation.evaluate(checkpoint, [records], image_size=32)
    assert 100 * result.top_1 == document["top_1_percent"]
    assert result.better[1].labels_offset == 1

    assert main([*words, "--labels-offset", "1"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["top_1_percent"], document["better_fit"]) == (100, None)
    assert "class 0 has label 1\n" in err and "warning" not in err
    assert evaluation.evaluate(checkpoint, [records], image_size=32, labels_offset=1).top_1 == 1


@pytest.mark.slow
def test_labels_beyond_the_classes_name_the_option(one_off, tmp_path, capsys):
    records = pictures.write_records(tmp_path / "a.tfrecord", [
        pictures.record(bright(k), k + 1) for k in range(10)])
    assert main(["evaluate", one_off[0], records, "--image-size", "32"]) == 2
    assert "--labels-offset" in capsys.readouterr().err
    assert main(["evaluate", one_off[0], records, "--image-size", "32", "--labels-offset",
                 "1"]) == 0


def test_labels_files_that_count_from_1(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("1:cat\n2:dog\n3:cow\n")
    assert labels.read_labels(path, 3, labels_offset=1) == ["cat", "dog", "cow"]
    assert labels.read_labels(path, 4, labels_offset=0) == ["background", "cat", "dog", "cow"]
    for offset in (None, -1):
        with pytest.raises(SlimResnetError, match="counts its labels from 1"):
            labels.read_labels(path, 3, offset)
    path.write_text("0:cat\n1:dog\n")
    assert labels.read_labels(path, 3, labels_offset=-1) == ["background", "cat", "dog"]
    path.write_text("".join(f"{k}:class {k}\n" for k in range(1, 1001)))
    assert labels.read_labels(path, 1001)[:2] == ["background", "class 1"]


def test_npz_that_counts_from_1(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros([3, 4, 4], np.uint8), labels=[1, 2, 3],
             classes=["none", "cat", "dog", "cow"])
    source = find_data([tmp_path / "a.npz"], 3, labels_offset=1)
    assert (source.labels, source.classes) == ([0, 1, 2], ["cat", "dog", "cow"])
    source = find_data([tmp_path / "a.npz"], 4)
    assert (source.labels, source.classes[1]) == ([1, 2, 3], "cat")
