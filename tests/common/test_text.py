"""Foreign text on a terminal: no escape sequence, bell or end of line of others'."""

import os

import numpy as np
import pytest

from slim_resnet.cli import main
from slim_resnet.commands import progress
from slim_resnet.common.tables import format_markdown, format_table
from slim_resnet.common.text import printable
from tests.helpers import checkpoints, pictures

HOSTILE = "a\x1b[2Jb\x07c\rd\ne\u202ef\udcffg\x9bh"
SHOWN = "a?[2Jb?c?d?e?f?g?h"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("net") / "net.ckpt")


def check(text):
    """Fails if a text holds a control character but for ends of its own lines."""
    assert all(line.isprintable() for line in text.split("\n")), repr(text)
    assert "\u202e" not in text


def test_printable():
    assert printable(HOSTILE) == SHOWN
    assert printable("naïve 猫 100 %") == "naïve 猫 100 %"


def test_tables():
    for table in (format_table, format_markdown):
        lines = table(["name", "value"], [[HOSTILE, 1]])
        assert SHOWN in lines[2] and len(lines) == 3
        check("\n".join(lines))


def test_what_is_said(capsys):
    progress.say("classify", f"{HOSTILE}: no")
    assert capsys.readouterr().err == f"slim-resnet classify: {SHOWN}: no\n"


@pytest.mark.parametrize("words", [
    ["classify", HOSTILE, "x.jpg"], ["classify", "x.ckpt", HOSTILE], ["train", HOSTILE,
     "--output", "x", "--model", "resnet_v2_50", "--steps", "1"],
    ["checkpoint", "describe", HOSTILE], ["evaluate", "x.ckpt", HOSTILE],
    ["export", HOSTILE, "x", "--format", "npz"], ["report", HOSTILE, "x", "--output", HOSTILE]])
def test_errors_are_one_printable_line(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    check(err)


@pytest.mark.parametrize("words", [[HOSTILE], ["classify", "--" + HOSTILE],
                                   ["benchmark", "--models", HOSTILE]])
def test_usage_errors_are_one_printable_line(words, capsys):
    try:
        status = main(words)
    except SystemExit as error:
        status = error.code
    _, err = capsys.readouterr()
    assert status == 2 and err.count("\n") == 1
    check(err)


def test_names_of_files_and_classes(net, tmp_path, capsys):
    good, bad = (os.path.join(tmp_path, HOSTILE + name) for name in (".png", "x.png"))
    os.link(pictures.write_png(tmp_path / "a" / "a.png", 0), good)
    with open(bad, "wb") as file:
        file.write(b"words\x1b[31m")
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"c\x1b]0;{k}\x07" for k in range(10)), encoding="utf-8")
    assert main(["classify", net.path, good, bad, "--image-size", "32",
                 "--labels", str(labels)]) == 2
    out, err = capsys.readouterr()
    check(out)
    check(err)
    assert SHOWN + ".png:" in out and "c?]0;" in out and out.count("\n") == 7
    assert SHOWN + "x.png: cannot be read:" in err


@pytest.mark.slow
def test_names_of_class_folders_and_records(net, tmp_path, capsys):
    for k in range(10):
        pictures.write_png(tmp_path / "data" / f"{k}{HOSTILE}" / "a.png", k)
    assert main(["evaluate", net.path, str(tmp_path / "data"), "--image-size", "32"]) == 0
    out, err = capsys.readouterr()
    check(out)
    check(err)
    np.savez(tmp_path / "d.npz", images=np.zeros([1, 8, 8, 3], np.uint8), labels=[0],
             classes=[HOSTILE.replace("\udcff", "")])
    assert main(["evaluate", net.path, str(tmp_path / "d.npz")]) in (0, 2)
    check("".join(capsys.readouterr()))


def test_markdown_table():
    assert format_markdown(("a", "b"), [["x|y", 1], [None, "2,000"]]) == [
        "| a | b |", "| --- | ---: |", "| x|y | 1 |", "|  | 2,000 |"]
