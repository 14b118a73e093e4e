"""One process for each task: who comes second is refused, and the first goes on."""

import threading
import time

import pytest
import tensorflow as tf

from slim_resnet.common.cluster import Cluster
from slim_resnet.errors import SlimResnetError
from slim_resnet.training import claims
from slim_resnet.training import cluster as cluster_training
from slim_resnet.training import tasks as cluster_tasks
from slim_resnet.training.options import TrainingOptions
from tests.helpers import clusters
from tests.training.test_cluster_tasks import Task, data, one_process  # noqa: F401 (fixtures)

tf1 = tf.compat.v1


@pytest.fixture
def jobs():
    """A cluster whose parameter server is there."""
    jobs = clusters.free_jobs(2)
    tf1.train.Server(tf1.train.ClusterSpec(jobs), "ps", 0)
    return jobs


def claim_of(jobs, task=0, output="run"):
    return claims.Claim(Cluster(jobs, "worker", task), output)


@pytest.mark.slow
def test_a_task_is_one_process(jobs, monkeypatch):
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(claims, "SILENT_SECONDS", 2)
    first, second, worker = (claim_of(jobs, task, output) for task, output in (
        (0, "first"), (0, "second"), (1, "third")))
    first.take()
    # Another task is not in its way.
    worker.take()
    with pytest.raises(SlimResnetError, match="the chief of this training is running already: "
                                              "process .*/first; wait for it"):
        second.take()
    with pytest.raises(SlimResnetError, match="the task 1 of job worker of this training is"):
        claim_of(jobs, 1).take()
    assert first.lost is None and worker.lost is None
    # As where it was killed: the next takes over, after a while.
    first._stop.set()
    second.take()
    # As where it was only held: it finds out.
    first._stop.clear()
    first._keep()
    assert first.lost.startswith("chief was taken over by process ")
    hook = cluster_training._StepHook()
    hook.claim = first
    with pytest.raises(SlimResnetError, match="chief was taken over by process .*/second, as this"):
        cluster_tasks.watched(threading.Event().wait, Cluster(jobs, "worker", 0), hook, print)
    for claim in (first, second, worker):
        claim.release()


def test_of_two_at_once_one_wins(jobs, monkeypatch):
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.4)
    both = [claim_of(jobs) for _ in range(2)]
    threads = [Task(claim.take) for claim in both]
    results = [thread.ended() for thread in threads]
    assert sorted(result is None for result in results) == [False, True]
    assert "is running already" in str(next(filter(None, results)))
    for claim in both:
        claim.release()


@pytest.mark.slow
def test_a_second_chief_on_a_parameter_server_is_refused_and_the_first_goes_on(
        data, tmp_path):  # noqa: F811
    jobs = clusters.free_jobs(1)
    other = {**jobs, "worker": clusters.free_jobs(1)["worker"]}
    options = TrainingOptions(steps=10 ** 6, batch_size=4, **clusters.NETWORK)
    steps, said, sessions = [], [], [0]

    def on_message(line):
        said.append(line)

    ps = Task(cluster_tasks.serve_parameters, Cluster(jobs, "ps", 0))
    hook = []

    class Watching(cluster_training._StepHook):
        def begin(self):
            hook.append(self)
            super().begin()

        def after_create_session(self, session, coord):
            sessions[0] += 1
            super().after_create_session(session, coord)

        def after_run(self, run_context, run_values):
            steps.append(time.monotonic())
            super().after_run(run_context, run_values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster_training, "_StepHook", Watching)
        first = Task(cluster_training.train, Cluster(jobs, "worker", 0), options, [data],
                     str(tmp_path / "first"), on_message=on_message)
        deadline = time.monotonic() + 60
        while len(steps) < 10:
            assert first.is_alive() and time.monotonic() < deadline
            time.sleep(0.05)
    with pytest.raises(SlimResnetError, match=(
            f"parameter server 0 at {jobs['ps'][0]} serves another cluster, with worker "
            f"{jobs['worker'][0]} and not {other['worker'][0]}; one training is running")):
        cluster_training.train(Cluster(other, "worker", 0), options, [data],
                               str(tmp_path / "second"))
    # The same command on another machine, as far as it can come.
    with pytest.raises(SlimResnetError, match="the chief of this training is running already"):
        claims.Claim(Cluster(jobs, "worker", 0), tmp_path / "second").take()
    assert not (tmp_path / "second").exists()
    before = len(steps)
    time.sleep(1)
    assert first.is_alive() and len(steps) > before and not said
    # No session of it was lost.
    assert len(hook) == sessions[0] == 1
    hook[0].interrupted = True
    assert first.ended().interrupted and ps.ended() is None
