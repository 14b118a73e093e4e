"""The figures of ``scripts/cluster_throughput.py``, from runs whose times are given."""

import os

import numpy as np
import pytest
import tensorflow as tf

from scripts import cluster_throughput
from slim_resnet import cli

tf1 = tf.compat.v1


def run(*words):
    return cli.run(cluster_throughput.build_parser(), words)


def write_run(folder, seconds_a_step, steps=60):
    """Writes summaries of every tenth step, the first ones slow, and a checkpoint."""
    with tf.Graph().as_default(), tf1.Session() as session:
        writer = tf1.summary.FileWriter(str(folder))
        for step in range(0, steps + 1, 10):
            event = tf1.Event(step=step, summary=tf1.Summary(),
                              wall_time=1e6 + step * seconds_a_step + (0 if step < 20 else 9))
            writer.add_event(event)
        writer.close()
        for name, shape in (("weights", [3, 2]), ("weights/Momentum", [3, 2]), ("biases", [2]),
                            ("global_step", [])):
            tf1.get_variable(name, shape)
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, os.path.join(folder, "model.ckpt"), steps)


def test_command(monkeypatch, capsys):
    speeds = {"alone, two cores": 0.01, "alone, one core": 0.02, "1 worker": 0.04,
              "2 workers, synchronous": 0.05, "2 workers, asynchronous": 0.02}
    slower = iter(np.repeat([1, 1.25, 1], len(speeds)))

    def train(setting, data, output, steps):
        assert os.path.exists(data) and steps == 40
        write_run(output, speeds[setting.name] * next(slower))

    monkeypatch.setattr(cluster_throughput, "_train", train)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert run("--steps", "40") == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[3].split()[-5:] == ["1280.0", "1600.0", "1600.0", "1.00", "2.00"]
    assert lines[5].split()[-5:] == ["1024.0", "1280.0", "1280.0", "0.80", "1.60"]
    assert lines[6].split()[-5:] == ["1280.0", "1600.0", "1600.0", "1.00", "2.00"]
    assert lines[7].startswith("8 parameters, 0.00 MB") and "takes 20.0 ms more" in lines[7]
    assert len(captured.err.splitlines()) == 15


@pytest.mark.parametrize("cores", [{3}, None])
def test_two_cores_are_needed(cores, monkeypatch, capsys):
    if cores is None:
        monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    assert run() == 2
    assert "needs two cores" in capsys.readouterr().err


def test_a_run_that_fails_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(cluster_throughput, "_RUN",
                        "import sys; print('no', file=sys.stderr); print('why', file=sys.stderr); "
                        "sys.exit(int('train' in sys.argv))")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert run("--rounds", "1") == 2
    line, = capsys.readouterr().err.splitlines()
    assert line.endswith("error: alone, two cores: a run failed: why")
