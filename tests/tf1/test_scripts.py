"""A script of ours for each kind of TensorFlow 1 name: each runs, and fails as it stands today."""

import json
import pathlib
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.oldest]

HERE = pathlib.Path(__file__).parent
SCRIPTS = sorted((HERE / "scripts").glob("*.py"))
ROOT = HERE.parents[1]


def _outcomes(*command):
    done = subprocess.run([sys.executable, *command, str(HERE / "every_script.py"),
                           *map(str, SCRIPTS)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture(scope="module")
def as_it_stands():
    return _outcomes()[0]


@pytest.fixture(scope="module")
def run():
    return _outcomes("-m", "slim_resnet", "run", "--explain")


@pytest.mark.parametrize("name", [path.stem for path in SCRIPTS])
def test_script_runs_and_fails_as_it_stands(name, run, as_it_stands):
    assert as_it_stands[name].startswith(("AttributeError: module 'tensorflow",
                                          "ModuleNotFoundError: No module named",
                                          "ImportError: cannot import name",
                                          "TypeError: name_scope_v2",
                                          "TypeError: Got an unexpected keyword argument"))
    outcomes, stderr = run
    assert outcomes[name] == "ran", stderr


def test_explain_lists_each_repair_once(run):
    lines = run[1].splitlines()
    for repair in ("numpy.float: is float now", "Queue: is queue now",
                   "scipy.misc: a stand-in of slim_resnet",
                   "tensorflow.contrib.training.HParams: a stand-in of slim_resnet"):
        assert lines.count(f"slim-resnet run: {repair}") == 1, repair
