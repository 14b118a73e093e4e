"""One picture of what speaks for a class and where: image, evidence on it, top classes.

Needs the extra ``plot``.
"""

import os
from typing import TYPE_CHECKING

import numpy as np

from slim_resnet.pictures import drawing
from slim_resnet.pictures.class_activation import Placement
from slim_resnet.pictures.inspection import Inspection
from slim_resnet.pictures.markup import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# In inches: the figure's width, margins, what bars add to it, and the most of an image.
_WIDTH, _LEFT, _BARS = 8.1, 0.2, 2.9
# Room above the images with a heading and without.
_HEADED, _BARE = 1.05, 0.35
_BESIDE, _STACKED = (3.3, 3.6), (6.4, 2.6)
# Images wider than this stand above their evidence and not beside it.
_WIDE = 1.6


def class_label(name: str | None, number: int) -> str:
    """Returns how a class is called: its name and number, or its number alone."""
    return f"class {number}" if name is None else f"{name} ({number})"


def draw(inspected: Inspection, placement: Placement, *, theme: str = "light",
         alone: bool = True) -> "Figure":
    """Draws the evidence for an image's most probable class beside the image.

    Colours say which way and how far a place moves the logit: vermilion (orange on
    dark) for the class, blue against it. Between the map's positions they are
    interpolated; its positions stand on the pixels in the middle of what they see.

    Args:
      inspected: An `inspection.Inspection` with evidence.
      placement: A `class_activation.Placement`.
      theme: ``light`` or ``dark``.
      alone: Whether the picture says by itself what it is of, in numbers, and what the most
        probable classes are; on a page this is text beside it.

    Returns:
      A matplotlib ``Figure``.

    Raises:
      SlimResnetError: There is no such theme, or no matplotlib.
    """
    shown = inspected.image.shown
    aspect = shown.shape[1] / shown.shape[0]
    most_width, most_height = _STACKED if aspect > _WIDE else _BESIDE
    width = max(0.3, min(most_width, most_height * aspect))
    height = max(0.3, min(most_height, most_width / aspect))
    stacked = aspect > _WIDE
    offset = (0, height + 0.35) if stacked else (max(width, 1.2) + 0.3, 0)
    figure_width = _WIDTH + (_BARS + 0.4) * alone
    top = _HEADED if alone else _BARE
    figure_height = max(top + height + offset[1] + 0.45, 4.2 if alone else 3.0)
    with drawing.themed_figure(theme, figure_width, figure_height, layout=None) as (
            figure, colours):
        def axes_at(left, above, width, height):
            return figure.add_axes([left / figure_width, 1 - (above + height) / figure_height,
                                    width / figure_width, height / figure_height])

        def words(left, above, text, **style):
            figure.text(left / figure_width, 1 - above / figure_height, text, va="top", **style)

        result = inspected.result
        label = class_label(result.names[0], result.classes[0])
        if alone:
            words(_LEFT, 0.12, shortened(os.path.basename(result.path), 55, keep_end=True),
                  fontsize=12, fontweight="bold")
            words(_LEFT, 0.42, f"Evidence for {shortened(label, 44)}: "
                  f"sum {inspected.contributions.sum():+.4f}, bias {inspected.bias:+.4f}, "
                  f"logit {inspected.logit:+.4f}", fontsize=9.5, color=colours.muted)
        largest = float(np.abs(inspected.contributions).max())
        pictures = ((shown, "photo"), (_overlay(inspected, placement, largest, colours),
                                       "evidence, {} × {}".format(*inspected.contributions.shape)))
        for (picture, caption), (dx, dy) in zip(pictures, ((0, 0), offset)):
            words(_LEFT + dx, top - 0.22 + dy, caption, fontsize=9, color=colours.muted)
            axes = axes_at(_LEFT + dx, top + dy, width, height)
            axes.imshow(picture, aspect="auto", interpolation="antialiased")
            axes.set_axis_off()
        _frame(figure.axes[0], inspected.image)
        words(_LEFT, figure_height - 0.3, "Dashed frame: what the network sees. Colours are "
              "interpolated between the places.", fontsize=8, color=colours.muted)
        right = _LEFT + offset[0] + (width if stacked else max(width, 1.2)) + 0.15
        _colour_scale(figure, axes_at(right, top + 0.1, 0.14, 2.2), largest, colours)
        if alone:
            _bars(axes_at(_WIDTH + 0.2, top - 0.2, _BARS, 0.58 * len(result.classes)), result,
                  colours)
    return figure


def _overlay(inspected, placement, largest, colours):
    """Returns the grey image, ``[height, width, 3]`` in [0, 1], coloured by its evidence."""
    from matplotlib.colors import to_rgb
    height, width = inspected.image.shown.shape[:2]
    size = inspected.image.prepared.shape[0]
    left, top, right, bottom = inspected.image.cropped
    across, down = (((np.arange(count) + 0.5) / count - begin) / (end - begin)
                    for count, begin, end in ((width, left, right), (height, top, bottom)))
    evidence = _between(inspected.contributions, placement.positions(down * size - 0.5),
                        placement.positions(across * size - 0.5))
    strength = evidence / (largest or 1)
    outside = ~((down >= 0) & (down <= 1))[:, None] | ~((across >= 0) & (across <= 1))
    strength[outside] = 0
    grey = (inspected.image.shown @ [0.299, 0.587, 0.114] / 255)[..., None].repeat(3, -1)
    grey[outside] = 0.35 * grey[outside] + 0.65 * np.array(to_rgb(colours.background))
    colour = np.where(strength[..., None] > 0, to_rgb(colours.second), to_rgb(colours.main))
    alpha = 0.85 * np.abs(strength)[..., None]
    return (1 - alpha) * grey + alpha * colour


def _between(values, rows, columns):
    """Interpolates linearly between the positions of a map, which its edges go beyond."""
    height, width = values.shape
    values = np.stack([np.interp(rows, np.arange(height), column) for column in values.T], -1)
    return np.stack([np.interp(columns, np.arange(width), row) for row in values])


def _frame(axes, image):
    """Draws on the image what the network sees of it."""
    from matplotlib.patches import Rectangle
    height, width = image.shown.shape[:2]
    left, top, right, bottom = image.cropped
    for colour, style in (("black", "-"), ("white", (0, (4, 4)))):
        axes.add_patch(Rectangle((left * width - 0.5, top * height - 0.5), (right - left) * width,
                                 (bottom - top) * height, fill=False, edgecolor=colour,
                                 linestyle=style, linewidth=1.2))


def _colour_scale(figure, axes, largest, colours):
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    colour_map = LinearSegmentedColormap.from_list(
        "evidence", [colours.main, colours.background, colours.second])
    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), colour_map), cax=axes,
                          ticks=[-1, 0, 1])
    axes.set_yticklabels([f"{-largest:+.2g}\nagainst", "0", f"{largest:+.2g}\nfor"], fontsize=8)
    bar.outline.set_edgecolor(colours.rule)


def _bars(axes, result, colours):
    places = np.arange(len(result.classes))
    axes.barh(places, np.ones(len(places)), height=0.3, color=colours.panel)
    axes.barh(places, result.probabilities, height=0.3,
              color=[colours.second] + [colours.main] * (len(places) - 1))
    for place, name, number, probability in zip(places, result.names, result.classes,
                                                result.probabilities):
        axes.text(0, place - 0.22, shortened(class_label(name, number), 16), fontsize=9.5,
                  va="bottom")
        axes.text(1, place - 0.22, f"{probability:.4f}", fontsize=9.5, va="bottom", ha="right")
    axes.set(xlim=(0, 1), ylim=(len(places) - 0.5, -0.75))
    axes.set_axis_off()
