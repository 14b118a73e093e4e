"""Plain-text tables that fit into a width: pure functions over plain data.

What a table gives up where there is no room is its own: keys lose the scope that they share,
which is said once above; numbers are short; columns go in the order that the table states,
and a last line names them. A row that is still too long takes several lines, its first column
the first. Nothing is cut. Without a width everything is there, and exact.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from slim_resnet.common.text import columns_of, printable, shared_scope, wrapped

_NUMERIC = re.compile(r"[-+?\d.,/ …]*|-?\d\S*e[-+]\d+|[\d.]+ ([kMGTPE]?B|[kMGTPE])")
_GAP = 2
# Names without the shared scope that the line above the table lists, at most.
_EXCEPTIONS = 4


class Look(NamedTuple):
    """How a terminal shows what is more and what is less than the rest."""

    strong: Callable[[str], str] = str
    faint: Callable[[str], str] = str


PLAIN = Look()


class Column(NamedTuple):
    """One column of a `Table`.

    Attributes:
      name: Its header.
      cells: A cell a row, whatever they hold, None for an empty one.
      short: The cells of a table with a width, which may have other rows; None for the same.
      short_name: Its header there; None for the same.
    """

    name: str
    cells: Sequence[Any]
    short: Sequence[Any] | None = None
    short_name: str | None = None


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; see the module.

    Attributes:
      columns: A list of `Column`; the first says what a row is of.
      give_up: Headers of the columns that are left out where there is no room, the first
        of them first. Others stay.
      names: What the first column holds, such as ``Keys``, if names that may share a
        scope; None for other things.
      sums: How many of the last rows are sums, whose first cell is no name.
      said: A line above the table where it has a width, instead of the one about names.
    """

    columns: Sequence[Column]
    give_up: Sequence[str] = ()
    names: str | None = None
    sums: int = 0
    said: str | None = None

    def exact(self) -> tuple[list[str], list[list]]:
        """Returns headers, and rows of cells, of all columns."""
        return ([column.name for column in self.columns],
                [list(row) for row in zip(*(column.cells for column in self.columns))])

    def lines(self, width: int | None = None, look: Look = PLAIN) -> list[str]:
        """Returns the table as lines.

        Args:
          width: Columns of the terminal; None for any number, and everything exact.
          look: How headers and what is beside the table are shown.
        """
        if not self.columns[0].cells:
            return []
        if width is None:
            return _lines([_Laid(column.name, column.cells) for column in self.columns], look)
        first, *others = self.columns
        said, cells = self.said, list(first.cells if first.short is None else first.short)
        if self.names:
            count = len(cells) - self.sums
            said, without = without_scope(cells[:count], self.names)
            cells[:count] = without
        laid = {first.name: _Laid(first.short_name or first.name, cells)}
        for column in others:
            laid[column.name] = _Laid(column.short_name or column.name,
                                      column.cells if column.short is None else column.short)
        kept, left_out = self._fitting(laid, width)
        if _width(kept.values()) > width and others:
            # The first column is on a line of its own.
            header = laid.pop(first.name)
            kept, left_out = self._fitting(laid, width - _GAP)
            lines = _stacked(header, list(kept.values()), width - _GAP, look)
        else:
            lines = _lines(list(kept.values()), look)
        note = [] if not left_out else wrapped(
            f"Left out for want of room: {', '.join(left_out)}; --wide has all columns.", width)
        return [*map(look.faint, wrapped(said, width) if said else []), *lines,
                *map(look.faint, note)]

    def markdown(self) -> list[str]:
        """Returns the lines of the whole table in Markdown."""
        return format_markdown(*self.exact())

    def _fitting(self, laid, width):
        """Returns the columns that are kept, and the headers of those that are not."""
        kept, left_out = dict(laid), []
        for name in self.give_up:
            if _width(kept.values()) <= width:
                break
            left_out.append(kept.pop(name).name)
        return kept, left_out


def without_scope(names: Sequence[str], what: str) -> tuple[str | None, list[str]]:
    """Takes off the scope that all names share, or all but a few.

    Args:
      names: Such as keys of end points.
      what: What they are, in the plural.

    Returns:
      A line that says what was taken off and of which not, or None if nothing was; and
      the names without it.
    """
    names = [printable(name) for name in names]
    scope = f"{shared_scope(names)}/"
    without = [name.removeprefix(scope) for name in names]
    others = [name for name in names if not name.startswith(scope)]
    if (scope == "/" or len(names) - len(others) < 2 or len(others) > _EXCEPTIONS
            or len(set(without)) < len(set(names))):
        return None, names
    *before, last = others or [None]
    but = "" if last is None else f", but for {', '.join(before)}{' and ' * bool(before)}{last}"
    return f"{what} begin with {scope}{but}.", without


class _Laid:
    """A column as it is shown."""

    def __init__(self, name, cells):
        self.name, self.cells = name, _texts(cells)
        self.width = max(map(columns_of, [name, *self.cells]))
        self._to_the_right = _is_numeric(self.cells)

    def adjusted(self, text):
        room = " " * (self.width - columns_of(text))
        return room + text if self._to_the_right else text + room

    def lines(self):
        """Returns header, rule and cells, all of one width."""
        return [self.adjusted(self.name), "-" * self.width, *map(self.adjusted, self.cells)]


def _width(columns):
    return sum(column.width + _GAP for column in columns) - _GAP


def _lines(columns, look, indent=""):
    header, rule, *rows = (indent + (" " * _GAP).join(line).rstrip()
                           for line in zip(*(column.lines() for column in columns)))
    return [look.strong(header), look.faint(rule), *rows]


def _stacked(first, columns, width, look):
    """Returns lines of a table whose first column is on lines of its own, the others below."""
    groups = []
    for column in columns:
        if not groups or _width([*groups[-1], column]) > width:
            groups.append([])
        groups[-1].append(column)
    laid = [_lines(group, look, " " * _GAP) for group in groups]
    headers, rules, *rows = zip(*laid)
    lines = [look.strong(first.name), *headers, max(rules, key=len)]
    for name, row in zip(first.cells, rows):
        lines += [name, *filter(str.strip, row)]
    return lines


def format_table(headers: Sequence[str], rows: Sequence[Sequence]) -> list[str]:
    """Returns the lines of a table, however wide: header, rule, and a line a row.

    Args:
      headers: Column names.
      rows: Rows of cells, whatever they hold, None for an empty one. Columns of numbers go to
        the right, others to the left.
    """
    return Table([Column(*both) for both in zip(headers, zip(*rows))]).lines() if rows else []


def format_markdown(headers: Sequence[str], rows: Sequence[Sequence]) -> list[str]:
    """Returns the lines of the same table in Markdown."""
    columns = [_texts(column) for column in zip(*rows)]
    rules = ["---:" if _is_numeric(column) else "---" for column in columns]
    return ["| " + " | ".join(line) + " |" for line in (headers, rules, *zip(*columns))]


def _texts(cells):
    return ["" if cell is None else printable(str(cell)) for cell in cells]


def _is_numeric(column):
    return all(map(_NUMERIC.fullmatch, column))
