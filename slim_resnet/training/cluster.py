"""Training by several processes, on TensorFlow 1's own runtime.

Between-graph replication: parameter servers (job ``ps``) hold the variables, and every
working task (``chief`` if there is one, and ``worker``) builds the same network and
computes gradients of images of its own. The first working task is the chief: it
initialises, saves, logs and evaluates.

Synchronous: a step is one batch of each task, and the gradients' mean is applied. On the
same weights its gradient is that of one process with the batches put together, and the
images are the same; what differs is what a batch has a hand in: batch norm's statistics
are those of each task's batch (`--freeze-batch-norm` takes them out, and then the runs are
equal, see tests/test_cluster_training.py), ``clip_norm`` clips each task's gradients, and
moving statistics are updated by each task, several times a step. Asynchronous: a step is
one batch of one task, whose gradients were computed on weights that are perhaps older.

A task that was killed is started again with the same command and goes on.
"""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from slim_resnet.common.cluster import Cluster, check_training_cluster
from slim_resnet.common.listing import Paths
from slim_resnet.training import folder as training_folder
from slim_resnet.training import options as training_options
from slim_resnet.training import run as training
from slim_resnet.training.claims import Claim, check_cluster
from slim_resnet.training.data import Input, open_data
from slim_resnet.training.judge import Judge
from slim_resnet.training.options import TrainingOptions
from slim_resnet.training.tasks import (
    STOPPING,
    Control,
    own_device,
    session_config,
    signal,
    start_server,
    wait_for_parameter_servers,
    watched,
)

tf1 = tf.compat.v1

# The thread that applies synchronous gradients waits for some that will not come.
_GRACE_SECONDS = 1


class _AlternatingInput(Input):
    """Batches where each task's is a step of its own."""

    def start(self, session, step):
        super().start(session, step // self._num_tasks)


class _StepHook(tf1.train.SessionRunHook):
    """Ends a task's steps when Ctrl-C came to it, or when the chief ended the training.

    Attributes:
      interrupted: Set to True to end this task after its step.
      seen: When the last step was over, or before it the session was there; None before
        that, and at the end.
      wake: Ends the step that this task is in, if it waits for others; or None.
      claim: The `claims.Claim` to this task, once it is taken.
    """

    interrupted = False
    seen = wake = claim = None

    def begin(self):
        _, self._stopping = signal(STOPPING)

    def after_create_session(self, session, coord):
        self.seen = time.monotonic()

    def before_run(self, run_context):
        return tf1.train.SessionRunArgs(self._stopping)

    def after_run(self, run_context, run_values):
        self.seen = time.monotonic()
        if self.interrupted or run_values.results:
            run_context.request_stop()

    def end(self, session):
        self.seen = None


class _SyncHook(tf1.train.SessionRunHook):
    """Starts a ``SyncReplicasOptimizer``: its own hook, but for two things.

    There are no tokens to begin with, so that nobody gets ahead: each step is of one batch
    of each task, and all see the last one. And where the session ends while the chief's
    thread waits for gradients, as it does at the end, that is no error.
    """

    def __init__(self, optimizer, is_chief):
        initialise = optimizer.chief_init_op if is_chief else optimizer.local_step_init_op
        # TensorFlow complains of its own op where nobody uses it.
        self._initialise = tf.group(initialise, optimizer.ready_for_local_init_op)
        runner = optimizer.get_chief_queue_runner()
        self._runner = is_chief and tf1.train.QueueRunner(
            runner.queue, runner.enqueue_ops, queue_closed_exception_types=(
                tf.errors.OutOfRangeError, tf.errors.CancelledError))

    def after_create_session(self, session, coord):
        session.run(self._initialise)
        if self._runner:
            self._runner.create_threads(session, coord, daemon=True, start=True)


class _AnnounceHook(tf1.train.SessionRunHook):
    """Lets the workers begin once the chief has restored everything."""

    def __init__(self, control, run):
        self._control, self._run = control, run

    def after_create_session(self, session, coord):
        self._control.announce(self._run)


def train(cluster: Cluster, options: TrainingOptions, data: Paths,
          output: str | os.PathLike, *, synchronous: bool = True,
          validation: Paths | None = None,
          evaluate_steps: int | None = None,
          on_message: Callable[[str], None] = lambda line: None,
          progress: Callable[[Iterable, int | None], Iterable] = lambda items, total: items,
          **how: Any) -> training.Outcome:
    """Takes a working task's part in a training.

    Args:
      cluster: The `cluster.Cluster`; this task is a working one.
      options: `TrainingOptions`, the same for all tasks; ``batch_size`` is each
        task's.
      data: As in `training.train`; each task reads its share of the same images.
      output: As there, and ``validation`` too; the chief alone uses them.
      synchronous: Whether a step is one batch of every task, or of one.
      validation: See ``output``.
      evaluate_steps: As in `training.train`; the chief evaluates, and synchronous workers
        wait for it.
      on_message: Called with a line for people, now and then.
      progress: As in `training.train`.
      **how: How often to save and log, see `training.run_session`.

    Returns:
      A `training.Outcome`; evaluations are the chief's.

    Raises:
      SlimResnetError: As `training.train`; or a task is out of reach, or was started with
        other options, or is running already.
    """
    check_training_cluster(cluster)
    training_options.check(options)
    options = training.completed(options)
    task, num_tasks = cluster.shard
    server = start_server(cluster)
    wait_for_parameter_servers(cluster)
    hook = _StepHook()

    def take_part():
        # Not before this is sure is anything touched that others have a hand in.
        check_cluster(cluster)
        claim = Claim(cluster, output)
        claim.take()
        hook.claim = claim
        control = Control(server.target, cluster)
        if task > 0:
            return work(control)
        step = 0
        try:
            step, judge = work(control)
            return step, judge
        finally:
            control.end(num_tasks - 1, finished=step >= options.steps)

    def work(control):
        source = open_data(data, options.labels_offset, options.max_pixels)
        architecture = training.find_architecture(options)
        run = {**dataclasses.asdict(options), "synchronous": synchronous,
               "classes": source.classes, "number_of_images": source.num_images}
        judge = Judge(options, architecture, output, source.classes, data, validation,
                      evaluate_steps, on_message, progress)
        folder = contextlib.nullcontext()
        if task == 0:
            judge.check()
            folder = training_folder.locked(output)
        config = session_config(cluster, training.session_config(options))
        with folder, tf.Graph().as_default(), _placement(cluster):
            if task == 0:
                training.prepare_folder(output, options, source, on_message, _workers(
                    num_tasks, synchronous))
            graph, batches, sync = _build(cluster, options, source, architecture, synchronous)
            saver = training.make_saver()
            hooks = [hook]
            if sync:
                hooks.append(_SyncHook(sync, task == 0))
            if task > 0:
                control.wait_for_chief(run)
                step = 0
            else:
                if sync:
                    hook.wake = _closer(sync, server.target, config)
                hooks.append(_AnnounceHook(control, run))
                step = training.first_step(graph, options, saver, output, on_message,
                                           server.target, config)
            if step < options.steps:
                step_images = options.batch_size * (num_tasks if synchronous else 1)
                step, _ = training.run_session(
                    graph, batches, saver, dataclasses.replace(options, batch_size=step_images),
                    output, step, hooks=hooks, is_chief=task == 0, target=server.target,
                    config=config, judge=judge, stop_grace_seconds=_GRACE_SECONDS, **how)
        if task > 0 and not hook.interrupted:
            # The chief may have made the last step, or ended, while this task was in one.
            if step < options.steps and control.is_finished():
                step = options.steps
            control.leave()
        return step, judge

    try:
        step, judge = watched(take_part, cluster, hook, on_message)
    finally:
        if hook.claim:
            hook.claim.release()
    if step < options.steps:
        return training.Outcome(step, True)
    if task > 0:
        return training.Outcome(step, False)
    return training.Outcome(step, False, judge.at_the_end())


def _workers(num_tasks, synchronous):
    """Returns what ``training.json`` says of the tasks that train."""
    if num_tasks == 1:
        return "1 worker"
    return f"{num_tasks} {'synchronous' if synchronous else 'asynchronous'} workers"


def _placement(cluster):
    """Puts variables on the parameter servers in turn, and all else on this task."""
    return tf1.device(tf1.train.replica_device_setter(
        worker_device=own_device(cluster), cluster=tf1.train.ClusterSpec(cluster.jobs)))


def _build(cluster, options, source, architecture, synchronous):
    """Builds this task's training graph.

    Returns:
      ``(graph, batches, sync)``; ``sync`` is the ``SyncReplicasOptimizer`` or None.
    """
    task, num_tasks = cluster.shard
    sync = None

    def synchronised(optimizer):
        nonlocal sync
        sync = tf1.train.SyncReplicasOptimizer(optimizer, num_tasks, num_tasks)
        return sync

    if task > 0:
        # The chief alone keeps averages of the weights.
        options = dataclasses.replace(options, ema_decay=None)
    tf1.set_random_seed(options.seed)
    batches = (Input if synchronous else _AlternatingInput)(source, options, task, num_tasks)
    graph = training.build_graph(batches, len(source.classes), architecture, options,
                                 synchronised if synchronous else None)
    return graph, batches, sync


def _closer(sync, target, config):
    """Returns a function that ends the step which waits for gradients, as if all were over."""
    close = sync.get_chief_queue_runner().queue.close(cancel_pending_enqueues=True)

    def run():
        with tf1.Session(target, close.graph, config) as session:
            session.run(close)

    return run
