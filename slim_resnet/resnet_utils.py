"""Building blocks of slim's residual networks, and what all our builders share.

A drop-in for ``tf_slim.nets.resnet_utils``: `Block`, `subsample`, `conv2d_same`,
`stack_blocks_dense` and `resnet_arg_scope` keep its names, arguments and defaults.
Variables, ops and collections are the same too (tests/networks/test_resnet_v2.py).
"""

import inspect
import os
import typing
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim as slim

from slim_resnet import compat
from slim_resnet.errors import ArgScopeWarning, SlimResnetError

tf1 = tf.compat.v1


class Block(typing.NamedTuple):
    """One group of residual units that work at one resolution.

    Attributes:
      scope: Variable scope of the block, part of every checkpoint name.
      unit_fn: Builds one unit: ``unit_fn(net, depth=..., depth_bottleneck=...,
        stride=...)``, and ``rate=...`` where atrous convolution is asked for.
      args: One entry a unit: a dict of ``unit_fn``'s arguments, or a tuple
        ``(depth, depth_bottleneck, stride)``.
    """

    scope: str
    unit_fn: Callable[..., tf.Tensor]
    args: Sequence[Any]


def unit_arguments(unit: dict[str, int] | tuple[int, ...]) -> dict[str, int]:
    """Returns the keyword arguments of one entry of `Block.args`."""
    if isinstance(unit, dict):
        return unit
    return dict(zip(("depth", "depth_bottleneck", "stride"), unit, strict=True))


def check_graph(inputs: tf.Tensor) -> None:
    """Raises `SlimResnetError` unless a network can be built on ``inputs``.

    In eager mode slim's layers would compute with variables of their own, at random, that no
    session and no checkpoint knows.
    """
    is_eager = tf.is_tensor(inputs) and not hasattr(inputs, "graph")
    if is_eager or tf.executing_eagerly():
        raise SlimResnetError(
            "slim's networks are built in a graph, and "
            + ("their inputs are an EagerTensor" if is_eager else "eager mode is on")
            + "; build within 'with tf.Graph().as_default():' and make the inputs there too, for "
            "example by tf.compat.v1.placeholder")


def subsample(inputs: tf.Tensor, factor: int, scope: str | None = None) -> tf.Tensor:
    """Keeps every ``factor``-th row and column.

    Args:
      inputs: ``[batch, height, width, channels]``.
      factor: Step in pixels; 1 returns ``inputs`` itself.
      scope: Name scope of the op.

    Returns:
      ``[batch, ceil(height / factor), ceil(width / factor), channels]`` under
      ``resnet_arg_scope``, which pads pooling SAME.
    """
    check_graph(inputs)
    if factor == 1:
        return inputs
    return slim.max_pool2d(inputs, [1, 1], stride=factor, scope=scope)


def conv2d_same(inputs: tf.Tensor, num_outputs: int, kernel_size: int, stride: int, rate: int = 1,
                scope: str | None = None) -> tf.Tensor:
    """A convolution whose padding does not depend on the size of its input.

    TensorFlow's SAME padding of a strided convolution puts the odd pixel after
    an even-sized input and on both sides of an odd-sized one, so features move
    against the input. Here ``(effective kernel - 1) // 2`` zeros go before and
    the rest after, whatever the size: the result equals the unstrided SAME
    convolution followed by `subsample` (tests/networks/test_resnet_utils.py).

    Args:
      inputs: ``[batch, height, width, channels]``.
      num_outputs: Number of filters.
      kernel_size: Height and width of the square kernel.
      stride: Step in pixels, the same in both directions.
      rate: Atrous rate: distance in pixels between taps of the kernel.
      scope: Variable scope.

    Returns:
      ``[batch, ceil(height / stride), ceil(width / stride), num_outputs]``.
    """
    check_graph(inputs)
    if stride == 1:
        return slim.conv2d(inputs, num_outputs, kernel_size, stride=1, rate=rate,
                           padding="SAME", scope=scope)
    pad_total = rate * (kernel_size - 1)
    pad = [pad_total // 2, pad_total - pad_total // 2]
    inputs = tf.pad(inputs, [[0, 0], pad, pad, [0, 0]])
    return slim.conv2d(inputs, num_outputs, kernel_size, stride=stride, rate=rate,
                       padding="VALID", scope=scope)


def behind_root(output_stride: int | None) -> int | None:
    """Returns the ``output_stride`` that is left to the blocks behind conv1 and pool1.

    Raises:
      ValueError: It is no multiple of their 4.
    """
    if output_stride is None:
        return None
    if output_stride % 4 != 0:
        raise ValueError("The output_stride needs to be a multiple of 4.")
    return output_stride // 4


def planned_units(blocks: Sequence[Block], output_stride: int | None = None
                  ) -> list[tuple[Block, list[dict[str, int]]]]:
    """Returns each block with its units' arguments as `stack_blocks_dense` will build them.

    Args:
      blocks: A list of `Block`.
      output_stride: See `stack_blocks_dense`.

    Returns:
      A list of ``(block, arguments)``, the latter a dict for each unit, in which
      strides beyond ``output_stride`` have become a ``rate``.

    Raises:
      ValueError: ``output_stride`` is not a product of the first unit strides.
    """
    stride_so_far, rate = 1, 1
    plan = []
    for block in blocks:
        units = []
        for arguments in map(unit_arguments, block.args):
            if output_stride is not None and stride_so_far > output_stride:
                raise ValueError("The target output_stride cannot be reached.")
            unit_stride = arguments.get("stride", 1)
            if stride_so_far == output_stride:
                # Dense enough: from here strides widen the taps instead.
                units.append(dict(rate=rate, **dict(arguments, stride=1)))
                rate *= unit_stride
            else:
                units.append(arguments)
                stride_so_far *= unit_stride
        plan.append((block, units))
    if output_stride is not None and stride_so_far != output_stride:
        raise ValueError("The target output_stride cannot be reached.")
    return plan


@slim.add_arg_scope
def stack_blocks_dense(net: tf.Tensor, blocks: Sequence[Block], output_stride: int | None = None,
                       outputs_collections: str | None = None, *,
                       store_non_strided_activations: bool = False) -> tf.Tensor:
    """Stacks the units of all blocks, each under ``<block scope>/unit_<n>``.

    Args:
      net: ``[batch, height, width, channels]``.
      blocks: A list of `Block`.
      output_stride: Ratio of input to output resolution to stop at, a product of
        the first unit strides; the units after it become atrous. None keeps the
        strides as they are.
      outputs_collections: Collection that every block's output is added to.
      store_non_strided_activations: Whether a block's last unit is built without its
        stride, which then thins out the block's output behind the collection: the
        output collected is larger, the numbers that go on are the same. research/slim's.

    Returns:
      The last block's output.

    Raises:
      ValueError: ``output_stride`` is not a product of the first unit strides.
    """
    check_graph(net)
    if store_non_strided_activations:
        blocks = [_stride_behind_units(block) for block in blocks]
    for block, units in planned_units(blocks, output_stride):
        factor = units.pop()["stride"] if store_non_strided_activations else 1
        with tf1.variable_scope(block.scope, "block", [net]) as sc:
            for i, arguments in enumerate(units):
                with tf1.variable_scope(f"unit_{i + 1}", values=[net]):
                    net = block.unit_fn(net, **arguments)
            net = compat.collect_named_outputs(outputs_collections, sc.name, net)
            net = subsample(net, factor)
    return net


def _stride_behind_units(block):
    """Returns the block with its last unit's stride in an entry of its own at the end."""
    *units, last = map(unit_arguments, block.args)
    return block._replace(args=[*units, dict(last, stride=1), {"stride": last.get("stride", 1)}])


def resnet_arg_scope(
        weight_decay: float = 0.0001, batch_norm_decay: float = 0.997,
        batch_norm_epsilon: float = 1e-5, batch_norm_scale: bool = True,
        activation_fn: Callable[[tf.Tensor], tf.Tensor] | None = tf.nn.relu,
        use_batch_norm: bool = True,
        batch_norm_updates_collections: str | None = tf1.GraphKeys.UPDATE_OPS) -> dict:
    """Returns the arg scope that slim's residual networks are built in.

    The first four arguments are ``tf_slim``'s, the last three research/slim's.

    Args:
      weight_decay: L2 regularisation of the convolutions' weights.
      batch_norm_decay: Decay of the moving mean and variance, per step.
      batch_norm_epsilon: Added to the variance before its square root.
      batch_norm_scale: Whether batch norm multiplies by a learned ``gamma``.
      activation_fn: Follows each convolution that the unit does not exempt.
      use_batch_norm: Whether convolutions are normalised.
      batch_norm_updates_collections: Collection for the update ops, or None to
        run them in place.
    """
    batch_norm_params = {
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "scale": batch_norm_scale,
        "updates_collections": batch_norm_updates_collections,
    }
    return conv_and_norm_scope(weight_decay, batch_norm_params, activation_fn, use_batch_norm)


def conv_and_norm_scope(
        weight_decay: float, batch_norm_params: dict[str, Any],
        activation_fn: Callable[[tf.Tensor], tf.Tensor] | None = tf.nn.relu,
        use_batch_norm: bool = True) -> dict:
    """The part that slim's and the blog's ``resnet_arg_scope`` have in common."""
    with slim.arg_scope(
            [slim.conv2d],
            weights_regularizer=slim.l2_regularizer(weight_decay),
            weights_initializer=slim.variance_scaling_initializer(),
            activation_fn=activation_fn,
            normalizer_fn=slim.batch_norm if use_batch_norm else None,
            normalizer_params=batch_norm_params), \
         slim.arg_scope([slim.batch_norm], **batch_norm_params), \
         slim.arg_scope([slim.max_pool2d], padding="SAME") as scope:
        return scope


def warn_outside_arg_scope(advice: str) -> None:
    """Warns, where the caller's caller stands, if slim's convolutions have their own defaults.

    Args:
      advice: How to write the arg scope.
    """
    conv2d_defaults = slim.current_arg_scope().get(slim.arg_scope_func_key(slim.conv2d), {})
    if "normalizer_fn" in conv2d_defaults:
        return
    package = os.path.dirname(__file__) + os.sep
    level, frame = 1, inspect.currentframe()
    while frame.f_back and frame.f_code.co_filename.startswith(package):
        level, frame = level + 1, frame.f_back
    warnings.warn(
        "A residual network is being built outside resnet_arg_scope: its convolutions get biases "
        f"and no batch norm, and no checkpoint will fit. Write: {advice}",
        ArgScopeWarning, stacklevel=level)
