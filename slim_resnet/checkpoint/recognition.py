"""Which network a checkpoint holds, judged by the names and shapes of its variables."""

import collections
import dataclasses
import re
import typing
from collections.abc import Iterable

from slim_resnet import resnet_v2
from slim_resnet.checkpoint.reader import Checkpoint
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import VARIANTS
from slim_resnet.resnet_utils import Block

# What training leaves in a file beside the network: kind, and what its names look like.
_LEFTOVERS = tuple((kind, re.compile(pattern)) for kind, pattern in (
    ("zero_debias", r"/(biased|local_step)$"),
    ("global_step", r"(^|/)global_step$"),
    ("mean_rgb", r"(^|/)mean_rgb$"),
    ("Momentum", r"/Momentum(_\d+)?$"),
    ("Adam", r"/Adam(_\d+)?$|(^|/)beta[12]_power(_\d+)?$"),
    ("RMSProp", r"/RMSProp(_\d+)?$"),
    ("Adagrad", r"/Adagrad(DA)?(_\d+)?$"),
    ("Adadelta", r"/Adadelta(_\d+)?$"),
    ("Ftrl", r"/Ftrl(_\d+)?$"),
    ("ExponentialMovingAverage", r"/ExponentialMovingAverage(_\d+)?$"),
))

_UNIT = re.compile(r"^(?:(?P<scope>.+)/)?(?P<block>[^/]+)/unit_(?P<unit>\d{1,6})/bottleneck_v2/")

# What the names of other networks' variables have in them.
_OTHER_NETWORKS = tuple((re.compile(pattern), name) for pattern, name in (
    (r"/bottleneck_v1/", "a ResNet V1 of slim"),
    (r"(?:^|/)(vgg_(?:a|16|19))/", "VGG"),
    (r"(?:^|/)(Inception(?:V[1-4]|ResnetV2))/", "Inception"),
    (r"(?:^|/)(MobilenetV[1-3](?:Edge)?)/", "MobileNet"),
    (r"(?:^|/)(alexnet_v2|overfeat|LeNet|CifarNet|xception_\d+)/", "a network of slim"),
    (r"(?:^|/)cell_stem_\d+/", "a NASNet"),
    (r"(?:^|/)resnet_model/", "a ResNet of TensorFlow's official models"),
    (r"^resnet/root_block/", "a Big Transfer (BiT) ResNet"),
    (r"(?:^|/)(?:conv2d|dense|batch_normalization)(?:_\d+)?/(?:kernel|gamma)$",
     "a network of Keras or tf.layers"),
))


@dataclasses.dataclass(frozen=True)
class Recognised:
    """A ResNet V2 found in a checkpoint.

    Attributes:
      variant: ``slim``, or ``blog`` for the network of `slim_resnet.blog`: a key of
        `models.VARIANTS`.
      depth: 50, 101, 152 or 200 if the blocks are that depth's, channels included;
        None for another table.
      blocks: The `Block` of the network, units as dicts. No checkpoint records
        strides: the last unit of every block but the last is given stride 2, which
        is how slim and the blog build all their depths.
      scope: Variable scope of the network, without a final slash; may be empty.
      num_classes: Number of logits, None if there are none.
      input_channels: Channels of the images.
      root_block: Whether it begins with conv1 and pool1.
      leftovers: Number of variables beside the network by kind: ``global_step``,
        ``mean_rgb``, ``zero_debias``, ``ExponentialMovingAverage``, an optimizer's
        name, and ``other``; kinds that do not occur are left out.
    """

    variant: str
    depth: int | None
    blocks: list[Block]
    scope: str
    num_classes: int | None
    input_channels: int
    root_block: bool
    leftovers: dict[str, int]


def leftover_kind(name: str) -> str | None:
    """Returns the kind of training leftover that a variable is, or None."""
    return next((kind for kind, pattern in _LEFTOVERS if pattern.search(name)), None)


def scopes_of_networks(names: Iterable[str]) -> list[str]:
    """Returns the scopes under which variables of ResNet V2 units are named."""
    return sorted({match["scope"] or "" for match in filter(None, map(_UNIT.match, names))})


def recognise(checkpoint: Checkpoint) -> Recognised:
    """Finds the ResNet V2 that an open checkpoint holds.

    Args:
      checkpoint: A `Checkpoint`; only its path and shapes are looked at.

    Returns:
      A `Recognised`.

    Raises:
      SlimResnetError: It holds another network, more than one, or only part of one.
    """
    path, shapes = checkpoint.path, checkpoint.shapes
    names = [name for name in shapes if leftover_kind(name) is None]
    units = collections.defaultdict(lambda: collections.defaultdict(set))
    for match in filter(None, map(_UNIT.match, names)):
        units[match["scope"] or ""][match["block"]].add(int(match["unit"]))
    if not units:
        raise SlimResnetError(f"{path}: holds {_other_network(names)}, and no ResNet V2 of slim "
                              "or the blog")
    if len(units) > 1:
        raise SlimResnetError(f"{path}: holds {len(units)} ResNet V2: {', '.join(units)}; save "
                              "the one that is wanted alone")
    (scope, numbers), = units.items()
    start = scope + "/" if scope else ""
    conv3_norm = any(name.startswith(start) and "/conv3/BatchNorm/" in name for name in names)
    variant, = (one for one in VARIANTS.values() if one.conv3_norm == conv3_norm)
    try:
        network = _network(shapes, start, numbers, variant)
    except _Lacks as lacks:
        raise SlimResnetError(f"{path}: only part of a ResNet V2 of the {variant.name} kind: it "
                              f"holds no {lacks}") from None
    for name, shape in network.expected.items():
        if shapes[name] != shape:
            raise SlimResnetError(f"{path}: {name} has the shape {list(shapes[name])}; beside the "
                                  f"other variables it must have {list(shape)}")
    leftovers = collections.Counter(
        leftover_kind(name) or "other" for name in shapes if name not in network.expected)
    return Recognised(
        variant=variant.name, depth=_depth(network.blocks, network.root_block),
        blocks=network.blocks, scope=scope, num_classes=network.num_classes,
        input_channels=network.input_channels, root_block=network.root_block,
        leftovers=dict(sorted(leftovers.items())))


class _Lacks(Exception):
    """Names a variable that is not there."""


class _Network(typing.NamedTuple):
    """What the names and shapes of a network's variables say of it.

    ``expected`` is what shape each of its variables must have, by name; the rest is
    `Recognised`'s.
    """

    blocks: list[Block]
    expected: dict[str, tuple]
    num_classes: int | None
    input_channels: int | None
    root_block: bool


def _network(shapes, start, numbers, variant):
    """Returns the `_Network` of a scope.

    Args:
      shapes: Shapes of all variables by name.
      start: What the network's names begin with.
      numbers: Maps each block's name to the numbers of its units.
      variant: A `models.Variant`.
    """
    expected = {}

    def channels(name):
        """Returns the size of the last dimension, which no other variable fixes."""
        if start + name not in shapes:
            raise _Lacks(start + name)
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

    order = sorted(numbers, key=natural)
    root_block = not {start + "conv1/weights", start + "conv1/biases"}.isdisjoint(shapes)
    if root_block:
        net = channels("conv1/weights")
        # The image's channels are free; 7 x 7 is not.
        input_channels = next(iter(shapes[start + "conv1/weights"][2:3]), None)
        expect_convolution("conv1", 7, 7, input_channels, net, norm=False)
    else:
        input_channels = net = channels(f"{order[0]}/unit_1/bottleneck_v2/preact/gamma")
    blocks = []
    for block in order:
        args = []
        for number in range(1, max(numbers[block]) + 1):
            unit = f"{block}/unit_{number}/bottleneck_v2"
            depth, bottleneck = channels(f"{unit}/conv3/weights"), channels(f"{unit}/conv1/weights")
            expect_norm(f"{unit}/preact", net)
            if depth != net:
                expect_convolution(f"{unit}/shortcut", 1, 1, net, depth, norm=False)
            expect_convolution(f"{unit}/conv1", 1, 1, net, bottleneck, norm=True)
            expect_convolution(f"{unit}/conv2", 3, 3, bottleneck, bottleneck, norm=True)
            expect_convolution(f"{unit}/conv3", 1, 1, bottleneck, depth, norm=variant.conv3_norm)
            last = number == max(numbers[block]) and block != order[-1]
            args.append({"depth": depth, "depth_bottleneck": bottleneck,
                         "stride": 2 if last else 1})
            net = depth
        blocks.append(Block(block, variant.load().bottleneck, args))
    expect_norm("postnorm", net)
    num_classes = None
    if not {start + "logits/weights", start + "logits/biases"}.isdisjoint(shapes):
        num_classes = channels("logits/weights")
        expect_convolution("logits", 1, 1, net, num_classes, norm=False)
    return _Network(blocks, expected, num_classes, input_channels, root_block)


def _depth(blocks, root_block):
    """Returns the released depth that has these blocks, or None."""
    table = [(block.scope, block.args) for block in blocks]
    return next((depth for depth in resnet_v2.DEPTHS if root_block and table == [
        (block.scope, block.args) for block in resnet_v2.blocks_of_depth(depth)]), None)


def _other_network(names):
    for pattern, network in _OTHER_NETWORKS:
        match = next(filter(None, map(pattern.search, names)), None)
        if match:
            return f"{network} ({match[1]})" if match.groups() and match[1] else network
    if not names:
        return "no variables of a network"
    return f"variables of no known network ({', '.join(names[:3])})"
