"""Any text, no wider than its room."""

import unicodedata

from slim_resnet.common.text import printable


def text_width(text: str) -> float:
    """Returns about the width of a text in a wide font, in font sizes."""
    return sum(1.0 if character in "MW@%" or unicodedata.east_asian_width(character) in "WF"
               else 0.6 for character in text)


def shortened(text: str, width: float, keep_end: bool = False) -> str:
    """Returns a printable text that is cut, with an ellipsis, to a width in font sizes.

    Args:
      text: Any text.
      width: Its room, see `text_width`.
      keep_end: Whether the end stays and not the begin, as in a path.
    """
    text = printable(text)
    if text_width(text) <= width:
        return text
    # No character is narrower than 0.6.
    most = int(width / 0.6) + 1
    text = text[-most:] if keep_end else text[:most]
    while text and text_width(text) + 0.6 > width:
        text = text[1:] if keep_end else text[:-1]
    return "…" + text if keep_end else text + "…"
