"""How the training checks tell lost steps; the checks themselves take minutes."""

import json
import math

import pytest

from scripts import training_checks


def log(folder, *rows):
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(
        json.dumps({"step": step, "loss": loss}) + "\n" for step, loss in rows))
    return str(folder)


def test_lost_steps(tmp_path):
    three = log(tmp_path / "three", (1, 1.0), (2, 0.5), (3, 0.25))
    lost, difference = training_checks._lost, training_checks._difference
    assert lost(three, kept=3, before=2) == lost(three, kept=2, before=0) == 0
    assert lost(three, kept=5, before=3) == 2 and lost(three, kept=2, before=3) == 1
    twice = log(tmp_path / "twice", (1, 1.0), (2, 0.5), (2, 0.5), (3, 0.25))
    assert lost(twice, kept=3, before=0) == math.inf
    other = log(tmp_path / "other", (1, 1.0), (2, 0.4), (3, 0.25))
    assert difference(three, three, 3) == 0
    assert difference(other, three, 3) == pytest.approx(0.2)
    assert difference(twice, three, 3) == difference(three, three, 4) == math.inf
