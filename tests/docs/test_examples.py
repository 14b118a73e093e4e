"""Every example of README, docs and help, run: commands and Python alike, a page at a time.

The files that they name are made here: a checkpoint of slim's with few channels stands for
``resnet_v2_50``, noise for photographs, a few lines for scripts. What takes long is run with
fewer steps, and what Ray would share is done here. TensorFlow 1 is for a whole process, so
scripts of it get one each.
"""

import glob
import importlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile

import pytest

from slim_resnet import cli, resnet_v1, resnet_v2
from slim_resnet.experiments import photographs
from tests.helpers import checkpoints, pictures, ray_nodes, timing_records

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Added to a line of a command or with an option, where the last value of an option counts.
SMALLER = {
    "evaluate": ["--image-size", "32"],
    "benchmark": ["--num-batches", "1", "--burn-in", "0", "--batch-size", "1"],
    "train": ["--steps", "2", "--batch-size", "2", "--image-size", "32"],
    "--time": ["--num-batches", "1", "--burn-in", "0", "--batch-size", "1"],
    "report": ["--image-size", "64"],
    "pictures": ["--image-size", "64"],
    "degradation": ["--layers", "7", "--seeds", "1", "--steps", "2"],
}
SCRIPT = """
import tensorflow as tf
slim = tf.contrib.slim
tf.app.flags.DEFINE_float("learning_rate", 0.5, "rate of the optimizer")
def main(_):
    net = slim.conv2d(tf.ones([1, 4, 4, 1]), 2, 3)
    rate = tf.constant(tf.app.flags.FLAGS.learning_rate)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        print(*sess.run(net).shape, sess.run(rate))
tf.app.run(main)
"""


def commands_of(text, indent="(    )?"):
    """Returns the words of each command of indented and fenced blocks, continued lines joined.

    A help's prose may wrap before a command's name: its examples stand indented.
    """
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [shlex.split(line) for line in lines if re.match(indent + "slim-resnet ", line)]


def expanded(word):
    """Returns what a shell makes of a word: braces, then files of a pattern, if there are any."""
    braces = re.search(r"\{(.+)\}", word)
    words = [word.replace(braces[0], part) for part in braces[1].split(",")] if braces else [word]
    return [name for word in words for name in sorted(glob.glob(word)) or [word]]


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    checkpoint = folder / "resnet_v2_50.ckpt"
    checkpoints.write(checkpoint, checkpoints.slim_builder((2, 1, 1, 1), 1001),
                      checkpoints.V1)
    with tarfile.open(folder / "resnet_v2_50_2017_04_14.tar.gz", "w:gz") as archive:
        archive.add(checkpoint, "resnet_v2_50.ckpt")
    for number in range(3):
        pictures.write_png(folder / "photos" / f"{number}.png", number)
        for kind in ("daisy", "rose"):
            pictures.write_png(folder / "flowers" / kind / f"{number}.png", number)
    shutil.copy(folder / "photos" / "0.png", folder / "photo.jpg")
    for number in range(1000):
        validation = folder / "imagenet" / "validation" / f"n{number:08d}"
        validation.mkdir(parents=True)
        os.link(folder / "photos" / f"{number % 3}.png", validation / "0.png")
    (folder / "imagenet.txt").write_text("".join(f"class {k}\n" for k in range(1, 1001)))
    (folder / "tfrecords").mkdir()
    for shard in range(2):
        pictures.write_records(
            folder / "tfrecords" / f"validation-{shard:05d}-of-00002",
            [pictures.record((folder / "photos" / f"{number}.png").read_bytes(), number + 1)
             for number in range(3)])
    (folder / "run.json").write_text(json.dumps(timing_records.record()))
    (folder / "project").mkdir()
    for name in ("blog.py", "train.py", "project/train.py"):
        (folder / name).write_text(SCRIPT)
    return folder


@pytest.fixture
def folder(files, tmp_path, monkeypatch):
    copy = tmp_path / "files"
    shutil.copytree(files, copy, copy_function=os.link)
    monkeypatch.chdir(copy)
    monkeypatch.setattr(photographs, "PHOTOGRAPHS", ("astronaut", "chelsea", "coffee"))
    monkeypatch.setattr(photographs, "NUM_CROPS", {"train": 2, "test": 1})
    for versions in (resnet_v1, resnet_v2):
        monkeypatch.setitem(versions.DEPTHS, 50, (1, 1, 1, 1))
    return copy


def in_own_process(*words):
    """Runs Python with words behind it, which must succeed; returns what it prints."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr}"
    return done.stdout


def run(words, capsys):
    if words[1] == "run":
        printed = in_own_process("-m", "slim_resnet", *words[1:])
        if not words[2].startswith(("--check", "--port")):
            rate = 0.1 if "--learning_rate=0.1" in words else 0.5
            assert printed == f"1 4 4 2 {rate}\n", shlex.join(words)
        return
    # Depth adds to an example nothing but time; that of 50 has a unit a block here.
    words = ["resnet_v2_50" if word == "resnet_v2_152" else word for word in words]
    smaller = next((SMALLER[word] for word in words if word in SMALLER), [])
    is_on_ray = any(word.startswith("--ray") for word in words)
    if is_on_ray:
        # No store can be asked here.
        words = [word.replace("s3://bucket/", "") for word in words]
    with pytest.MonkeyPatch.context() as patch:
        if is_on_ray:
            ray_nodes.without_ray(patch)
        status = cli.main([name for word in words[1:] for name in expanded(word)] + smaller)
    assert status == 0, f"{shlex.join(words)}: {capsys.readouterr().err}"
    capsys.readouterr()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page(page, folder, capsys):
    for words in commands_of(page.read_text()):
        run(words, capsys)


def test_commands_of_pages_are_found():
    assert sum(len(commands_of(page.read_text())) for page in PAGES) > 20


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_examples_of_help(command, folder, capsys):
    module = importlib.import_module(f"slim_resnet.commands.{command.replace('-', '_')}")
    found = commands_of(module.__doc__, indent="    ")
    assert found, f"slim-resnet {command} --help has no example"
    for words in found:
        run(words, capsys)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_of_a_page(page, folder):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    if any("slim_resnet.tf1" in block for block in blocks):
        in_own_process("-c", "\n".join(blocks))
        return
    names = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
