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


def plot_peers(record: dict, path: str) -> None:
    """Draws each engine's images a second, a panel a precision and batch size.

    Args:
      record: A record of `slim_resnet.peers`.
      path: File to write; its ending chooses the format.
    """
    titles = list(dict.fromkeys(run["title"] for run in record["runs"]))
    batch_sizes = sorted(record["options"]["batch_sizes"])
    precisions = list(dict.fromkeys(run["precision"] for run in record["runs"]))
    figure = figure_class()(
        figsize=(3 + 3.2 * len(batch_sizes), 1 + len(precisions) * (1 + 0.35 * len(titles))),
        layout="constrained")
    rows = figure.subplots(max(len(precisions), 1), len(batch_sizes), squeeze=False, sharey=True)
    for precision, panels in zip(precisions, rows):
        limit = (record["gemm"][precision]["flops"]
                 / (2 * record["network"]["multiply_adds_per_image"]))
        for batch_size, axes in zip(batch_sizes, panels):
            axes.axvline(limit, color="0.3", linestyle="--", linewidth=1,
                         label=f"matrix product's rate, {limit:.1f}")
            for run in record["runs"]:
                for batch in run["batches"]:
                    if (run["precision"], batch["batch_size"]) == (precision, batch_size):
                        place, rate = titles.index(run["title"]), batch["images_per_s"]
                        ours = run["title"].startswith("slim_resnet")
                        axes.barh(place, rate, color=COLOURS[0 if ours else 4])
                        # On white, as the limit's line may run through it.
                        axes.annotate(f"{rate:.1f}", (rate, place), (3, 0), va="center",
                                      textcoords="offset points", fontsize="small",
                                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
            axes.set(title=f"{precision}, batch {batch_size}", xlabel="images a second")
            axes.set_yticks(range(len(titles)), titles)
            axes.set_xlim(0, 1.2 * max([limit, axes.dataLim.x1]))
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].invert_yaxis()
        panels[-1].legend(loc="lower right", bbox_to_anchor=(1, 1.08), fontsize="small")
    save(figure, path)


def plot_accuracy(record: dict, path: str) -> None:
    """Draws the relative error of every layer, in order, on a logarithmic scale.

    Args:
      record: What `accuracy.as_record` returns.
      path: File to write; its ending chooses the format.
    """
    layers = record["layers"]
    figure = figure_class()(figsize=(9, 4.5), layout="constrained")
    axis = figure.subplots()
    for key, colour in zip(("mean", "largest"), COLOURS):
        axis.plot([layer[key] for layer in layers], ".", color=colour, label=key)
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
    axis.set_yscale("log", nonpositive="clip")
    axis.legend(loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def _format_of(path: str) -> str:
    return os.path.splitext(path)[1].lstrip(".").lower()
