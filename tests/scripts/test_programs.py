"""The programs in scripts/ as they are run: from a checkout, in any folder."""

import os
import pathlib
import subprocess
import sys

import pytest

from scripts import accuracy
from slim_resnet import cli
from tests.helpers import pictures

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = sorted(path for path in (ROOT / "scripts").glob("*.py")
                  if "__main__" in path.read_text())


def started(program, *words, **options):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([sys.executable, program, *words], env=environment, text=True,
                          capture_output=True, **options)


def test_every_program_is_in_the_table_of_the_readme():
    table = [line for line in (ROOT / "scripts" / "README.md").read_text().splitlines()
             if line.startswith("| `")]
    assert sorted(line.split("`")[1] for line in table) == [path.name for path in PROGRAMS]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_they_need_no_installation(program, tmp_path):
    child = started(program, "--help", cwd=tmp_path)
    assert child.returncode == 0 and child.stderr == ""
    name = "slim-resnet benchmark" if program.stem == "benchmark" else program.name
    assert child.stdout.startswith(f"usage: {name} ")


def test_bad_options_are_one_line(tmp_path):
    child = started(ROOT / "scripts" / "restore_cost.py", "--round", "2", cwd=tmp_path)
    assert (child.returncode, child.stdout) == (2, "")
    assert child.stderr == ("restore_cost.py: error: there is no option --round; did you mean "
                            "--rounds? (see restore_cost.py --help)\n")


@pytest.mark.slow
def test_the_post_s_experiment_runs_from_a_checkout(tmp_path):
    child = started(ROOT / "scripts" / "benchmark.py", "--model", "resnet_v2_50", "--num_batches",
                    "2", "--burn_in", "0", "--batch_size", "1", "--image_size", "32", cwd=tmp_path)
    assert child.returncode == 0
    assert "Forward across 2 steps, " in child.stdout.splitlines()[-1]


@pytest.mark.slow
def test_accuracy(tmp_path, capsys):
    paths = [pictures.write_png(tmp_path / f"{i}.png", i) for i in range(2)]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert cli.run(accuracy.build_parser(), [*paths, str(tmp_path / "broken.png"), "--models",
                                             "resnet_v2_50", "--image-size", "32"]) == 2
    out, err = capsys.readouterr()
    name, precision, images, top_1, top_5, logits, layer = out.splitlines()[-1].split()
    assert (name, precision, images) == ("resnet_v2_50", "float32", "2")
    assert float(top_1) == float(top_5) == 100
    assert 0 < float(logits) < 1e-3 and 0 < float(layer) < 1e-2
    assert err.startswith(f"accuracy.py: {tmp_path}/broken.png: cannot be read: ")
