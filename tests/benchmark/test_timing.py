import math
import os
import re
import signal

import pytest
import tensorflow as tf

from slim_resnet import timing

tf1 = tf.compat.v1


class Session:
    """Runs nothing, by a clock of its own; ``at`` maps a call's number to what it does."""

    def __init__(self, monkeypatch, durations, at=()):
        self.now, self.calls, self.durations, self.at = 0.0, [], list(durations), dict(at)
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def run(self, target, feed_dict=None):
        self.calls.append((target, feed_dict))
        self.now += self.durations[len(self.calls) - 1]
        if len(self.calls) in self.at:
            self.at[len(self.calls)]()


def test_statistics_by_hand():
    stats = timing.statistics([1.0, 2.0, 4.0, 9.0], batch_size=8)
    assert stats.mean_s == 4.0
    assert stats.sd_s == pytest.approx(math.sqrt((9 + 4 + 0 + 25) / 4))
    assert stats.standard_error_s == pytest.approx(stats.sd_s / 2)
    # Median 3; deviations 2, 1, 1, 6, whose median is 1.5.
    assert stats.jitter_s == pytest.approx(1.4826 * 1.5)
    assert (stats.p50_s, stats.min_s, stats.max_s) == (3.0, 1.0, 9.0)
    # Of 4 values the p-th percentile lies 3 p / 100 places after the first.
    assert stats.p90_s == pytest.approx(4 + 0.7 * 5)
    assert stats.p95_s == pytest.approx(4 + 0.85 * 5)
    assert stats.p99_s == pytest.approx(4 + 0.97 * 5)
    assert stats.images_per_second == 2.0


def test_statistics_of_near_equal_and_of_single_durations():
    # E[x^2] - mean^2 of these rounds below zero, and its root failed in the blog.
    values = [0.1 + 0.2, 0.3, 0.1 + 0.2] * 33
    total = total_squared = 0.0
    for value in values:  # sum() compensates its rounding since Python 3.12
        total += value
        total_squared += value * value
    assert total_squared / 99 - (total / 99) ** 2 < 0
    assert 0 <= timing.statistics(values).sd_s < 1e-15
    single = timing.statistics([0.5])
    assert (single.mean_s, single.sd_s, single.p99_s, single.jitter_s) == (0.5, 0, 0.5, 0)
    assert single.images_per_second is None
    with pytest.raises(ValueError, match="no durations"):
        timing.statistics([])


def test_burn_in_is_kept_apart_and_lines_are_the_blogs(monkeypatch, capsys):
    session = Session(monkeypatch, [5.0, 7.0] + [1.0, 3.0] * 10)
    result = timing.time_tensorflow_run(session, "target", "Forward", num_batches=20,
                                        num_steps_burn_in=2, feed_dict={"x": 1}, batch_size=6)
    assert result.burn_in_durations_s == (5.0, 7.0)
    assert result.durations_s == (1.0, 3.0) * 10
    assert result.statistics.mean_s == 2.0 and result.statistics.sd_s == 1.0
    assert result.statistics.images_per_second == 3.0
    assert not result.partial
    assert session.calls == [("target", {"x": 1})] * 22
    lines = [re.sub(r"^\S+ \S+: ", "", line) for line in capsys.readouterr().out.splitlines()]
    # The blog counts its lines from the first step of burn-in.
    assert lines == ["step 8, duration = 1.000", "step 18, duration = 1.000",
                     "Forward across 20 steps, 2.000 +/- 1.000 sec / batch"]


def test_defaults_are_the_blogs(monkeypatch, capsys):
    session = Session(monkeypatch, [0.25] * 110)
    result = timing.time_tensorflow_run(session, "target", "Forward")
    assert (len(result.burn_in_durations_s), len(result.durations_s)) == (10, 100)
    assert result.batch_size is None
    assert len(capsys.readouterr().out.splitlines()) == 11


def test_runs_in_turn(monkeypatch, capsys):
    session = Session(monkeypatch, [1.0, 10.0, 2.0, 20.0, 3.0, 30.0])
    counted = []
    results = timing.time_interleaved(
        [timing.Run(session, "a", "A"), timing.Run(session, "b", "B")], 2, 1,
        lambda *counts: counted.append(counts))
    assert counted == [(1, 3), (2, 3), (3, 3)]
    assert [target for target, _ in session.calls] == ["a", "b"] * 3
    assert results[0].durations_s == (2.0, 3.0) and results[1].durations_s == (20.0, 30.0)
    assert [line.split(": ", 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "A across 2 steps, 2.500 +/- 0.500 sec / batch",
        "B across 2 steps, 25.000 +/- 5.000 sec / batch"]


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_gives_what_there_is(monkeypatch, capsys):
    session = Session(monkeypatch, [1.0] * 10, {5: interrupt})
    result = timing.time_tensorflow_run(session, "target", "Forward", 6, 2)
    assert result.partial and result.durations_s == (1.0, 1.0)
    assert result.num_batches == 6
    assert capsys.readouterr().out.splitlines()[-1].endswith(
        "Forward across 2 steps, 1.000 +/- 0.000 sec / batch (partial: stopped before 6 steps)")


@pytest.mark.parametrize("call", [2, 3])
def test_ctrl_c_before_there_is_anything(monkeypatch, call):
    session = Session(monkeypatch, [1.0] * 10, {call: interrupt})
    with pytest.raises(KeyboardInterrupt):
        timing.time_tensorflow_run(session, "target", "Forward", 6, 2)


def test_ctrl_c_before_every_run_has_a_step(monkeypatch):
    session = Session(monkeypatch, [1.0] * 10, {4: interrupt})
    with pytest.raises(KeyboardInterrupt):
        timing.time_interleaved([timing.Run(session, "a", "A"), timing.Run(session, "b", "B")],
                                6, 1)


@pytest.mark.parametrize("num_batches, burn_in", [(0, 1), (-1, 1), (1, -1)])
def test_counts_out_of_range(num_batches, burn_in):
    with pytest.raises(ValueError, match="num_batches must be at least 1"):
        timing.time_tensorflow_run(None, None, "x", num_batches, burn_in)


def test_batch_size_is_the_targets_first_dimension(capsys):
    with tf.Graph().as_default(), tf1.Session() as session:
        for target, batch_size in ((tf.zeros([3, 1]), 3), (tf.zeros([]), None),
                                   (tf.no_op(), None), ([tf.zeros([2])], None)):
            assert timing.time_tensorflow_run(session, target, "x", 1, 0).batch_size == batch_size


def test_results_in_a_terminal_a_notebook_and_pandas():
    one = timing.TimingResult("<b>Forward", 3, 1, 4, (1.0, 2.0, 3.0), (9.0,), False)
    other = timing.TimingResult("VGG", 5, 0, None, (4.0,), (), True)
    assert repr(one) == "<<b>Forward: 3 steps, 2.000 +/- 0.816 s, 2.00 images/s>"
    assert repr(other) == "<VGG: 1 steps, 4.000 +/- 0.000 s, partial>"
    both = timing.TimingResults([one, other])
    assert repr(both) == "<2 timed runs: <b>Forward 2.000 s, VGG 4.000 s>"
    markup = both._repr_html_()
    assert "<b>" not in markup and "<td>VGG (partial)</td>" in markup
    assert markup.count("<tr><td>") == 2 and one._repr_html_().count("<tr><td>") == 1
    frame = both.to_pandas()
    assert frame.mean_s.tolist() == [2.0, 4.0] and frame.partial.tolist() == [False, True]
    assert frame.p90_s[0] == one.statistics.p90_s
    steps = one.to_pandas()
    assert steps.step.tolist() == [-1, 0, 1, 2]
    assert steps.duration_s.tolist() == [9.0, 1.0, 2.0, 3.0]
    assert steps.is_burn_in.tolist() == [True, False, False, False]
