"""tf_slim mended by us against tf_slim untouched, over its layer functions' argument space."""

import inspect
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.layers import layers, normalization

from tests.helpers import slim_cases, slim_records

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "data" / "slim_layers.npz"
RUNS_UNTOUCHED = tf.__version__.split(".")[:2] == ["2", "12"]
CASES = slim_cases.cases()


@pytest.fixture(scope="session")
def golden():
    """What untouched tf_slim built and computed on TensorFlow 2.12.1."""
    about, records = slim_records.read(GOLDEN)
    assert about == {"tensorflow": "2.12.1"}
    return records


def check(names, expected):
    wrong = [f"{name} {CASES[name]}: {line}" for name in names
             for line in slim_records.differences(
                 CASES[name], expected[name], slim_records.record(CASES[name], slim, tf),
                 graphs=RUNS_UNTOUCHED)]
    assert not wrong, "\n".join(wrong)


def test_argument_space(golden, capsys):
    assert set(golden) == set(CASES)
    built = {name.rsplit("-", 1)[0] for name in CASES}
    whole = sum(slim_cases.product_size(space) for space in slim_cases.SPACES.values())
    refused = sum("fails" in facts for facts, _ in golden.values())
    with capsys.disabled():
        print(f"\n{len(CASES)} cases of {len(built)} spaces, out of {whole:,} combinations; "
              f"untouched tf_slim refuses {refused}")
    assert (len(CASES), refused) == (819, 90)
    covered = {key.split()[0] for key in built}
    public = {name for name in (*layers.__all__, *normalization.__all__)
              if callable(getattr(slim, name))}
    assert public <= covered | slim_cases.OTHER_NAMES | slim_cases.UNTOUCHED_FUNCTIONS
    # Every argument of batch_norm is tried, but for its names and two plain numbers.
    tried = {argument for key, space in slim_cases.SPACES.items()
             if key.startswith("batch_norm") for argument in space}
    arguments = set(inspect.signature(layers.batch_norm).parameters)
    assert arguments - tried == {"inputs", "scope", "reuse", "data_format", "epsilon",
                                 "renorm_clipping", "renorm_decay"}


@pytest.mark.parametrize("function", ["batch_norm layer", "batch_norm renorm", "conv2d"])
def test_some_cases_equal_untouched_tf_slim(function, golden):
    check([name for name in CASES if name.startswith(function + "-")][:4], golden)


@pytest.mark.slow
@pytest.mark.parametrize("function", slim_cases.SPACES)
def test_all_cases_equal_untouched_tf_slim(function, golden):
    check([name for name in CASES if name.startswith(function + "-")], golden)


@pytest.mark.slow
@pytest.mark.skipif(not RUNS_UNTOUCHED,
                    reason="tf-slim 1.1.0 runs unmended on TensorFlow 2.12 at the latest")
def test_golden_records_are_what_an_untouched_process_records(golden, tmp_path):
    path = tmp_path / "untouched.npz"
    subprocess.run([sys.executable, "-W", "ignore", "-m", "tests.helpers.slim_records",
                    "--untouched", path], check=True, cwd=ROOT,
                   env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"})
    _, records = slim_records.read(path)
    wrong = [f"{name}: {line}" for name in CASES for line in slim_records.differences(
        CASES[name], golden[name], records[name], graphs=True)]
    assert not wrong, "\n".join(wrong)
