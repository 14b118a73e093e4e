"""Plain-text tables."""


def format_table(headers, rows):
    """Returns lines of a table, first column left-aligned, the others right.

    Args:
      headers: Column names.
      rows: Rows of cells; a cell is text, or None for an empty one.
    """
    cells = [list(headers)] + [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = []
    for row in cells:
        first, *rest = row
        line = [first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:]))]
        lines.append("  ".join(line).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines
