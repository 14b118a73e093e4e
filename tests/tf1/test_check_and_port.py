"""--check and --port: what they say and write, and that what they write runs."""

import ast
import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.tf1.kinds import KINDS

pytestmark = pytest.mark.slow

_REPOSITORY = pathlib.Path(__file__).parents[2]

# A project of several files; the text of each is checked against what it is ported to.
PROJECT = {
    "main.py": '''#!/usr/bin/env python
# -*- coding: utf-8 -*-
"""Trains."""
from __future__ import print_function

import os, sys
import numpy as np
import tensorflow as tf   # the library
from tensorflow.contrib import slim
from tensorflow.contrib.framework import (
    add_arg_scope,  # kept
    arg_scope,
)
import tensorflow.contrib.layers as layers
import helper
from package import part


def network(x, layers):
    layers.anything_at_all()
    y = tf.contrib.layers.xavier_initializer()
    return slim.conv2d(x, 3, [1, 1], weights_initializer=y,   # \u00e4\u00f6\u00fc
                       weights_regularizer=slim.l2_regularizer(1e-4)), np.float(1)
''',
    "helper.py": '''import sys; import tensorflow as tf; from tensorflow.contrib import crf


def decode():
    """Uses what is gone."""
    return crf.viterbi_decode(), tf.contrib.seq2seq.BasicDecoder, tf.mul(1, 2)
''',
    "package/__init__.py": "",
    "package/part.py": '''from .inner import tf, slim
from . import inner

net = slim.flatten(tf.contrib.layers.flatten(tf.zeros([1, 2])))
''',
    "package/inner.py": '''import tensorflow as tf
slim = tf.contrib.slim
''',
    "unreached.py": "import tensorflow as tf\n",
    "settings.json": "{}",
}

PORTED = {
    "main.py": '''#!/usr/bin/env python
# -*- coding: utf-8 -*-
# Ported from TensorFlow 1 by slim-resnet VERSION: imports, and names that moved.
# Needs tensorflow 2.12 or later, tf-slim, slim-resnet, which mends it.
"""Trains."""
from __future__ import print_function

import os, sys
import numpy as np
import slim_resnet
import tf_slim
import tensorflow.compat.v1 as tf   # the library
tf.disable_v2_behavior()
import tf_slim as slim
from tf_slim import (
    add_arg_scope,  # kept
    arg_scope,
)
from tf_slim import layers
import helper
from package import part


def network(x, layers):
    layers.anything_at_all()
    y = tf_slim.xavier_initializer()
    return slim.conv2d(x, 3, [1, 1], weights_initializer=y,   # \u00e4\u00f6\u00fc
                       weights_regularizer=slim.l2_regularizer(1e-4)), float(1)
''',
    "helper.py": '''# Ported from TensorFlow 1 by slim-resnet VERSION: imports, and names that moved.
# Needs tensorflow 2.12 or later, slim-resnet.
import sys; from slim_resnet.tf1.absent import Absent; import tensorflow.compat.v1 as tf; \
tf.disable_v2_behavior(); crf = Absent("tensorflow.contrib.crf")


def decode():
    """Uses what is gone."""
    return crf.viterbi_decode(), tf.contrib.seq2seq.BasicDecoder, tf.mul(1, 2)
''',
    "package/__init__.py": "",
    "package/part.py": '''# Ported from TensorFlow 1 by slim-resnet VERSION: imports, and names that moved.
# Needs tensorflow 2.12 or later, tf-slim, slim-resnet, which mends it.
from tensorflow.compat.v1 import disable_v2_behavior
disable_v2_behavior()
import slim_resnet
import tf_slim
from .inner import tf, slim
from . import inner

net = slim.flatten(tf_slim.flatten(tf.zeros([1, 2])))
''',
    "package/inner.py": '''# Ported from TensorFlow 1 by slim-resnet VERSION: imports, and names that moved.
# Needs tensorflow 2.12 or later, tf-slim, slim-resnet, which mends it.
import slim_resnet
import tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
import tf_slim as slim
''',
}

BROKEN = {
    "python2.py": "import tensorflow as tf\nprint tf.zeros([2])\n",
    "star.py": "from tensorflow.contrib.crf import *\n",
    "unknown.py": "import no_such_package\ntry:\n    import no_such_other\nexcept ImportError:\n"
                  "    pass\n",
    "windows.py": "import tensorflow as tf\r\nx = tf.contrib.slim.flatten(tf.zeros([1, 2]))\r\n",
    "said.py": "import tensorflow as tf\nimport keras\nfrom importlib import import_module\n"
               "from Queue import Queue\n"
               "import_module('tensorflow.contrib.slim')\nprint(tf.__version__ > '1.4')\n"
               "print(getattr(tf.contrib, 'slim'), getattr(tf, 'zeros'))\n",
    "plain.py": "print('nothing of TensorFlow')\n",
}


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())


def drive(*words):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(_REPOSITORY)}
    done = subprocess.run(
        [sys.executable, _REPOSITORY / "tests/tf1/static_driver.py", *map(str, words)],
        env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the command lines below came to, by name: ``(status, stdout, stderr)``."""
    folder = tmp_path_factory.mktemp("projects")
    write(folder / "project", PROJECT)
    write(folder / "broken", BROKEN)
    (folder / "taken").mkdir()
    jobs = {
        "check": ("project", "--check --wide main.py --its-own"),
        "json": ("project", "--check --json main.py"),
        "module": ("project", "--check --json -m package.part"),
        "port": ("project", f"--port {folder / 'ported'} main.py"),
        "taken": ("project", f"--port {folder / 'taken'} main.py"),
        "no parent": ("project", f"--port {folder / 'no' / 'where'} main.py"),
        "no script": ("project", "--check nothing.py"),
        "folder": ("project", "--check package"),
        "no module": ("project", "--check -m nothing.at.all"),
        "json alone": ("project", "--json main.py"),
        "check and port": ("project", "--check --port x main.py"),
        "explain": ("project", "--check --explain main.py"),
        "python 2": ("broken", "--check --wide python2.py"),
        "port python 2": ("broken", f"--port {folder / 'python2'} python2.py"),
        "star": ("broken", f"--port {folder / 'star'} star.py"),
        "unknown": ("broken", "--check unknown.py"),
        "windows": ("broken", f"--port {folder / 'windows'} windows.py"),
        "said": ("broken", f"--port {folder / 'said'} said.py"),
        "plain": ("broken", "--check plain.py"),
        "port plain": ("broken", f"--port {folder / 'plain'} plain.py"),
    }
    for number, (text, _) in enumerate(KINDS.values()):
        write(folder / f"kind{number}", {"main.py": text.lstrip()})
        jobs[f"kind {number}"] = (f"kind{number}", f"--port {folder / f'out{number}'} main.py")
        jobs[f"check {number}"] = (f"kind{number}", "--check --json main.py")
    path = folder / "jobs.json"
    path.write_text(json.dumps([[str(folder / where), ["run", *words.split()]]
                                for where, words in jobs.values()]))
    found = dict(zip(jobs, drive("commands", path)))
    found["folder of all"] = folder
    return found


def test_the_check_names_what_is_missing_first_and_where(results):
    status, stdout, stderr = results["check"]
    assert status == 1 and stderr == ""
    lines = stdout.splitlines()
    rows = [line.split()[:2] for line in lines[2:-1]]
    assert rows[:3] == [["tf.contrib.crf", "missing"], ["tf.contrib.seq2seq", "missing"],
                        ["tf.mul", "missing"]]
    assert [status for _, status in rows] == sorted(
        (status for _, status in rows), key=["missing", "stand-in", "there"].index)
    assert "helper.py:1 and 1 more" in lines[2]
    assert "tf.multiply" in lines[4] and "helper.py:6" in lines[4]
    assert ["tf.contrib.slim.conv2d", "there"] in rows
    assert ["numpy.float", "stand-in"] in rows
    assert lines[-1].startswith(f"{len(rows)} names in 5 files: ")
    assert "3 missing" in lines[-1]


def test_the_check_as_json(results):
    status, stdout, _ = results["json"]
    report = json.loads(stdout)
    assert status == 1 and report["complete"] is False
    assert report["files"] == ["main.py", "helper.py", "package/__init__.py", "package/part.py",
                               "package/inner.py"]
    names = {name["name"]: name for name in report["names"]}
    assert names["tensorflow.contrib.slim.conv2d"]["places"] == ["main.py:22"]
    # By way of another file of the project.
    assert names["tensorflow.contrib.slim.flatten"]["places"] == ["package/part.py:4"]
    assert names["tensorflow.contrib.layers.flatten"]["places"] == ["package/part.py:4"]
    # An argument hides the module of that name.
    assert not any("anything" in name for name in names)


def test_a_module_is_checked_by_its_name(results):
    status, stdout, _ = results["module"]
    report = json.loads(stdout)
    assert status == 0 and report["complete"] is True
    assert set(report["files"]) == {"package/part.py", "package/__init__.py", "package/inner.py"}


@pytest.mark.parametrize("name", PORTED)
def test_a_file_is_ported_and_the_rest_of_it_kept(name, results):
    from slim_resnet import __version__
    text = (results["folder of all"] / "ported" / name).read_bytes().decode()
    assert text == PORTED[name].replace("VERSION", __version__)


def test_the_port_is_the_files_that_are_reached_and_says_what_is_gone(results):
    status, stdout, stderr = results["port"]
    assert status == 1
    assert stdout.startswith("wrote 5 files to ")
    assert [line.split(": ")[:2] for line in stderr.splitlines()] == [
        ["helper.py:1", "tensorflow.contrib.crf"], ["helper.py:6", "tensorflow.contrib.crf"],
        ["helper.py:6", "tensorflow.contrib.seq2seq"], ["helper.py:6", "tensorflow.mul"]]
    assert stderr.splitlines()[-1] == (
        "helper.py:6: tensorflow.mul: TensorFlow 1.15 has no such name; tf.multiply does its "
        "work; left as it is")
    folder = results["folder of all"] / "ported"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.*")} == set(PORTED)


def test_what_a_port_changes_or_cannot_change_is_said(results):
    status, _, stderr = results["said"]
    assert status == 1
    assert [line.split(": ")[:2] for line in stderr.splitlines()] == [
        ["said.py:2", "keras"], ["said.py:5", "tensorflow.contrib.slim"],
        ["said.py:6", "tensorflow.__version__"], ["said.py:7", "tensorflow.contrib.slim"]]
    text = (results["folder of all"] / "said/said.py").read_text()
    assert "\nfrom queue import Queue\n" in text


def test_lines_that_end_as_on_windows_keep_their_ends(results):
    assert results["windows"][0] == 0
    contents = (results["folder of all"] / "windows/windows.py").read_bytes()
    assert contents.count(b"\n") == contents.count(b"\r\n") > 4
    ast.parse(contents)
    assert b"\r\nx = tf_slim.flatten(tf.zeros([1, 2]))\r\n" in contents


def test_what_has_nothing_old_is_copied(results):
    assert results["plain"][:2] == [0, "0 names in 1 file: 0 there, 0 stood in for, 0 missing\n"]
    assert results["port plain"][0] == 0
    assert (results["folder of all"] / "plain/plain.py").read_text() == BROKEN["plain.py"]


@pytest.mark.parametrize("name, said", [
    ("taken", "taken: exists"), ("no parent", "does not exist; make it first"),
    ("no script", "nothing.py: no such script"), ("folder", "package: is a folder"),
    ("no module", "nothing.at.all: no such module"), ("json alone", "--json does not go"),
    ("check and port", "--port does not go"), ("explain", "--explain does not go"),
    ("port python 2", "python2.py:2: is Python 2; give --python2; nothing was written"),
    ("star", "star.py:1: from tensorflow.contrib.crf import * cannot be ported"),
])
def test_bad_input_is_one_line_and_nothing_is_written(name, said, results):
    status, stdout, stderr = results[name]
    assert (status, stdout) == (2, "")
    assert stderr.startswith("slim-resnet run: error: ") and said in stderr
    assert stderr.count("\n") == 1
    folder = results["folder of all"]
    assert not {"no", "python2", "star"} & {path.name for path in folder.iterdir()}
    assert not list((folder / "taken").iterdir())
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_files_that_cannot_be_read_are_said(results):
    status, stdout, _ = results["python 2"]
    assert status == 1
    assert "python2.py:2: is Python 2; give --python2" in stdout
    assert "nothing is said of the rest" in stdout.splitlines()[-1]


def test_packages_that_are_not_installed_are_said_unless_they_are_tried(results):
    status, stdout, _ = results["unknown"]
    assert status == 1
    assert "unknown.py:1: no_such_package is not installed" in stdout
    assert "no_such_other" not in stdout


def test_the_check_finds_all_of_the_programs_whole_but_one(results):
    incomplete = [kind for number, kind in enumerate(KINDS)
                  if results[f"check {number}"][0]]
    assert incomplete == ["names never called"]


def test_ported_programs_run_on_todays_tensorflow(results):
    folder = results["folder of all"]
    scripts = [folder / f"out{number}" / "main.py" for number in range(len(KINDS))]
    outputs = drive("scripts", *scripts)
    failed = {kind: output[-400:] for (kind, (_, expected)), output in zip(KINDS.items(), outputs)
              if expected not in output}
    assert not failed


def test_the_programs_do_not_run_as_they_are(results):
    folder = results["folder of all"]
    scripts = [folder / f"kind{number}" / "main.py" for number in range(len(KINDS))]
    outputs = drive("scripts", *scripts)
    assert not [kind for (kind, (_, expected)), output in zip(KINDS.items(), outputs)
                if expected in output]
