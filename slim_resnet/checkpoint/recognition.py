"""Which network a checkpoint holds, judged by the names and shapes of its variables."""

import collections
import dataclasses
import os
import re
from collections.abc import Iterable

from slim_resnet.checkpoint import plain, residual, strides
from slim_resnet.checkpoint.leftovers import Leftovers
from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.selection import choose_scopes, joined
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import FROM_BLOCKS, MODELS, VARIANTS, Model
from slim_resnet.resnet_utils import Block

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
      leftovers: As `Recognised.leftovers`; all of the network is ``other``.
      kinds: As `Recognised.kinds`, without those.
    """

    def __init__(self, path, title, kinds):
        super().__init__(f"{path}: holds {title}, which tf_slim does not ship: it can be "
                         "described, and not built here")
        self.title, self.leftovers = title, _counted(kinds)
        self.kinds = {name: kind for name, kind in kinds.items() if kind != "other"}


@dataclasses.dataclass(frozen=True)
class Recognised:
    """A network found in a checkpoint.

    Attributes:
      variant: ``slim``, or ``blog`` for the network of `slim_resnet.blog`: a key of
        `models.VARIANTS`. None for a network without residual units.
      depth: 50, 101, 152 or 200 if the blocks are that depth's, channels included;
        None for another table.
      blocks: The `Block` of the network, units as dicts. No checkpoint records
        strides or rates: see `strides.slims` for what is assumed, unless the checkpoint's
        `Selection` says others. Empty without residual units.
      scope: Variable scope of the network, without a final slash; may be empty.
      num_classes: Number of logits, None if there are none.
      input_channels: Channels of the images.
      root_block: Whether it begins with the root's convolutions and pool1.
      leftovers: Number of variables beside the network by kind, see `Leftovers.kind`, and
        ``other``; kinds that do not occur are left out.
      kinds: What kind each variable beside the network is, by name, as in ``leftovers``.
      model: The key of `models.MODELS` that it is; None for another table of blocks.
      aux_kernel: Size of the second convolution of its auxiliary logits; None if there are
        none.
      batch_norm_scale: Whether its batch norms have ``gamma``.
      missing: The first variable that is not there of a network that is not whole; None of
        one that is.
      assumed: What the file does not say and nobody has, in words: ``strides``; ``missing``,
        where it ends if it is not whole; ``others``, what under its scope is none of its own;
        and `Checkpoint.notes`.
      names: Maps the names of its variables to those that they have in the file, which
        are others where it is under more than one scope.
    """

    variant: str
    depth: int | None
    blocks: list[Block]
    scope: str
    num_classes: int | None
    input_channels: int
    root_block: bool
    leftovers: dict[str, int]
    kinds: dict[str, str] = dataclasses.field(default_factory=dict, compare=False)
    model: str | None = None
    aux_kernel: int | None = None
    batch_norm_scale: bool = True
    missing: str | None = None
    assumed: dict[str, str] = dataclasses.field(default_factory=dict)
    names: dict[str, str] = dataclasses.field(default_factory=dict, compare=False)

    def __repr__(self) -> str:
        classes = "no logits" if self.num_classes is None else f"{self.num_classes} classes"
        return printable(f"<{self.full_title}, scope {self.scope or '(none)'}, {classes}>")

    @property
    def full_title(self) -> str:
        """What people call it, with its depth if it has one that was released."""
        return f"{self.title}{f' {self.depth}' if self.depth else ''}"

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


def scopes_of_networks(names: Iterable[str]) -> list[str]:
    """Returns the scopes under which variables of residual units are named."""
    return sorted({place.scope for place in residual.units_in(names)})


def recognise(checkpoint: CheckpointLike) -> Recognised:
    """Finds the network that a checkpoint holds.

    Args:
      checkpoint: What `open_checkpoint` takes; of an open `Checkpoint` only path, shapes,
        notes and `Selection` are looked at.

    Returns:
      A `Recognised`.

    Raises:
      UnbuildableNetwork: It holds one that tf_slim does not ship.
      SlimResnetError: It holds another network, more than one, or only part of one.
    """
    if isinstance(checkpoint, str | os.PathLike):
        with open_checkpoint(checkpoint) as opened:
            return recognise(opened)
    path, selection = checkpoint.path, checkpoint.selection
    leftovers = Leftovers(checkpoint.shapes)
    names = [name for name in selection.kept(checkpoint.shapes, path)
             if leftovers.kind(name) is None]
    scopes = choose_scopes([*scopes_of_networks(names), *plain.scopes_in(names)],
                           selection.scope, path)
    names = joined(scopes, names, path)
    shapes = {name: checkpoint.shapes[in_file] for name, in_file in names.items()}
    places = [place for place in residual.units_in(shapes) if place.scope in scopes[:1]]
    if len(places) > 1:
        raise SlimResnetError(f"{path}: holds units of ResNet V1 and of V2 under one scope, "
                              f"{places[0].scope}")
    made = _residual(path, shapes, places[0], selection) if places else _plain(
        path, shapes, scopes, selection, leftovers)
    expected = made.pop("expected")
    for name, shape in expected.items():
        if 0 in shape:
            raise SlimResnetError(f"{path}: {names[name]} has the shape {list(shape)}: a network "
                                  "without channels or classes")
    names = {name: names[name] for name in expected}
    kinds = leftovers.kinds(names.values())
    found = Recognised(leftovers=_counted(kinds), kinds=kinds, names=names, **made)
    if places:
        others = residual.others_in_layers(expected, places[0], shapes, made["missing"])
        if others:
            raise UnbuildableNetwork(
                path, f"{found.title} with {len(others)} variables more in its layers "
                f"({_some(others)})", kinds)
    return dataclasses.replace(
        found, assumed={**_assumed(found, selection, shapes), **checkpoint.notes})


def _residual(path, shapes, place, selection):
    """Returns what a `Recognised` is made of, for a network of residual units."""
    variant = residual.variant_at(place, shapes)
    try:
        network = residual.walk(shapes, place, residual.units_in(shapes)[place], variant,
                                selection.allow_missing)
    except residual.Lacks as lacks:
        raise SlimResnetError(f"{path}: only part of {variant.title}: it holds no {lacks}"
                              + ("" if selection.allow_missing else "; --allow-missing takes "
                                 "what is whole before it, if a unit is")) from None
    for name, shape in network.expected.items():
        if shapes[name] != shape:
            raise SlimResnetError(f"{path}: {name} has the shape {list(shapes[name])}; beside the "
                                  f"other variables it must have {list(shape)}")
    depth = strides.released_depth(network.blocks) if network.root_block and not network.missing \
        else None
    return dict(
        variant=variant.name, depth=depth, scope=place.scope, num_classes=network.num_classes,
        blocks=strides.chosen(strides.slims(
            network.blocks, network.ends, network.missing is not None), selection, variant,
            network.root_block, path),
        input_channels=network.input_channels, root_block=network.root_block,
        batch_norm_scale=network.batch_norm_scale, missing=network.missing,
        model=next((row.name for row in MODELS.values() if depth is not None
                    and (row.variant, row.depth) == (variant.name, depth)), None),
        expected=network.expected)


def _plain(path, shapes, scopes, selection, leftovers):
    """Returns the same for a network without residual units."""
    found = plain.find(path, shapes, shapes, scopes)
    if found is None:
        unshipped = _named(shapes, _UNSHIPPED)
        if unshipped:
            raise UnbuildableNetwork(path, unshipped, leftovers.kinds(()))
        for row in MODELS.values():
            if row.network and any(f"/{row.scope}/" in f"/{name}" for name in shapes):
                raise SlimResnetError(
                    f"{path}: only part of {row.network.title}: it holds no "
                    f"{row.scope}/{row.network.first} or no {row.scope}/{row.network.logits}")
        raise SlimResnetError(f"{path}: holds {_other_network(list(shapes))}, and no network of "
                              "slim or the blog")
    for option in ("output_stride", "blocks"):
        if getattr(selection, option) is not None:
            raise SlimResnetError(f"{path}: {found.model.network.title} has no "
                                  f"--{option.replace('_', '-')}")
    return dict(
        variant=None, depth=None, blocks=[], scope=found.scope, num_classes=found.num_classes,
        input_channels=found.input_channels, root_block=False, model=found.model.name,
        aux_kernel=found.aux_kernel, expected=found.expected)


def _assumed(found, selection, shapes):
    """Returns the sentences of `Recognised.assumed`."""
    said = {}
    if found.variant and selection.blocks is None:
        said["strides"] = ("slim's, for no checkpoint records them: "
                           f"{strides.in_words(found.blocks)}")
    if found.missing:
        said["missing"] = (f"{found.missing}: it ends behind unit {len(found.blocks[-1].args)} of "
                           f"{found.blocks[-1].scope}")
    start = f"{found.scope}/" if found.scope else ""
    beside = [name for name in shapes if name.startswith(start) and name not in found.names]
    # Without a scope everything is under it.
    if beside and start:
        said["others"] = (f"{len(beside)} variables under its scope are none of its own, and "
                          f"left alone: {_some(beside)}")
    return said


def _counted(kinds):
    return dict(sorted(collections.Counter(kinds.values()).items()))


def _some(names):
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


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
