"""The table of names holds for the TensorFlow installed."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CODE = """
import json
from slim_resnet.tf1 import facade, names, sources
from slim_resnet.tf1.absent import Absent

MISSING = sources.MISSING

def get(path):
    parent, _, name = path.rpartition(".")
    return getattr(facade.find(parent), name)

def is_absent(path):
    try:
        return isinstance(get(path), Absent)
    except AttributeError:
        return None

print(json.dumps({
    "sources": [source for modules in names.MODULES.values() for source in modules
                if sources.load(source) is MISSING],
    "names": [path for path, source in names.NAMES.items() if sources.load(source) is MISSING],
    "moved": [f"{path}.{name}" for path, moved in facade.PYTHON_NAMES.items()
              for name, to in moved.items() if to and isinstance(get(f"{path}.{name}"), Absent)],
    "whole": [path for path in names.WHOLE if not callable(get(path))],
    "reordered": [path for path in names.REORDERED if not callable(get(path))],
    "not lost": [f"{path}.{name}" for path, lost in facade.CONTRIB_NAMES.items()
                 for name in lost if not is_absent(f"{path}.{name}")],
    "before 1.15": [path for path in names.BEFORE_1_15 if is_absent(path) is not None],
    "lost contrib": [name for name in names.LOST_CONTRIB if not is_absent(f"contrib.{name}")],
}))
"""


@pytest.mark.slow
def test_every_entry_of_the_table_leads_where_it_says():
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wrong = json.loads(done.stdout)
    newer = wrong.pop("sources")
    # TensorBoard is no part of TensorFlow from 2.21 on; TensorFlow 2.12 is older than some.
    assert set(newer) <= {"tensorboard.plugins.projector"}, newer
    lost = wrong.pop("not lost")
    assert not any(wrong.values()), wrong
    assert len(lost) < 10, lost  # of more than 200; TensorFlow 2.12 has a few that 2.21 lacks
