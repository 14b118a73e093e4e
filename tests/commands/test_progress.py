"""One line of progress on a terminal, a line a minute elsewhere, and a clean end."""

import io
import sys

import pytest

from slim_resnet import cli
from slim_resnet.commands import progress, progress_line
from slim_resnet.errors import SlimResnetError

ERASE = "\r\x1b[K"


class Screen:
    """A terminal that stdout and stderr share: the lines that a person sees."""

    encoding = "utf-8"

    def __init__(self):
        self.lines, self.column = [""], 0

    def isatty(self):
        return True

    def flush(self):
        pass

    def fileno(self):
        raise io.UnsupportedOperation

    def write(self, text):
        while text:
            if text.startswith("\x1b[K"):
                self.lines[-1] = self.lines[-1][:self.column]
                text = text[3:]
                continue
            character, text = text[0], text[1:]
            if character == "\n":
                self.lines.append("")
                self.column = 0
            elif character == "\r":
                self.column = 0
            else:
                line = self.lines[-1]
                self.lines[-1] = line[:self.column] + character + line[self.column + 1:]
                self.column += 1


@pytest.fixture
def clock(monkeypatch):
    """A list whose last item is the time."""
    times = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: times[-1])
    return times


def a_screen(monkeypatch):
    """Returns a `Screen` that stdout and stderr go to for the rest of a test."""
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    return screen


def test_bar_rate_and_time_left(clock, monkeypatch):
    screen = a_screen(monkeypatch)
    shown = progress_line.Progress("images", 400, done=100)
    clock.append(10.0)
    shown.at(200)
    # 100 in 10 s, 200 to go.
    assert screen.lines == ["━" * 15 + "─" * 15 + " 200 of 400 images (50 %)  10.0/s  0:20 left"]
    clock.append(10.05)
    shown.at(201)
    assert "200 of" in screen.lines[0]  # too soon to draw
    clock.append(400.0)
    shown.at(203)
    assert "203 of 400 images (51 %)  3.9 s each  12:45 left" in screen.lines[0]
    shown.close()
    assert screen.lines == [""]


def test_bytes_and_what_has_no_end(clock, monkeypatch):
    screen = a_screen(monkeypatch)
    shown = progress_line.Progress("bytes", 25_000_000)
    clock.append(2.0)
    shown.at(5_000_000)
    assert screen.lines[0].endswith("5.00 MB of 25.0 MB (20 %)  2.50 MB/s  0:08 left")
    endless = progress_line.Progress("images")
    clock.append(4.0)
    endless.at(1234)
    assert screen.lines == ["1,234 images  617.0/s"]


@pytest.mark.parametrize("width, shown", [
    (60, "━━━━━━━━─────── 200 of 400 images (50 %)  10.0/s  0:20 left"),
    (50, "200 of 400 images (50 %)  10.0/s  0:20 left"),
    (40, "200 of 400 images (50 %)  10.0/s  0:20"), (12, "200 of 400")])
def test_narrow_terminals(width, shown, clock, monkeypatch):
    screen = a_screen(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(width))
    one = progress_line.Progress("images", 400)
    clock.append(20.0)
    one.at(200)
    # A full last column would begin another line on some terminals.
    assert len(screen.lines[0]) < width and [screen.lines[0].rstrip()] == [shown]


def test_what_is_said_meanwhile_stands_above(clock, monkeypatch):
    screen = a_screen(monkeypatch)
    for number, _ in enumerate(progress.with_progress("abc", 3, "letters"), 1):
        clock.append(clock[-1] + 1)
        if number == 1:
            progress.say("classify", "what is assumed")
            progress.show("a result")
            assert screen.lines[:2] == ["slim-resnet classify: what is assumed", "a result"]
            assert "1 of 3 letters" in screen.lines[2]
    print("results")
    assert screen.lines == ["slim-resnet classify: what is assumed", "a result", "results", ""]


def test_lines_of_measuring_go_above(clock, monkeypatch):
    screen = a_screen(monkeypatch)
    with progress_line.counted_steps() as on_step:
        for step in range(1, 4):
            clock.append(clock[-1] + 2)
            print("step", step)
            on_step(step, 3)
            assert f"{step} of 3 steps" in screen.lines[-1]
        print("another network")
        on_step(1, 3)
        assert "1 of 3 steps" in screen.lines[-1] and "left" not in screen.lines[-1]
    assert screen.lines == ["step 1", "step 2", "step 3", "another network", ""]
    assert sys.stdout is screen


def test_elsewhere_a_line_a_minute(clock, capsys, progress_each_minute):
    for second in progress.with_progress(range(1, 151), 150, "images"):
        clock.append(float(second))
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == [
        "slim-resnet: 61 of 150 images (41 %)  1.0/s  1:28 left",
        "slim-resnet: 121 of 150 images (81 %)  1.0/s  0:29 left"]


def test_a_dumb_terminal_gets_no_escape_sequence(clock, monkeypatch):
    screen = a_screen(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    list(progress.with_progress("ab", 2))
    assert screen.lines == [""]


@pytest.mark.parametrize("error, status, said", [
    (KeyboardInterrupt(), 130, "test: interrupted"),
    (SlimResnetError("no good"), 2, "test: error: no good")])
def test_whatever_ends_a_command_its_line_is_erased_first(error, status, said, monkeypatch):
    screen = a_screen(monkeypatch)

    def run(arguments):
        items = progress.with_progress("ab", 2)
        next(items)
        assert "1 of 2 images" in screen.lines[-1]
        screen.write("^C")  # as a terminal echoes it
        raise error

    parser = cli.Parser(prog="test")
    parser.set_defaults(run=run)
    assert cli.run(parser, []) == status
    assert screen.lines == [said, ""]
