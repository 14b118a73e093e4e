"""overhead.py: whether it compares like with like."""

import pytest

from scripts import overhead
from slim_resnet import cli


@pytest.mark.slow
def test_overhead_compares_like_with_like(capsys):
    assert cli.run(overhead.build_parser(),
                   ["--depth", "50", "--image-size", "32", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    ops = [line.split()[-2] for line in lines if line.startswith("ops in the graph")]
    assert len(ops) == 3 and len(set(ops)) == 1
    assert lines[-1].startswith("harness: ")
