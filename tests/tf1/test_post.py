"""The post's own script, byte for byte, runs to its last line and builds our graph."""

import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
PRINTER = ROOT.parent / "shared" / "blog_script.py"


@pytest.mark.slow
@pytest.mark.skipif(not PRINTER.exists(), reason="the post's text is not beside the repository")
def test_post_runs_unmodified_and_builds_our_graph(tmp_path):
    script = tmp_path / "blog.py"
    script.write_bytes(subprocess.run([sys.executable, PRINTER], capture_output=True,
                                      check=True).stdout)
    plain = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert plain.stderr.splitlines()[-1] == \
        "AttributeError: module 'tensorflow' has no attribute 'contrib'"
    run = subprocess.run([sys.executable, "-m", "slim_resnet", "run", HERE / "post_script.py",
                          script], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == "resnet_v2_152/end_points"
    assert [line.split(": ")[1].split(",")[0] for line in lines[1:11]] == [
        f"step {step}" for step in range(0, 100, 10)]
    assert "Forward across 100 steps" in lines[11]
    assert lines[12:] == ["resnet_v2_152/end_points", "6372 nodes"]
    assert run.stderr == ""
