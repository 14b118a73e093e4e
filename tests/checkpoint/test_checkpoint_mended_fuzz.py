"""Damage with right checksums: refused in one line, or the values that were written.

Each file is opened in a process that opens many, so that one that ends it is seen.
"""

import collections
import json
import os
import subprocess
import sys

import pytest

from slim_resnet.common.environment import child_environment
from tests.helpers import mended

MUTATIONS = 500


def outcomes(target, folder):
    """Yields ``(seed, outcome, detail)`` of each mutation."""
    first = 0
    while first < MUTATIONS:
        child = subprocess.run(
            [sys.executable, "-m", "tests.helpers.mended", target, folder, str(first),
             str(MUTATIONS)], env=dict(child_environment(), TMPDIR=str(folder / "tmp")),
            capture_output=True, text=True, check=False)
        lines = child.stdout.splitlines()
        for seed, result in zip(lines[::2], lines[1::2]):
            yield int(seed), *json.loads(result)
        if child.returncode == 0:
            return
        assert len(lines) % 2, child.stderr
        first = int(lines[-1]) + 1
        yield first - 1, f"ended by {child.returncode}", child.stderr[-300:]


@pytest.mark.slow
@pytest.mark.parametrize("target", mended.TARGETS)
def test_mended_damage(tmp_path, target):
    (tmp_path / "tmp").mkdir()
    found = list(outcomes(target, tmp_path))
    counts = collections.Counter(outcome for _, outcome, _ in found)
    assert set(counts) == {"refused", "equal"}, [
        row for row in found if row[1] not in ("refused", "equal")]
    assert counts.total() == MUTATIONS and counts["refused"] > 0.6 * MUTATIONS, counts
    assert os.listdir(tmp_path / "tmp") == []
