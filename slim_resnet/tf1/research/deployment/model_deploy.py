"""deployment/model_deploy.py: a model's copies on several devices, trained as one.

A model function is called once for each clone, in a name scope ``clone_<i>`` and on a device
of its own, with shared variables. Losses are averaged over the clones, regularisation is
counted once, gradients are summed.
"""

import collections
import itertools

import tensorflow as tf
import tf_slim as slim

tf1 = tf.compat.v1

__all__ = ["Clone", "DeployedModel", "DeploymentConfig", "create_clones", "deploy",
           "optimize_clones"]

Clone = collections.namedtuple("Clone", ["outputs", "scope", "device"])
DeployedModel = collections.namedtuple(
    "DeployedModel", ["train_op", "summary_op", "total_loss", "clones"])


def create_clones(config, model_fn, args=None, kwargs=None):
    """Calls a model function once for each clone.

    Args:
      config: A `DeploymentConfig`.
      model_fn: ``model_fn(*args, **kwargs)``; its losses go into the losses collection.
      args: List of positional arguments.
      kwargs: Dict of keyword arguments.

    Returns:
      A list of `Clone`: what the function returned, its name scope and its device.
    """
    clones = []
    with slim.arg_scope([slim.model_variable, slim.variable], device=config.variables_device()):
        for index in range(config.num_clones):
            device = config.clone_device(index)
            with tf1.name_scope(config.clone_scope(index)) as scope, tf1.device(device), \
                    tf1.variable_scope(tf1.get_variable_scope(), reuse=index > 0 or None):
                outputs = model_fn(*(args or []), **(kwargs or {}))
                clones.append(Clone(outputs, scope, device))
    return clones


def optimize_clones(clones, optimizer, regularization_losses=None, **kwargs):
    """Adds losses and gradients to clones.

    Args:
      clones: What `create_clones` returned.
      optimizer: A ``tf.train.Optimizer``.
      regularization_losses: Added to the first clone's losses; None takes the graph's,
        ``[]`` none.
      **kwargs: Go to ``optimizer.compute_gradients``.

    Returns:
      ``(total_loss, grads_and_vars)``: the sum of the clones' shares of the loss, and the
      sum of their gradients for each variable.
    """
    losses, gradients = [], []
    for clone, regularization in _with_regularization(clones, regularization_losses):
        with tf1.name_scope(clone.scope):
            loss = _share_of_loss(clone, len(clones), regularization)
            if loss is not None:
                losses.append(loss)
                with tf1.device(clone.device):
                    gradients.append(optimizer.compute_gradients(loss, **kwargs))
    return tf.add_n(losses, name="total_loss"), _summed(gradients)


def deploy(config, model_fn, args=None, kwargs=None, optimizer=None, summarize_gradients=False):
    """Makes clones of a model and, given an optimizer, what trains them.

    Args:
      config: A `DeploymentConfig`.
      model_fn: See `create_clones`.
      args: See `create_clones`.
      kwargs: See `create_clones`.
      optimizer: A ``tf.train.Optimizer``, or None for losses alone.
      summarize_gradients: Whether to add histograms of the gradients.

    Returns:
      A `DeployedModel`. ``train_op`` runs a step with the first clone's update ops and
      returns the loss; it is None without optimizer. ``summary_op`` merges the summaries.
    """
    summaries = set(tf1.get_collection(tf1.GraphKeys.SUMMARIES))
    clones = create_clones(config, model_fn, args, kwargs)
    # The moving statistics of batch norms are shared: one clone's updates are enough.
    update_ops = tf1.get_collection(tf1.GraphKeys.UPDATE_OPS, clones[0].scope)
    train_op = total_loss = None
    with tf1.device(config.optimizer_device()):
        if optimizer:
            with tf1.device(config.variables_device()):
                global_step = tf1.train.get_or_create_global_step()
            total_loss, gradients = optimize_clones(clones, optimizer)
            if gradients:
                if summarize_gradients:
                    summaries.update(_gradient_summaries(gradients))
                step = optimizer.apply_gradients(gradients, global_step=global_step)
                with tf1.control_dependencies([tf.group(*update_ops, step)]):
                    train_op = tf.identity(total_loss, name="train_op")
        else:
            losses = []
            for clone, regularization in _with_regularization(clones, None):
                with tf1.name_scope(clone.scope):
                    losses.append(_share_of_loss(clone, len(clones), regularization))
            losses = [loss for loss in losses if loss is not None]
            if losses:
                total_loss = tf.add_n(losses, name="total_loss")
        summaries.update(tf1.get_collection(tf1.GraphKeys.SUMMARIES, clones[0].scope))
        if total_loss is not None:
            summaries.add(tf1.summary.scalar("total_loss", total_loss))
        summary_op = tf1.summary.merge(list(summaries), name="summary_op") if summaries else None
    return DeployedModel(train_op, summary_op, total_loss, clones)


def _with_regularization(clones, losses):
    """Pairs clones with regularisation losses: the first has them all, the others none."""
    if losses is None:
        losses = tf1.get_collection(tf1.GraphKeys.REGULARIZATION_LOSSES)
    return itertools.zip_longest(clones, [losses])


def _share_of_loss(clone, num_clones, regularization):
    """Returns a clone's share of the total loss, None if it has no losses."""
    shares, summaries = [], {}
    with tf1.device(clone.device):
        losses = tf1.get_collection(tf1.GraphKeys.LOSSES, clone.scope)
        if losses:
            loss = tf.add_n(losses, name="clone_loss")
            if num_clones > 1:
                loss = tf.divide(loss, float(num_clones), name="scaled_clone_loss")
            shares.append(loss)
            summaries[f"{clone.scope}/clone_loss"] = loss
        if regularization:
            shares.append(tf.add_n(regularization, name="regularization_loss"))
            summaries["regularization_loss"] = shares[-1]
        total = tf.add_n(shares) if shares else None
    for tag, value in summaries.items():
        tf1.summary.scalar(tag, value)
    return total


def _summed(gradients_of_clones):
    """Returns ``(gradient, variable)`` pairs, summed over the clones."""
    summed = []
    for pairs in zip(*gradients_of_clones):
        variable = pairs[0][1]
        gradients = [gradient for gradient, _ in pairs if gradient is not None]
        if len(gradients) > 1:
            summed.append((tf.add_n(gradients, name=f"{variable.op.name}/sum_grads"), variable))
        elif gradients:
            summed.append((gradients[0], variable))
    return summed


def _gradient_summaries(gradients):
    for gradient, variable in gradients:
        values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        name = variable.op.name
        yield tf1.summary.histogram(f"{name}:gradient", values)
        yield tf1.summary.histogram(f"{name}:gradient_norm", tf.linalg.global_norm([values]))


class DeploymentConfig:
    """Where clones, variables, inputs and the optimizer go.

    Args:
      num_clones: Copies of the model in this process.
      clone_on_cpu: Whether all of them go to the CPU, instead of a GPU each.
      replica_id: Which of the replicas this process is.
      num_replicas: Number of worker processes.
      num_ps_tasks: Number of parameter servers; 0 keeps variables in this process.
      worker_job_name: Name of the workers' job.
      ps_job_name: Name of the parameter servers' job.

    Raises:
      ValueError: The numbers do not fit together, or a job has no name.
    """

    def __init__(self, num_clones=1, clone_on_cpu=False, replica_id=0, num_replicas=1,
                 num_ps_tasks=0, worker_job_name="worker", ps_job_name="ps"):
        if num_replicas > 1 and num_ps_tasks < 1:
            raise ValueError("several replicas need num_ps_tasks of 1 or more")
        if (num_replicas > 1 or num_ps_tasks > 0) and not (worker_job_name and ps_job_name):
            raise ValueError("replicas and parameter servers need worker_job_name and "
                             "ps_job_name")
        if replica_id >= num_replicas:
            raise ValueError("replica_id has to be less than num_replicas")
        self.num_clones, self.clone_on_cpu = num_clones, clone_on_cpu
        self.replica_id, self.num_replicas = replica_id, num_replicas
        self.num_ps_tasks = num_ps_tasks
        self.ps_device = f"/job:{ps_job_name}" if num_ps_tasks else ""
        self.worker_device = f"/job:{worker_job_name}" if num_ps_tasks else ""

    def caching_device(self):
        """Returns where variables are cached: on the device of what reads them, or None."""
        return (lambda op: op.device) if self.num_ps_tasks else None

    def clone_device(self, clone_index):
        """Returns the device of a clone.

        Raises:
          ValueError: There is no such clone.
        """
        self._check(clone_index)
        if self.clone_on_cpu:
            return f"{self.worker_device}/device:CPU:0"
        return f"{self.worker_device}/device:GPU:{clone_index}"

    def clone_scope(self, clone_index):
        """Returns the name scope of a clone, empty if there is one clone only.

        Raises:
          ValueError: There is no such clone.
        """
        self._check(clone_index)
        return f"clone_{clone_index}" if self.num_clones > 1 else ""

    def _check(self, clone_index):
        if clone_index >= self.num_clones:
            raise ValueError("clone_index has to be less than num_clones")

    def optimizer_device(self):
        """Returns the device of what sums and applies gradients."""
        return f"{self.worker_device}/device:CPU:0"

    def inputs_device(self):
        """Returns the device of the input pipeline."""
        return f"{self.worker_device}/device:CPU:0"

    def variables_device(self):
        """Returns the device of variables, or a function that spreads them over the servers."""
        if not self.num_ps_tasks:
            return "/device:CPU:0"
        tasks = itertools.cycle(range(self.num_ps_tasks))

        def choose(op):
            node = op if isinstance(op, tf1.NodeDef) else op.node_def
            if op.device or not node.op.startswith(("Variable", "VarHandle")):
                return op.device
            return f"{self.ps_device}/device:CPU:0/task:{next(tasks)}"

        return choose
