"""Plain-text tables."""

import re

_NUMERIC = re.compile(r"[-+\d.,/ ]*|\d\S*e[-+]\d+")


def format_table(headers, rows):
    """Returns the lines of a table: header, rule, and a line a row.

    Args:
      headers: Column names.
      rows: Rows of cells, None for an empty one. Columns of numbers go to
        the right, others to the left.
    """
    columns = [["" if cell is None else str(cell) for cell in column] for column in zip(*rows)]
    if not columns:
        return []
    lines = [[] for _ in range(len(rows) + 2)]
    for header, column in zip(headers, columns):
        width = max(map(len, [header, *column]))
        adjust = str.rjust if all(map(_NUMERIC.fullmatch, column)) else str.ljust
        for line, cell in zip(lines, [header, "-" * width, *column]):
            line.append(adjust(cell, width))
    return ["  ".join(line).rstrip() for line in lines]
