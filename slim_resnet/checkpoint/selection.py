"""Which network of a checkpoint is meant, and what no checkpoint records of it.

Needs no TensorFlow, so that a command line can be checked against it at once.
"""

import dataclasses
import fnmatch
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from slim_resnet.errors import SlimResnetError

_STRIDE = re.compile(r"([1-9][0-9]?)(?:@([1-9][0-9]{0,5}))?")


@dataclasses.dataclass(frozen=True)
class Selection(os.PathLike):
    """A checkpoint, and which network of it is meant; goes wherever a checkpoint does.

    ::

        classify(Selection("towers.ckpt", scope="tower_1"), ["photo.jpg"])

    Attributes:
      path: What `open_checkpoint` takes.
      scope: Variable scope of the network, or one above it that no other is under; several,
        in a tuple, for a network whose blocks are under more than one.
      exclude: `fnmatch` patterns of variables that are taken as not there.
      allow_missing: Whether a network that is not whole gives features, up to the last end
        point before the first variable that is missing.
      output_stride: As in `resnet_v2.resnet_v2`: later strides become atrous rates.
      blocks: Strides, such as ``2,2,2,1`` by block, in its last unit, or in another:
        ``1,2@1,2@1`` has them in the first of the second and third block.
    """

    path: str | os.PathLike
    scope: str | tuple[str, ...] = ()
    exclude: str | tuple[str, ...] = ()
    allow_missing: bool = False
    output_stride: int | None = None
    blocks: str | None = None

    def __post_init__(self) -> None:
        for name in ("scope", "exclude"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        # Once for its errors.
        self.strides()

    def __fspath__(self) -> str:
        return os.fsdecode(self.path)

    def __str__(self) -> str:
        return os.fsdecode(self.path)

    def record(self) -> dict[str, Any]:
        """Returns what was chosen, fit for JSON; what was not is left out."""
        chosen = {"scope": list(self.scope), "exclude": list(self.exclude),
                  "allow_missing": self.allow_missing, "output_stride": self.output_stride,
                  "blocks": self.blocks}
        return {name: value for name, value in chosen.items() if value}

    def strides(self) -> list[tuple[int, int | None]] | None:
        """Returns stride and number of its unit, None for the last, of each block.

        Raises:
          SlimResnetError: ``blocks`` is written otherwise.
        """
        if self.blocks is None:
            return None
        matches = [_STRIDE.fullmatch(part) for part in self.blocks.split(",")]
        if not all(matches):
            raise SlimResnetError(
                f"blocks {self.blocks[:60]!r}: write the stride of each block's last unit, like "
                "2,2,2,1, or of another, like 2@1 for the first")
        return [(int(match[1]), int(match[2]) if match[2] else None) for match in matches]

    def kept(self, names: Iterable[str], path: str) -> list[str]:
        """Returns the names that ``exclude`` leaves.

        Raises:
          SlimResnetError: One of its patterns fits none.
        """
        names = list(names)
        for pattern in self.exclude:
            left = [name for name in names if not fnmatch.fnmatchcase(name, pattern)]
            if len(left) == len(names):
                raise SlimResnetError(f"{path}: exclude pattern {pattern!r} fits no variable")
            names = left
        return names


def choose_scopes(found: Sequence[str], wanted: Sequence[str], path: str) -> list[str]:
    """Returns the scopes of the one network that is meant, the first first.

    Args:
      found: The scopes where something of a network is.
      wanted: `Selection.scope`.
      path: Of the checkpoint, for messages.

    Raises:
      SlimResnetError: No network is under a scope, or more than one are.
    """
    found = sorted(set(found))
    chosen = []
    for scope in wanted:
        scope = scope.strip("/")
        under = [one for one in found if one == scope] or [
            one for one in found if scope and one.startswith(f"{scope}/")]
        if len(under) != 1:
            raise SlimResnetError(
                f"{path}: holds {len(under) or 'no'} network{'s' * (len(under) != 1)} under the "
                f"scope {scope!r}; there are {_listed(under or found)}")
        chosen += under
    if chosen:
        return list(dict.fromkeys(chosen))
    if len(found) > 1:
        raise SlimResnetError(
            f"{path}: holds {len(found)} networks: {_listed(found)}; choose one with --scope, or "
            "give all scopes of one that is in parts, each with its own --scope")
    return found


def _listed(scopes):
    shown = ", ".join(scope or "'' (no scope)" for scope in scopes[:8])
    return shown + (f" and {len(scopes) - 8} more" if len(scopes) > 8 else "")


def joined(scopes: Sequence[str], names: Iterable[str], path: str) -> dict[str, str]:
    """Returns the names in the file by those that they have under the first of some scopes.

    Args:
      scopes: What `choose_scopes` returned.
      names: Those to look at.
      path: Of the checkpoint, for messages.

    Raises:
      SlimResnetError: Two variables would have one name.
    """
    by_name = {}
    for name in names:
        new = name
        for scope in scopes[1:]:
            if name.startswith(f"{scope}/"):
                new = "/".join(filter(None, [scopes[0], name[len(scope) + 1:]]))
        if new in by_name:
            raise SlimResnetError(f"{path}: the scopes {' and '.join(scopes)} are no parts of one "
                                  f"network: both {by_name[new]} and {name} are there")
        by_name[new] = name
    return by_name
