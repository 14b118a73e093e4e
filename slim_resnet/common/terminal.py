"""The terminal that results go to: how wide it is, and what it can show.

``COLUMNS`` says another width; ``NO_COLOR`` and ``TERM=dumb`` that text is to be plain. What
is no terminal, a file or a pipe, is taken for 80 columns and plain text.
"""

import os
import shutil
import sys
from collections.abc import Iterable

from slim_resnet.common.tables import PLAIN, Look, Table
from slim_resnet.common.text import printable, wrapped

WIDTH = 80

# Strong and faint, not colours: they are right on dark and on light.
_STYLED = Look(lambda text: f"\x1b[1m{text}\x1b[0m", lambda text: f"\x1b[2m{text}\x1b[0m")


def width() -> int:
    """Returns how many columns stdout has."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def look() -> Look:
    """Returns how stdout shows what is more and what is less than the rest."""
    plain = (not sys.stdout.isatty() or os.environ.get("NO_COLOR")
             or os.environ.get("TERM") == "dumb")
    return PLAIN if plain else _STYLED


def table_lines(table: Table, wide: bool = False) -> list[str]:
    """Returns the lines of a table as stdout has room for them; all of it where ``wide``."""
    return table.lines(None if wide else width(), look())


def prose(text: str, wide: bool = False) -> list[str]:
    """Returns a line as lines that stdout has room for, broken between words."""
    return wrapped(printable(text), None if wide else width())


def show(lines: Iterable[str]) -> None:
    """Prints lines on stdout, with "?" for what its encoding cannot hold."""
    encoding = sys.stdout.encoding or "utf-8"
    print("\n".join(lines).encode(encoding, "replace").decode(encoding), flush=True)
