"""Strides and rates of a recognised network, which no checkpoint records."""

from collections.abc import Sequence

from slim_resnet import resnet_utils, resnet_v2
from slim_resnet.checkpoint.selection import Selection
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import Variant
from slim_resnet.resnet_utils import Block


def slims(blocks: Sequence[Block], ends: bool, missing: bool) -> list[Block]:
    """Returns a table of blocks with the strides that slim gives all its depths.

    Those are 2 in the last unit of every block but the network's last.

    Args:
      blocks: Table of blocks; strides are not looked at.
      ends: Whether the last unit here is known to have none: one of the network's last block,
        or not the last of its own. If it is not, a table that begins as that of a released
        depth gets its strides.
      missing: Whether the network is known to go on behind them.
    """
    strides = [2] * len(blocks)
    released = None if ends else released_depth(blocks, begins=True)
    if released is not None:
        strides = [block.args[-1]["stride"] for block in resnet_v2.blocks_of_depth(released)]
    elif ends or not missing:
        strides[-1] = 1
    return [_with_stride(block, stride, len(block.args))
            for block, stride in zip(blocks, strides)]


def released_depth(blocks: Sequence[Block], begins: bool = False) -> int | None:
    """Returns the released depth that has the units of a table of blocks, or None.

    Args:
      blocks: Table of blocks; strides are not looked at.
      begins: Whether a depth will do whose table only begins so.
    """
    def units(table):
        return [(block.scope, [(unit["depth"], unit["depth_bottleneck"]) for unit in block.args])
                for block in table]

    own = units(blocks)
    return next((depth for depth in resnet_v2.DEPTHS if own == units(
        resnet_v2.blocks_of_depth(depth))[:len(own) if begins else None]), None)


def chosen(blocks: Sequence[Block], selection: Selection, variant: Variant, root_block: bool,
           path: str) -> list[Block]:
    """Returns a table of blocks with the strides and rates that a `Selection` asks for.

    Args:
      blocks: Table of blocks with `slims` strides.
      selection: The `Selection`.
      variant: The network's kind.
      root_block: Whether the network begins with conv1 and pool1.
      path: Of the checkpoint, for messages.

    Raises:
      SlimResnetError: The network cannot have them.
    """
    strides = selection.strides()
    if strides is not None:
        if len(strides) != len(blocks):
            raise SlimResnetError(f"{path}: --blocks {selection.blocks} has {len(strides)} "
                                  f"strides, and the network {len(blocks)} blocks")
        for block, (_, unit) in zip(blocks, strides):
            if unit is not None and unit > len(block.args):
                raise SlimResnetError(f"{path}: --blocks {selection.blocks}: {block.scope} has "
                                      f"{len(block.args)} units, and no unit {unit}")
        blocks = [_with_stride(block, stride, unit or len(block.args))
                  for block, (stride, unit) in zip(blocks, strides)]
    if selection.output_stride is not None:
        if not variant.dense:
            raise SlimResnetError(f"{path}: {variant.title} has no output_stride")
        try:
            left = selection.output_stride
            plan = resnet_utils.planned_units(
                blocks, resnet_utils.behind_root(left) if root_block else left)
        except ValueError as error:
            raise SlimResnetError(f"{path}: --output-stride {selection.output_stride}: {error}"
                                  ) from error
        blocks = [block._replace(args=units) for block, units in plan]
    return list(blocks)


def _with_stride(block, stride, number):
    return block._replace(args=[dict(unit, stride=stride if at == number else 1)
                                for at, unit in enumerate(block.args, 1)])


def in_words(blocks: Sequence[Block]) -> str:
    """Returns where a table of blocks has strides and rates, for people."""
    said = []
    for block in blocks:
        for number, unit in enumerate(block.args, 1):
            where = "last unit" if number == len(block.args) else f"unit {number}"
            if unit["stride"] != 1:
                said.append(f"{unit['stride']} in the {where} of {block.scope}")
        rates = sorted({unit.get("rate", 1) for unit in block.args} - {1})
        if rates:
            said.append(f"rate {' and '.join(map(str, rates))} in {block.scope}")
    return ", ".join(said[:8]) + (", ..." if len(said) > 8 else "") or "1 everywhere"
