"""Looks at matplotlib figures as a reader does: what they say, and whether it can be read."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def pixels(figure):
    """Returns the drawn figure, uint8 ``[height, width, 3]``."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def words(figure):
    """Returns all that is written, a string each."""
    return [text.get_text() for text, _ in _texts(figure)]


def assert_readable(figure):
    """Fails if words leave the figure or lie upon each other, or if little is drawn."""
    image = pixels(figure)
    height, width, _ = image.shape
    placed = _texts(figure)
    for text, box in placed:
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, text
    for (one, a), (other, b) in itertools.combinations(placed, 2):
        overlap = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(overlap) <= 1, (one.get_text(), other.get_text(), overlap)
    assert 0.02 < (image != image[0, 0]).any(-1).mean() < 0.98


def _texts(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    # Labels of ticks beyond an axis's ends exist, and are not drawn.
    beyond = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)
              for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
              if not min(axis.get_view_interval()) <= tick.get_loc() <= max(
                  axis.get_view_interval()) for label in (tick.label1, tick.label2)}
    found = []
    for text in figure.findobj(Text):
        if id(text) in beyond:
            continue
        box = text.get_window_extent(renderer)
        if text.get_visible() and text.get_text().strip() and np.isfinite(box.extents).all():
            found.append((text, box))
    return found
