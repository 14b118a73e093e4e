"""The figures of ``scripts/ray_overhead.py``, from runs whose times are given."""

import pytest

from scripts import ray_overhead
from scripts.ray_overhead import FEW, SETTINGS, Run
from slim_resnet import cli

SECONDS = {"one process, one core": (5, 105), "one process, two cores": (5, 65),
           "Ray, a worker, one core": (20, 129), "Ray, a worker of two cores": (20, 83),
           "Ray, two workers": (21, 88), "Ray, two nodes of a worker": (18, 81)}


@pytest.fixture
def runs():
    return {name: {"few": [Run(few, 1, 1 << 30, 0)],
                   "all": [Run(whole, whole, 2 << 30, 3 << 20)]}
            for name, (few, whole) in SECONDS.items()}


def test_starting_is_left_out(runs):
    lines, slower = ray_overhead.table_lines(runs, 6000 + FEW)
    rows = {line[:28].strip(): line[28:].split() for line in lines if line[:3] in ("one", "Ray")}
    assert sorted(rows) == sorted(setting.name for setting in SETTINGS)
    assert rows["one process, two cores"][:5] == ["60.0", "60.0", "60.0", "100.0", "-"]
    assert rows["Ray, a worker of two cores"][4:] == [
        "1.050", "82.0", "1.281", "20.0", "2048", "+", "3", "-"]
    assert slower == ["Ray, two workers"]


def test_the_status_says_whether_it_holds(runs, monkeypatch, capsys):
    monkeypatch.setattr(ray_overhead, "measure", lambda *args: runs)
    assert cli.run(ray_overhead.build_parser(), ["--images", str(6000 + FEW)]) == 1
    del runs["Ray, two workers"]["all"][:]
    runs["Ray, two workers"]["all"].append(Run(81, 1, 0, 0))
    assert cli.run(ray_overhead.build_parser(), ["--images", str(6000 + FEW)]) == 0
    capsys.readouterr()


def test_too_few_images_are_one_line(capsys):
    assert cli.run(ray_overhead.build_parser(), ["--images", "10"]) == 2
    assert capsys.readouterr().err == ("ray_overhead.py: error: --images 10: give more than 1024, "
                                       "the images of the start\n")
