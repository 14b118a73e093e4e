"""From the variables of a ResNet V2, checked, to its folded graph."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slim_resnet import compat
from slim_resnet.checkpoint.reader import Checkpoint
from slim_resnet.checkpoint.recognition import Recognised, recognise
from slim_resnet.common import environment
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.folded.graph import IMAGES, Folded, folded_graph
from slim_resnet.inference.folded.plain_graph import LOGITS, PREDICTIONS
from slim_resnet.models import VARIANTS
from slim_resnet.resnet_utils import Block, unit_arguments


def check_precision(precision: str) -> None:
    """Raises `SlimResnetError` unless networks can be folded for a precision here.

    Args:
      precision: One of `environment.PRECISIONS`.
    """
    if precision not in environment.PRECISIONS:
        raise SlimResnetError(f"there is no precision {precision!r}; choose one of "
                              f"{', '.join(environment.PRECISIONS)}")
    if precision == "bfloat16":
        environment.check_bfloat16(compat.onednn_enabled())


def checked_values(path: str, dtypes: dict[str, str], read: Callable[[str], np.ndarray]
                   ) -> Callable[[str], np.ndarray]:
    """Returns a ``read`` that passes on only values that a network can be folded from.

    Args:
      path: For messages.
      dtypes: Maps names of variables to names of dtypes.
      read: ``read(name)`` returns a value.

    Raises:
      SlimResnetError: By the returned function: a variable is not of float32, holds NaN or
        infinity, or is a negative variance.
    """
    def checked(name):
        if dtypes[name] != "float32":
            raise SlimResnetError(f"{path}: {name} is of dtype {dtypes[name]}; only float32 can "
                                  "be optimised; save it as float32, or leave --optimize out")
        value = read(name)
        if not np.isfinite(value).all():
            raise SlimResnetError(f"{path}: NaN or infinite values in {name}")
        if name.endswith("/moving_variance") and (value < 0).any():
            raise SlimResnetError(f"{path}: {name} holds negative values, down to "
                                  f"{value.min():.6g}; no variance is")
        return value

    return checked


def build_folded(opened: Checkpoint, images: tf.Tensor, session: tf.compat.v1.Session,
                 precision: str) -> tuple[
                     tf.Tensor | None, tf.Tensor | None, dict[str, tf.Tensor]]:
    """Builds a checkpoint's folded network, all values constants, in the graph of ``images``.

    Arguments and results are `network.build_network`'s; ``precision`` is ``float32`` or
    ``bfloat16``. It is of stock ops, which TensorFlow fuses by itself when it runs them.
    """
    network = recognise(opened)
    folded = fold(opened.path, network, checked_values(opened.path, opened.dtypes,
                                                        opened.network_tensor), precision)
    for node in folded.graph_def.node:
        # Converters of exported graphs know no AddN.
        if node.op == "AddN":
            node.op = "AddV2"
            del node.attr["N"]
    with session.graph.as_default():
        tensors = tf.import_graph_def(
            folded.graph_def, {IMAGES: images}, [f"{node}:0" for node in
                                                 folded.end_points.values()], name="")
        end_points = dict(zip(folded.end_points, tensors))
        if folded.logits is None:
            return None, None, end_points
        outputs = [tf.squeeze(end_points[key], [1, 2]) for key in (folded.logits, "predictions")]
        return (*outputs, own_end_points(network, end_points))


def fold(path: str, network: Recognised, read: Callable[[str], np.ndarray], precision: str,
         output_stride: int | None = None, onednn: bool | None = None, **options: Any) -> Folded:
    """Returns the `inference_graph.Folded` of a network.

    Args:
      path: For messages.
      network: A `recognise.Recognised`.
      read: See `inference_graph.folded_graph`.
      precision: ``float32`` or ``bfloat16``.
      output_stride: As in `resnet_v2.resnet_v2`.
      onednn: Whether to write it for oneDNN's kernels; None for those of this process.
      **options: More of `inference_graph.folded_graph`'s.

    Raises:
      SlimResnetError: The network cannot be built so.
    """
    if network.missing:
        raise SlimResnetError(f"{path}: a network that is not whole (no {network.missing}) cannot "
                              "be folded; leave --optimize out, or InferenceModel")
    read = _as_built(network, read)
    if output_stride is not None and not (network.variant and VARIANTS[network.variant].dense):
        raise SlimResnetError(f"{path}: {network.title} has no output_stride")
    try:
        return folded_graph(
            network, read, dtype=tf.as_dtype(precision), output_stride=output_stride,
            onednn=compat.onednn_enabled() if onednn is None else onednn, **options)
    except ValueError as error:
        raise SlimResnetError(f"{path}: its network cannot be built: {error}") from error


def own_end_points(network: Recognised, end_points: dict[str, Any]) -> dict[str, Any]:
    """Returns the end points that the unfolded network has too, and ``global_pool``."""
    if network.variant:
        return end_points
    # Its own logits are of two dimensions and have other keys than those of the folded form.
    return {key: value for key, value in end_points.items() if key not in (LOGITS, PREDICTIONS)}


def _as_built(network, read):
    """Returns a ``read`` for the names and shapes that the network's builder gives."""
    def value(name):
        if name.endswith("/gamma") and not network.batch_norm_scale:
            return np.ones_like(value(name.removesuffix("gamma") + "beta"))
        found = read(network.names.get(name, name))
        # Logits that are a dense layer.
        return found[np.newaxis, np.newaxis] if network.variant and found.ndim == 2 else found

    return value


def with_blocks(network: Recognised, blocks: Sequence[Block], path: str) -> Recognised:
    """Returns the network with another table's strides and rates."""
    def channels(table):
        return [(block.scope, [(unit["depth"], unit["depth_bottleneck"]) for unit in
                               map(unit_arguments, block.args)]) for block in table]

    if channels(blocks) != channels(network.blocks):
        raise SlimResnetError(f"{path}: the table of blocks has other names, numbers of units or "
                              "channels than the checkpoint")
    return dataclasses.replace(network, blocks=list(blocks))
