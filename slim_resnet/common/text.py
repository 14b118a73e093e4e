"""Text that others wrote, safe to show: names of files, classes and variables, records."""

import html


def printable(text: str) -> str:
    """Returns a text with "?" for all that a line, a terminal or a document cannot hold.

    These are controls (escape sequences, bells, ends of lines), what turns or hides other
    characters, and lone surrogates, which stand for bytes that are not UTF-8.
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def escaped(text: str | float) -> str:
    """Returns a text, or a number, as markup that shows it; in quoted attributes too."""
    return html.escape(printable(str(text)))
