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

import concurrent.futures
import dataclasses
import functools
import json
import socket
import threading
import time

import tensorflow as tf

from slim_resnet import training, training_options
from slim_resnet.errors import SlimResnetError
from slim_resnet.training_data import Input, open_data

tf1 = tf.compat.v1

PS = "ps"
_STOPPING, _ENDED = "training_stopping", "training_ended"
# How long a task waits for others when it begins, and the chief for workers at the end.
START_SECONDS, LEAVE_SECONDS = 120, 30
# How long a parameter server may be out of reach before a task gives it up.
LOST_SECONDS = 10
# Without a step for so long, a task says that it waits.
PATIENCE_SECONDS = 30
_POLL_SECONDS = 0.2
_CONNECT_SECONDS = 2
# How long the chief's last step may take after Ctrl-C, if it waits for others.
_STEP_SECONDS = 5
# The thread that applies synchronous gradients waits for some that will not come.
_GRACE_SECONDS = 1


def check_cluster(cluster):
    """Raises `SlimResnetError` unless a `cluster.Cluster` can train and this task takes part."""
    if PS not in cluster.jobs:
        raise SlimResnetError(f"the cluster has no job {PS}; training needs one or more parameter "
                              f'servers: "{PS}": ["HOST:PORT"]')
    if not cluster.workers:
        raise SlimResnetError("the cluster has no job worker; training needs one or more")
    if cluster.job != PS:
        cluster.shard


def _address(cluster, job, task):
    host, _, port = cluster.jobs[job][task].rpartition(":")
    return host.strip("[]"), int(port)


def _own_device(cluster):
    return f"/job:{cluster.job}/task:{cluster.task}"


def _start_server(cluster):
    """Starts this task's ``tf.compat.v1.train.Server``."""
    address = cluster.jobs[cluster.job][cluster.task]
    in_use = SlimResnetError(f"{address}: its port is in use on this machine; is this task of the "
                             "cluster running already?")
    # gRPC would say the same in a page of its own.
    try:
        socket.create_server(("", _address(cluster, cluster.job, cluster.task)[1])).close()
    except OSError as error:
        raise in_use from error
    try:
        return tf1.train.Server(tf1.train.ClusterSpec(cluster.jobs), cluster.job, cluster.task)
    except tf.errors.OpError as error:
        raise in_use from error


def _signal(name, ps=0):
    """Makes what one task says and others see: a queue on a parameter server.

    Returns:
      ``(give, count)``: the op that says it, and a tensor, how often it has been said.
    """
    with tf.device(f"/job:{PS}/task:{ps}/CPU:0"):
        queue = tf1.FIFOQueue(-1, tf.int32, [[]], shared_name=name, name=name)
        return queue.enqueue(0), queue.size()


class _Control:
    """What the tasks tell each other, in a graph and a session of its own.

    Args:
      target: This task's server.
      own_device: Its device.
      num_ps: Number of parameter servers to talk to.
    """

    def __init__(self, target, own_device, num_ps):
        with tf.Graph().as_default() as graph:
            self._stop, self._stopping = _signal(_STOPPING)
            self._leave, self._left = _signal("training_left")
            self._end = [_signal(_ENDED, ps)[0] for ps in range(num_ps)]
            with tf.device(f"/job:{PS}/task:0/CPU:0"):
                run = tf1.get_variable("training_run", [], tf.string, use_resource=True,
                                       initializer=tf1.constant_initializer(""))
                self._text = tf1.placeholder(tf.string, [])
                self._announce = run.assign(self._text, read_value=False)
                self._is_announced = run.is_initialized()
                self._run = run.read_value()
        self._session = tf1.Session(target, graph, _config(own_device))

    def announce(self, run):
        """Lets the workers begin; ``run`` is what they must agree on."""
        self._session.run(self._announce, {self._text: json.dumps(run)})

    def wait_for_chief(self, run):
        """Waits until the chief has announced the run; raises if it is another than ours."""
        started = time.monotonic()
        while not self._session.run(self._is_announced):
            if self._session.run(self._stopping):
                self.leave()
                raise SlimResnetError("the chief ended before the training began; see its message")
            if time.monotonic() - started > START_SECONDS:
                raise SlimResnetError(f"the chief has not begun within {START_SECONDS} s; start it")
            time.sleep(_POLL_SECONDS)
        chiefs = json.loads(self._session.run(self._run))
        for name, value in json.loads(json.dumps(run)).items():
            if chiefs[name] != value:
                raise SlimResnetError(
                    f"this task's {name.replace('_', ' ')} is {value}, the chief's {chiefs[name]}; "
                    "start all tasks with the same command, but for --job and --task")

    def leave(self):
        """Tells the chief that this worker needs the parameter servers no more."""
        self._session.run(self._leave)

    def end(self, num_others):
        """Ends the other workers, then the parameter servers."""
        self._session.run(self._stop)
        started = time.monotonic()
        while (self._session.run(self._left) < num_others
               and time.monotonic() - started < LEAVE_SECONDS):
            time.sleep(_POLL_SECONDS)
        self._session.run(self._end)


def _config(own_device, config=None):
    """Returns a ``ConfigProto`` for sessions that need parameter servers and this task alone.

    Without the filters a session waits for every task of the cluster, killed ones too.
    """
    config = config or tf1.ConfigProto()
    config.device_filters.extend([f"/job:{PS}", own_device])
    return config


def serve_parameters(cluster, on_message=lambda line: None):
    """Holds variables until the chief says that the training has ended.

    Args:
      cluster: The `cluster.Cluster`; its job is ``ps``.
      on_message: Called with a line for people.

    Raises:
      SlimResnetError: The cluster cannot train, or the port of this task is in use.
    """
    check_cluster(cluster)
    server = _start_server(cluster)
    with tf.Graph().as_default():
        _, ended = _signal(_ENDED, cluster.task)
        config = tf1.ConfigProto(device_filters=[f"/job:{PS}/task:{cluster.task}"])
        with tf1.Session(server.target, config=config) as session:
            on_message("holding parameters until the chief ends the training")
            interrupted = False
            # Not a dequeue: Python hears no Ctrl-C in one.
            while not session.run(ended):
                try:
                    time.sleep(_POLL_SECONDS)
                except KeyboardInterrupt:
                    # Where one Ctrl-C goes to all tasks the chief has yet to save.
                    if interrupted:
                        raise
                    interrupted = True
                    on_message("holding on for the chief; Ctrl-C again stops at once")
    # For the answer to the chief, whose call this was.
    time.sleep(_POLL_SECONDS)


class _AlternatingInput(Input):
    """Batches where each task's is a step of its own."""

    def start(self, session, step):
        super().start(session, step // self._num_tasks)


class _StepHook(tf1.train.SessionRunHook):
    """Ends a task's steps when Ctrl-C came to it, or when the chief ended the training.

    Attributes:
      interrupted: Set to True to end this task after its step.
      stopping: Whether the chief has ended.
      seen: When the last step was over, or before it the session was there.
      wake: Ends the step that this task is in, if it waits for others; or None.
    """

    interrupted = stopping = False
    seen = wake = None

    def begin(self):
        _, self._stopping = _signal(_STOPPING)

    def after_create_session(self, session, coord):
        self.seen = time.monotonic()

    def before_run(self, run_context):
        return tf1.train.SessionRunArgs(self._stopping)

    def after_run(self, run_context, run_values):
        self.seen = time.monotonic()
        self.stopping = bool(run_values.results)
        if self.interrupted or self.stopping:
            run_context.request_stop()


class _SyncHook(tf1.train.SessionRunHook):
    """Starts a ``SyncReplicasOptimizer``: its own hook, but for two things.

    There are no tokens to begin with, so that nobody gets ahead: each step is of one batch
    of each task, and all see the last one. And where the session ends while the chief's
    thread waits for gradients, as it does at the end, that is no error.
    """

    def __init__(self, optimizer, is_chief):
        self._ready = optimizer.ready_for_local_init_op
        self._initialise = optimizer.chief_init_op if is_chief else optimizer.local_step_init_op
        runner = optimizer.get_chief_queue_runner()
        self._runner = is_chief and tf1.train.QueueRunner(
            runner.queue, runner.enqueue_ops, queue_closed_exception_types=(
                tf.errors.OutOfRangeError, tf.errors.CancelledError))

    def after_create_session(self, session, coord):
        session.run(self._ready)
        session.run(self._initialise)
        if self._runner:
            self._runner.create_threads(session, coord, daemon=True, start=True)


def _run_once(operation, target, config):
    with tf1.Session(target, operation.graph, config) as session:
        session.run(operation)


class _AnnounceHook(tf1.train.SessionRunHook):
    """Lets the workers begin once the chief has restored everything."""

    def __init__(self, control, run):
        self._control, self._run = control, run

    def after_create_session(self, session, coord):
        self._control.announce(self._run)


def train(cluster, options, data, output, *, synchronous=True, validation=None,
          on_message=lambda line: None, **how):
    """Takes a working task's part in a training.

    Args:
      cluster: The `cluster.Cluster`; this task is a working one.
      options: `training_options.Options`, the same for all tasks; ``batch_size`` is each
        task's.
      data: As in `training.train`; each task reads its share of the same images.
      output: As there, and ``validation`` too; the chief alone uses them.
      synchronous: Whether a step is one batch of every task, or of one.
      validation: See ``output``.
      on_message: Called with a line for people, now and then.
      **how: How often to save and log, see `training.run_session`.

    Returns:
      A `training.Outcome`; evaluations are the chief's.

    Raises:
      SlimResnetError: As `training.train`; or a task is out of reach, or was started with
        other options.
    """
    check_cluster(cluster)
    training_options.check(options)
    task, num_tasks = cluster.shard
    server = _start_server(cluster)
    _wait_for_parameter_servers(cluster)
    hook = _StepHook()

    def take_part():
        control = _Control(server.target, _own_device(cluster), len(cluster.jobs[PS]))
        part = (cluster, server.target, control, hook, options, data, output, synchronous,
                on_message, how)
        if task > 0:
            return _work(*part)
        try:
            return _work(*part)
        finally:
            control.end(num_tasks - 1)

    step, architecture, classes = _watched(take_part, cluster, hook, on_message)
    if step < options.steps:
        return training.Outcome(step, True)
    if task > 0:
        return training.Outcome(step, False)
    return training.finished(step, options, architecture, output, classes, data, validation)


def _work(cluster, target, control, hook, options, data, output, synchronous, on_message, how):
    """Builds this task's network and runs its steps.

    Returns:
      ``(step, architecture, classes)``: how many are over, and what was trained.
    """
    task, num_tasks = cluster.shard
    source = open_data(data)
    architecture = training.find_architecture(options)
    run = {**dataclasses.asdict(options), "synchronous": synchronous, "classes": source.classes,
           "number_of_images": source.num_images}
    if task == 0:
        training.prepare_folder(output, options, source, on_message)
        step_options = options
    else:
        # One task is enough to keep averages of the weights.
        step_options = dataclasses.replace(options, ema_decay=None)
    hooks = [hook]
    sync = []

    def synchronised(optimizer):
        sync.append(tf1.train.SyncReplicasOptimizer(optimizer, num_tasks, num_tasks))
        return sync[0]

    config = _config(_own_device(cluster), training.session_config(options))
    placement = tf1.train.replica_device_setter(worker_device=_own_device(cluster),
                                                cluster=tf1.train.ClusterSpec(cluster.jobs))
    with tf.Graph().as_default(), tf1.device(placement):
        tf1.set_random_seed(options.seed)
        batches = (Input if synchronous else _AlternatingInput)(source, options, task, num_tasks)
        graph = training.build_graph(batches, len(source.classes), architecture, step_options,
                                     synchronised if synchronous else None)
        saver = training.make_saver()
        if synchronous:
            hooks.append(_SyncHook(sync[0], task == 0))
        if synchronous and task == 0:
            close = sync[0].get_chief_queue_runner().queue.close(cancel_pending_enqueues=True)
            hook.wake = functools.partial(_run_once, close, target, config)
        if task == 0:
            step = training.first_step(graph, options, saver, output, on_message, target, config)
            hooks.append(_AnnounceHook(control, run))
        else:
            control.wait_for_chief(run)
            step = 0
        if step < options.steps:
            images = options.batch_size * (num_tasks if synchronous else 1)
            step, _ = training.run_session(
                graph, batches, saver, dataclasses.replace(options, batch_size=images), output, step,
                hooks=hooks, is_chief=task == 0, target=target, config=config,
                stop_grace_seconds=_GRACE_SECONDS, **how)
    if task > 0 and not hook.interrupted:
        control.leave()
    return step, architecture, source.classes


def _watched(work, cluster, hook, on_message):
    """Runs ``work`` on a thread, as Python hears no Ctrl-C while TensorFlow waits for a peer.

    The first Ctrl-C ends the task after its step, the second at once.

    Returns:
      What ``work`` returns.

    Raises:
      SlimResnetError: ``work``'s; or a parameter server is out of reach.
    """
    future = concurrent.futures.Future()

    def body():
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=body, daemon=True).start()
    lost = SlimResnetError("a parameter server is out of reach; start all tasks again, and the "
                           "training goes on from its last checkpoint")
    reached = said = time.monotonic()
    interrupted = None
    while True:
        try:
            concurrent.futures.wait([future], _POLL_SECONDS)
            if future.done():
                return future.result()
            now = time.monotonic()
            if all(_is_open(*_address(cluster, PS, ps)) for ps in range(len(cluster.jobs[PS]))):
                reached = now
            elif now - reached > LOST_SECONDS:
                raise lost
            if hook.seen and now - max(hook.seen, said) > PATIENCE_SECONDS:
                said = now
                on_message(f"no step for {now - hook.seen:.0f} s; is every task running?")
            if interrupted and now - interrupted > _STEP_SECONDS and hook.wake:
                wake, hook.wake = hook.wake, None
                wake()
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted, hook.interrupted = time.monotonic(), True
            on_message("stopping after this step; Ctrl-C again stops at once")
        except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
            raise lost from error


def _is_open(host, port):
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _wait_for_parameter_servers(cluster):
    deadline = time.monotonic() + START_SECONDS
    for ps, address in enumerate(cluster.jobs[PS]):
        while not _is_open(*_address(cluster, PS, ps)):
            if time.monotonic() > deadline:
                raise SlimResnetError(f"parameter server {ps} at {address} cannot be reached "
                                      f"within {START_SECONDS} s; start it, or mend its address")
            time.sleep(_POLL_SECONDS)
