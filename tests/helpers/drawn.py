"""Looks at matplotlib figures as a reader does: what they say, and whether it can be read."""

import itertools
import warnings

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
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


def assert_data_is_shown(figure):
    """Fails if anything drawn of data lies outside its axes, or beneath a legend."""
    FigureCanvasAgg(figure).draw()
    found = 0
    for axes in figure.axes:
        places = [place for artist in (*axes.lines, *axes.patches, *axes.collections)
                  for place in _places(axes, artist)]
        inside = axes.get_window_extent()
        for artist, points, in_data in places:
            for column, low, high in ((0, inside.x0, inside.x1), (1, inside.y0, inside.y1)):
                if in_data[column]:
                    found += len(points)
                    values = points[:, column]
                    assert np.isfinite(values).all(), (artist, axes.get_title())
                    assert low - 1 <= values.min() and values.max() <= high + 1, (
                        artist, axes.get_title(), "xy"[column], values.min(), values.max(),
                        (low, high))
        for legend in filter(None, (axes.get_legend(), *figure.legends)):
            box = legend.get_window_extent()
            for artist, points, in_data in places:
                if all(in_data):
                    beneath = ((points > [box.x0, box.y0]) & (points < [box.x1, box.y1])).all(1)
                    assert not beneath.any(), (artist, axes.get_title(), points[beneath])
        for image in axes.images:
            found += 1
            left, right, bottom, top = image.get_extent()
            assert min(axes.get_xlim()) <= min(left, right) + 1e-6
            assert max(axes.get_xlim()) >= max(left, right) - 1e-6
            assert min(axes.get_ylim()) <= min(bottom, top) + 1e-6
            assert max(axes.get_ylim()) >= max(bottom, top) - 1e-6
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)
    assert found


def _places(axes, artist):
    """Yields ``(artist, points in pixels, whether x and y are of data)``."""
    transform = artist.get_transform()
    in_data = transform.contains_branch_seperately(axes.transData)
    if isinstance(artist, Collection):
        for path in artist.get_paths():
            yield artist, transform.transform(path.vertices), in_data
        return
    if isinstance(artist, Line2D):
        points = artist.get_xydata()
        points = points[~np.isnan(points).any(1)]
        # Lines hide beneath a legend between their points too.
        if len(points) > 1 and artist.get_linestyle() != "None":
            at = np.arange(len(points))
            fine = np.linspace(0, at[-1], 20 * len(points))
            points = np.column_stack([np.interp(fine, at, column) for column in points.T])
        if len(points):
            yield artist, transform.transform(points), in_data
        return
    if any(in_data) and artist.get_zorder() >= 0:
        yield artist, transform.transform(artist.get_path().vertices), in_data


def readable(figure):
    """Returns a figure `Drawn`, once it has been found readable."""
    drawn = Drawn(figure)
    drawn.assert_readable()
    assert_data_is_shown(figure)
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
