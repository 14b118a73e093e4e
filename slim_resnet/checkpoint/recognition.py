"""Which network a checkpoint holds, judged by the names and shapes of its variables."""

import collections
import dataclasses
import os
import re
from collections.abc import Iterable

from slim_resnet import resnet_v2
from slim_resnet.checkpoint import plain, residual
from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import FROM_BLOCKS, MODELS, VARIANTS, Model
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

# Networks of research/slim that tf_slim does not ship, by what their variables' names have.
_UNSHIPPED = tuple((re.compile(pattern), name) for pattern, name in (
    (r"(?:^|/)(InceptionV4)/", "Inception V4"),
    (r"(?:^|/)(InceptionResnetV[12])/", "Inception-ResNet"),
    (r"(?:^|/)(MobilenetV[1-3](?:Edge)?)/", "MobileNet"),
    (r"(?:^|/)(cell_stem_\d+)/", "NASNet or PNASNet"),
    (r"(?:^|/)(LeNet|CifarNet|xception_\d+)/", "a network of research/slim or DeepLab"),
))

# What the names of other networks' variables have in them.
_OTHER_NETWORKS = tuple((re.compile(pattern), name) for pattern, name in (
    (r"(?:^|/)resnet_model/", "a ResNet of TensorFlow's official models"),
    (r"^resnet/root_block/", "a Big Transfer (BiT) ResNet"),
    (r"(?:^|/)(?:conv2d|dense|batch_normalization)(?:_\d+)?/(?:kernel|gamma)$",
     "a network of Keras or tf.layers"),
))


class UnbuildableNetwork(SlimResnetError):
    """A checkpoint holds a network that can be described, and not built here.

    Attributes:
      title: What people call it.
      leftovers: As `Recognised.leftovers`; all but those of training are its own here.
      variables: Names of its own variables.
    """

    def __init__(self, path: str, title: str, leftovers: dict[str, int],
                 variables: frozenset[str]) -> None:
        super().__init__(f"{path}: holds {title}, which tf_slim does not ship: it can be "
                         "described, and not built here")
        self.title, self.leftovers, self.variables = title, leftovers, variables


@dataclasses.dataclass(frozen=True)
class Recognised:
    """A network found in a checkpoint.

    Attributes:
      variant: ``slim``, or ``blog`` for the network of `slim_resnet.blog`: a key of
        `models.VARIANTS`. None for a network without residual units.
      depth: 50, 101, 152 or 200 if the blocks are that depth's, channels included;
        None for another table.
      blocks: The `Block` of the network, units as dicts. No checkpoint records
        strides or rates: the last unit of every block but the last is given stride 2,
        which is how slim and the blog build all their depths. Empty without residual units.
      scope: Variable scope of the network, without a final slash; may be empty.
      num_classes: Number of logits, None if there are none.
      input_channels: Channels of the images.
      root_block: Whether it begins with the root's convolutions and pool1.
      leftovers: Number of variables beside the network by kind: ``global_step``,
        ``mean_rgb``, ``zero_debias``, ``ExponentialMovingAverage``, an optimizer's
        name, and ``other``; kinds that do not occur are left out.
      variables: Names of the network's own variables.
      model: The key of `models.MODELS` that it is; None for another table of blocks.
      aux_kernel: Size of the second convolution of its auxiliary logits; None if there are
        none.
    """

    variant: str
    depth: int | None
    blocks: list[Block]
    scope: str
    num_classes: int | None
    input_channels: int
    root_block: bool
    leftovers: dict[str, int]
    variables: frozenset[str] = frozenset()
    model: str | None = None
    aux_kernel: int | None = None

    @property
    def row(self) -> Model:
        """Its row of `models.MODELS`, or that of a table of blocks of its variant."""
        if self.model is not None:
            return MODELS[self.model]
        return next(row for row in FROM_BLOCKS.values() if row.variant == self.variant)

    @property
    def first_weights(self) -> str | None:
        """Name below its scope of the first layer's weights; None without a root block."""
        if self.variant is None:
            return self.row.network.first
        return f"{VARIANTS[self.variant].root[0][0]}/weights" if self.root_block else None

    @property
    def logits_scope(self) -> str:
        """Scope below its own of the convolution that gives the logits."""
        return "logits" if self.variant else self.row.network.logits

    @property
    def title(self) -> str:
        """What people call it."""
        return VARIANTS[self.variant].title if self.variant else self.row.network.title


def leftover_kind(name: str) -> str | None:
    """Returns the kind of training leftover that a variable is, or None."""
    return next((kind for kind, pattern in _LEFTOVERS if pattern.search(name)), None)


def scopes_of_networks(names: Iterable[str]) -> list[str]:
    """Returns the scopes under which variables of residual units are named."""
    return sorted({place.scope for place in residual.units_in(names)})


def recognise(checkpoint: CheckpointLike) -> Recognised:
    """Finds the network that a checkpoint holds.

    Args:
      checkpoint: What `open_checkpoint` takes; of an open `Checkpoint` only path and
        shapes are looked at.

    Returns:
      A `Recognised`.

    Raises:
      UnbuildableNetwork: It holds one that tf_slim does not ship.
      SlimResnetError: It holds another network, more than one, or only part of one.
    """
    if isinstance(checkpoint, str | os.PathLike):
        with open_checkpoint(checkpoint) as opened:
            return recognise(opened)
    path, shapes = checkpoint.path, checkpoint.shapes
    names = [name for name in shapes if leftover_kind(name) is None]
    units = residual.units_in(names)
    if not units:
        return _plain(path, shapes, names)
    if len(units) > 1:
        raise SlimResnetError(f"{path}: holds {len(units)} residual networks: "
                              f"{', '.join(place.scope for place in units)}; save the one that is "
                              "wanted alone")
    (place, numbers), = units.items()
    variant = residual.variant_at(place, names)
    try:
        network = residual.walk(shapes, names, place, numbers, variant)
    except residual.Lacks as lacks:
        raise SlimResnetError(f"{path}: only part of {variant.title}: it holds no {lacks}"
                              ) from None
    for name, shape in network.expected.items():
        if shapes[name] != shape:
            raise SlimResnetError(f"{path}: {name} has the shape {list(shapes[name])}; beside the "
                                  f"other variables it must have {list(shape)}")
    depth = _depth(network.blocks, network.root_block)
    model = next((row.name for row in MODELS.values()
                  if depth is not None and (row.variant, row.depth) == (variant.name, depth)), None)
    return Recognised(
        variant=variant.name, depth=depth, blocks=network.blocks, scope=place.scope,
        num_classes=network.num_classes, input_channels=network.input_channels,
        root_block=network.root_block, leftovers=_leftovers(shapes, network.expected),
        variables=frozenset(network.expected), model=model)


def _plain(path, shapes, names):
    """Returns the `Recognised` of a checkpoint without residual units."""
    found = plain.find(path, shapes, names)
    if found is None:
        unshipped = _named(names, _UNSHIPPED)
        if unshipped:
            raise UnbuildableNetwork(path, unshipped, _leftovers(shapes, names),
                                     frozenset(names))
        for row in MODELS.values():
            if row.network and any(f"/{row.scope}/" in f"/{name}" for name in names):
                raise SlimResnetError(
                    f"{path}: only part of {row.network.title}: it holds no "
                    f"{row.scope}/{row.network.first} or no {row.scope}/{row.network.logits}")
        raise SlimResnetError(f"{path}: holds {_other_network(names)}, and no network of slim or "
                              "the blog")
    return Recognised(
        variant=None, depth=None, blocks=[], scope=found.scope, num_classes=found.num_classes,
        input_channels=found.input_channels, root_block=False,
        leftovers=_leftovers(shapes, found.expected), variables=frozenset(found.expected),
        model=found.model.name,
        aux_kernel=found.aux_kernel)


def _leftovers(shapes, expected):
    """Returns the number of variables beside the expected ones, by kind."""
    return dict(sorted(collections.Counter(
        leftover_kind(name) or "other" for name in shapes if name not in expected).items()))


def _depth(blocks, root_block):
    """Returns the released depth that has these blocks, or None."""
    table = [(block.scope, block.args) for block in blocks]
    return next((depth for depth in resnet_v2.DEPTHS if root_block and table == [
        (block.scope, block.args) for block in resnet_v2.blocks_of_depth(depth)]), None)


def _named(names, patterns):
    """Returns what the first of some patterns that fits any name stands for, or None."""
    for pattern, network in patterns:
        match = next(filter(None, map(pattern.search, names)), None)
        if match:
            return f"{network} ({match[1]})" if match.groups() else network
    return None


def _other_network(names):
    if not names:
        return "no variables of a network"
    return _named(names, _OTHER_NETWORKS) or \
        f"variables of no known network ({', '.join(names[:3])})"
