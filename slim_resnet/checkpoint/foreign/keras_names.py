"""Names of Keras Applications' ResNets for slim's scopes, and back.

``block1/unit_2/bottleneck_v2/conv3`` is ``conv2_block2_3_conv`` there: blocks count from the
root's convolution, and a unit's shortcut is number 0.
"""

import re
from collections.abc import Mapping, Sequence

# What slim calls a variable that Keras calls otherwise, in one or another version.
_VARIABLES = {"kernel": "weights", "bias": "biases", "depthwise_kernel": "weights"}
KERAS_VARIABLES = frozenset([*_VARIABLES, "gamma", "beta", "moving_mean", "moving_variance"])

_NORM = "/BatchNorm"
_HEAD = {"postnorm": "post_bn", "logits": "predictions"}
_SCOPES = {layer: scope for scope, layer in _HEAD.items()}
_ROOT_LAYER = re.compile(r"(conv1(?:_[123])?)_(conv|bn)")
_UNIT_LAYER = re.compile(r"conv(\d{1,4})_block(\d{1,4})_(?:(preact)_bn|([0-3])_(conv|bn))")
_UNIT_SCOPE = re.compile(r"(?P<block>[^/]+)/unit_(?P<unit>\d+)/bottleneck_v[12]/(?P<layer>\w+)")


def slims_variable(name: str) -> str:
    """Returns what slim calls a layer's variable."""
    return _VARIABLES.get(name, name)


def keras_variable(name: str) -> str:
    """Returns what Keras calls one."""
    return "kernel" if name.endswith("weights") else "bias" if name == "biases" else name


def layer_of(scope: str, blocks: Sequence[str]) -> str:
    """Returns the name of the Keras layer for a scope with variables.

    Args:
      scope: Below that of the network, such as ``conv1`` or ``logits``.
      blocks: Scopes of the network's blocks.
    """
    if scope in _HEAD:
        return _HEAD[scope]
    base = scope.removesuffix(_NORM)
    kind = "bn" if base != scope else "conv"
    unit = _UNIT_SCOPE.fullmatch(base)
    if unit is None:
        return f"{base}_{kind}"
    start = f"{unit_start(blocks.index(unit['block']) + 1, int(unit['unit']))}_"
    if unit["layer"] == "preact":
        return f"{start}preact_bn"
    number = "0" if unit["layer"] == "shortcut" else unit["layer"].removeprefix("conv")
    return f"{start}{number}_{kind}"


def unit_start(block: int, unit: int) -> str:
    """Returns how the names of a unit's layers begin; both count from 1."""
    return f"conv{block + 1}_block{unit}"


def is_preact(layer: str) -> bool:
    """Whether a layer is a first batch norm of a unit, which only V2 has."""
    return layer.endswith("_preact_bn") and _UNIT_LAYER.fullmatch(layer) is not None


def scope_of(layer: str, unit: str) -> str | None:
    """Returns the scope below the network's for a layer, or None if it is none of slim's.

    Args:
      layer: Its name.
      unit: ``bottleneck_v1`` or ``bottleneck_v2``.
    """
    if layer in _SCOPES:
        return _SCOPES[layer]
    root = _ROOT_LAYER.fullmatch(layer)
    if root:
        return root[1] + (_NORM if root[2] == "bn" else "")
    match = _UNIT_LAYER.fullmatch(layer)
    if match is None or int(match[1]) < 2:
        return None
    start = f"block{int(match[1]) - 1}/unit_{int(match[2])}/{unit}/"
    if match[3]:
        return f"{start}preact"
    return start + ("shortcut" if match[4] == "0" else f"conv{match[4]}") + (
        _NORM if match[5] == "bn" else "")


def units_of(layers: Mapping) -> tuple[int, ...]:
    """Returns the number of units of each block, by the names of layers."""
    numbers = {}
    for match in filter(None, map(_UNIT_LAYER.fullmatch, layers)):
        block = int(match[1])
        numbers[block] = max(numbers.get(block, 0), int(match[2]))
    return tuple(numbers[block] for block in sorted(numbers))
