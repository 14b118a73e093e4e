"""Colours of pictures and pages, for light and for dark surroundings."""

import dataclasses

# Okabe and Ito's palette, told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colours as ``#rrggbb``; all text has a contrast of at least 4.5 to what is behind it.

    Attributes:
      background: Behind everything.
      panel: Behind what belongs together.
      text: Words and numbers.
      muted: Words and lines of less weight.
      rule: Borders and grids.
      link: Links, and what is chosen.
      main: The first colour of data: Okabe and Ito's blue, or their sky blue on dark.
      second: The second: vermilion, or orange on dark.
      third: The third: bluish green.
    """

    background: str
    panel: str
    text: str
    muted: str
    rule: str
    link: str
    main: str
    second: str
    third: str


THEMES = {
    "light": Theme(background="#ffffff", panel="#f3f5f7", text="#1b1f24", muted="#57606a",
                   rule="#c5ccd3", link="#005a8f", main="#0072B2", second="#D55E00",
                   third="#009E73"),
    "dark": Theme(background="#14171a", panel="#1f2429", text="#e8eaed", muted="#a5adb6",
                  rule="#464e57", link="#7cc4f0", main="#56B4E9", second="#E69F00",
                  third="#009E73"),
}

# From least to most, told apart by lightness alone; the theme's text is read on each.
HEAT = {
    "light": ("#fffbeb", "#fdeab0", "#fbd477", "#f5b643", "#ec9726", "#df7414"),
    "dark": ("#262520", "#372f1d", "#4d3917", "#654311", "#7f4e0b", "#9b5a05"),
}
