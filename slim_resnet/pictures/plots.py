"""Plots: their files, and those of more than one owner; needs the extra ``plot``."""

import os
from typing import Any

from slim_resnet.common.files import atomic_write
from slim_resnet.errors import SlimResnetError
from slim_resnet.pictures.drawing import figure_class
from slim_resnet.pictures.themes import COLOURS

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


def plot_accuracy(record: dict, path: str) -> None:
    """Draws the relative error of every layer, in order, on a logarithmic scale.

    Args:
      record: What `accuracy.as_record` returns.
      path: File to write; its ending chooses the format.
    """
    layers = record["layers"]
    figure = figure_class()(figsize=(9, 4.5), layout="constrained")
    axis = figure.subplots()
    for key, colour, marker in zip(("mean", "largest"), COLOURS, ".v"):
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
            axis.axvline(number, color="0.8", linewidth=1, zorder=0)
            axis.annotate(name, (number, 1), xycoords=("data", "axes fraction"), rotation=90,
                          xytext=(-10, -4), textcoords="offset points", va="top",
                          fontsize="small", color="0.3")
    axis.set(title=f"{record['precision']}, folded, against the unfolded float32 network "
                   f"({record['layer_images']} images)",
             xlabel="end point, in order of computation", ylabel="relative error")
    if any(layer["largest"] for layer in layers):
        axis.set_yscale("log")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def _format_of(path: str) -> str:
    return os.path.splitext(path)[1].lstrip(".").lower()
