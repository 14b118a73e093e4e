"""A Keras 3 model: one ``.keras`` file, for any of Keras' backends."""

import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from slim_resnet.checkpoint.foreign import keras_names
from slim_resnet.checkpoint.foreign.keras import RECORD
from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import Recognised, recognise
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common import files
from slim_resnet.errors import SlimResnetError
from slim_resnet.export import keras_model, keras_plain
from slim_resnet.export.places import check_whole, placed, root_channels
from slim_resnet.export.shared import interface, metadata
from slim_resnet.images.settings import Preprocessing


def check_target(output: str) -> None:
    """Raises `SlimResnetError` if an output cannot be written."""
    keras_model.keras()
    if not output.endswith(".keras"):
        raise SlimResnetError(f"{output}: Keras opens files whose names end in .keras only")
    files.check_writable(output)


def write(checkpoint: CheckpointLike, path: str, *, image_size: int | None = None,
          preprocessing: str | Preprocessing | None = None,
          use_moving_averages: bool | None = None) -> dict[str, Any]:
    """Writes a functional Keras model with the names of ``keras.applications``' ResNets.

    It takes prepared images (float32 ``[N, H, W, channels]``) to class probabilities
    (``[N, classes]``), or to pooled features where there are no logits. Its weights are the
    variables' own, bit for bit; pool1 is slim's. Inception's auxiliary logits are left out.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      path: File to write, ``.keras``.
      image_size: Recorded as what images are resized to, and that of a model without residual
        units, which has but one; None as in `settings.settings_of`.
      preprocessing: Recorded as how they are prepared; likewise.
      use_moving_averages: See `checkpoint.open_checkpoint`.

    Returns:
      The `metadata`, which is in the file as ``slim_resnet_metadata.json``.

    Raises:
      SlimResnetError: Keras is older than 3, or the network cannot be had so.
    """
    keras = keras_model.keras()
    with open_checkpoint(checkpoint, use_moving_averages) as opened:
        network = recognise(opened)
        check_whole(opened, network, "a Keras model")
        settings = settings_of(opened, image_size, preprocessing)
        arrays, variables = placed(opened, network, _place(network))
        if network.variant is None:
            size = network.row.checked_image_size(settings.image_size)
            builder = keras_plain.PlainBuilder(keras, network, size)
        else:
            size = None
            builder = keras_model.Builder(keras, network, root_channels(opened, network))
        model = builder.build()
        _fill(model, arrays)
        record = {**metadata(opened, moving_averages=opened.use_moving_averages),
                  "image_size_pixels": settings.image_size, **settings.preprocessing.as_record(),
                  **interface(builder.end_points, size, network.input_channels)}
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(RECORD, json.dumps({**record, "variables": variables}))
    return record


def _place(network: Recognised) -> Callable:
    """Returns a function for `placed`, to names of layers and of their variables."""
    blocks, start = [block.scope for block in network.blocks], f"{network.scope}/".lstrip("/")
    aux = network.variant is None and network.row.network.aux

    def place(scope, variable, value):
        if blocks:
            if scope == "logits" and value.ndim == 4:
                value = value[0, 0]
            layer = keras_names.layer_of(scope, blocks)
        elif aux and f"{scope}/".startswith(f"{aux}/"):
            return None
        else:
            layer = keras_plain.layer_of(f"{start}{scope}/{variable}", separable=(
                f"{start}{scope}/pointwise_weights" in network.names))
        return f"{layer}/{keras_names.keras_variable(variable)}", value

    return place


def _fill(model: Any, arrays: dict[str, np.ndarray]) -> None:
    """Gives all of a model's weights their values."""
    for layer in model.layers:
        if layer.weights:
            # A dense layer's weights are those of the convolution that it equals.
            layer.set_weights([arrays.pop(f"{layer.name}/{variable.name}").reshape(variable.shape)
                               for variable in layer.weights])
    if arrays:
        raise SlimResnetError(f"the Keras model has no layer for {', '.join(list(arrays)[:3])}")
