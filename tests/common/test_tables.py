"""Tables that fit: what is given up, in which order, and what never is."""

import io
import sys

import pytest

from slim_resnet.common import terminal, text
from slim_resnet.common.tables import Column, Look, Table, format_table, without_scope
from slim_resnet.common.units import clock, short_bytes, short_count

TABLE = Table([
    Column("name", ["net/a", "net/unit/b", "sum"]),
    Column("count", ["1,234,567", "5", "1,234,572"], ["1.23 M", "5", "1.23 M"], "n"),
    Column("kind", ["first", "second", None]),
    Column("more", [1, -2, None])], give_up=("more", "count"), names="Keys", sums=1)


@pytest.mark.parametrize("value, shown", [
    (0, "0"), (999, "999"), (1000, "1.00 k"), (9472, "9.47 k"), (99_949, "99.9 k"),
    (99_951, "100 k"), (999_499, "999 k"), (999_500, "1.00 M"), (2_360_000_000, "2.36 G"),
    (10_914_000_000, "10.9 G"), (10 ** 18, "1.00 E")])
def test_short_counts(value, shown):
    assert short_count(value) == shown


@pytest.mark.parametrize("value, shown", [
    (0, "0 B"), (512, "512 B"), (1_605_632, "1.61 MB"), (802_816, "803 kB"), (10 ** 9, "1.00 GB")])
def test_short_bytes(value, shown):
    assert short_bytes(value) == shown


def test_clock():
    assert [clock(seconds) for seconds in (0.4, 59.6, 3599, 3600, 36061)] == [
        "0:00", "1:00", "59:59", "1:00:00", "10:01:01"]


def test_without_a_width_everything_is_there_and_exact():
    assert TABLE.lines() == [
        "name            count  kind    more", "----------  ---------  ------  ----",
        "net/a       1,234,567  first      1", "net/unit/b          5  second    -2",
        "sum         1,234,572"]
    assert TABLE.exact()[1][0] == ["net/a", "1,234,567", "first", 1]


def test_what_is_given_up_and_when():
    said = ["Keys begin with net/."]
    whole = said + [
        "name         n  kind    more", "------  ------  ------  ----",
        "a       1.23 M  first      1", "unit/b       5  second    -2", "sum     1.23 M"]
    assert TABLE.lines(28) == whole
    assert TABLE.lines(27) == said + [
        "name         n  kind", "------  ------  ------", "a       1.23 M  first",
        "unit/b       5  second", "sum     1.23 M",
        "Left out for want of room:", "more; --wide has all", "columns."]
    assert TABLE.lines(22)[1:6] == TABLE.lines(27)[1:6]
    assert TABLE.lines(21)[1:6] == [
        "name    kind", "------  ------", "a       first", "unit/b  second", "sum"]
    # Too narrow for the two that stay: two lines a row, and room for the others again.
    assert TABLE.lines(13)[2:8] == [
        "name", "  kind", "  ------", "a", "  first", "unit/b"]


def test_two_lines_a_row_where_the_first_column_is_long():
    table = Table([Column("name", ["n" * 30, "m"]), Column("a", [1, 22]), Column("b", ["x", "y"])])
    assert table.lines(32) == [
        "name", "   a  b", "  --  -", "n" * 30, "   1  x", "m", "  22  y"]


def test_no_line_is_wider_than_there_is_room_and_none_is_cut():
    for width in range(12, 40):
        lines = TABLE.lines(width)
        # Prose is broken at words, of which the longest is 9.
        assert max(map(len, lines)) <= max(width, 20), width
        assert any("unit/b" in line for line in lines)
        assert all(("1.23" in line) == ("1.23 M" in line) for line in lines)


def test_empty_tables():
    assert Table([Column("a", []), Column("b", [])]).lines(80) == []
    assert format_table(["a"], []) == []


@pytest.mark.parametrize("names, said, without", [
    (["s/a", "s/b/c"], "Keys begin with s/.", ["a", "b/c"]),
    (["s/t/a", "s/t/b", "pool"], "Keys begin with s/t/, but for pool.", ["a", "b", "pool"]),
    (["s/a", "s/b", "x", "y", "z"], "Keys begin with s/, but for x, y and z.",
     ["a", "b", "x", "y", "z"]),
    # Nothing to take off, or what is left would be of two, or too many are without.
    (["a", "b"], None, None), (["s/a", "t/a"], None, None), (["s/a"], None, None),
    (["s/a", "s/b", "a"], None, None), (["s/a", "s/b", *"vwxyz"], None, None)])
def test_shared_scopes(names, said, without):
    assert without_scope(names, "Keys") == (said, without or names)


def test_columns_of_numbers_go_to_the_right():
    for cells in (["1.23 M", "5"], ["1.61 MB", "512 B"], ["67…147", "8"], ["-1.2e-05", "0.1"],
                  ["2 / 3", "-"]):
        short = min(cells, key=len)
        assert f"{short:>{max(map(len, cells))}}" in Table([Column("n", cells)]).lines(80)
    assert Table([Column("shape", ["?x7x7", "?"])]).lines()[3] == "?"


def test_wide_characters_take_two_columns():
    assert text.columns_of("a猫e\u0301") == 4
    lines = Table([Column("name", ["猫", "abc"]), Column("n", [1, 2])]).lines(80)
    assert lines[2:] == ["猫    1", "abc   2"]


def test_prose_is_broken_between_words():
    assert text.wrapped("one two three", 28, "what  ") == ["what  one two three"]
    assert text.wrapped("one two three four five six", 26, "what  ") == [
        "what  one two three four", "      five six"]
    assert text.wrapped("x" * 40, 20) == ["x" * 40]
    assert text.wrapped("a " * 100, None) == ["a " * 100]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_how_wide_and_what_look(monkeypatch):
    monkeypatch.setenv("COLUMNS", "123")
    assert terminal.width() == 123
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert terminal.look() == Look()
    monkeypatch.setattr(sys, "stdout", Terminal())
    lines = terminal.table_lines(TABLE)
    assert lines[0] == "\x1b[2mKeys begin with net/.\x1b[0m"
    assert lines[1].startswith("\x1b[1mname ") and lines[2].startswith("\x1b[2m---")
    # Weight, and no colour that a background could swallow.
    assert not any("\x1b[3" in line or "\x1b[4" in line for line in lines)
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert terminal.look() == Look()


def test_without_a_terminal_there_are_80_columns(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys, "__stdout__", io.StringIO())
    assert terminal.width() == 80


def test_what_an_encoding_cannot_hold_is_a_question_mark(monkeypatch, capsys):
    terminal.show(["├─ ×6"])
    assert capsys.readouterr().out == "├─ ×6\n"
    output = io.TextIOWrapper(io.BytesIO(), "latin-1")
    monkeypatch.setattr(sys, "stdout", output)
    terminal.show(["├─ ×6"])
    assert output.buffer.getvalue() == b"?? \xd76\n"
