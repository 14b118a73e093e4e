"""One process for each task: another that takes the same part is refused, and told of whom.

Two chiefs on one parameter server would initialise and end each other's training, and two
workers of one number would train on the same images. A process says on the first parameter
server, once a second, that it has its task. Who finds another's sign of life growing older
than a few seconds takes the task over: that process was killed.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid

import tensorflow as tf

from slim_resnet.common.cluster import PS, Cluster
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.training import tasks
from slim_resnet.training.tasks import shared_text

tf1 = tf.compat.v1

BEAT_SECONDS, SILENT_SECONDS, ANSWER_SECONDS = 1, 5, 30


def _session_on(cluster, ps, graph):
    """Returns a session that a parameter server's own master runs.

    One of this task's master would end those of another process with the same task: TensorFlow
    takes it for that process, started again.
    """
    config = tf1.ConfigProto(device_filters=[f"/job:{PS}/task:{ps}"],
                             operation_timeout_in_ms=1000 * ANSWER_SECONDS)
    return tf1.Session(f"grpc://{cluster.jobs[PS][ps]}", graph, config)


@contextlib.contextmanager
def _answering(cluster, ps):
    try:
        yield
    except tf.errors.OpError as error:
        raise SlimResnetError(f"parameter server {ps} at {cluster.jobs[PS][ps]} does not answer: "
                              f"{cause_of(error.message)}") from error


def check_cluster(cluster: Cluster) -> None:
    """Raises `SlimResnetError` unless all parameter servers were started for this cluster."""
    for ps, address in enumerate(cluster.jobs[PS]):
        with tf.Graph().as_default() as graph, _answering(cluster, ps):
            _, _, is_there, read = shared_text(tasks.SERVED, ps)
            deadline = time.monotonic() + tasks.START_SECONDS
            with _session_on(cluster, ps, graph) as session:
                while not session.run(is_there):
                    if time.monotonic() > deadline:
                        raise SlimResnetError(f"parameter server {ps} at {address} is none of "
                                              "slim-resnet train --job ps")
                    time.sleep(0.1)
                theirs = json.loads(session.run(read))
        for job in {**theirs, **cluster.jobs}:
            if theirs.get(job) != cluster.jobs.get(job):
                raise SlimResnetError(
                    f"parameter server {ps} at {address} serves another cluster, with "
                    f"{job} {_addresses(theirs, job)} and not {_addresses(cluster.jobs, job)}; "
                    "one training is running there: wait for it, or start parameter servers of "
                    "this one's own")


def _addresses(jobs, job):
    return ", ".join(jobs.get(job, ())) or "nowhere"


class Claim:
    """This process's claim to its task.

    Args:
      cluster: The `cluster.Cluster`.
      output: Folder of the run, for others' messages.

    Attributes:
      lost: Why this process has its task no more, a line, or None.
    """

    lost = None

    def __init__(self, cluster: Cluster, output: str | os.PathLike) -> None:
        index, _ = cluster.shard
        self._name = "chief" if index == 0 else f"task {cluster.task} of job {cluster.job}"
        self._token = uuid.uuid4().hex
        self._who = f"process {os.getpid()} on {socket.gethostname()}, --output " \
                    f"{os.path.abspath(output)}"
        self._beats, self._stop, self._keeper = 0, threading.Event(), None
        with tf.Graph().as_default() as graph:
            self._text, self._write, self._is_there, self._read = shared_text(
                f"training_task_{index}")
        self._session, self._cluster = _session_on(cluster, 0, graph), cluster

    def take(self) -> None:
        """Takes the task, and shows from now on that it is taken.

        Raises:
          SlimResnetError: Another process has it.
        """
        with _answering(self._cluster, 0):
            self._take()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def release(self) -> None:
        """Shows it no more."""
        self._stop.set()
        # A thread within a session when the interpreter ends would abort the process.
        if self._keeper is not None:
            self._keeper.join(SILENT_SECONDS)

    def _take(self):
        before = self._current()
        deadline = time.monotonic() + SILENT_SECONDS
        while before and time.monotonic() < deadline:
            time.sleep(BEAT_SECONDS / 2)
            if self._current() != before:
                raise self._refusal(before)
        self._beat()
        # Of several that begin at once the last to write has it.
        time.sleep(BEAT_SECONDS / 2)
        current = self._current()
        if current["token"] != self._token:
            raise self._refusal(current)

    def _current(self):
        if not self._session.run(self._is_there):
            return None
        return json.loads(self._session.run(self._read))

    def _beat(self):
        self._beats += 1
        self._session.run(self._write, {self._text: json.dumps(
            {"token": self._token, "who": self._who, "beats": self._beats})})

    def _keep(self):
        while not self._stop.wait(BEAT_SECONDS):
            try:
                current = self._current()
                if current["token"] != self._token:
                    self.lost = f"{self._name} was taken over by {current['who']}, as this " \
                                "process gave no sign of life"
                    return
                self._beat()
            except (tf.errors.OpError, RuntimeError):  # the parameter server's end
                return

    def _refusal(self, other):
        return SlimResnetError(f"the {self._name} of this training is running already: "
                               f"{other['who']}; wait for it, or start parameter servers of this "
                               "one's own")
