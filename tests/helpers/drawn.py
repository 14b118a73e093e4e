"""Looks at matplotlib figures as a reader does: what they say, and whether it can be read."""

import itertools
import warnings

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text


def contrast(one, other):
    """Returns WCAG's contrast of two colours of matplotlib's kinds, from 1 to 21."""
    lights = sorted(np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
                    @ [0.2126, 0.7152, 0.0722]
                    for rgb in (np.array(to_rgb(colour)) for colour in (one, other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


class Drawn:
    """A figure as it is drawn.

    Attributes:
      image: uint8 ``[height, width, 3]``.
      words: All that is written, a string each.
    """

    def __init__(self, figure):
        canvas = FigureCanvasAgg(figure)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
            canvas.draw()
        self.image = np.asarray(canvas.buffer_rgba())[..., :3]
        found = _texts(figure, canvas.get_renderer())
        self.words = [text.get_text() for text, _ in found]
        self._placed = [(text.get_text(), box) for text, box in found]
        self._contrast = min(contrast(text.get_color(), figure.get_facecolor())
                             for text, _ in found)

    def assert_readable(self):
        """Fails if words leave the figure, lie upon each other or are faint, or little is drawn."""
        assert self._contrast >= 4.5
        height, width, _ = self.image.shape
        for text, box in self._placed:
            assert box.x0 >= -1 and box.y0 >= -1, text
            assert box.x1 <= width + 1 and box.y1 <= height + 1, text
        for (one, a), (other, b) in itertools.combinations(self._placed, 2):
            overlap = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert min(overlap) <= 1, (one, other, overlap)
        assert 0.02 < (self.image != self.image[0, 0]).any(-1).mean() < 0.98


def readable(figure):
    """Returns a figure `Drawn`, once it has been found readable."""
    drawn = Drawn(figure)
    drawn.assert_readable()
    return drawn


def _texts(figure, renderer):
    # Labels of ticks beyond an axis's ends exist, and are not drawn.
    beyond = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)
              for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
              if not min(axis.get_view_interval()) <= tick.get_loc() <= max(
                  axis.get_view_interval()) for label in (tick.label1, tick.label2)}
    found = []
    for text in figure.findobj(Text):
        box = text.get_window_extent(renderer)
        if (text.get_visible() and text.get_text().strip() and id(text) not in beyond
                and np.isfinite(box.extents).all()):
            found.append((text, box))
    return found
