"""Building blocks of slim's residual networks, and the builder that both of ours share.

A drop-in for ``tf_slim.nets.resnet_utils``: `Block`, `subsample`, `conv2d_same`,
`stack_blocks_dense` and `resnet_arg_scope` keep its names, arguments and defaults.
Variables, ops and collections are the same too (tests/test_resnet_v2.py).
"""

import contextlib
import inspect
import os
import warnings

import tensorflow as tf
import tf_slim as slim

from slim_resnet import compat
from slim_resnet.blocks import Block, unit_arguments  # noqa: F401 (slim has Block here)
from slim_resnet.errors import ArgScopeWarning

tf1 = tf.compat.v1


def subsample(inputs, factor, scope=None):
    """Keeps every ``factor``-th row and column.

    Args:
      inputs: ``[batch, height, width, channels]``.
      factor: Step in pixels; 1 returns ``inputs`` itself.
      scope: Name scope of the op.

    Returns:
      ``[batch, ceil(height / factor), ceil(width / factor), channels]`` under
      ``resnet_arg_scope``, which pads pooling SAME.
    """
    if factor == 1:
        return inputs
    return slim.max_pool2d(inputs, [1, 1], stride=factor, scope=scope)


def conv2d_same(inputs, num_outputs, kernel_size, stride, rate=1, scope=None):
    """A convolution whose padding does not depend on the size of its input.

    TensorFlow's SAME padding of a strided convolution puts the odd pixel after
    an even-sized input and on both sides of an odd-sized one, so features move
    against the input. Here ``(effective kernel - 1) // 2`` zeros go before and
    the rest after, whatever the size: the result equals the unstrided SAME
    convolution followed by `subsample` (tests/test_resnet_utils.py).

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
    if stride == 1:
        return slim.conv2d(inputs, num_outputs, kernel_size, stride=1, rate=rate,
                           padding="SAME", scope=scope)
    pad_total = rate * (kernel_size - 1)
    pad = [pad_total // 2, pad_total - pad_total // 2]
    inputs = tf.pad(inputs, [[0, 0], pad, pad, [0, 0]])
    return slim.conv2d(inputs, num_outputs, kernel_size, stride=stride, rate=rate,
                       padding="VALID", scope=scope)


def behind_root(output_stride):
    """Returns the ``output_stride`` that is left to the blocks behind conv1 and pool1.

    Raises:
      ValueError: It is no multiple of their 4.
    """
    if output_stride is None:
        return None
    if output_stride % 4 != 0:
        raise ValueError("The output_stride needs to be a multiple of 4.")
    return output_stride // 4


def planned_units(blocks, output_stride=None):
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


def stack_units(net, blocks, output_stride=None, outputs_collections=None):
    """What `stack_blocks_dense` and the blog's ``stack_block_dense`` both do."""
    for block, units in planned_units(blocks, output_stride):
        with tf1.variable_scope(block.scope, "block", [net]) as sc:
            for i, arguments in enumerate(units):
                with tf1.variable_scope(f"unit_{i + 1}", values=[net]):
                    net = block.unit_fn(net, **arguments)
            net = compat.collect_named_outputs(outputs_collections, sc.name, net)
    return net


@slim.add_arg_scope
def stack_blocks_dense(net, blocks, output_stride=None, outputs_collections=None):
    """Stacks the units of all blocks, each under ``<block scope>/unit_<n>``.

    Args:
      net: ``[batch, height, width, channels]``.
      blocks: A list of `Block`.
      output_stride: Ratio of input to output resolution to stop at, a product of
        the first unit strides; the units after it become atrous. None keeps the
        strides as they are.
      outputs_collections: Collection that every block's output is added to.

    Returns:
      The last unit's output.

    Raises:
      ValueError: ``output_stride`` is not a product of the first unit strides.
    """
    return stack_units(net, blocks, output_stride, outputs_collections)


def resnet_arg_scope(weight_decay=0.0001, batch_norm_decay=0.997, batch_norm_epsilon=1e-5,
                     batch_norm_scale=True, activation_fn=tf.nn.relu, use_batch_norm=True,
                     batch_norm_updates_collections=tf1.GraphKeys.UPDATE_OPS):
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


def conv_and_norm_scope(weight_decay, batch_norm_params, activation_fn=tf.nn.relu,
                        use_batch_norm=True):
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


def build_resnet_v2(inputs, blocks, num_classes, *, unit_fn, stack_fn, collection_suffix,
                    scope_advice, is_training=None, global_pool=True, output_stride=None,
                    include_root_block=True, spatial_squeeze=False, reuse=None, scope=None,
                    announce=None):
    """Builds slim's network or the blog's, which differ in the first four keywords.

    Args:
      inputs: ``[batch, height, width, channels]``; all but channels may be unknown.
      blocks: A list of `Block`.
      num_classes: Number of logits; None leaves them out.
      unit_fn: The arg-scoped unit whose outputs are collected.
      stack_fn: The arg-scoped stacker, called ``stack_fn(net, blocks, ...)``.
      collection_suffix: Ends the name of the end_points collection.
      scope_advice: How to write the arg scope, for the warning that it is missing.
      is_training: Mode of all batch norms; None leaves it to the arg scope.
      global_pool: Whether to average over height and width before the logits.
      output_stride: See `stack_blocks_dense`; counted from ``inputs``.
      include_root_block: Whether to begin with conv1 and pool1.
      spatial_squeeze: Whether to return logits ``[batch, num_classes]`` and to
        add research/slim's ``global_pool`` and ``<scope>/spatial_squeeze``.
      reuse: As in ``tf.compat.v1.variable_scope``.
      scope: Variable scope; None makes a unique ``resnet_v2``.
      announce: Called with the name of the end_points collection.

    Returns:
      ``(net, end_points)``, see `slim_resnet.resnet_v2.resnet_v2`.
    """
    _warn_outside_arg_scope(scope_advice)
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        sc = enter(tf1.variable_scope(scope, "resnet_v2", [inputs], reuse=reuse))
        collection = sc.original_name_scope + collection_suffix
        if announce:
            announce(collection)
        enter(slim.arg_scope([slim.conv2d, unit_fn, stack_fn], outputs_collections=collection))
        if is_training is not None:
            enter(slim.arg_scope([slim.batch_norm], is_training=is_training))

        net = inputs
        if include_root_block:
            output_stride = behind_root(output_stride)
            with slim.arg_scope([slim.conv2d], activation_fn=None, normalizer_fn=None):
                net = conv2d_same(net, 64, 7, stride=2, scope="conv1")
            net = slim.max_pool2d(net, [3, 3], stride=2, scope="pool1")
        if output_stride is None:
            net = stack_fn(net, blocks)
        else:
            net = stack_fn(net, blocks, output_stride)
        net = slim.batch_norm(net, activation_fn=tf.nn.relu, scope="postnorm")
        research_end_points = {}
        if global_pool:
            net = tf.reduce_mean(net, [1, 2], name="pool5", keepdims=True)
            research_end_points["global_pool"] = net
        if num_classes is not None:
            net = slim.conv2d(net, num_classes, [1, 1], activation_fn=None,
                              normalizer_fn=None, scope="logits")
            if spatial_squeeze:
                net = tf.squeeze(net, [1, 2], name="SpatialSqueeze")
                research_end_points[sc.name + "/spatial_squeeze"] = net
        end_points = compat.convert_collection_to_dict(collection)
        if spatial_squeeze:
            end_points.update(research_end_points)
        if num_classes is not None:
            end_points["predictions"] = slim.softmax(net, scope="predictions")
        return net, end_points


def _warn_outside_arg_scope(scope_advice):
    conv2d_defaults = slim.current_arg_scope().get(slim.arg_scope_func_key(slim.conv2d), {})
    if "normalizer_fn" in conv2d_defaults:
        return
    package = os.path.dirname(__file__) + os.sep
    level, frame = 1, inspect.currentframe()
    while frame.f_back and frame.f_code.co_filename.startswith(package):
        level, frame = level + 1, frame.f_back
    warnings.warn(
        "resnet_v2 is being built outside resnet_arg_scope: its convolutions get biases and no "
        f"batch norm, and no checkpoint will fit. Write: {scope_advice}",
        ArgScopeWarning, stacklevel=level)
