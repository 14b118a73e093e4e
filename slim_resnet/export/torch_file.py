"""safetensors in PyTorch's names and layout, and the module that takes them."""

import importlib.resources
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from slim_resnet.checkpoint.foreign import safetensors
from slim_resnet.checkpoint.foreign.values import METADATA
from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import Recognised, recognise
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common import files
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.places import check_whole, head, placed, root_channels
from slim_resnet.export.shared import interface, metadata
from slim_resnet.images.settings import Preprocessing
from slim_resnet.models import VARIANTS

MODULE = "resnet_torch.py"
_VARIABLES = {"weights": "weight", "biases": "bias", "gamma": "weight", "beta": "bias",
              "moving_mean": "running_mean", "moving_variance": "running_var"}


def check_target(output: str) -> None:
    """Raises `SlimResnetError` if an output, or the module beside it, cannot be written."""
    files.check_writable(output)
    module = os.path.join(os.path.dirname(output), MODULE)
    if os.path.lexists(module):
        files.check_regular(module)
        with open(module, encoding="utf-8", errors="replace") as file:
            if file.read(1 << 20) != _module_text():
                raise SlimResnetError(f"{module}: is there, and not what this version writes "
                                      "beside a .safetensors; move it away, or write to another "
                                      "folder")


def write(checkpoint: CheckpointLike, path: str, *, image_size: int | None = None,
          preprocessing: str | Preprocessing | None = None,
          use_moving_averages: bool | None = None) -> dict[str, Any]:
    """Writes weights for PyTorch, and ``resnet_torch.py`` beside them, a module that takes them.

    ``ResNet(path)`` there is a ``torch.nn.Module`` of prepared images (float32
    ``[N, channels, H, W]``) to logits (``[N, classes]``), or to pooled features where there
    are none. Values are the variables' own, bit for bit: only their dimensions are in PyTorch's
    order. The file's text ``slim_resnet_metadata`` is the record.

    Args:
      checkpoint: Anything that `open_checkpoint` opens, with residual units.
      path: File to write.
      image_size: Recorded as what images are resized to; None as in `settings.settings_of`.
      preprocessing: Recorded as how they are prepared; likewise.
      use_moving_averages: See `checkpoint.open_checkpoint`.

    Returns:
      The `metadata`.

    Raises:
      SlimResnetError: The network cannot be had so.
    """
    with open_checkpoint(checkpoint, use_moving_averages) as opened:
        network = recognise(opened)
        check_whole(opened, network, "a PyTorch module")
        if network.variant is None:
            raise SlimResnetError(f"{opened.path}: {network.title} cannot become a PyTorch module: "
                                  f"{MODULE} has residual units only; choose onnx or frozen")
        settings = settings_of(opened, image_size, preprocessing)
        arrays, variables = placed(opened, network, _place(network))
        if not network.batch_norm_scale:
            # PyTorch's batch norms have gamma or neither; variables has none, so none comes home.
            arrays.update({name.removesuffix("running_mean") + "weight": np.ones_like(value)
                           for name, value in list(arrays.items())
                           if name.endswith(".running_mean")})
        record = {**metadata(opened, moving_averages=opened.use_moving_averages),
                  "image_size_pixels": settings.image_size, **settings.preprocessing.as_record(),
                  **interface(head(network), None, network.input_channels)}
        table = _table(network, root_channels(opened, network))
    with open(path, "wb") as file:
        safetensors.write(file, arrays, {"format": "pt", METADATA: json.dumps(
            {**record, "network": table, "variables": variables})})
    with open(os.path.join(os.path.dirname(path), MODULE), "w", encoding="utf-8") as file:
        file.write(_module_text())
    return record


def _module_text():
    return importlib.resources.files("slim_resnet.export").joinpath(MODULE).read_text("utf-8")


def _place(network: Recognised) -> Callable:
    """Returns a function for `placed`, to names and the layout of `resnet_torch`."""
    blocks = [block.scope for block in network.blocks]

    def place(scope, variable, value):
        if variable == "weights":
            if scope == "logits" and value.ndim == 4:
                value = value[0, 0]
            value = safetensors.to_torch(value)
        return f"{_module_of(scope, network, blocks)}.{_VARIABLES[variable]}", value

    return place


def _module_of(scope: str, network: Recognised, blocks: list[str]) -> str:
    """Returns the name of the submodule for a scope below the network's."""
    base = scope.removesuffix("/BatchNorm")
    end = ".bn" if base != scope else ""
    head = {"postnorm": "norm", "logits": "fc"}
    if base in head:
        return head[base]
    for number, (root, _, _) in enumerate(VARIANTS[network.variant].root):
        if base == root:
            return f"root.{number}{end}"
    block, unit, _, layer = base.split("/")
    return f"blocks.{blocks.index(block)}.{int(unit.removeprefix('unit_')) - 1}.{layer}{end}"


def _table(network: Recognised, root_channels: list[int]) -> dict[str, Any]:
    """Returns the arguments of `resnet_torch.ResNet`'s layers, which are by position there."""
    variant, ins = VARIANTS[network.variant], network.input_channels
    table = {"v2": variant.norm_first, "bn3": variant.conv3_norm, "same": variant.conv2_same,
             "classes": network.num_classes, "root": [], "blocks": []}
    for (_, size, stride), outs in zip(variant.root, root_channels):
        table["root"].append([ins, outs, size, stride])
        ins = outs
    for block in network.blocks:
        table["blocks"].append([])
        for unit in block.args:
            rate = unit.get("rate", 1) * unit.get("unit_rate", 1)
            table["blocks"][-1].append(
                [ins, unit["depth"], unit["depth_bottleneck"], unit["stride"], rate])
            ins = unit["depth"]
    return table
