"""slim-resnet pictures: what it writes, and what it answers to bad input."""

import sys

import numpy as np
import pytest
from matplotlib.image import imread

from slim_resnet.cli import main
from slim_resnet.inference import network
from tests.helpers import checkpoints, command_line, interrupts, pictures

STRIDES = command_line.strides("pictures")
ASSUMED = command_line.assumed_images("pictures")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("slim") / "net.ckpt")


@pytest.fixture(scope="module")
def headless(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("headless") / "net.ckpt",
                             checkpoints.slim_builder(num_classes=None))


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    return pictures.write_png(tmp_path_factory.mktemp("photos") / "photo.png", 0)


def run(*words):
    return main(["pictures", *map(str, words), "--image-size", "32"])


@pytest.mark.slow
def test_all_kinds_of_all_images(written, photo, tmp_path, capsys):
    other = tmp_path / "in" / "other.png"
    pictures.write_png(other, 1)
    broken = tmp_path / "in" / "broken.png"
    broken.write_bytes(other.read_bytes()[:90])
    output = tmp_path / "out" / "deeper"
    assert run(written.path, photo, tmp_path / "in", "--output", output) == 2
    out, err = capsys.readouterr()
    names = [f"{number}-resnet_v2_50-{key}.png" for number in ("1-photo", "3-other")
             for key in ("conv1", "block1", "block2")]
    names += ["1-photo-evidence.png", "3-other-evidence.png", "filters.png", "depth.png"]
    assert sorted(out.split()) == sorted(str(output / name) for name in [*names, "diagram.svg"])
    assert sorted(path.name for path in output.iterdir()) == sorted([*names, "diagram.svg"])
    # Two kinds go through the images, and each thing is said once.
    *before, unreadable = err.splitlines()
    assert before == [STRIDES, ASSUMED]
    assert unreadable.startswith(f"slim-resnet pictures: {broken}: cannot be read: ")
    for name in names:
        image = imread(output / name)
        assert 150 <= image.shape[0] <= 1000 and 800 <= image.shape[1] <= 1200
        assert np.allclose(image[0, 0, :3], 1) and image[..., :3].std() > 0.03


def test_keys_and_theme_and_labels(written, photo, tmp_path, capsys):
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"name {k}" for k in range(10)))
    assert run(written.path, photo, "--output", tmp_path, "--kinds", "maps", "evidence",
               "--end-points", "*/unit_1/bottleneck_v2", "predictions", "--theme", "dark",
               "--labels", labels, "--max-channels", 2) == 0
    names = [f"1-photo-{name}.png" for name in (
        "evidence", "resnet_v2_50-block1-unit_1-bottleneck_v2",
        "resnet_v2_50-block2-unit_1-bottleneck_v2", "predictions")]
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in names]
    for name in names:
        np.testing.assert_allclose(255 * imread(tmp_path / name)[0, 0, :3], [20, 23, 26],
                                   atol=0.5)


def test_without_logits_there_is_no_evidence(headless, photo, tmp_path, capsys):
    assert run(headless.path, photo, "--output", tmp_path, "--end-points", "global_pool") == 0
    assert [path.rsplit("/", 1)[1] for path in capsys.readouterr().out.split()] == [
        "diagram.svg", "filters.png", "1-photo-global_pool.png", "depth.png"]
    assert run(headless.path, photo, "--output", tmp_path, "--kinds", "evidence") == 2
    assert "has no logits, so there is nothing for --kinds evidence" in capsys.readouterr().err


def test_without_images_there_is_the_network(written, tmp_path, capsys):
    assert run(written.path, "--output", tmp_path) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "diagram.svg"),
                                               str(tmp_path / "filters.png")]


def test_names_of_files_stay_within_what_file_systems_take(written, tmp_path, capsys):
    path = tmp_path / ("x" * 200 + ".png")
    pictures.write_png(path, 0)
    assert run(written.path, path, "--output", tmp_path, "--kinds", "maps") == 0
    assert f"1-{'x' * 40}-resnet_v2_50-block2.png" in capsys.readouterr().out


@pytest.mark.parametrize("options, message", [
    (["--end-points", "blok1"], "no end point 'blok1'; nearest: resnet_v2_50/block1"),
    (["--end-points", "*/none"], "no end point '*/none'"),
    (["--end-points", "x", "--kinds", "depth"], "and no maps are drawn"),
    (["--labels", "{}/none.txt"], "none.txt: cannot be read"),
    (["--output", "{}/file/deeper"], "file/deeper: cannot be written"),
])
def test_bad_options_are_one_line(written, photo, tmp_path, capsys, options, message):
    (tmp_path / "file").touch()
    words = [word.format(tmp_path) for word in options]
    assert run(written.path, photo, "--output", tmp_path / "out", *words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_missing_matplotlib_is_one_line(written, photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run(written.path, photo, "--output", tmp_path / "out") == 2
    assert capsys.readouterr().err == ("slim-resnet pictures: error: plots need matplotlib: "
                                       "pip install 'slim-resnet[plot]'\n")
    assert not (tmp_path / "out").exists()


def test_interrupt_keeps_what_there_is(written, photo, tmp_path, capsys, monkeypatch):
    interrupts.at_call(monkeypatch, network.Network, "evidence_inputs", 2)
    assert run(written.path, photo, photo, photo, "--output", tmp_path, "--kinds", "evidence",
               "depth") == 130
    out, err = capsys.readouterr()
    assert out.split() == [str(tmp_path / "1-photo-evidence.png")]
    assert err.splitlines() == [STRIDES, ASSUMED,
                                "slim-resnet pictures: interrupted after 1 of 3 images"]
