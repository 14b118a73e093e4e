"""Maps of an end point's channels, or the first filters, as a grid in one picture.

From Python, for the array of any end point of one image::

    figure = feature_maps.draw(values[0], "resnet_v2_50/block2", "photo.jpg")
    figure.savefig("block2.png")

Needs the extra ``plot``.
"""

import math
import os
from typing import TYPE_CHECKING

import numpy as np

from slim_resnet.errors import SlimResnetError
from slim_resnet.pictures import drawing
from slim_resnet.pictures.markup import shortened
from slim_resnet.pictures.themes import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_CHANNELS = 64
# More could not be told apart on one screen.
MOST_CHANNELS = 1024
# Of all maps together, to bound time and memory; a screen has no more pixels.
_MOST_POSITIONS = 4_000_000
# Robust scaling leaves out the extremes, which would darken all else.
PERCENTILES = (1, 99)
# In inches: the figure, the most of the grid and of a tile, and the margins.
_WIDTH, _MAX_HEIGHT, _MAX_TILE = 9.0, 7.0, 3.5
_LEFT, _RIGHT, _BOTTOM = 0.5, 1.5, 0.6
# Room above the grid with two lines of words and with one.
_TITLED, _BARE = 0.75, 0.45


def draw(values: np.ndarray, key: str, image: str | None = None, *,
         max_channels: int = MAX_CHANNELS, theme: str = "light", alone: bool = True) -> "Figure":
    """Draws the channels of one end point as a grid of maps.

    Each map is scaled from its 1st to its 99th percentile; maps of a single position
    are scaled together. Values that are not finite have a colour of their own.

    Args:
      values: ``[height, width, channels]``, one image's.
      key: The end point's key, for the title.
      image: File of the image, whose name goes beside the title; None names none.
      max_channels: Channels to draw at most, and never more than `MOST_CHANNELS`.
      theme: ``light`` or ``dark``.
      alone: Whether the picture says by itself what it is of; on a page this is text
        beside it.

    Returns:
      A matplotlib ``Figure``, which says what was left out.

    Raises:
      SlimResnetError: The values are no maps, or matplotlib is missing.
    """
    values = np.asarray(values)
    if values.ndim != 3 or not values.size:
        raise SlimResnetError(f"{key}: its shape {list(values.shape)} is not height, width and "
                              "channels, so it cannot be drawn as maps")
    height, width, channels = values.shape
    shown = min(channels, max_channels, MOST_CHANNELS)
    every = math.ceil(math.sqrt(height * width * shown / _MOST_POSITIONS))
    maps = np.moveaxis(values[::every, ::every, :shown], -1, 0).astype(np.float64)
    scaled, flat, broken = _robustly_scaled(maps, together=height * width == 1)
    notes = [f"{height} × {width} × {channels}, {_which(shown, channels, 'channel')}"]
    if every > 1:
        notes.append(f"rows and columns in steps of {every}")
    if height * width == 1:
        notes.append("one scale for all")
    if broken:
        notes.append(f"{broken} with NaN or infinity (vermilion)")
    if flat:
        notes.append(f"{flat} flat")
    title = shortened(key, 30, keep_end=True) if alone else None
    name = shortened(os.path.basename(image), 20, keep_end=True) if alone and image else ""
    return _grid(scaled, title, "; ".join(notes), "channel", theme, colour_scale=True, image=name)


def draw_filters(weights: np.ndarray, *, theme: str = "light") -> "Figure":
    """Draws the filters of the first convolution as the network holds them, 256 at most.

    Filters of images with three channels are drawn in colour: grey is 0, and the
    largest weight of a filter, of either sign, is full intensity. Others are drawn as
    the mean over their input channels.

    Args:
      weights: ``[height, width, input channels, filters]``.
      theme: ``light`` or ``dark``.

    Returns:
      A matplotlib ``Figure``.

    Raises:
      SlimResnetError: matplotlib is missing.
    """
    weights = np.asarray(weights, np.float64)
    height, width, inputs, filters = weights.shape
    shown = min(filters, 256)
    tiles = np.moveaxis(weights[..., :shown], -1, 0)
    if inputs != 3:
        tiles = tiles.mean(-1, keepdims=True).repeat(3, -1)
    largest = np.abs(np.where(np.isfinite(tiles), tiles, 0)).max((1, 2, 3), keepdims=True)
    tiles = 0.5 + 0.5 * tiles / np.where(largest > 0, largest, 1)
    broken = int((~np.isfinite(tiles)).any((1, 2, 3)).sum())
    notes = [f"{height} × {width} × {inputs}, {_which(shown, filters, 'filter')}"]
    notes.append("grey: 0")
    if inputs != 3:
        notes.append("mean over the input channels")
    if broken:
        notes.append(f"{broken} with NaN or infinity (vermilion)")
    return _grid(tiles, "conv1/weights", "; ".join(notes), "filter", theme)


def _which(shown, total, noun):
    if shown == total:
        return f"{total} {noun}{'s' * (total != 1)}"
    return f"{noun}s 0 to {shown - 1}; {total - shown} more left out"


def _robustly_scaled(maps, together):
    """Returns maps in [0, 1], NaN where not finite; and how many are flat, and broken.

    Args:
      maps: float64 ``[n, height, width]``.
      together: Whether one scale is for all.
    """
    scaled = np.where(np.isfinite(maps), maps, np.nan)
    rows = scaled.reshape(1 if together else len(maps), -1)
    flat, broken = 0, int(np.isnan(scaled).any((1, 2)).sum())
    for row in rows:
        finite = row[np.isfinite(row)]
        if not finite.size:
            continue
        # Between two values, part of an extreme would remain.
        low, high = np.percentile(finite, PERCENTILES, method="nearest")
        if low == high:
            # Nearly all are alike, as after a ReLU: what stands out is what there is.
            low, high = finite.min(), finite.max()
        flat += int(low == high)
        # Halved, as the difference of two large numbers may be infinite.
        row[:] = np.clip((row / 2 - low / 2) / ((high / 2 - low / 2) or 1), 0, 1)
    return rows.reshape(maps.shape), flat, broken


def _grid(tiles, title, subtitle, noun, theme, colour_scale=False, image=""):
    """Draws tiles in a grid whose rows and columns are numbered.

    Args:
      tiles: ``[n, height, width]`` or ``[n, height, width, 3]`` in [0, 1]; NaN stands
        out.
      title: First line; None for none.
      subtitle: Second line.
      noun: What a tile is.
      theme: ``light`` or ``dark``.
      colour_scale: Whether to draw what the colours mean.
      image: Name of what it is of, to the right of the title.
    """
    magnified = math.ceil(8 / max(tiles.shape[1:3]))
    tiles = tiles.repeat(magnified, 1).repeat(magnified, 2)
    number, height, width = tiles.shape[:3]
    columns = _columns(number, height / width)
    rows = math.ceil(number / columns)
    gap = max(1, round(0.06 * max(height, width)))
    step_y, step_x = height + gap, width + gap
    across, down = columns * step_x - gap, rows * step_y - gap
    inches = min((_WIDTH - _LEFT - _RIGHT) / across, _MAX_HEIGHT / down,
                 _MAX_TILE / max(height, width))
    grid_width, grid_height = inches * across, max(0.9, inches * down)
    figure_height = (_TITLED if title else _BARE) + grid_height + _BOTTOM
    with drawing.themed_figure(theme, _WIDTH, figure_height, layout=None) as (figure, colours):
        def axes_at(left, width, height):
            return figure.add_axes([left / _WIDTH, (_BOTTOM + grid_height - height) / figure_height,
                                    width / _WIDTH, height / figure_height])

        picture = np.zeros([down, across, 4])
        for index, tile in enumerate(_coloured(tiles)):
            y, x = index // columns * step_y, index % columns * step_x
            picture[y:y + height, x:x + width] = tile
        axes = axes_at(_LEFT, grid_width, inches * down)
        axes.imshow(picture, interpolation="antialiased", aspect="auto")
        lines = [(title, 0.12, dict(fontsize=12, fontweight="bold"))] if title else []
        lines.append((subtitle, 0.40 if title else 0.12,
                      dict(fontsize=9.5, color=colours.muted)))
        for line, at, style in lines:
            figure.text(0.1 / _WIDTH, 1 - at / figure_height, line, va="top", **style)
        figure.text(1 - 0.1 / _WIDTH, 1 - 0.14 / figure_height, image, va="top", ha="right",
                    fontsize=9.5)
        axes.set_yticks([row * step_y + (height - 1) / 2 for row in _some(rows)],
                        [str(row * columns) for row in _some(rows)], fontsize=8)
        axes.set_xticks([column * step_x + (width - 1) / 2 for column in _some(columns)],
                        [f"+{column}" for column in _some(columns)], fontsize=8)
        axes.tick_params(length=0)
        figure.text(_LEFT / _WIDTH, 0.1 / figure_height, f"{noun}: number of the row, plus this",
                    fontsize=9, color=colours.muted)
        axes.spines[:].set_visible(False)
        if colour_scale:
            from matplotlib.cm import ScalarMappable
            bar = figure.colorbar(ScalarMappable(cmap="viridis"), ticks=[0, 1], cax=axes_at(
                _LEFT + grid_width + 0.2, 0.16, min(2.2, grid_height)))
            bar.ax.set_yticklabels([f"{PERCENTILES[0]}st percentile", f"{PERCENTILES[1]}th"],
                                   fontsize=8)
            bar.outline.set_visible(False)
    return figure


def _columns(number, height_by_width):
    """Returns the columns of a grid somewhat wider than high, with few places left empty."""
    ideal = min(number, math.ceil(math.sqrt(number * 1.5 * height_by_width)))
    return min(range(max(1, math.ceil(0.8 * ideal)), min(number, math.ceil(1.25 * ideal)) + 1),
               key=lambda columns: (-number % columns, abs(columns - ideal)))


def _some(count):
    """Returns at most 16 of so many numbers, evenly spaced, 0 among them."""
    return range(0, count, math.ceil(count / 16))


def _coloured(tiles):
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba
    broken = np.isnan(tiles)
    filled = np.where(broken, 0, tiles)
    if tiles.ndim == 3:
        colours = colormaps["viridis"](filled)
    else:
        broken = broken.any(-1)
        colours = np.concatenate([filled, np.ones_like(filled[..., :1])], -1)
    colours[broken] = to_rgba(COLOURS[1])
    return colours
