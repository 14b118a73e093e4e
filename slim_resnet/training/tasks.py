"""The tasks of a training cluster: their servers, what they tell each other, their end.

A parameter server of TensorFlow's own never ends, a worker's session waits for ever for
a task that is gone, and Python hears no Ctrl-C while it does. Here each of them ends: the
chief says so through queues on the parameter servers, and a task's work is on a thread
that its main thread watches.
"""

import concurrent.futures
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slim_resnet.common.cluster import PS, Cluster, check_training_cluster
from slim_resnet.errors import SlimResnetError

tf1 = tf.compat.v1

_ENDED, STOPPING = "training_ended", "training_stopping"
# The cluster that a parameter server was started for.
SERVED = "training_cluster"
# How long a task waits for others when it begins, and the chief for workers at the end.
START_SECONDS, LEAVE_SECONDS = 120, 30
# How long a parameter server may be out of reach before a task gives it up.
LOST_SECONDS = 10
# Without a step for so long, a task says that it waits.
PATIENCE_SECONDS = 30
_POLL_SECONDS = 0.2
_CHECK_SECONDS, _CONNECT_SECONDS = 1, 2
# How long the chief's last step may take after Ctrl-C if it waits for others, and theirs
# after it.
_STEP_SECONDS = 5


def own_device(cluster: Cluster) -> str:
    """Returns this task's device."""
    return f"/job:{cluster.job}/task:{cluster.task}"


def start_server(cluster: Cluster) -> tf1.train.Server:
    """Starts this task's ``tf.compat.v1.train.Server``; one line where it cannot."""
    address = cluster.jobs[cluster.job][cluster.task]
    in_use = SlimResnetError(f"{address}: its port is in use on this machine; is this task of the "
                             "cluster running already?")
    # gRPC would say the same in a page of its own.
    try:
        socket.create_server(("", cluster.address(cluster.job, cluster.task)[1])).close()
    except OSError as error:
        raise in_use from error
    try:
        return tf1.train.Server(tf1.train.ClusterSpec(cluster.jobs), cluster.job, cluster.task)
    except tf.errors.OpError as error:
        raise in_use from error


def _is_open(host, port):
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def wait_for_parameter_servers(cluster: Cluster) -> None:
    """Waits until all answer, or raises `SlimResnetError` after `START_SECONDS`."""
    deadline = time.monotonic() + START_SECONDS
    for ps, address in enumerate(cluster.jobs[PS]):
        while not _is_open(*cluster.address(PS, ps)):
            if time.monotonic() > deadline:
                raise SlimResnetError(f"parameter server {ps} at {address} cannot be reached "
                                      f"within {START_SECONDS} s; start it, or mend its address")
            time.sleep(_POLL_SECONDS)


def session_config(cluster: Cluster, config: tf1.ConfigProto | None = None) -> tf1.ConfigProto:
    """Returns a ``ConfigProto`` for sessions that need parameter servers and this task alone.

    Without the filters a session waits for every task of the cluster, killed ones too.
    """
    config = config or tf1.ConfigProto()
    config.device_filters.extend([f"/job:{PS}", own_device(cluster)])
    return config


def signal(name: str, ps: int = 0) -> tuple[tf.Operation, tf.Tensor]:
    """Makes what one task says and others see: a queue on a parameter server.

    Returns:
      ``(give, count)``: the op that says it, and a tensor, how often it has been said.
    """
    with tf.device(f"/job:{PS}/task:{ps}/CPU:0"):
        queue = tf1.FIFOQueue(-1, tf.int32, [[]], shared_name=name, name=name)
        return queue.enqueue(0), queue.size()


def shared_text(name: str, ps: int = 0) -> tuple[tf.Tensor, tf.Operation, tf.Tensor, tf.Tensor]:
    """Makes a text that one task writes and others read: a variable on a parameter server.

    Returns:
      ``(text, write, is_there, read)``: a placeholder, and ops.
    """
    with tf.device(f"/job:{PS}/task:{ps}/CPU:0"):
        variable = tf1.get_variable(name, [], tf.string, use_resource=True,
                                    initializer=tf1.constant_initializer(""))
        text = tf1.placeholder(tf.string, [])
        return (text, variable.assign(text, read_value=False), variable.is_initialized(),
                variable.read_value())


class Control:
    """What the tasks tell each other, in a graph and a session of its own.

    Args:
      target: This task's server.
      cluster: The `cluster.Cluster`.
    """

    def __init__(self, target: str, cluster: Cluster) -> None:
        with tf.Graph().as_default() as graph:
            self._stop, self._stopping = signal(STOPPING)
            self._finish, self._finished = signal("training_finished")
            self._leave, self._left = signal("training_left")
            self._end = [signal(_ENDED, ps)[0] for ps in range(len(cluster.jobs[PS]))]
            self._text, self._announce, self._is_announced, self._run = shared_text(
                "training_run")
        self._session = tf1.Session(target, graph, session_config(cluster))

    def announce(self, run: dict) -> None:
        """Lets the workers begin; ``run`` is what they must agree on."""
        self._session.run(self._announce, {self._text: json.dumps(run)})

    def wait_for_chief(self, run: dict) -> None:
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

    def is_finished(self) -> bool:
        """Waits until the chief has ended; returns whether all steps are over."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while not self._session.run(self._stopping) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return self._session.run(self._finished) > 0

    def leave(self) -> None:
        """Tells the chief that this worker needs the parameter servers no more."""
        self._session.run(self._leave)

    def end(self, num_others: int, finished: bool) -> None:
        """Ends the other workers, then the parameter servers.

        Args:
          num_others: Number of the other workers.
          finished: Whether all steps are over. If not, a worker may be gone for good, as
            where one Ctrl-C went to all tasks, and is not waited for as long.
        """
        if finished:
            self._session.run(self._finish)
        self._session.run(self._stop)
        deadline = time.monotonic() + (LEAVE_SECONDS if finished else _STEP_SECONDS)
        while self._session.run(self._left) < num_others and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self._session.run(self._end)


def serve_parameters(cluster: Cluster,
                     on_message: Callable[[str], None] = lambda line: None) -> None:
    """Holds variables until the chief says that the training has ended.

    Args:
      cluster: The `cluster.Cluster`; its job is ``ps``.
      on_message: Called with a line for people.

    Raises:
      SlimResnetError: The cluster cannot train, or the port of this task is in use.
    """
    check_training_cluster(cluster)
    server = start_server(cluster)
    with tf.Graph().as_default():
        _, ended = signal(_ENDED, cluster.task)
        config = tf1.ConfigProto(device_filters=[f"/job:{PS}/task:{cluster.task}"])
        with tf1.Session(server.target, config=config) as session:
            text, write, _, _ = shared_text(SERVED, cluster.task)
            session.run(write, {text: json.dumps(cluster.jobs)})
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


def watched(work: Callable[[], Any], cluster: Cluster, hook: tf1.train.SessionRunHook,
            on_message: Callable[[str], None]) -> Any:
    """Runs ``work`` on a thread, as Python hears no Ctrl-C while TensorFlow waits for a peer.

    The first Ctrl-C ends the task after its step, the second at once. A step of the chief
    that waits for a worker ends some seconds after the first.

    Args:
      work: Called without arguments.
      cluster: The `cluster.Cluster`.
      hook: Has ``claim``, the task's `claims.Claim` or None; ``interrupted``, set to True to
        end ``work`` after its step; ``seen``, the time of its last step, None before the
        first; and ``wake``, a function that ends the chief's waiting step, or None.
      on_message: Called with a line for people.

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
    checked = reached = said = time.monotonic()
    interrupted = None
    while True:
        try:
            concurrent.futures.wait([future], _POLL_SECONDS)
            if future.done():
                return future.result()
            now = time.monotonic()
            if hook.claim and hook.claim.lost:
                raise SlimResnetError(hook.claim.lost)
            if now - checked > _CHECK_SECONDS:
                checked = now
                if all(_is_open(*cluster.address(PS, ps))
                       for ps in range(len(cluster.jobs[PS]))):
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
