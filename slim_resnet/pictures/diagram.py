"""A network drawn as SVG, from its table of blocks alone.

    from slim_resnet import resnet_v2
    from slim_resnet.pictures import diagram

    svg = diagram.draw(resnet_v2.blocks_of_depth(152), title="resnet_v2_152", image_size=224,
                       num_classes=1001)

Every block is a panel, every kind of unit in it a row of boxes with its shortcut beside
it. Units that do the same are drawn once, with their number.
"""

from slim_resnet.checkpoint.recognition import Recognised
from slim_resnet.common.text import escaped
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import VARIANTS
from slim_resnet.pictures.markup import shortened, text_width
from slim_resnet.pictures.shading import Legend, Shade
from slim_resnet.pictures.themes import HEAT, THEMES
from slim_resnet.pictures.units import unit_groups
from slim_resnet.resnet_utils import Block

# All in pixels.
_WIDTH, _NARROW_WIDTH = 240, 156
_GUTTER, _MARGIN, _HEADER = 26, 22, 30
_BOX, _STEP = 18, 23
_MAIN, _MAIN_WIDTH = 78, 128
_SIDE, _SIDE_WIDTH = 189, 76
_SMALL, _LARGE = 10.5, 12.5
# A block with more kinds of unit than this is drawn without those in its middle.
_MOST_GROUPS = 8


def draw(blocks: list[Block], *, title: str, image_size: int | None = None,
         num_classes: int | None = None, input_channels: int = 3, root_block: bool = True,
         variant: str = "slim", columns: int = 3, theme: str = "auto",
         shade: Shade | None = None, heading: bool = True) -> str:
    """Draws a residual network.

    What has no end point of its own, such as a pool, has no colour: it counts for the next.

    Args:
      blocks: A list of `resnet_utils.Block`.
      title: The network's name, for the heading.
      image_size: Height and width of the images, in pixels; None leaves them open.
      num_classes: Number of logits; None draws none.
      input_channels: Channels of the images.
      root_block: Whether the network begins with the root's convolutions and pool1.
      variant: A key of `models.VARIANTS`.
      columns: Panels in a row.
      theme: ``light``, ``dark``, or ``auto``: what the reader's system prefers.
      shade: What the layers are coloured by, see `shading.by`; None leaves them white.
      heading: Whether the title is written above the drawing.

    Returns:
      The text of an SVG document, which may stand within HTML as well.

    Raises:
      SlimResnetError: There is no block, or no such theme.
    """
    if theme != "auto" and theme not in THEMES:
        raise SlimResnetError(f"there is no theme {theme!r}; choose one of auto, "
                              + ", ".join(THEMES))
    if not blocks:
        raise SlimResnetError("a network without blocks cannot be drawn")
    kind = VARIANTS[variant]
    size, net = image_size, input_channels
    legend = Legend(shade) if shade else None
    first = _Panel("images", _shape(size, net), _NARROW_WIDTH, legend)
    if root_block:
        for number, (scope, kernel, stride) in enumerate(kind.root, 1):
            # The last of DeepLab's three has twice the filters.
            net = 128 if number == 3 else 64
            size = _ceil_divided(size, stride)
            first.box(f"{scope} {kernel}×{kernel}, {net}" + (f", /{stride}" if stride > 1 else ""),
                      keys=[scope])
        first.note(_shape(size, net))
        size = _ceil_divided(size, 2)
        first.box("pool1 3×3 max, /2")
        first.note(_shape(size, net))
    panels = [first]
    for block in blocks:
        groups = unit_groups(block, net)
        noun = "unit" if len(block.args) == 1 else "units"
        note = f"{len(block.args)} {noun}"
        if shade and block.scope in shade.values:
            note += f", {shade.share(shade.values[block.scope])}"
        panel = _Panel(block.scope, note, _WIDTH, legend)
        left_out = len(groups) - _MOST_GROUPS
        for at, group in enumerate(groups):
            size, net = _ceil_divided(size, group.stride), group.depth
            if left_out > 0 and at == _MOST_GROUPS // 2:
                hidden = groups[at:at + left_out]
                panel.note(f"units {hidden[0].first}–{hidden[-1].first + hidden[-1].count - 1} "
                           "not drawn")
            if not 0 <= at - _MOST_GROUPS // 2 < left_out:
                panel.unit(group, size, kind, [
                    f"{block.scope}/unit_{number}/{kind.unit}"
                    for number in range(group.first, group.first + group.count)], shade)
        panels.append(panel)
    last = _Panel("head", "", _NARROW_WIDTH, legend)
    if kind.norm_first:
        last.box("postnorm BN + ReLU")
    last.box("pool5 global mean", keys=["global_pool"])
    last.note(_shape(1, net))
    if num_classes is not None:
        last.box(f"logits 1×1, {num_classes}", keys=["logits"])
        last.box("predictions softmax", keys=["predictions"])
        last.note(_shape(1, num_classes))
    panels.append(last)
    description = _description(title, blocks, image_size)
    if legend:
        description += legend.description([block.scope for block in blocks])
    return _document(panels, columns, theme, title, description, legend, heading)


def of_recognised(recognised: Recognised) -> dict:
    """Returns the keyword arguments of `draw` for a `recognition.Recognised`.

    Raises:
      SlimResnetError: It has no residual blocks.
    """
    if recognised.variant is None:
        raise SlimResnetError(f"{recognised.title} has no residual blocks to draw")
    return dict(blocks=recognised.blocks, title=title_of(recognised),
                num_classes=recognised.num_classes,
                input_channels=recognised.input_channels, root_block=recognised.root_block,
                variant=recognised.variant)


def title_of(recognised: Recognised) -> str:
    """Returns a heading for a `recognition.Recognised`, which may have no blocks."""
    name = recognised.title
    if recognised.variant:
        version = 2 if VARIANTS[recognised.variant].norm_first else 1
        name = f"ResNet V{version}{f' {recognised.depth}' if recognised.depth else ''} of " \
            f"{recognised.variant.split('_')[0]}"
    return f"{recognised.scope or name} ({name})"


def _ceil_divided(size, stride):
    return None if size is None else -(-size // stride)


def _shape(size, channels):
    side = "?" if size is None else size
    return f"{side}×{side}×{channels}"


def _description(title, blocks, image_size):
    units = ", ".join(f"{block.scope}: {len(block.args)}" for block in blocks)
    images = "" if image_size is None else f" for images of {image_size} by {image_size} pixels"
    return f"Diagram of {title}{images}. Residual units a block: {units}."


class _Panel:
    """The elements of one panel, from its top down."""

    def __init__(self, name, note, width, legend):
        self.width, self.main, self.legend = width, _MAIN, legend
        self.elements, self.y = [], _HEADER
        note_width = 0
        if note:
            self.text(note, width - 10, 20, "muted", anchor="end", room=width * 0.6)
            note_width = _SMALL * text_width(note) + 10
        self.text(name, 10, 20, "strong", _LARGE, room=max(30, width - 20 - note_width))

    def text(self, text, x, y, kind="text", size=_SMALL, anchor="start", room=None):
        full = text
        if room is not None:
            size, text = _fitted(text, size, room)
        tip = f"<title>{escaped(full)}</title>" if text != full else ""
        self.elements.append(f'<text class="{kind}" x="{x:g}" y="{y:g}" font-size="{size:g}" '
                             f'text-anchor="{anchor}">{escaped(text)}{tip}</text>')

    def line(self, path, kind="wire"):
        self.elements.append(f'<path class="{kind}" d="{path}"/>')

    def rectangle(self, label, middle, y, width, kind, keys=()):
        heat, tip = self.legend.class_of(label, keys) if self.legend else ("", "")
        self.elements.append(f'<rect class="{kind}{heat}" x="{middle - width / 2:g}" y="{y:g}" '
                             f'width="{width}" height="{_BOX}" rx="4">{tip}</rect>')
        self.text(label, middle, y + 13, anchor="middle", room=width - 6)

    def box(self, label, kind="box", keys=()):
        """A layer on the main line, and the line that leads to it."""
        self.line(f"M{self.main} {self.y:g}v{_STEP - _BOX}")
        self.rectangle(label, self.main, self.y + _STEP - _BOX, _MAIN_WIDTH, kind, keys)
        self.y += _STEP

    def note(self, text):
        """A line of the drawing that says what its tensor is like."""
        self.line(f"M{self.main} {self.y:g}v17")
        self.text(text, self.main + 8, self.y + 13, "muted",
                  room=self.width - self.main - 18)
        self.y += 17

    def unit(self, group, size, kind, keys, shade):
        """One kind of unit, whose keys are given: its residual branch, its shortcut beside it."""
        def layers(scope):
            return [f"{key}/{scope}" for key in keys]

        last = group.first + group.count - 1
        name = (f"unit {last}" if group.count == 1
                else f"units {group.first}–{last} (×{group.count})")
        self.line(f"M{self.main} {self.y:g}v10")
        self.y += 10
        frame = self.y
        self.text(name, 14, frame + 14, "strong", room=112)
        self.text(_shape(size, group.depth), self.width - 14, frame + 14, "muted", anchor="end",
                  room=86)
        mean = shade and shade.mean(keys)
        if mean is not None:
            self.text(shade.share(mean * len(keys)), self.width - 14, frame + 27, anchor="end")
        self.y += 20
        self.line(f"M{self.main} {self.y:g}v4")
        self.y += 4
        fork = self.y
        if kind.norm_first:
            self.box("BN + ReLU", "norm")
            if group.shortcut == "projection":
                fork = self.y + 2.5
        normed = ", BN+ReLU"
        stride = f", /{group.stride}" if group.stride != 1 else ""
        self.box(f"1×1, {group.depth_bottleneck}{normed}", keys=layers("conv1"))
        self.box(f"3×3, {group.depth_bottleneck}{stride}{normed}", keys=layers("conv2"))
        # V1's ReLU is behind the sum.
        self.box(f"1×1, {group.depth}"
                 + ((normed if kind.norm_first else ", BN") if kind.conv3_norm else ""),
                 keys=layers("conv3"))
        join = self.y + 11
        self.line(f"M{self.main} {self.y:g}v4")
        self.line(f"M{self.main} {fork:g}H{_SIDE - 6}q6 0 6 6V{join - 6:g}q0 6 -6 6"
                  f"H{self.main + 7}",
                  "shortcut")
        middle = (fork + join) / 2 - _BOX / 2
        if group.shortcut == "identity":
            self.elements.append(f'<rect class="gap" x="{_SIDE - 28}" y="{middle:g}" width="56" '
                                 f'height="{_BOX}"/>')
            self.text("identity", _SIDE, middle + 13, "muted", anchor="middle", room=54)
        else:
            label = (f"1×1, {group.depth}" if group.shortcut == "projection" else "1×1 max")
            self.rectangle(label + stride, _SIDE, middle, _SIDE_WIDTH, "side", layers("shortcut"))
        self.elements.append(f'<circle class="sum" cx="{self.main}" cy="{join:g}" r="7"/>')
        self.line(f"M{self.main - 4} {join:g}h8m-4 -4v8")
        self.y = join + 7
        if not kind.norm_first:
            self.box("ReLU", "norm")
        self.line(f"M{self.main} {self.y:g}v6")
        self.y += 6
        self.elements.insert(0, f'<rect class="frame" x="7" y="{frame:g}" '
                                f'width="{self.width - 14}" height="{self.y - frame:g}" rx="5"/>')


def _fitted(text, size, room):
    """Returns the size and the part of a text that fit into ``room`` pixels."""
    size = max(8, min(size, room / max(1, text_width(text))))
    size = int(size * 2) / 2
    return size, shortened(text, room / size)


def _document(panels, columns, theme, title, description, legend, heading):
    elements, placed = [], []
    above = 40 if heading else 0
    top, width = above + (34 if legend else 0) + _MARGIN, 0
    for at in range(0, len(panels), columns):
        row, left = panels[at:at + columns], _GUTTER
        bottom = top + max(panel.y for panel in row) + 10
        for panel in row:
            placed.append((panel, left, top, bottom))
            left += panel.width + _GUTTER
        width = max(width, left)
        top = bottom + 2 * _MARGIN
    if heading:
        size, words = _fitted(title, 15, width - 2 * _GUTTER)
        elements.append(f'<text class="strong" x="{_GUTTER}" y="28" font-size="{size:g}">'
                        f'{escaped(words)}</text>')
    if legend:
        elements.append(legend.drawn(_GUTTER, above))
    for panel, left, top, _ in placed:
        elements.append(
            f'<g transform="translate({left} {top:g})"><rect class="panel" width="{panel.width}" '
            f'height="{panel.y + 10:g}" rx="8"/>{"".join(panel.elements)}</g>')
    elements += map(_connection, placed, placed[1:])
    height = placed[-1][3] + 20
    drawn = "".join(elements)
    if legend:
        drawn = legend.coloured(drawn)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" class="slim-resnet-diagram" role="img" '
            f'aria-label="{escaped(description)}" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" font-family="Helvetica, Arial, sans-serif">'
            f'<title>{escaped(title)}</title><style>{style(theme)}</style>'
            f'<rect class="background" width="{width:g}" height="{height:g}"/>'
            f'{drawn}</svg>\n')


def _connection(this, following):
    """A line from the end of one panel to the begin of the next, between panels."""
    panel, left, top, bottom = this
    to_panel, to_left, to_top, _ = following
    x, y, to_x = left + panel.main, top + panel.y, to_left + to_panel.main
    if to_top == top:
        way = (f"V{y + 10 + _MARGIN / 2:g}H{to_left - _GUTTER / 2:g}V{to_top - _MARGIN / 2:g}"
               f"H{to_x:g}")
    else:
        way = f"V{bottom + _MARGIN:g}H{to_x:g}"
    return (f'<path class="wire" d="M{x:g} {y:g}{way}V{to_top:g}"/>'
            f'<path class="arrow" d="M{to_x:g} {to_top:g}l-4 -7h8z"/>')


def style(theme: str = "auto") -> str:
    """Returns the style sheet of what `draw` draws in a theme."""
    if theme != "auto":
        return _rules(theme)
    return _rules("light") + f"@media screen and (prefers-color-scheme: dark){{{_rules('dark')}}}"


def _rules(name):
    theme = THEMES[name]
    rules = {
        ".background": f"fill:{theme.background}",
        ".panel": f"fill:{theme.panel};stroke:{theme.rule}",
        ".frame": f"fill:{theme.background};stroke:{theme.rule}",
        ".gap": f"fill:{theme.background}",
        ".box": f"fill:{theme.panel};stroke:{theme.main};stroke-width:1.5",
        ".norm": f"fill:{theme.panel};stroke:{theme.muted}",
        ".side": f"fill:{theme.panel};stroke:{theme.second};stroke-width:1.5",
        ".sum": f"fill:{theme.panel};stroke:{theme.text}",
        ".wire": f"fill:none;stroke:{theme.text}",
        ".arrow": f"fill:{theme.text}",
        ".shortcut": f"fill:none;stroke:{theme.second};stroke-width:1.5",
        ".text": f"fill:{theme.text}",
        ".strong": f"fill:{theme.text};font-weight:bold",
        ".muted": f"fill:{theme.muted}",
        **{f".heat{level}": f"fill:{colour}" for level, colour in enumerate(HEAT[name])},
    }
    return "".join(f".slim-resnet-diagram {kind}{{{rule}}}" for kind, rule in rules.items())
