"""Every table of every command, as text at three widths."""

import pytest

from slim_resnet.cli import main
from slim_resnet.end_points import table
from tests.helpers import golden_tables


@pytest.mark.parametrize("name", golden_tables.TABLES)
@pytest.mark.parametrize("width", golden_tables.WIDTHS)
def test_table(name, width):
    shown = golden_tables.text(name, width)
    assert shown == (golden_tables.FOLDER / f"{name}-{width}.txt").read_text(encoding="utf-8")
    assert max(map(len, shown.splitlines())) <= width


def test_there_are_no_other_golden_files():
    assert {path.stem for path in golden_tables.FOLDER.iterdir()} == {
        f"{name}-{width}" for name in golden_tables.TABLES for width in golden_tables.WIDTHS}


@pytest.mark.parametrize("name", golden_tables.TABLES)
def test_the_widest_leave_nothing_out_that_has_no_need_to(name):
    """What has room for everything has every column, and names none."""
    whole = golden_tables.TABLES[name]()
    lines = whole.lines(10_000)
    headers = [column.short_name or column.name for column in whole.columns]
    assert any(" ".join(headers) == " ".join(line.split()) for line in lines)
    assert not lines[-1].startswith("Left out")


def test_the_command_prints_it(capsys, monkeypatch):
    words = ["end-points", "vgg_16", "--depth", "unit"]
    for width in (80, 160):
        monkeypatch.setenv("COLUMNS", str(width))
        assert main(words) == 0
        assert capsys.readouterr().out.startswith(
            (golden_tables.FOLDER / f"end-points-vgg_16-unit-{width}.txt").read_text(
                encoding="utf-8"))
    assert main([*words, "--wide"]) == 0
    wide = capsys.readouterr().out.splitlines()
    rows = table.select(golden_tables.summary("vgg_16")[0], depth="unit")
    assert [line.split()[0] for line in wide[2:-2]] == [row.key for row in rows]
    assert all(f" {row.parameters:,} " in line for row, line in zip(rows, wide[2:]))
