"""What the command line says, and Python in a process of its own."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def one_error_line(capsys):
    """Returns the only line on stderr, an error of ``slim-resnet benchmark``."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("slim-resnet benchmark: error: "), lines
    return lines[0]


def python(code):
    """Runs code in a new Python in the top folder; returns what it prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=ROOT).stdout
