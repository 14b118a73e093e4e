"""Training by several tasks as processes on loopback; see also test_cluster_tasks.py."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.training import run as training
from slim_resnet.training.graph import architecture_of, build_logits
from slim_resnet.training.options import TrainingOptions
from tests.helpers import clusters

pytestmark = pytest.mark.slow

tf1 = tf.compat.v1

BATCH_SIZE, STEPS, FIRST_SAVE = 4, 60, 10


class Values(tf1.train.SessionRunHook):
    """Keeps all variables after one step."""

    def __init__(self, step):
        self._step = step

    def begin(self):
        self._variables = {v.op.name: v for v in tf1.global_variables()}

    def after_run(self, run_context, run_values):
        if run_context.session.run(tf1.train.get_global_step()) == self._step:
            self.values = run_context.session.run(self._variables)


def values_of(checkpoint):
    reader = tf.train.load_checkpoint(str(checkpoint))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def loss_on_all(folder, data, options):
    arrays = np.load(data)
    images = np.repeat(arrays["images"][..., None], 3, -1).astype(np.float32) / 127.5 - 1
    with tf.Graph().as_default(), tf1.Session() as session:
        logits = build_logits(tf.constant(images), 3,
                              architecture_of("resnet_v2", options.blocks, False), options,
                              is_training=False)
        tf1.train.Saver().restore(session, tf.train.latest_checkpoint(folder))
        return session.run(tf1.losses.sparse_softmax_cross_entropy(arrays["labels"], logits))


def start(folder, spec, data, job, task, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "slim_resnet", "train", data, "--output", str(folder / "run"),
         "--model", "resnet_v2", "--blocks", "1x1,2x1", "--no-root-block", "--image-size", "8",
         "--augmentation", "none", "--schedule", "constant", "--learning-rate", "0.02",
         "--batch-size", str(BATCH_SIZE), "--steps", str(STEPS), "--save-steps",
         str(FIRST_SAVE), "--log-steps", "1", "--cluster", str(spec), "--job", job, "--task",
         str(task), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path, processes):
    deadline = time.monotonic() + 120
    while not path.exists():
        failed = [process.communicate() for process in processes if process.poll() is not None]
        assert not failed and time.monotonic() < deadline, failed
        time.sleep(0.002)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return clusters.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def killed_worker(data, tmp_path_factory):
    """Two synchronous workers of which one is killed and comes back, and one process alone.

    Batch norm is frozen, so that a batch's images have nothing to do with each other.
    """
    folder = tmp_path_factory.mktemp("cluster")
    pretrained = str(folder / "pretrained")
    training.train(TrainingOptions(steps=8, batch_size=30, **clusters.NETWORK), [data], pretrained,
                   evaluate=False)
    options = TrainingOptions(steps=STEPS, batch_size=2 * BATCH_SIZE, freeze_batch_norm=True,
                              checkpoint=pretrained, **clusters.NETWORK)
    first = Values(FIRST_SAVE)
    training.train(options, [data], str(folder / "alone"), hooks=[first], evaluate=False)
    spec = folder / "spec.json"
    spec.write_text(json.dumps(clusters.free_jobs(2)))
    arguments = ("--freeze-batch-norm", "--checkpoint", pretrained)
    ps, chief, worker = processes = [start(folder, spec, data, job, task, *arguments)
                                     for job, task in (("ps", 0), ("worker", 0), ("worker", 1))]
    try:
        wait_for(folder / "run" / f"model.ckpt-{FIRST_SAVE}.index", processes)
        worker.kill()
        worker.communicate()
        at_kill = values_of(folder / "run" / f"model.ckpt-{FIRST_SAVE}")
        processes[2] = start(folder, spec, data, "worker", 1, *arguments)
        outputs = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return dict(folder=folder, options=options, alone=first.values, at_kill=at_kill,
                outputs=outputs, statuses=[process.returncode for process in processes])


def test_two_synchronous_workers_are_one_with_the_doubled_batch(killed_worker):
    alone, cluster = killed_worker["alone"], killed_worker["at_kill"]
    before = values_of(killed_worker["options"].checkpoint + "/model.ckpt-8")
    assert alone.keys() == cluster.keys() and cluster["global_step"] == FIRST_SAVE
    moved = 0
    for name, value in alone.items():
        np.testing.assert_allclose(cluster[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
        moved += not np.allclose(value, before.get(name, value), rtol=1e-2)
    assert moved > 5


def test_a_killed_worker_comes_back_and_no_step_is_lost(killed_worker, data):
    assert killed_worker["statuses"] == [0, 0, 0], killed_worker["outputs"]
    run = killed_worker["folder"] / "run"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert values_of(run / f"model.ckpt-{STEPS}")["global_step"] == STEPS
    losses = [loss_on_all(str(killed_worker["folder"] / name), data, killed_worker["options"])
              for name in ("run", "alone")]
    before = loss_on_all(killed_worker["options"].checkpoint, data, killed_worker["options"])
    # The step of the kill may have counted a batch twice.
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[1] < 0.8 * before


def test_processes_say_little(killed_worker):
    (ps_out, ps_err), (chief_out, chief_err), (worker_out, worker_err) = killed_worker["outputs"]
    assert "moving statistics" in chief_out and not ps_out + worker_out
    assert len(ps_err.splitlines()) == 1 and "holding parameters" in ps_err
    assert not chief_err + worker_err
