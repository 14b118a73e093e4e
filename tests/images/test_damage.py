"""Damaged files of each kind, checksums mended: refused in one line, or valid pixels; JSON too."""

import collections
import json
import subprocess
import sys

import pytest

from tests.helpers import damage
from tests.helpers.command_line import ROOT

# A graph is built for each damaged TFRecord, which takes a second.
SEEDS = {kind: 25 if kind == "tfrecord" else 100 for kind in damage.KINDS}


@pytest.mark.slow
@pytest.mark.parametrize("kind", damage.KINDS)
def test_damage_is_refused_or_harmless(kind, tmp_path):
    counts, errors = collections.Counter(), ""
    first, seeds = 0, SEEDS[kind]
    while first < seeds:
        try:
            child = subprocess.run(
                [sys.executable, "-m", "tests.helpers.damage", kind, str(first), str(seeds),
                 str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=3600)
            out, how, errors = child.stdout, f"ended with {child.returncode}", child.stderr[-2000:]
        except subprocess.TimeoutExpired as error:
            out, how = (error.stdout or b"").decode(), "hung"
        done = [json.loads(line) for line in out.splitlines()]
        for batch in done:
            counts.update(batch["outcomes"])
        first += damage.BATCH * len(done)
        if first < seeds:
            counts[how] += 1
            first += damage.BATCH
    print(kind, dict(counts))
    assert set(counts) <= {"refused", "valid"}, (counts, errors)
    assert counts.total() == seeds and counts["refused"] > seeds // 10
