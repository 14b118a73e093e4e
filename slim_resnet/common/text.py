"""Text that others wrote, safe to show: names of files, classes and variables, records."""

import html
import os
import textwrap
import unicodedata
from collections.abc import Iterable


def printable(text: str) -> str:
    """Returns a text with "?" for all that a line, a terminal or a document cannot hold.

    These are controls (escape sequences, bells, ends of lines), what turns or hides other
    characters, and lone surrogates, which stand for bytes that are not UTF-8.
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def escaped(text: str | float) -> str:
    """Returns a text, or a number, as markup that shows it; in quoted attributes too."""
    return html.escape(printable(str(text)))


def columns_of(text: str) -> int:
    """Returns how many columns of a terminal a text takes: two for a wide character."""
    return sum(0 if unicodedata.combining(character) else
               2 if unicodedata.east_asian_width(character) in "WF" else 1
               for character in text)


def wrapped(text: str, width: int | None, before: str = "") -> list[str]:
    """Returns a text's lines, broken between words only, ``before`` put before the first.

    Args:
      text: One line.
      width: Columns that there are; None for any number.
      before: What the other lines leave room for.
    """
    if width is None:
        return [before + text]
    return textwrap.wrap(text, max(width, len(before) + 20), initial_indent=before,
                         subsequent_indent=" " * len(before), break_long_words=False,
                         break_on_hyphens=False) or [before]


def shared_scope(names: Iterable[str]) -> str:
    """Returns the scope that all names share which have one, ``a/b`` of ``a/b/c``; may be empty."""
    parents = [name.rpartition("/")[0].split("/") for name in names if "/" in name]
    return "/".join(os.path.commonprefix(parents)) if parents else ""
