"""Finding a residual network in a checkpoint: its table of blocks, from names and shapes."""

import collections
import re
import typing
from collections.abc import Iterable

from slim_resnet.models import VARIANTS, Variant
from slim_resnet.resnet_utils import Block

_UNIT = re.compile(r"^(?:(?P<scope>.+)/)?(?P<block>[^/]+)/unit_(?P<number>\d{1,6})/"
                   r"(?P<unit>bottleneck_v[12])/")


class Lacks(Exception):
    """Names a variable that is not there."""


class Place(typing.NamedTuple):
    """Where a network's units are: their kind's scope, and that of the network."""

    unit: str
    scope: str


class Found(typing.NamedTuple):
    """What the names and shapes of a network's variables say of it.

    ``expected`` is what shape each of its variables must have, by name; the rest is
    `recognition.Recognised`'s.
    """

    blocks: list[Block]
    expected: dict[str, tuple]
    num_classes: int | None
    input_channels: int | None
    root_block: bool


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


def walk(shapes: dict[str, tuple], names: Iterable[str], place: Place,
         numbers: dict[str, set[int]], variant: Variant) -> Found:
    """Reads a network's table of blocks off its variables.

    Args:
      shapes: Shapes of all variables by name.
      names: Those that are no leftovers of training.
      place: Where the network is.
      numbers: Maps each block's name to the numbers of its units.
      variant: Its kind.

    Raises:
      Lacks: A variable is missing.
    """
    start = place.scope + "/" if place.scope else ""
    expected = {}

    def channels(name):
        """Returns the size of the last dimension, which no other variable fixes."""
        if start + name not in shapes:
            raise Lacks(start + name)
        return (shapes[start + name] or (0,))[-1]

    def expect(name, *shape):
        channels(name)
        expected[start + name] = shape

    def expect_norm(scope, size):
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            expect(f"{scope}/{name}", size)

    def expect_convolution(scope, *shape, norm):
        expect(f"{scope}/weights", *shape)
        if norm:
            expect_norm(f"{scope}/BatchNorm", shape[-1])
        else:
            expect(f"{scope}/biases", shape[-1])

    def natural(block):
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", block)]

    norm_last = not variant.norm_first
    order = sorted(numbers, key=natural)
    first_unit = f"{order[0]}/unit_1/{variant.unit}"
    root_block = _has_root(variant, [name[len(start):] for name in names
                                     if name.startswith(start)])
    if root_block:
        # The image's channels are free; the kernels are not.
        channels(f"{variant.root[0][0]}/weights")
        input_channels = net = next(
            iter(shapes[f"{start}{variant.root[0][0]}/weights"][2:3]), None)
        for scope, size, _ in variant.root:
            filters = channels(f"{scope}/weights")
            expect_convolution(scope, size, size, net, filters, norm=norm_last)
            net = filters
    elif variant.norm_first:
        input_channels = net = channels(f"{first_unit}/preact/gamma")
    else:
        channels(f"{first_unit}/conv1/weights")
        input_channels = net = next(
            iter(shapes[f"{start}{first_unit}/conv1/weights"][2:3]), None)
    blocks = []
    for block in order:
        args = []
        for number in range(1, max(numbers[block]) + 1):
            unit = f"{block}/unit_{number}/{variant.unit}"
            depth, bottleneck = channels(f"{unit}/conv3/weights"), channels(f"{unit}/conv1/weights")
            if variant.norm_first:
                expect_norm(f"{unit}/preact", net)
            if depth != net:
                expect_convolution(f"{unit}/shortcut", 1, 1, net, depth, norm=norm_last)
            expect_convolution(f"{unit}/conv1", 1, 1, net, bottleneck, norm=True)
            expect_convolution(f"{unit}/conv2", 3, 3, bottleneck, bottleneck, norm=True)
            expect_convolution(f"{unit}/conv3", 1, 1, bottleneck, depth, norm=variant.conv3_norm)
            last = number == max(numbers[block]) and block != order[-1]
            args.append({"depth": depth, "depth_bottleneck": bottleneck,
                         "stride": 2 if last else 1})
            net = depth
        blocks.append(Block(block, variant.load().bottleneck, args))
    if variant.norm_first:
        expect_norm("postnorm", net)
    num_classes = None
    if not {start + "logits/weights", start + "logits/biases"}.isdisjoint(shapes):
        num_classes = channels("logits/weights")
        expect_convolution("logits", 1, 1, net, num_classes, norm=False)
    return Found(blocks, expected, num_classes, input_channels, root_block)
