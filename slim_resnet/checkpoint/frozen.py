"""Frozen graphs: GraphDefs whose variables have become constants under the same names."""

import json
import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from slim_resnet.checkpoint.foreign.values import METADATA
from slim_resnet.errors import SlimResnetError

tf1 = tf.compat.v1

# How names of slim's variables end.
_ENDS = frozenset(["weights", "depthwise_weights", "pointwise_weights", "biases", "gamma", "beta",
                   "moving_mean", "moving_variance"])
_DTYPES = frozenset(dtype.as_datatype_enum for dtype in (tf.float32, tf.float64, tf.float16,
                                                         tf.bfloat16))
# One number may stand for all of a constant; the statistics of a new network do.
_FREE_BYTES, _MOST_EXPANSION = 64 << 20, 20


def may_be_frozen(path: str) -> bool:
    """Whether a file begins as a GraphDef does, with a node."""
    with open(path, "rb") as file:
        return file.read(1) == b"\n"


def write_constants(path: str, shown: str, prefix: str) -> bool:
    """Writes the constants under slim's names of a frozen graph as a V2 checkpoint.

    Args:
      path: The file.
      shown: What the user calls it.
      prefix: Of the files to write.

    Returns:
      Whether it is a GraphDef; if not, nothing was written.

    Raises:
      SlimResnetError: It has no such constants, or one is damaged.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        graph = tf1.GraphDef.FromString(content)
    # Protocol buffers' own error is not ours to import.
    except Exception:
        return False
    if not any(node.op for node in graph.node):
        return False
    _refuse_folded(graph, shown)
    left = _FREE_BYTES + _MOST_EXPANSION * len(content)
    del content
    values = {}
    for node in graph.node:
        if node.op != "Const" or node.name.rpartition("/")[2] not in _ENDS \
                or node.attr["dtype"].type not in _DTYPES:
            continue
        tensor = node.attr["value"].tensor
        sizes = [dimension.size for dimension in tensor.tensor_shape.dim]
        left -= 8 * math.prod(max(size, 1) for size in sizes)
        try:
            if left < 0 or min(sizes, default=0) < 0 or node.name in values:
                raise ValueError(f"its shape is {sizes}")
            values[node.name] = tf.make_ndarray(tensor)
        except Exception as error:  # whatever numpy and TensorFlow make of bad bytes
            raise SlimResnetError(f"{shown}: no readable frozen graph: {node.name!r}: "
                                  f"{str(error).splitlines()[0][:200]}") from error
    if not values:
        raise SlimResnetError(f"{shown}: a frozen graph without constants under slim's names, "
                              "such as resnet_v2_50/conv1/weights; it is for tf.import_graph_def")
    write_checkpoint(prefix, values)
    return True


def _refuse_folded(graph, shown):
    """Raises `SlimResnetError` for a graph of ours that was folded."""
    node = next((node for node in graph.node if node.name == METADATA), None)
    try:
        folded = json.loads(node.attr["value"].tensor.string_val[0])["optimized"]
    # Not ours.
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return
    if folded:
        raise SlimResnetError(f"{shown}: an optimised graph: its batch norms were folded into the "
                              "convolutions (--optimize), and what they were cannot be told any "
                              "more; take the checkpoint that it was made of")


def write_checkpoint(prefix: str, values: Mapping[str, np.ndarray]) -> None:
    """Writes variables as a V2 checkpoint, without a ``checkpoint`` state file."""
    with tf.Graph().as_default(), tf1.Session() as session:
        tensors = [tf1.placeholder(value.dtype, np.shape(value)) for value in values.values()]
        session.run(tf.raw_ops.SaveV2(
            prefix=prefix, tensor_names=list(values), shape_and_slices=[""] * len(values),
            tensors=tensors), dict(zip(tensors, values.values())))
