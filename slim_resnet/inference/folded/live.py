"""The network that a live session holds, read off its graph and its variables."""

import dataclasses
import types
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from slim_resnet.checkpoint.recognition import Recognised, recognise
from slim_resnet.checkpoint.selection import Selection
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import VARIANTS

tf1 = tf.compat.v1

_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")


@dataclasses.dataclass(frozen=True)
class LiveNetwork:
    """A network in a session.

    Attributes:
      network: A `recognise.Recognised` whose units have the graph's strides and rates.
      epsilon: What its batch norms add to variances.
      dtypes: Maps names of variables to the names of their dtypes.
      read: ``read(name)`` returns a variable's value.
    """

    network: Recognised
    epsilon: float
    dtypes: dict[str, str]
    read: Callable[[str], np.ndarray]


def live_network(session: tf1.Session) -> LiveNetwork:
    """Finds the network of a session's graph.

    Args:
      session: A ``tf.compat.v1.Session``; its graph holds one network, built any
        number of times on the same variables.

    Returns:
      A `LiveNetwork`.

    Raises:
      SlimResnetError: There is none, there are several, or it is built in two ways.
    """
    variables = {v.op.name: v for v in
                 session.graph.get_collection(tf1.GraphKeys.GLOBAL_VARIABLES)}
    shapes = {name: tuple(v.shape.as_list()) for name, v in variables.items()}
    path = "the session's graph"
    network = recognise(types.SimpleNamespace(
        path=path, shapes=shapes, selection=Selection(path), notes={}))
    consumers = _consumers(variables)
    start = f"{network.scope}/" if network.scope else ""
    epsilons = {op.get_attr("epsilon") for name, ops in consumers.items()
                if name.startswith(start) for op in ops if op.type in _NORMS}
    if network.variant:
        network = dataclasses.replace(network, blocks=_blocks(network, start, consumers))
        epsilon = _one(epsilons, "the epsilon of its batch norms")
    else:
        epsilon = network.row.network.epsilon
        # The ops' are float32.
        if epsilons - {np.float32(epsilon)}:
            raise SlimResnetError(
                f"the session's graph: batch norms of {network.title} add "
                f"{', '.join(f'{one:g}' for one in sorted(epsilons))} to variances, and it is "
                f"folded with tf_slim's {epsilon} only")
    return LiveNetwork(
        network, epsilon, {name: v.dtype.base_dtype.name for name, v in variables.items()},
        lambda name: session.run(variables[name]))


def _blocks(network, start, consumers):
    """Returns the table of blocks with the graph's strides and rates."""
    unit_scope = VARIANTS[network.variant].unit
    blocks = []
    for block in network.blocks:
        units = []
        for number, unit in enumerate(block.args, 1):
            weights = f"{start}{block.scope}/unit_{number}/{unit_scope}/conv2/weights"
            stride, rate = _one({_stride_and_rate(op) for op in consumers[weights]
                                 if op.type == "Conv2D"}, f"the strides of {weights}")
            units.append(dict(unit, stride=stride, rate=rate))
        blocks.append(block._replace(args=units))
    return blocks


def _consumers(variables):
    """Returns the ops that read each variable, by its name."""
    found = {}
    for name, variable in variables.items():
        ops = []
        stack = variable.handle.consumers() if hasattr(variable, "handle") else \
            variable.op.outputs[0].consumers()
        for op in stack:
            if op.type in ("ReadVariableOp", "Identity"):
                ops += op.outputs[0].consumers()
        found[name] = ops
    return found


def _stride_and_rate(conv):
    """Returns stride and atrous rate of a Conv2D op."""
    before = conv.inputs[0].op
    if before.type == "SpaceToBatchND":
        # How TensorFlow builds an atrous convolution in a graph.
        rate = int(tf.get_static_value(before.inputs[1])[0])
    else:
        rate = conv.get_attr("dilations")[1]
    return conv.get_attr("strides")[1], rate


def _one(values, what):
    if len(values) != 1:
        raise SlimResnetError(f"the session's graph: {what}: found {sorted(values) or 'none'}; "
                              "it must be built in one way")
    return next(iter(values))
