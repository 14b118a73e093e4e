"""What all pictures share: matplotlib where it is needed, themes, and one way to draw."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slim_resnet.errors import SlimResnetError
from slim_resnet.pictures.themes import THEMES, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100


def figure_class() -> "type[Figure]":
    """Returns matplotlib's ``Figure``, which needs no display.

    Raises:
      SlimResnetError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SlimResnetError("plots need matplotlib: pip install 'slim-resnet[plot]'") from error
    return Figure


@contextlib.contextmanager
def themed_figure(theme: str, width: float, height: float,
                  layout: str | None = "constrained") -> Iterator[tuple["Figure", Theme]]:
    """Makes a figure in a theme's colours and lays it out when the ``with`` block ends.

    Args:
      theme: A key of `themes.THEMES`.
      width: In inches.
      height: In inches.
      layout: matplotlib's layout engine; None places nothing by itself.

    Yields:
      ``(figure, colours)``: matplotlib's figure, and the `themes.Theme`.

    Raises:
      SlimResnetError: There is no such theme, or no matplotlib.
    """
    if theme not in THEMES:
        raise SlimResnetError(f"there is no theme {theme!r}; choose one of {', '.join(THEMES)}")
    figure = figure_class()
    from matplotlib import rc_context
    colours = THEMES[theme]
    with rc_context({
            "figure.facecolor": colours.background, "savefig.facecolor": "auto",
            "axes.facecolor": colours.background, "axes.edgecolor": colours.muted,
            "axes.labelcolor": colours.text, "axes.titlecolor": colours.text,
            "text.color": colours.text, "xtick.color": colours.muted,
            "ytick.color": colours.muted, "grid.color": colours.rule,
            "legend.frameon": False, "font.size": 10, "image.interpolation": "nearest",
            "axes.spines.top": False, "axes.spines.right": False,
            # A dollar sign in a class's name is one.
            "text.parse_math": False, "font.family": _fonts()}):
        drawn = figure(figsize=(width, height), dpi=DPI, layout=layout)
        yield drawn, colours
        # Ticks take their colours when they are drawn.
        with _missing_letters_as_boxes():
            drawn.draw_without_rendering()


def encoded(figure: "Figure", format: str = "png") -> bytes:
    """Returns a figure as the bytes of a file of that format."""
    buffer = io.BytesIO()
    with _missing_letters_as_boxes():
        figure.savefig(buffer, format=format,
                       pil_kwargs={"quality": 88} if format == "webp" else None)
    return buffer.getvalue()


@contextlib.contextmanager
def _missing_letters_as_boxes():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
        yield


def _fonts():
    """Returns matplotlib's font, and behind it fonts of other scripts that are installed."""
    from matplotlib import font_manager
    others = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "Microsoft YaHei",
              "PingFang SC", "Arial Unicode MS")
    return ["DejaVu Sans", *set(others).intersection(font_manager.get_font_names())]
