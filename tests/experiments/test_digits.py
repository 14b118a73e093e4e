"""``slim-resnet data digits``: what it writes."""

import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.cli import main
from slim_resnet.experiments import digits
from slim_resnet.images.npz import read_arrays

NUM_IMAGES = 50


@pytest.fixture
def scikit_learn(monkeypatch):
    """Stands for scikit-learn: digits of one grey value each."""
    values = np.arange(NUM_IMAGES) % 17
    loaded = types.SimpleNamespace(images=np.tile(values[:, None, None], (1, 8, 8)).astype(float),
                                   target=np.arange(NUM_IMAGES) % 10)
    datasets = types.SimpleNamespace(load_digits=lambda: loaded)
    monkeypatch.setitem(sys.modules, "sklearn", types.SimpleNamespace(datasets=datasets))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", datasets)


def test_digits_are_written_alike_in_both_forms(scikit_learn, tmp_path, capsys):
    assert main(["data", "digits", str(tmp_path / "digits")]) == 0
    assert "40 images to train on and 10 to test on" in capsys.readouterr().out
    numbers = set()
    for part, count in (("train", 40), ("test", 10)):
        pixels, labels, classes = read_arrays(str(tmp_path / "digits" / f"{part}.npz"))
        assert len(labels) == count and classes == list("0123456789")
        files = {int(path.stem): path for path in (tmp_path / "digits" / part).rglob("*.png")}
        for number, image, label in zip(sorted(files), pixels, labels):
            assert files[number].parent.name == str(label) == str(number % 10)
            png = tf.io.decode_png(tf.io.read_file(str(files[number]))).numpy()
            np.testing.assert_array_equal(png, image)
            assert png.max() == round((number % 17) * 255 / 16)
        numbers |= set(files)
    assert numbers == set(range(NUM_IMAGES))
    assert main(["data", "digits", str(tmp_path / "digits")]) == 2
    assert capsys.readouterr().err.endswith("digits: has train already; name another folder\n")


@pytest.mark.parametrize("before", [[], ["test"]])
def test_what_is_not_whole_is_not_there(before, scikit_learn, tmp_path, monkeypatch):
    folder = tmp_path / "new" / "digits"
    for name in before:
        (folder / name).mkdir(parents=True)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(digits, "write_pngs", full)
    assert main(["data", "digits", str(folder)]) == 2
    assert [path.name for path in tmp_path.rglob("*")] == (["new", "digits", "test"] if before
                                                           else [])


def test_digits_without_scikit_learn(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert main(["data", "digits", str(tmp_path / "digits")]) == 2
    assert "pip install 'slim-resnet[experiments]'" in capsys.readouterr().err
    assert not (tmp_path / "digits").exists()
