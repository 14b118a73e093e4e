"""What training left in a checkpoint beside a network, told by how names lie to each other.

Optimizers and averages name what they keep after the variable that it is for: below its
name (``conv1/weights/Momentum``), in a scope of their own too (``train/conv1/weights/Adam``),
or under the same name in one (``my_optimizer/conv1/weights``). Names of optimizers are not
looked at, and neither are shapes below a variable's name: Adafactor keeps sums of rows.
"""

import collections
import re
from collections.abc import Iterable, Mapping

# What has no place of its own in a network, wherever it is.
_BY_ITSELF = ("global_step", "mean_rgb")
_BETA_POWER = re.compile(r"(^|/)beta[12]_power(_\d+)?$")
# What a debiased moving mean has below its name, see `restoring`.
_ZERO_DEBIAS = ("biased", "local_step")
_MOVING = ("moving_mean", "moving_variance")
_NUMBER = re.compile(r"_\d+$")


class Leftovers:
    """Tells the leftovers among the variables of a checkpoint.

    Args:
      shapes: Maps the names of all variables to their shapes, tuples.
    """

    def __init__(self, shapes: Mapping[str, tuple]) -> None:
        self._shapes = shapes
        self._ends = {name.rpartition("/")[2] for name in shapes}
        self._copies = self._find_copies()
        self._arrays = {name: self._array_kind(name) for name in shapes}
        # Scopes with anything in them that is no leftover itself.
        self._scopes = {"/".join(parts[:end]) for parts in (
            name.split("/") for name, shape in shapes.items()
            if shape and self._arrays[name] is None) for end in range(1, len(parts))}

    def kind(self, name: str) -> str | None:
        """Returns what kind of leftover a variable is, or None for none.

        Kinds are ``global_step``, ``mean_rgb``, ``zero_debias``, ``scalar``, and what
        optimizers and averages call what they keep, such as ``Momentum``.
        """
        kind = self._arrays[name]
        if kind is None and not self._shapes[name]:
            scope = name.rpartition("/")[0]
            if _BETA_POWER.search(name) or scope not in self._scopes:
                return "scalar"
        return kind

    def kinds(self, network: Iterable[str]) -> dict[str, str]:
        """Returns the kind of each variable beside a network's, by name; ``other`` for none."""
        network = set(network)
        return {name: self.kind(name) or "other" for name in self._shapes if name not in network}

    def _array_kind(self, name):
        parts = name.split("/")
        if parts[-1] in _BY_ITSELF:
            return parts[-1]
        below = self._below_a_variable(parts)
        if below is not None:
            return "zero_debias" if below in _ZERO_DEBIAS else _NUMBER.sub("", below)
        return next((_NUMBER.sub("", scope.rpartition("/")[2]) for scope in self._copies
                     if name.startswith(f"{scope}/")), None)

    def _below_a_variable(self, parts):
        """Returns what comes right behind another variable's name, or None."""
        for start in range(len(parts) - 1):
            # In a scope of its own a name of one part would fit by chance.
            for end in range(start + 2 if start else 1, len(parts)):
                if parts[end - 1] in self._ends and "/".join(parts[start:end]) in self._shapes:
                    return parts[end]
        return None

    def _find_copies(self):
        """Returns the scopes that repeat trainable variables under their names, and no others.

        A copy with moving statistics could be another network, and so could one of a
        network that has none.
        """
        copies, moving = collections.defaultdict(set), {
            name.rpartition("/")[0] for name in self._shapes if name.endswith(_MOVING)}
        for name, shape in self._shapes.items():
            parts = name.split("/")
            for start in range(1, len(parts) - 1):
                if self._shapes.get("/".join(parts[start:])) == shape:
                    copies["/".join(parts[:start])].add("/".join(parts[start:]))
        return [scope for scope, names in copies.items()
                if any(name.rpartition("/")[0] in moving for name in names)
                and not any(f"{scope}/{norm}" in moving for norm in
                            {name.rpartition("/")[0] for name in names})]
