"""restore_cost.py: its figures, and that restoring takes no second copy of the file."""

import os

import pytest

from scripts import random_checkpoint, restore_cost


def test_summary():
    record = restore_cost.summary({"plain": [1.0, 4.0, 2.0], "checked": [1.5, 4.0, 2.2]},
                                  [0.1, 0.11, 0.3], {"plain": 120, "checked": 150}, 100)
    assert record["median_s"] == {"plain": 2.0, "checked": 2.2}
    assert record["time_ratio"] == pytest.approx(1.1)
    assert record["time_ratio_range"] == [1.0, 1.5]
    assert record["peak_to_file"] == {"plain": 1.2, "checked": 1.5}
    assert record["index_percent"] == pytest.approx(5)
    assert "checking the index is 5.0 % of it" in restore_cost.summary_line("V1", record)
    assert "ratio 1.100 (1.000 to 1.500 a round)" in restore_cost.summary_line("V1", record)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="memory as Linux tells it")
def test_restoring_takes_little_more_memory_than_the_file(tmp_path):
    path = random_checkpoint.write(str(tmp_path / "net.ckpt"), "resnet_v2_50", 224, 1001)
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size > 4 * 25_615_849
    assert 0.9 < restore_cost.peak_in_own_process("checked", path, 50) / size < 1.5
