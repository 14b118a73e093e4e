"""Finding a residual network in a checkpoint: its table of blocks, from names and shapes."""

import collections
import re
import typing
from collections.abc import Collection, Iterable, Mapping

from slim_resnet.models import VARIANTS, Variant
from slim_resnet.resnet_utils import Block

# The whole name of a variable of a unit: what is below one is kept for it by training.
_UNIT = re.compile(r"^(?:(?P<scope>.+)/)?(?P<block>[^/]+)/unit_(?P<number>[0-9]{1,6})/"
                   r"(?P<unit>bottleneck_v[12])/(?:conv[123]|shortcut|preact)/(?:BatchNorm/)?"
                   r"(?:weights|biases|gamma|beta|moving_mean|moving_variance)$")


class Lacks(Exception):
    """Names a variable that is not there."""


class Place(typing.NamedTuple):
    """Where a network's units are: their kind's scope, and that of the network."""

    unit: str
    scope: str


class Found(typing.NamedTuple):
    """What the names and shapes of a network's variables say of it.

    ``expected`` is what shape each of its variables must have, by name; ``missing`` the
    first variable that is not there, None of a whole network; ``ends`` is for
    `strides.slims`; the rest is `recognition.Recognised`'s. The strides in ``blocks`` are
    all 1.
    """

    blocks: list[Block]
    expected: dict[str, tuple]
    num_classes: int | None
    input_channels: int | None
    root_block: bool
    batch_norm_scale: bool
    missing: str | None
    ends: bool


def units_in(names: Iterable[str]) -> dict[Place, dict[str, set[int]]]:
    """Returns the numbers of the units of each block of each network."""
    units = collections.defaultdict(lambda: collections.defaultdict(set))
    for match in filter(None, map(_UNIT.match, names)):
        units[Place(match["unit"], match["scope"] or "")][match["block"]].add(int(match["number"]))
    return units


def variant_at(place: Place, names: Iterable[str]) -> Variant:
    """Returns the `models.Variant` that a network is of, by what its conv3 and root are."""
    start = place.scope + "/" if place.scope else ""
    own = [name[len(start):] for name in names if name.startswith(start)]
    conv3_norm = any("/conv3/BatchNorm/" in name for name in own)
    fitting = [variant for variant in VARIANTS.values() if variant.unit == place.unit]
    fitting = [variant for variant in fitting if variant.conv3_norm == conv3_norm] or fitting
    return next((variant for variant in fitting if _has_root(variant, own)), fitting[0])


def _has_root(variant, names):
    """Whether there is anything of a variant's root among names below the network's scope."""
    return any(name.startswith(f"{scope}/") for scope, _, _ in variant.root for name in names)


def walk(shapes: Mapping[str, tuple], place: Place, numbers: dict[str, set[int]],
         variant: Variant, allow_missing: bool = False) -> Found:
    """Reads a network's table of blocks off its variables.

    Args:
      shapes: Shapes by name of the variables that are no leftovers of training.
      place: Where the network is.
      numbers: Maps each block's name to the numbers of its units.
      variant: Its kind.
      allow_missing: Whether it may end behind any unit.

    Raises:
      Lacks: A variable is missing.
    """
    walker = _Walker(shapes, place, variant)
    input_channels, net = walker.root(numbers)
    blocks, missing, num_classes, ends = [], None, None, False
    try:
        for block in sorted(numbers, key=_natural):
            units = []
            try:
                for number in range(1, max(numbers[block]) + 1):
                    units.append(walker.unit(f"{block}/unit_{number}/{variant.unit}", net))
                    net = units[-1]["depth"]
            finally:
                if units:
                    blocks.append(Block(block, variant.load().bottleneck, units))
        num_classes, ends = walker.head(net)
    except Lacks as lacks:
        if not (allow_missing and blocks):
            raise
        missing = str(lacks)
        ends = walker.is_before_end(missing, blocks[-1].scope, net)
    return Found(blocks, walker.expected, num_classes, input_channels, walker.has_root,
                 walker.scale, missing, ends)


def _natural(block):
    """Sorts names by the numbers in them, of any length; only 0 to 9 are digits."""
    return [(len(part.lstrip("0")), part.lstrip("0")) if part[:1].isdecimal() else (0, part)
            for part in re.split(r"([0-9]+)", block)]


class _Walker:
    """Collects the shapes that one variable after the other must have.

    ``expected`` holds those of what is whole: a root, a unit or a head at a time.
    """

    def __init__(self, shapes, place, variant):
        self._shapes, self._variant = shapes, variant
        self._start = f"{place.scope}/" if place.scope else ""
        own = [name[len(self._start):] for name in shapes if name.startswith(self._start)]
        self.has_root = _has_root(variant, own)
        # With batch_norm_scale=False no batch norm of a network has one.
        self.scale = any(name.endswith("/gamma") for name in own)
        self.expected, self._part = {}, {}

    def _last(self, name):
        """Returns the size of the last dimension, which no other variable fixes."""
        if self._start + name not in self._shapes:
            raise Lacks(self._start + name)
        return (self._shapes[self._start + name] or (0,))[-1]

    def _expect(self, name, *shape):
        self._last(name)
        self._part[self._start + name] = shape

    def _norm(self, scope, size):
        for name in ("gamma",) * self.scale + ("beta", "moving_mean", "moving_variance"):
            self._expect(f"{scope}/{name}", size)

    def _convolution(self, scope, *shape, norm):
        self._expect(f"{scope}/weights", *shape)
        if norm:
            self._norm(f"{scope}/BatchNorm", shape[-1])
        else:
            self._expect(f"{scope}/biases", shape[-1])

    def _whole(self):
        self.expected.update(self._part)
        self._part = {}

    def is_before_end(self, missing, block, net):
        """Whether what is missing is of the last block that is there, or of what is behind.

        Anything of a head that fits ``net`` channels shows that the block is the last.
        """
        if missing.startswith(f"{self._start}{block}/"):
            return True
        return any(name.startswith(f"{self._start}postnorm/") and shape == (net,)
                   or name == f"{self._start}logits/weights" and shape[-2:-1] == (net,)
                   for name, shape in self._shapes.items())

    def root(self, numbers):
        """Takes what is before the first block; returns the channels of images and behind it."""
        first = f"{min(numbers, key=_natural)}/unit_1/{self._variant.unit}"
        if not self.has_root:
            if self._variant.norm_first:
                channels = self._last(f"{first}/preact/beta")
            else:
                channels = self._inputs(f"{first}/conv1/weights")
            return channels, channels
        # The image's channels are free; the kernels are not.
        channels = net = self._inputs(f"{self._variant.root[0][0]}/weights")
        for scope, size, _ in self._variant.root:
            filters = self._last(f"{scope}/weights")
            self._convolution(scope, size, size, net, filters, norm=not self._variant.norm_first)
            net = filters
        self._whole()
        return channels, net

    def _inputs(self, name):
        self._last(name)
        return next(iter(self._shapes[self._start + name][2:3]), None)

    def unit(self, unit, net):
        """Takes a unit on ``net`` channels; returns its arguments."""
        variant, norm_last = self._variant, not self._variant.norm_first
        depth, bottleneck = self._last(f"{unit}/conv3/weights"), self._last(f"{unit}/conv1/weights")
        if variant.norm_first:
            self._norm(f"{unit}/preact", net)
        if depth != net:
            self._convolution(f"{unit}/shortcut", 1, 1, net, depth, norm=norm_last)
        self._convolution(f"{unit}/conv1", 1, 1, net, bottleneck, norm=True)
        self._convolution(f"{unit}/conv2", 3, 3, bottleneck, bottleneck, norm=True)
        self._convolution(f"{unit}/conv3", 1, 1, bottleneck, depth, norm=variant.conv3_norm)
        self._whole()
        return {"depth": depth, "depth_bottleneck": bottleneck, "stride": 1}

    def head(self, net):
        """Takes what is behind the last block.

        Returns:
          The number of logits, None if there are none, and whether there is anything.
        """
        if self._variant.norm_first:
            self._norm("postnorm", net)
            self._whole()
        weights, biases = f"{self._start}logits/weights", f"{self._start}logits/biases"
        if weights not in self._shapes and biases not in self._shapes:
            return None, self._variant.norm_first
        num_classes = self._last("logits/weights")
        # A dense layer of the pooled features is the same.
        kernel = (1, 1) if len(self._shapes[weights]) != 2 else ()
        self._convolution("logits", *kernel, net, num_classes, norm=False)
        self._whole()
        return num_classes, True


def others_in_layers(expected: Collection[str], place: Place, names: Iterable[str],
                     missing: str | None) -> list[str]:
    """Returns the variables within a network's blocks and layers that slim's has not.

    Of a network that is not whole, variables of slim's units may be what is left of the rest.

    Args:
      expected: The names that slim's has.
      place: Where the network is.
      names: Those that there are.
      missing: See `Found`.
    """
    start = f"{place.scope}/" if place.scope else ""
    layers = {name[len(start):].partition("/")[0] for name in expected}
    return [name for name in names
            if name.startswith(start) and name not in expected
            and name[len(start):].partition("/")[0] in layers
            and not (missing and _UNIT.match(name))]
