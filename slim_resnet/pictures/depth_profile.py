"""Statistics of end points along the depth of a network, as one picture.

From Python::

    rows = activations.layer_statistics(network, batches)
    figure = depth_profile.draw(rows, end_points.summary(network.end_points))

Needs the extra ``plot``.
"""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from slim_resnet.end_points.activations import Statistics
from slim_resnet.end_points.table import EndPoint
from slim_resnet.pictures import drawing
from slim_resnet.pictures.markup import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: list[Statistics], summary: list[EndPoint], *, theme: str = "light") -> "Figure":
    """Draws mean, standard deviation and zeros of end points in graph order.

    The outputs of units, which are sums, what a ReLU makes, and all else are three
    kinds of numbers, and have a line each. The last end point of a block is its last
    unit and is drawn once.

    Args:
      rows: `activations.Statistics`, at least one.
      summary: The `end_points.EndPoint` of the same network.
      theme: ``light`` or ``dark``.

    Returns:
      A matplotlib ``Figure``.

    Raises:
      SlimResnetError: There is no such theme, or no matplotlib.
    """
    described = {row.key: row for row in summary}
    rows = [row for row in rows if described[row.key].level not in ("block", "network")]
    levels = [described[row.key].level for row in rows]
    kinds = np.array(["unit" if level == "unit" else "layer" if row.zeros is None else "relu"
                      for row, level in zip(rows, levels)])
    mean, std = (np.array([np.nan if getattr(row, name) is None else getattr(row, name)
                           for row in rows]) for name in ("mean", "std"))
    zeros = np.array([np.nan if row.zeros is None else 100 * row.zeros for row in rows])
    dead = np.array([np.nan if row.dead is None else 100 * len(row.dead) / row.channels
                     for row in rows])
    broken = [at for at, row in enumerate(rows) if row.nan or row.inf]
    places = np.arange(len(rows))
    with drawing.themed_figure(theme, 10, 7) as (figure, colours):
        title = f"End points of {rows[0].images} image{'s' * (rows[0].images != 1)} along the depth"
        if broken:
            title += f"; × marks {len(broken)} with NaN or infinite values"
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        top, middle, bottom = figure.subplots(3, 1, sharex=True)
        lines = (("unit", "units", colours.second, "o"), ("layer", "layers without ReLU",
                 colours.third, "s"), ("relu", "layers with ReLU", colours.main, "^"))
        for kind, label, colour, marker in lines:
            chosen = kinds == kind
            if not chosen.any():
                continue
            style = dict(color=colour, marker=marker, markersize=3.5, linewidth=1)
            x = places[chosen]
            top.fill_between(x, (mean - std)[chosen], (mean + std)[chosen], color=colour,
                             alpha=0.2, linewidth=0)
            top.plot(x, mean[chosen], label=label, **style)
            middle.plot(x, np.where(std > 0, std, np.nan)[chosen], **style)
        style = dict(marker="^", markersize=3.5, linewidth=1)
        bottom.plot(places[~np.isnan(zeros)], zeros[~np.isnan(zeros)], label="zeros",
                    color=colours.main, **style)
        bottom.plot(places[~np.isnan(dead)], dead[~np.isnan(dead)], linestyle="--",
                    label="channels zero for all images", color=colours.second,
                    **{**style, "marker": "v"})
        top.set_ylabel("mean ± std")
        middle.set(ylabel="std, log scale", yscale="log" if (std > 0).any() else "linear")
        # The default is TeX, which pictures do not parse.
        middle.yaxis.set_major_formatter("{x:g}")
        middle.yaxis.set_minor_formatter("")
        bottom.set(ylabel="% after ReLU", ylim=(-4, 104), xlabel=_outside(rows, described))
        for axes in (top, middle, bottom):
            axes.grid(axis="y", linewidth=0.5)
            axes.set_axisbelow(True)
            for at in broken:
                axes.plot(at, 0.03, "x", color=colours.text, transform=axes.get_xaxis_transform())
        _mark_blocks((top, middle, bottom), [_block(row.key, described) for row in rows], colours)
        for axes, columns in ((top, 3), (bottom, 2)):
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, fontsize=8.5,
                        borderaxespad=0.1)
    return figure


def _block(key, described):
    """Returns the key of the block that holds an end point, or None."""
    while key is not None and described[key].level != "block":
        key = described[key].parent
    return key


def _outside(rows, described):
    """Names the end points that no block holds, which have no place of their own on the axis."""
    names = [row.key.rsplit("/", 1)[-1] for row in rows if _block(row.key, described) is None]
    return shortened("in graph order; outside the blocks: " + ", ".join(names), 62)


def _mark_blocks(all_axes, blocks, colours):
    """Shades every second block and names each under the axis."""
    ticks, at = {}, 0
    for number, (block, group) in enumerate(itertools.groupby(blocks)):
        length = len(list(group))
        if block is not None:
            ticks[at + (length - 1) / 2] = shortened(block.rsplit("/", 1)[-1], 12)
            if number % 2:
                for axes in all_axes:
                    axes.axvspan(at - 0.5, at + length - 0.5, color=colours.panel, zorder=-1,
                                 linewidth=0)
        at += length
    all_axes[-1].set_xticks(list(ticks), list(ticks.values()))
    all_axes[-1].set_xlim(-1, at)
    for axes in all_axes:
        axes.tick_params(axis="x", length=0)
