"""An ONNX model of the folded network, for ONNX Runtime, OpenVINO, OpenCV and others."""

import json
import os
from collections.abc import Sequence
from typing import Any

from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.shared import METADATA, chosen_end_points, interface, metadata
from slim_resnet.images.labels import read_labels
from slim_resnet.images.settings import Preprocessing
from slim_resnet.inference.folded.network import checked_values, fold, own_end_points
from slim_resnet.inference.folded.onnx_model import OPSET, PIXELS, check_opset, onnx_model


def write(
        checkpoint: CheckpointLike, path: str | os.PathLike, *,
        end_points: str | Sequence[str] | None = None, image_size: int | None = None,
        preprocessing: str | Preprocessing | None = None, labels: str | None = None,
        labels_offset: int | None = None, opset: int = OPSET, open_size: bool = False,
        pixels: bool = False, use_moving_averages: bool | None = None) -> dict[str, Any]:
    """Writes an ONNX model and has onnx's own checker look at it.

    Its input is ``images`` (float32 ``[N, H, W, channels]``, prepared), its outputs are the
    end points chosen, under their keys and in the session's shapes. Its metadata are
    `shared.METADATA`, the record as JSON, and, with labels, ``labels``, a name a line.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      path: File to write.
      end_points: See `keys.choose`; None takes pooled features, logits and predictions.
      image_size: H and W, in pixels; None takes what the checkpoint was trained with, see
        `settings.settings_of`.
      preprocessing: How images are prepared, for the record and for ``pixels``: an
        `images.settings.Preprocessing`, the name of one, or None.
      labels: Labels file, see `labels.read_labels`, or None.
      labels_offset: See `labels.read_labels`.
      opset: From `onnx_model.OPSET` on.
      open_size: Whether the model takes images of any size. Windows that overlap then have
        ``auto_pad``, which not every runtime computes as TensorFlow does.
      pixels: Whether the input is ``pixels``, uint8, of the size that the network takes, and
        what the preparation makes of values is in the model. Crop and size are not.
      use_moving_averages: See `checkpoint.open_checkpoint`.

    Returns:
      The `metadata`.

    Raises:
      SlimResnetError: The network cannot be folded, the model would be larger than a file
        can be, an argument is at fault, or the package onnx is not installed.
    """
    check_opset(opset)
    import onnx
    with open_checkpoint(checkpoint, use_moving_averages) as opened:
        if open_size and image_size is not None:
            raise SlimResnetError("--open-size: is for images of any size; leave it or "
                                  "--image-size out")
        image_size, preprocessing, labels = settings_of(opened, image_size, preprocessing, labels)
        network = recognise(opened)
        names = _names(opened, network, labels, labels_offset)
        size = None if open_size else image_size
        if network.variant is None:
            if open_size:
                raise SlimResnetError(f"{opened.path}: {network.title} is built for one size; "
                                      "leave --open-size out")
            network.row.checked_image_size(image_size)
        read = checked_values(opened.path, opened.dtypes, opened.network_tensor)
        folded = fold(opened.path, network, read, PRECISIONS[0], image_size=size,
                      with_variables=True, onednn=False)
        chosen = chosen_end_points(end_points, own_end_points(network, folded.end_points))
        record = {
            **metadata(opened, optimized=True, precision=PRECISIONS[0],
                       moving_averages=opened.use_moving_averages),
            "image_size_pixels": image_size, **preprocessing.as_record(), "opset": opset,
            **interface(chosen, size, network.input_channels, *(
                (PIXELS, "uint8") if pixels else ()))}
        texts = {METADATA: json.dumps(record)}
        if names is not None:
            texts["labels"] = "\n".join(names)
        try:
            model = onnx_model(folded, chosen, opset=opset, metadata=texts,
                               pixels=preprocessing if pixels else None)
        except ValueError as error:
            raise SlimResnetError(f"{opened.path}: {error}") from error
    # The weights are held twice at most: folded, as a message, as a file's contents.
    del folded
    contents = model.SerializeToString()
    del model
    with open(path, "wb") as file:
        file.write(contents)
    del contents
    onnx.checker.check_model(os.fspath(path), full_check=True)
    return record


def _names(opened, network, labels, labels_offset):
    """Returns the names of classes, or None."""
    if labels is None:
        return None
    if network.num_classes is None:
        raise SlimResnetError(f"{labels}: names classes, but {opened.path} has no logits")
    return read_labels(labels, network.num_classes, labels_offset)
