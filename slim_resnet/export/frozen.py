"""A frozen GraphDef: one binary file, variables as constants."""

import json
import math
import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.shared import (
    METADATA,
    chosen_end_points,
    interface,
    metadata,
    network_builder,
)

tf1 = tf.compat.v1

# protobuf's bound on one message.
_MAX_BYTES = 2 ** 31 - 1


def write(
        checkpoint: CheckpointLike, path: str | os.PathLike, *,
        end_points: str | Sequence[str] | None = None, image_size: int | None = None,
        optimize: bool = False, precision: str = PRECISIONS[0],
        use_moving_averages: bool | None = None) -> dict[str, Any]:
    """Writes a binary GraphDef with the variables as constants.

    Its input node is ``images`` (float32 ``[N, H, W, channels]``, prepared). Its output nodes
    are ``end_points/<key>`` for every end point chosen, and ``slim_resnet_metadata``,
    a constant string.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      path: File to write.
      end_points: See `keys.choose`; None takes pooled features, logits and predictions.
      image_size: Fixes H and W, in pixels; None leaves them open, if the network has
        residual units, and takes what its released checkpoint is evaluated at otherwise.
      optimize: See `saved_model.write`.
      precision: See `saved_model.write`.
      use_moving_averages: See `checkpoint.open_checkpoint`.

    Returns:
      The `metadata`.

    Raises:
      SlimResnetError: The checkpoint cannot be restored, or an argument is at fault.
    """
    with open_checkpoint(checkpoint, use_moving_averages) as opened, \
         tf.Graph().as_default() as graph, tf1.Session() as session:
        build = network_builder(optimize, precision)
        recognised = recognise(opened)
        channels = recognised.input_channels
        size = sum(4 * math.prod(opened.shapes[name]) for name in recognised.names.values())
        if size > _MAX_BYTES:
            raise SlimResnetError(f"{opened.path}: its variables take more than the 2 GiB that a "
                                  "GraphDef can hold; choose saved_model, v2 or npz")
        if recognised.variant is None:
            image_size = image_size or recognised.row.evaluated_image_size
        prepared = tf1.placeholder(tf.float32, [None, image_size, image_size, channels], "images")
        _, _, known = build(opened, prepared, session)
        chosen = chosen_end_points(end_points, known)
        record = {**metadata(opened, optimized=optimize, precision=precision,
                             moving_averages=opened.use_moving_averages),
                  **interface(chosen, image_size, channels)}
        outputs = [tf.identity(tensor, f"end_points/{key}") for key, tensor in chosen.items()]
        outputs.append(tf.constant(json.dumps(record), name=METADATA))
        frozen = tf1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [tensor.op.name for tensor in outputs])
        with open(path, "wb") as file:
            file.write(frozen.SerializeToString())
    return record
