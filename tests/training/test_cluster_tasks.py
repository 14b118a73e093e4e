"""Tasks of a training cluster as threads of this process: how they meet and how they end."""

import json
import socket
import threading
import types

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet import cli
from slim_resnet.common.cluster import Cluster
from slim_resnet.errors import SlimResnetError
from slim_resnet.training import cluster as cluster_training
from slim_resnet.training import run as training
from slim_resnet.training import tasks as cluster_tasks
from slim_resnet.training.data import Input, open_data
from slim_resnet.training.options import TrainingOptions
from tests.helpers import clusters

tf1 = tf.compat.v1


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return clusters.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    """Tasks build their graphs in turn, as tf-slim has one stack of arg scopes a process."""
    lock, build = threading.Lock(), training.build_graph

    def build_alone(*args, **kwargs):
        with lock:
            return build(*args, **kwargs)

    monkeypatch.setattr(training, "build_graph", build_alone)
    monkeypatch.setattr(cluster_tasks, "LEAVE_SECONDS", 5)


class Task(threading.Thread):
    """A task of a cluster; ``result`` is what it returned or raised."""

    def __init__(self, function, *args, **kwargs):
        super().__init__(daemon=True)
        self._call = lambda: function(*args, **kwargs)
        self.start()

    def run(self):
        try:
            self.result = self._call()
        except SlimResnetError as error:
            self.result = error

    def ended(self):
        self.join(60)
        assert not self.is_alive()
        return self.result


def start(jobs, data, folder, options, **kwargs):
    """Starts a parameter server and all workers but the chief."""
    return [Task(cluster_tasks.serve_parameters, Cluster(jobs, "ps", 0))] + [
        Task(cluster_training.train, Cluster(jobs, "worker", task), options, [data], str(folder),
             **kwargs) for task in range(1, len(jobs["worker"]))]


@pytest.mark.slow
def test_asynchronous_workers_share_the_steps(data, tmp_path, monkeypatch):
    hooks = []

    class CountingHook(cluster_training._StepHook):
        steps = 0

        def begin(self):
            hooks.append(self)
            super().begin()

        def after_run(self, run_context, run_values):
            self.steps += 1
            super().after_run(run_context, run_values)

    monkeypatch.setattr(cluster_training, "_StepHook", CountingHook)
    run_session = training.run_session

    def worker_misses_the_last_step(*args, is_chief, **kwargs):
        step, interrupted = run_session(*args, is_chief=is_chief, **kwargs)
        return step if is_chief else 59, interrupted

    monkeypatch.setattr(training, "run_session", worker_misses_the_last_step)
    jobs = clusters.free_jobs(2)
    options = TrainingOptions(steps=60, batch_size=4, ema_decay=0.9, **clusters.NETWORK)
    ps, worker = start(jobs, data, tmp_path / "unused", options, synchronous=False)
    outcome = cluster_training.train(Cluster(jobs, "worker", 0), options, [data],
                                     str(tmp_path / "run"), synchronous=False)
    assert ps.ended() is None
    assert not worker.ended().interrupted and not worker.result.evaluations
    assert not outcome.interrupted and outcome.evaluations[-1].top_1 > 0.5
    reader = tf.train.load_checkpoint(str(tmp_path / "run"))
    # Each may be in a step of its own when the last one is over.
    assert 60 <= reader.get_tensor("global_step") <= sum(hook.steps for hook in hooks) <= 62
    assert min(hook.steps for hook in hooks) > 0 and len(hooks) == 2
    assert reader.has_tensor("resnet_v2/logits/weights/ExponentialMovingAverage")
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize("make_input, tasks_steps", [
    (Input, [(step, task, 2 * step + task) for step in (0, 7) for task in (0, 1)]),
    (cluster_training._AlternatingInput,
     [(0, 0, 0), (0, 1, 1), (6, 0, 6), (6, 1, 7), (7, 0, 6)])])
def test_tasks_see_the_batches_that_one_process_sees(data, make_input, tasks_steps):
    source, options = open_data([data]), TrainingOptions(steps=1, batch_size=4, **clusters.NETWORK)

    def batch(batches, step):
        with tf1.Session(graph=batches.images.graph) as session:
            batches.start(session, step)
            return session.run(batches.images)

    with tf.Graph().as_default():
        alone = Input(source, options)
        shares = [make_input(source, options, task, 2) for task in (0, 1)]
    for step, task, step_alone in tasks_steps:
        np.testing.assert_array_equal(batch(shares[task], step), batch(alone, step_alone))


def test_a_failing_chief_ends_all(data, tmp_path):
    jobs = clusters.free_jobs(2)
    options = TrainingOptions(steps=20, batch_size=4, **clusters.NETWORK)
    (tmp_path / "model.ckpt-7.index").touch()
    ps, worker = start(jobs, data, tmp_path, options)
    with pytest.raises(SlimResnetError, match="holds checkpoints and no training.json"):
        cluster_training.train(Cluster(jobs, "worker", 0), options, [data], str(tmp_path))
    assert ps.ended() is None
    assert "the chief ended before the training began" in str(worker.ended())


@pytest.mark.slow
def test_chief_that_waits_says_so_and_ends_at_ctrl_c(data, tmp_path, monkeypatch):
    """The other worker was started with another batch size, and is refused."""
    monkeypatch.setattr(cluster_tasks, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(cluster_tasks, "_STEP_SECONDS", 0.2)
    monkeypatch.setattr(cluster_tasks, "LEAVE_SECONDS", 0.5)
    jobs = clusters.free_jobs(2)
    options = TrainingOptions(steps=20, batch_size=4, **clusters.NETWORK)
    ps = Task(cluster_tasks.serve_parameters, Cluster(jobs, "ps", 0))
    worker = Task(cluster_training.train, Cluster(jobs, "worker", 1),
                  TrainingOptions(steps=20, batch_size=5, **clusters.NETWORK), [data], "unused")
    messages = []

    def on_message(line):
        messages.append(line)
        if len(messages) == 1:
            worker.ended()
            # What Ctrl-C makes of this thread, which is the main one.
            raise KeyboardInterrupt

    outcome = cluster_training.train(Cluster(jobs, "worker", 0), options, [data],
                                     str(tmp_path), on_message=on_message)
    assert str(worker.ended()).startswith("this task's batch size is 5, the chief's 4")
    assert outcome == training.Outcome(0, True)
    assert "is every task running?" in messages[0]
    assert "stopping after this step; Ctrl-C again stops at once" in messages
    assert ps.ended() is None
    with pytest.raises(SlimResnetError, match="a run with 2 synchronous workers, not 1 worker;"):
        training.train(options, [data], str(tmp_path))


@pytest.mark.slow
def test_one_worker_goes_on_with_the_run_of_a_process_alone(data, tmp_path):
    options = TrainingOptions(steps=20, batch_size=4, **clusters.NETWORK)

    class Interrupt(tf1.train.SessionRunHook):
        def after_run(self, run_context, run_values):
            run_context.request_stop()

    training.train(options, [data], str(tmp_path), evaluate=False, hooks=[Interrupt()])
    messages = []
    jobs = clusters.free_jobs(1)
    ps, = start(jobs, data, tmp_path, options)
    outcome = cluster_training.train(Cluster(jobs, "worker", 0), options, [data], str(tmp_path),
                                     on_message=messages.append)
    assert (outcome.step, outcome.interrupted, ps.ended()) == (20, False, None)
    assert messages == ["going on from step 1"]


def test_parameter_server_that_is_lost_is_given_up(monkeypatch):
    monkeypatch.setattr(cluster_tasks, "LOST_SECONDS", 0.2)
    monkeypatch.setattr(cluster_tasks, "_CHECK_SECONDS", 0.1)
    never = threading.Event()
    hook = types.SimpleNamespace(seen=None, wake=None, claim=None,
                                 interrupted=False)
    with pytest.raises(SlimResnetError, match="a parameter server is out of reach"):
        cluster_tasks.watched(never.wait, Cluster(clusters.free_jobs(1), "worker", 0), hook, print)


def test_a_second_ctrl_c_does_not_wait(monkeypatch):
    monkeypatch.setattr(cluster_tasks, "PATIENCE_SECONDS", 0)
    hook = types.SimpleNamespace(seen=1.0, wake=None, claim=None,
                                 interrupted=False)
    said = []

    def on_message(line):
        said.append(line[:8])
        if line.startswith("no step"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cluster_tasks.watched(threading.Event().wait, Cluster(clusters.free_jobs(1), "worker", 0),
                              hook, on_message)
    assert hook.interrupted and said == ["no step ", "stopping", "no step "]


def error_of(capsys, data, jobs, tmp_path, *arguments):
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(jobs))
    assert cli.main(["train", data, "--output", str(tmp_path / "run"), "--model", "resnet_v2",
                     "--blocks", "1x1", "--steps", "5", "--cluster", str(spec), *arguments]) == 2
    line, = capsys.readouterr().err.splitlines()
    assert not (tmp_path / "run").exists()
    return line


@pytest.mark.parametrize("jobs, job, message", [
    ({"worker": ["localhost:1"]}, "worker", "the cluster has no parameter server"),
    ({"ps": ["localhost:1"]}, "ps", "the cluster has no worker"),
    ({"ps": ["localhost:1"], "worker": ["localhost:2"], "evaluator": ["localhost:3"]},
     "evaluator", "--job evaluator: takes no share"),
    ({"ps": ["localhost:1"], "worker": ["localhost:2"]}, "chief", "has no job 'chief'"),
])
def test_bad_cluster_is_one_line(jobs, job, message, data, tmp_path, capsys):
    assert message in error_of(capsys, data, jobs, tmp_path, "--job", job, "--task", "0")


@pytest.mark.parametrize("job", ["ps", "worker"])
def test_port_in_use_is_one_line(job, data, tmp_path, capsys):
    jobs = clusters.free_jobs(1)
    port = int(jobs[job][0].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        line = error_of(capsys, data, jobs, tmp_path, "--job", job, "--task", "0")
    assert f"{jobs[job][0]}: its port is in use" in line


def test_parameter_server_that_is_not_there_is_one_line(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cluster_tasks, "START_SECONDS", 0.3)
    jobs = clusters.free_jobs(1)
    line = error_of(capsys, data, jobs, tmp_path, "--job", "worker", "--task", "0")
    assert f"parameter server 0 at {jobs['ps'][0]} cannot be reached within 0.3 s" in line


def test_async_is_for_clusters(data, tmp_path, capsys):
    assert cli.main(["train", data, "--output", str(tmp_path / "run"), "--model", "resnet_v2",
                     "--blocks", "1x1", "--steps", "5", "--async"]) == 2
    assert "--async goes with --cluster" in capsys.readouterr().err
