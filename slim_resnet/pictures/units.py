"""Units of a block that do the same, grouped, so that they are drawn once."""

import itertools
import typing

from slim_resnet.resnet_utils import unit_arguments


class UnitGroup(typing.NamedTuple):
    """Successive units of a block that do the same to tensors of the same shape.

    Attributes:
      first: Number of the first of them, from 1.
      count: How many there are.
      depth_in: Channels of their input.
      depth: Channels of their output.
      depth_bottleneck: Channels of their first two convolutions.
      stride: Step of their 3x3 convolution and of their shortcut.
    """

    first: int
    count: int
    depth_in: int
    depth: int
    depth_bottleneck: int
    stride: int

    @property
    def shortcut(self):
        """``projection``, ``subsample`` or ``identity``."""
        if self.depth_in != self.depth:
            return "projection"
        return "identity" if self.stride == 1 else "subsample"


def unit_groups(block, depth_in):
    """Returns the `UnitGroup` of a `Block` whose input has ``depth_in`` channels.

    Units with a stride are never grouped: each halves the resolution anew.
    """
    units = []
    for number, unit in enumerate(map(unit_arguments, block.args), 1):
        units.append(UnitGroup(number, 1, depth_in, unit["depth"], unit["depth_bottleneck"],
                               unit.get("stride", 1)))
        depth_in = unit["depth"]
    groups = []
    for _, alike in itertools.groupby(
            units, lambda unit: (unit[2:], unit.first if unit.stride != 1 else None)):
        alike = list(alike)
        groups.append(alike[0]._replace(count=len(alike)))
    return groups
