import sys

import numpy as np
import pytest

from slim_resnet import cli
from slim_resnet.experiments import photographs
from slim_resnet.images import finding, reading


def test_crops_are_square_and_within_the_image():
    image = np.arange(70 * 90 * 3).reshape(70, 90, 3)
    found = list(photographs.crops(image, 20, np.random.RandomState(0)))
    assert len(found) == 20 and len({crop.shape for crop in found}) > 1
    for crop in found:
        height, width, _ = crop.shape
        assert height == width and 64 <= height <= 70
        top, left = divmod(int(crop[0, 0, 0]) // 3, 90)
        np.testing.assert_array_equal(crop, image[top:top + height, left:left + width])


@pytest.mark.slow
def test_no_pixel_is_trained_and_tested_on(tmp_path, monkeypatch, capsys):
    pixels = np.zeros([100, 300, 3], np.uint8)
    pixels[:, :210] = 255
    monkeypatch.setattr(photographs, "load_photographs", lambda: {"a": pixels, "b": pixels})
    monkeypatch.setattr(photographs, "NUM_CROPS", {"train": 6, "test": 3})
    assert cli.main(["data", "photographs", str(tmp_path / "out")]) == 0
    assert "12 crops to train on and 6 to test on" in capsys.readouterr().out
    for part, value, count in (("train", 255, 12), ("test", 0, 6)):
        found = finding.find_images([tmp_path / "out" / part])
        assert len(found) == count and f"/{part}/b/" in found[-1]
        for batch in reading.read_images(found, 8, "none"):
            np.testing.assert_array_equal(batch.images, value)
    photograph, = reading.read_images([tmp_path / "out" / "photographs" / "a.png"], 300, "none")
    assert photograph.images[0, 0, 209, 0] == 255 and photograph.images[0, 0, 211, 0] == 0


def test_bad_input(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert cli.main(["data", "photographs", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "need scikit-image: pip install 'slim-resnet[experiments]'" in err
    assert err.count("\n") == 1 and not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    (tmp_path / "photographs").mkdir()
    monkeypatch.setattr(photographs, "load_photographs",
                        lambda: {"a": np.zeros([100, 300, 3], np.uint8)})
    assert cli.main(["data", "photographs", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert cli.main(["data", "photographs", str(tmp_path)]) == 2
    assert "has photographs already; name another folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "photographs"]


def test_the_photographs_themselves():
    pytest.importorskip("skimage")
    found = photographs.load_photographs()
    assert tuple(found) == photographs.PHOTOGRAPHS
    for image in found.values():
        assert image.dtype == np.uint8 and image.shape[2] == 3
        # Both parts can be cut into crops.
        assert image.shape[0] >= 64 and image.shape[1] * 0.3 >= 64
