"""Plots: their files, and those of more than one owner; needs the extra ``plot``."""

import os
from collections.abc import Iterable
from typing import Any

from slim_resnet.common.files import atomic_write
from slim_resnet.errors import SlimResnetError
from slim_resnet.pictures.drawing import figure_class, themed_figure

FORMATS = ("png", "svg", "pdf")


def check_plot_file(path: str) -> None:
    """Raises `SlimResnetError` if a plot could not be made under this name."""
    if _format_of(path) not in FORMATS:
        raise SlimResnetError(f"{path}: a plot's name ends in .png, .svg or .pdf")
    figure_class()


def save(figure: Any, path: str) -> None:
    """Writes a figure; the ending of its name chooses the format."""
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format=_format_of(path), dpi=120)


def title(figure: Any, text: str) -> None:
    """Writes a figure's title, as all pictures have it."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=12, fontweight="bold")


def label_ends(axes: Any, ends: Iterable[tuple[str, float, float]]) -> None:
    """Writes the names of lines to the right of where they end, none upon another.

    Args:
      axes: matplotlib's, whose limits do not change any more.
      ends: ``(name, x, y)`` of each line.
    """
    figure = axes.figure
    # Places all axes.
    figure.draw_without_rendering()
    placed = [(axes.transData.transform((x, y))[1], name, x, y) for name, x, y in ends]
    least = float("-inf")
    for pixel, name, x, y in sorted(placed):
        at = max(pixel, least)
        axes.annotate(name, (x, y), (7, (at - pixel) * 72 / figure.dpi), fontsize=9,
                      textcoords="offset points", va="center", annotation_clip=False)
        least = at + 1.5 * 9 * figure.dpi / 72


def plot_accuracy(record: dict, path: str, theme: str = "light") -> None:
    """Draws the relative error of every layer, in order, on a logarithmic scale.

    Args:
      record: What `accuracy.as_record` returns.
      path: File to write; its ending chooses the format.
      theme: A key of `themes.THEMES`.
    """
    layers = record["layers"]
    with themed_figure(theme, 9, 4.5) as (figure, colours):
        title(figure, f"{record['precision']}, folded, against the unfolded float32 network "
              f"({record['layer_images']} images)")
        axis = figure.subplots()
        for key, colour, marker in zip(("mean", "largest"), (colours.main, colours.second), ".v"):
            values = [layer[key] for layer in layers]
            # On a logarithmic scale there is no 0.
            axis.plot([value or None for value in values], ".", color=colour, label=key)
            exact = [number for number, value in enumerate(values) if value == 0]
            if exact:
                axis.plot(exact, [0.01] * len(exact), marker, color=colour, label=f"{key}: 0",
                          transform=axis.get_xaxis_transform())
        for number, layer in enumerate(layers):
            name = layer["end_point"].rsplit("/", 1)[-1]
            if name.startswith("block"):
                axis.axvline(number, color=colours.rule, linewidth=1, zorder=0)
                axis.annotate(name, (number, 1), xycoords=("data", "axes fraction"), rotation=90,
                              xytext=(-10, -4), textcoords="offset points", va="top",
                              fontsize="small", color=colours.muted)
        axis.set(xlabel="end point, in order of computation", ylabel="relative error")
        if any(layer["largest"] for layer in layers):
            axis.set_yscale("log")
        # The default is TeX, which pictures do not parse.
        axis.yaxis.set_major_formatter("{x:.0e}")
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
    save(figure, path)


def _format_of(path: str) -> str:
    return os.path.splitext(path)[1].lstrip(".").lower()
