"""What the command line says, and Python in a process of its own."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def strides(command):
    """Returns what is said of every network of residual units whose strides nobody has said."""
    return (f"slim-resnet {command}: strides: slim's, for no checkpoint records them: 2 in the "
            "last unit of block1")


def assumed_images(command):
    """Returns what is said of images of 32 pixels whose preparation nobody has said."""
    return (f"slim-resnet {command}: images: 32 pixels; inception (central, values from -1 to 1), "
            "assumed")


def one_error_line(capsys):
    """Returns the only line on stderr, an error of ``slim-resnet benchmark``."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("slim-resnet benchmark: error: "), lines
    return lines[0]


def python(code):
    """Runs code in a new Python in the top folder; returns what it prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=ROOT).stdout
