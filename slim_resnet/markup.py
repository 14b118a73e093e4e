"""Any text, safe to stand in HTML, SVG and their quoted attributes."""

import html


def printable(text):
    """Returns a text with "?" for what a document cannot hold: controls, lone surrogates."""
    return "".join(character if character.isprintable() else "?" for character in text)


def escaped(text):
    """Returns a text, or a number, as markup that shows it."""
    return html.escape(printable(str(text)))
