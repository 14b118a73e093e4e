"""Where the variables of a network go in a file with names of its own, and back."""

from collections.abc import Callable
from typing import Any

import numpy as np

from slim_resnet.checkpoint.reader import Checkpoint
from slim_resnet.checkpoint.recognition import Recognised
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import VARIANTS


def check_whole(opened: Checkpoint, network: Recognised, what: str) -> None:
    """Raises `SlimResnetError` unless a whole network of float32 values is there.

    Args:
      opened: The checkpoint.
      network: Its network.
      what: What is made of it, for messages: "a Keras model".
    """
    if network.missing:
        raise SlimResnetError(f"{opened.path}: a network that is not whole (no {network.missing}) "
                              f"cannot become {what}; export it as saved_model or frozen")
    for name in network.names.values():
        if opened.dtypes[name] != "float32":
            raise SlimResnetError(f"{opened.path}: {name} is of dtype {opened.dtypes[name]}, and "
                                  f"{what} of float32; save it as float32, or choose v2")


def placed(opened: Checkpoint, network: Recognised,
           place: Callable[[str, str, np.ndarray], tuple[str, np.ndarray] | None]
           ) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
    """Returns a network's arrays under other names, and where each is from.

    Args:
      opened: The checkpoint.
      network: Its network.
      place: Gives the name and the array there, of ``(scope, variable, array)``; the scope is
        below the network's, ``conv1/BatchNorm`` and ``gamma`` for example; or None for what
        is left out.

    Returns:
      ``(arrays, variables)``; the latter are for `foreign.values.record_of`.
    """
    arrays, variables = {}, {}
    start = f"{network.scope}/" if network.scope else ""
    for name, in_file in network.names.items():
        value = opened.network_tensor(in_file)
        scope, _, variable = name.removeprefix(start).rpartition("/")
        to = place(scope, variable, value)
        if to is not None:
            own, array = to
            arrays[own] = array
            variables[own] = [name, list(value.shape)]
    return arrays, variables


def root_channels(opened: Checkpoint, network: Recognised) -> list[int]:
    """Returns the channels of the convolutions before pool1, one after the other."""
    if not network.root_block:
        return []
    start = f"{network.scope}/" if network.scope else ""
    return [opened.shapes[network.names[f"{start}{scope}/weights"]][-1]
            for scope, _, _ in VARIANTS[network.variant].root]


def head(network: Recognised) -> list[str]:
    """Returns the end points that a residual network's export is checked by."""
    start = f"{network.scope}/" if network.scope else ""
    return ["global_pool"] if network.num_classes is None else [f"{start}logits", "predictions"]
