"""What the layers of a diagram are coloured by: their time, parameters or multiply-adds.

    rows = end_points.summary(network_end_points)
    shade = shading.by("parameters", rows, scope="resnet_v2_152")
    svg = diagram.draw(blocks, title="resnet_v2_152", shade=shade)
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from slim_resnet.common.text import escaped
from slim_resnet.errors import SlimResnetError
from slim_resnet.pictures.themes import HEAT


def _milliseconds(value: float) -> str:
    return f"{1e3 * value:.3g} ms"


def _count(value: float) -> str:
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.0f}"


# Field of `end_points.EndPointTime` or `end_points.EndPoint`, and how its values are written.
KINDS: dict[str, tuple[str, Callable[[float], str]]] = {
    "time": ("time_s", _milliseconds),
    "parameters": ("parameters", _count),
    "multiply-adds": ("multiply_adds", _count),
}
# In pixels: one step of the legend.
_SWATCH, _HEIGHT = 22, 10


@dataclasses.dataclass(frozen=True)
class Shade:
    """Values of a network's layers, see `by`.

    Attributes:
      kind: A key of `KINDS`.
      values: By key of the end point without the network's scope; a unit's or a block's, all
        that is inside.
      total: Of the whole network.
    """

    kind: str
    values: dict[str, float]
    total: float

    @property
    def text(self) -> Callable[[float], str]:
        """Writes a value with its unit."""
        return KINDS[self.kind][1]

    def share(self, value: float) -> str:
        """Returns the part of the network that a value is, in percent."""
        return f"{100 * value / self.total:.1f} %" if self.total else "0 %"

    def mean(self, keys: Sequence[str]) -> float | None:
        """Returns the mean value of end points; None if one of them is not there."""
        found = [self.values.get(key) for key in keys]
        return None if None in found or not found else sum(found) / len(found)


def by(kind: str, rows: Sequence[Any], scope: str | None = None, total: float | None = None
       ) -> Shade:
    """Returns what to colour a network's diagram by.

    Args:
      kind: A key of `KINDS`.
      rows: All `end_points.EndPointTime` for ``time``, else all `end_points.EndPoint`.
      scope: The network's, which its keys begin with.
      total: Of the whole network; None adds up the rows.

    Raises:
      SlimResnetError: A value is not known.
    """
    values = {row.key.removeprefix(f"{scope}/"): getattr(row, KINDS[kind][0]) for row in rows}
    for key, value in values.items():
        if value is None:
            raise SlimResnetError(f"the {kind} of {key} are not known; give the images' size")
    if total is None:
        total = sum(getattr(row, KINDS[kind][0]) for row in rows if row.parent is None)
    return Shade(kind, values, total)


class Legend:
    """Colours of what has been drawn, known once all of it has been."""

    def __init__(self, shade: Shade) -> None:
        self._shade, self._layers = shade, {}

    def class_of(self, name: str, keys: Sequence[str]) -> tuple[str, str]:
        """Returns the class of a box, filled in by `coloured`, and its tip, or two empty texts.

        Args:
          name: What the box is called.
          keys: End points that it stands for: one of each unit that is drawn as one.
        """
        value = self._shade.mean(keys)
        if value is None:
            return "", ""
        self._layers[len(self._layers)] = value
        each = " each" if len(keys) > 1 else ""
        tip = (f"<title>{escaped(name)}: {self._shade.text(value)}{each}, "
               f"{self._shade.share(value)}</title>")
        return f" heat-{len(self._layers) - 1}-", tip

    def coloured(self, markup: str) -> str:
        """Returns markup with the colours of its boxes."""
        largest = max(self._layers.values(), default=0)
        for number, value in self._layers.items():
            markup = markup.replace(f"heat-{number}-", f"heat{_level(value, largest)}", 1)
        return markup

    def drawn(self, x: float, y: float) -> str:
        """Returns the legend as SVG elements; it is 34 pixels high."""
        largest = max(self._layers.values(), default=0)
        label = f"Colour: {self._shade.kind} of one layer; %: of the network"
        if self._shade.kind == "time":
            label = "Colour: time of one layer; %: of the step"
        swatches = "".join(
            f'<rect class="heat{level}" x="{x + 12 + _SWATCH * level:g}" y="{y + 20:g}" '
            f'width="{_SWATCH}" height="{_HEIGHT}"/>' for level in range(len(HEAT["light"])))
        right = x + 18 + _SWATCH * len(HEAT["light"])
        return (f'<text class="muted" x="{x:g}" y="{y + 10:g}" font-size="10.5">{label}</text>'
                f'<text class="muted" x="{x:g}" y="{y + 29:g}" font-size="10.5">0</text>{swatches}'
                f'<text class="muted" x="{right:g}" y="{y + 29:g}" font-size="10.5">'
                f"{self._shade.text(largest)}</text>")

    def description(self, blocks: Sequence[str]) -> str:
        """Returns in words what the colours say, for those who do not see them."""
        shade = self._shade
        parts = [f"{block} {shade.share(shade.values[block])}" for block in blocks
                 if block in shade.values]
        return f" Coloured by {shade.kind}, {shade.text(shade.total)} in all: {', '.join(parts)}."


def _level(value, largest):
    levels = len(HEAT["light"])
    return min(levels - 1, int(levels * value / largest)) if largest else 0
