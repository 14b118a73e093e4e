"""Names for the layers of a Keras file that has none: older versions number them by class.

The numbers follow the order of the model's layers. Of Keras Applications' ResNet V2 that is by
unit: first batch norm, 1x1 and 3x3 with theirs, the shortcut's convolution, the last 1x1.
"""

import collections
import re
from collections.abc import Collection, Mapping
from typing import Any

from slim_resnet.checkpoint.foreign import keras_names as names

_GROUP = re.compile(r"(?P<place>.*?)(?P<kind>conv2d|batch_normalization|dense)"
                    r"(?:_(?P<number>\d{1,6}))?")
_PADDING = re.compile(r"(?:.*/)?zero_padding2d(?:_\d{1,6})?")


def named(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Returns layers by Keras Applications' names.

    Args:
      groups: Arrays by variable, of each layer by its group in the file.

    Returns:
      The layers; empty if they are not in the order of a ResNet V2.
    """
    places = collections.defaultdict(lambda: collections.defaultdict(dict))
    for group, arrays in groups.items():
        match = _GROUP.fullmatch(group)
        if match:
            places[match["place"]][match["kind"]][int(match["number"] or 0)] = arrays
    if not places:
        return {}
    # A model within a model has its own.
    kinds = max(places.values(), key=lambda kinds: len(kinds["conv2d"]))
    convolutions, norms, dense = ([kinds[kind][number] for number in sorted(kinds[kind])]
                                  for kind in ("conv2d", "batch_normalization", "dense"))
    layers, block, unit, norm = {}, 0, 0, iter(norms)
    layers["conv1_conv"], *left = convolutions
    try:
        while left:
            first, second, *left = left
            biased = 0
            while biased < len(left) and "bias" in left[biased]:
                biased += 1
            if "bias" in first or "bias" in second or biased not in (1, 2):
                return {}
            block, unit = (block + 1, 1) if biased == 2 else (block, unit + 1)
            start = names.unit_start(block, unit)
            last, left = left[:biased], left[biased:]
            layers[f"{start}_preact_bn"] = next(norm)
            for number, conv in (("1", first), ("2", second)):
                layers[f"{start}_{number}_conv"] = conv
                layers[f"{start}_{number}_bn"] = next(norm)
            for number, conv in zip("03" if biased == 2 else "3", last):
                layers[f"{start}_{number}_conv"] = conv
        layers["post_bn"] = next(norm)
    # Too few of a kind.
    except (StopIteration, ValueError):
        return {}
    if next(norm, None) is not None or len(dense) > 1:
        return {}
    return {**layers, **({"predictions": dense[0]} if dense else {})}


def has_pool1_pad(groups: Collection[str], layers: Collection[str]) -> bool:
    """Whether there is a padding more than conv1's and one a unit.

    Args:
      groups: All groups of the file.
      layers: What `named` returned the names of.
    """
    return sum(_PADDING.fullmatch(group) is not None for group in groups) > 1 + sum(
        map(names.is_preact, layers))
