"""Plain-text tables."""

import re
from collections.abc import Sequence

from slim_resnet.common.text import printable

_NUMERIC = re.compile(r"[-+?\d.,/ ]*|\d\S*e[-+]\d+")


def format_table(headers: Sequence[str], rows: Sequence[Sequence]) -> list[str]:
    """Returns the lines of a table: header, rule, and a line a row.

    Args:
      headers: Column names.
      rows: Rows of cells, whatever they hold, None for an empty one. Columns of numbers go to
        the right, others to the left.
    """
    columns = _columns(rows)
    if not columns:
        return []
    lines = [[] for _ in range(len(rows) + 2)]
    for header, column in zip(headers, columns):
        width = max(map(len, [header, *column]))
        adjust = str.rjust if _is_numeric(column) else str.ljust
        for line, cell in zip(lines, [header, "-" * width, *column]):
            line.append(adjust(cell, width))
    return ["  ".join(line).rstrip() for line in lines]


def format_markdown(headers: Sequence[str], rows: Sequence[Sequence]) -> list[str]:
    """Returns the lines of the same table in Markdown."""
    columns = _columns(rows)
    rules = ["---:" if _is_numeric(column) else "---" for column in columns]
    return ["| " + " | ".join(line) + " |" for line in (headers, rules, *zip(*columns))]


def _columns(rows):
    return [["" if cell is None else printable(str(cell)) for cell in column]
            for column in zip(*rows)]


def _is_numeric(column):
    return all(map(_NUMERIC.fullmatch, column))
