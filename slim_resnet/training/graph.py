"""The graph of one training step, as slim builds it: losses, update ops, optimizer.

A step: the batch norms' update ops run, then the gradients of cross-entropy and
regularisation together are applied, then the averages of weights follow. It is
``slim.learning.create_train_op`` around the network.
"""

import fnmatch
import typing
from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf
import tf_slim as slim
from tf_slim.training import training as slim_training

from slim_resnet import compat, resnet_utils, resnet_v2
from slim_resnet.common.listing import listed
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import TRAINABLE, VARIANTS, SlimNetwork
from slim_resnet.training.options import TrainingOptions, batch_norm_decay_for

tf1 = tf.compat.v1

OptimizerWrapper = Callable[[tf1.train.Optimizer], tf1.train.Optimizer]


# Of auxiliary logits in the loss, as research/slim's train_image_classifier.py has it.
AUX_WEIGHT = 0.4


class Architecture(typing.NamedTuple):
    """A network that can be trained.

    Attributes:
      variant: A key of `models.VARIANTS`; None for a network without residual units.
      blocks: A list of `resnet_utils.Block`; their ``unit_fn`` may be any.
      scope: Variable scope.
      root_block: Whether it begins with the root's convolutions and pool1.
      network: The `models.SlimNetwork` of one without residual units.
      aux_logits: Whether that is built with its auxiliary logits, if it has some.
    """

    variant: str | None
    blocks: list
    scope: str
    root_block: bool
    network: SlimNetwork | None = None
    aux_logits: bool = True


def architecture_of(model: str, blocks: Sequence[tuple[int, int]] | None = None,
                    root_block: bool = True) -> Architecture:
    """Returns the `Architecture` that ``--model`` and ``--blocks`` stand for."""
    row = TRAINABLE[model]
    if row.network:
        return Architecture(None, [], row.scope, False, row.network)
    if row.depth is None:
        table = [resnet_v2.resnet_v2_block(f"block{i + 1}", base_depth, units,
                                           2 if i < len(blocks) - 1 else 1)
                 for i, (base_depth, units) in enumerate(blocks)]
    else:
        table = resnet_v2.blocks_of_depth(row.depth)
    return Architecture(row.variant, VARIANTS[row.variant].with_units(table), row.scope,
                        root_block)


def build_logits(images: tf.Tensor, num_classes: int, architecture: Architecture,
                 options: TrainingOptions, is_training: bool = True) -> tf.Tensor:
    """Builds the network without dropout, see `build_all_logits`; returns its logits."""
    return build_all_logits(images, num_classes, architecture, options, is_training)[0]


def build_all_logits(images: tf.Tensor, num_classes: int, architecture: Architecture,
                     options: TrainingOptions, is_training: bool = True, dropout: bool = False
                     ) -> tuple[tf.Tensor, ...]:
    """Builds the network with the batch norms that the options ask for.

    Args:
      images: ``[N, size, size, 3]``, prepared.
      num_classes: Number of logits.
      architecture: An `Architecture`.
      options: `TrainingOptions`; those of batch norm and weight decay count.
      is_training: Whether batch norms use the batch's statistics and update the moving
        ones.
      dropout: Whether dropouts drop, of a network that has some.

    Returns:
      Logits ``[N, num_classes]``, and the auxiliary logits of a network that has them.

    Raises:
      SlimResnetError: The options are about batch norms, and the network has none.
    """
    batch_norm = {
        "is_training": is_training,
        "decay": batch_norm_decay_for(options),
        "zero_debias_moving_mean": bool(options.zero_debias),
        "updates_collections": None if options.batch_norm_updates == "in-place"
        else tf1.GraphKeys.UPDATE_OPS,
    }
    if architecture.network:
        return _build_plain(images, num_classes, architecture, options, batch_norm, dropout)
    variant = VARIANTS[architecture.variant]
    if options.zero_debias is None:
        batch_norm["zero_debias_moving_mean"] = variant.zero_debias
    with slim.arg_scope(resnet_utils.conv_and_norm_scope(
            options.weight_decay, dict(batch_norm, epsilon=1e-5, scale=True))):
        net, _ = variant.build(images, architecture.blocks, num_classes,
                               include_root_block=architecture.root_block,
                               scope=architecture.scope)
    return (tf.squeeze(net, [1, 2]),)


def _build_plain(images, num_classes, architecture, options, batch_norm, dropout):
    network = architecture.network
    if not network.norm and (options.freeze_batch_norm or options.zero_debias is not None
                             or options.batch_norm_decay is not None
                             or options.batch_norm_updates != "collected"):
        raise SlimResnetError(f"{network.title} has no batch norms; leave the options of batch "
                              "norm out")
    more = {"create_aux_logits": architecture.aux_logits} if network.aux else {}
    with slim.arg_scope(network.arg_scope(options.weight_decay, **batch_norm)):
        logits, end_points = network.build(images, num_classes, dropout,
                                           scope=architecture.scope, **more)
    return (logits, end_points["AuxLogits"]) if "AuxLogits" in end_points else (logits,)


def learning_rate(options: TrainingOptions, step: tf.Tensor) -> tf.Tensor:
    """Returns the rate of a step, a scalar tensor.

    Args:
      options: `TrainingOptions`.
      step: Steps that are over, an integer tensor.
    """
    rate, warmup = options.learning_rate, options.warmup_steps
    after, steps = step - warmup, options.steps - warmup
    if options.schedule == "piecewise":
        scheduled = tf1.train.piecewise_constant(
            step, [tf.cast(boundary - 1, step.dtype) for boundary in options.boundaries],
            [rate * options.decay_rate ** k for k in range(len(options.boundaries) + 1)])
    elif options.schedule == "cosine":
        scheduled = tf1.train.cosine_decay(rate, after, steps, options.end_learning_rate / rate)
    elif options.schedule == "polynomial":
        scheduled = tf1.train.polynomial_decay(rate, after, steps, options.end_learning_rate,
                                               options.power)
    else:
        scheduled = tf.constant(rate)
    if not warmup:
        return scheduled
    growing = rate * tf.cast(step + 1, tf.float32) / warmup
    return tf.where(step < warmup, growing, scheduled)


def optimizer_of(options: TrainingOptions, rate: tf.Tensor) -> tf1.train.Optimizer:
    """Returns the ``tf.compat.v1.train`` optimizer that the options name."""
    if options.optimizer == "momentum":
        return tf1.train.MomentumOptimizer(rate, options.momentum)
    if options.optimizer == "adam":
        return tf1.train.AdamOptimizer(rate)
    return tf1.train.GradientDescentOptimizer(rate)


def matching(variables: Iterable[tf.Variable], patterns: str | Iterable[str],
             option: str) -> list[tf.Variable]:
    """Returns the variables that fit any of some patterns.

    Args:
      variables: Variables.
      patterns: `fnmatch` patterns of whole names; one without wildcards stands for a
        name or for a scope anywhere in it, as ``logits`` or ``block4/unit_3``.
      option: For the message: the option that the patterns are from.

    Raises:
      SlimResnetError: A pattern fits none of them.
    """
    chosen = set()
    for pattern in listed(patterns):
        patterns = [pattern] if any(mark in pattern for mark in "*?[") else \
            [pattern, f"*/{pattern}", f"{pattern}/*", f"*/{pattern}/*"]
        fitting = {v.op.name for v in variables
                   if any(fnmatch.fnmatchcase(v.op.name, one) for one in patterns)}
        if not fitting:
            raise SlimResnetError(f"{option} {pattern!r} fits no variable; there are "
                                  f"{', '.join(v.op.name for v in variables[:3])}, ...")
        chosen |= fitting
    return [v for v in variables if v.op.name in chosen]


class TrainingGraph(typing.NamedTuple):
    """The tensors of a training step.

    Attributes:
      train_op: Runs a whole step; its value is how many steps are over then.
      cross_entropy: Of the batch, label smoothing included.
      total_loss: The same, that of auxiliary logits and the regularisation losses.
      accuracy: Share of the batch that is classified right, in training mode.
      learning_rate: Rate of this step.
      global_step: Variable: steps that are over.
      network_variables: Variables of the network, in order of creation.
      trained: Those that this run trains.
      optimizer: The optimizer, as ``wrap_optimizer`` returned it.
    """

    train_op: tf.Tensor
    cross_entropy: tf.Tensor
    total_loss: tf.Tensor
    accuracy: tf.Tensor
    learning_rate: tf.Tensor
    global_step: tf.Variable
    network_variables: list
    trained: list
    optimizer: tf1.train.Optimizer


def build_training_graph(images: tf.Tensor, labels: tf.Tensor, num_classes: int,
                         network_fn: Callable[[tf.Tensor], tf.Tensor], options: TrainingOptions, *,
                         wrap_optimizer: OptimizerWrapper | None = None) -> TrainingGraph:
    """Builds a training step in the default graph.

    Args:
      images: ``[N, size, size, 3]``, prepared.
      labels: Integers ``[N]``.
      num_classes: Number of classes.
      network_fn: ``network_fn(images)`` builds a network in training mode and returns
        logits ``[N, num_classes]``, or a tuple of them and of auxiliary logits, which
        count in the loss with `AUX_WEIGHT`; see `build_all_logits`.
      options: `TrainingOptions`.
      wrap_optimizer: ``wrap_optimizer(optimizer)`` returns what is used in its place,
        like a ``SyncReplicasOptimizer``.

    Returns:
      A `TrainingGraph`.

    Raises:
      SlimResnetError: ``train_only`` fits nothing that can be trained, or oneDNN would
        train the network wrongly.
    """
    global_step = tf1.train.get_or_create_global_step()
    before = set(map(id, tf1.global_variables()))
    outputs = network_fn(images)
    logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
    _check_kernels(tf1.get_default_graph())
    network_variables = [v for v in tf1.global_variables() if id(v) not in before]
    trained = _trained(tf1.trainable_variables(), options)

    cross_entropy = tf1.losses.softmax_cross_entropy(
        tf.one_hot(labels, num_classes), logits, label_smoothing=options.label_smoothing)
    for aux_logits in auxiliary:
        tf1.losses.softmax_cross_entropy(
            tf.one_hot(labels, num_classes), aux_logits, weights=AUX_WEIGHT,
            label_smoothing=options.label_smoothing, scope="aux_loss")
    total_loss = tf1.losses.get_total_loss()
    accuracy = tf.reduce_mean(tf.cast(
        tf.equal(tf.argmax(logits, 1), tf.cast(labels, tf.int64)), tf.float32))
    rate = tf.identity(learning_rate(options, global_step), "learning_rate")
    optimizer = optimizer_of(options, rate)
    if wrap_optimizer:
        optimizer = wrap_optimizer(optimizer)

    def clip(gradients_and_variables):
        gradients, variables = zip(*gradients_and_variables)
        return list(zip(tf.clip_by_global_norm(gradients, options.clip_norm)[0], variables))

    train_op = slim_training.create_train_op(
        total_loss, optimizer, global_step, variables_to_train=trained, check_numerics=False,
        transform_grads_fn=clip if options.clip_norm else None)
    if options.ema_decay is not None:
        average = tf.train.ExponentialMovingAverage(options.ema_decay, global_step)
        with tf.control_dependencies([train_op]):
            train_op = average.apply(tf1.trainable_variables())
    with tf.control_dependencies([train_op]):
        train_op = tf.identity(global_step.read_value(), "train_op")
    return TrainingGraph(train_op, cross_entropy, total_loss, accuracy, rate, global_step,
                         network_variables, trained, optimizer)


def _check_kernels(graph):
    """Refuses convolutions whose gradients TensorFlow's oneDNN kernels work out wrongly.

    Of a strided 1x1 convolution of fewer than 8 channels the weights' gradient is off by a
    fifth or more, or the process crashes: seen with 2.21 on a CPU with AVX2, the crash with
    2.12 and 2.16 too.
    """
    if not compat.onednn_enabled():
        return
    for op in graph.get_operations():
        if op.type == "Conv2D" and max(op.get_attr("strides")) > 1:
            height, width, channels, _ = op.inputs[1].shape.as_list()
            if (height, width) == (1, 1) and channels < 8:
                raise SlimResnetError(
                    f"TensorFlow's oneDNN kernels cannot train {op.name}, a strided 1x1 "
                    f"convolution of {channels} channels; set TF_ENABLE_ONEDNN_OPTS=0")


def _trained(variables, options):
    if options.freeze_batch_norm:
        variables = [v for v in variables if not v.op.name.endswith(("/gamma", "/beta"))]
    if options.train_only:
        variables = matching(variables, options.train_only, "--train-only")
    return variables
