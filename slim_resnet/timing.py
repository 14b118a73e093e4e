"""The blog's timing harness: burn-in steps, then timed ones, by ``session.run``.

It descends from convnet-benchmarks. What is printed and what mean and deviation
mean is as published; kept from going wrong are the clock, which is monotonic here,
and the deviation, which cannot become the root of a negative number. Statistics are
a pure function of durations.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from slim_resnet.common.rows import Column, Rows, data_frame

if TYPE_CHECKING:
    import pandas

PERCENTILES = (50, 90, 95, 99)


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Statistics of step durations, all in seconds but for the last field.

    Attributes:
      mean_s: Arithmetic mean.
      sd_s: Population standard deviation, as the blog has it.
      standard_error_s: ``sd_s / sqrt(steps)``.
      jitter_s: 1.4826 x the median absolute deviation from the median, which
        estimates the standard deviation and takes no notice of outliers.
      p50_s, p90_s, p95_s, p99_s: Percentiles, linear between neighbours.
      min_s: Shortest step.
      max_s: Longest step.
      images_per_second: Batch size / mean; None without a batch size.
    """

    mean_s: float
    sd_s: float
    standard_error_s: float
    jitter_s: float
    p50_s: float
    p90_s: float
    p95_s: float
    p99_s: float
    min_s: float
    max_s: float
    images_per_second: float | None


def statistics(durations_s: Sequence[float], batch_size: int | None = None) -> Statistics:
    """Returns the `Statistics` of at least one duration.

    Args:
      durations_s: Seconds a step.
      batch_size: Images a step, for the rate.

    Raises:
      ValueError: ``durations_s`` is empty.
    """
    if len(durations_s) == 0:
        raise ValueError("no durations to take statistics of")
    durations = np.asarray(durations_s, np.float64)
    mean, median = durations.mean(), np.median(durations)
    # Deviations from the mean, not E[x^2] - mean^2, whose rounding can go below zero.
    sd = durations.std()
    percentiles = np.percentile(durations, PERCENTILES)
    values = [mean, sd, sd / np.sqrt(durations.size),
              1.4826 * np.median(np.abs(durations - median)),
              *percentiles, durations.min(), durations.max()]
    return Statistics(*map(float, values),
                      None if batch_size is None else float(batch_size / mean))


@dataclasses.dataclass(frozen=True)
class TimingResult:
    """What a timed run gave.

    Attributes:
      info_string: What was timed.
      num_batches: Steps that were asked for.
      num_steps_burn_in: Untimed steps that came before them.
      batch_size: Images a step, or None if unknown.
      durations_s: Seconds of each timed step that was finished.
      burn_in_durations_s: Seconds of each burn-in step.
      partial: Whether Ctrl-C ended the run before its last step.
    """

    info_string: str
    num_batches: int
    num_steps_burn_in: int
    batch_size: int | None
    durations_s: tuple[float, ...]
    burn_in_durations_s: tuple[float, ...]
    partial: bool

    @property
    def statistics(self) -> Statistics:
        """`Statistics` of the timed steps."""
        return statistics(self.durations_s, self.batch_size)

    def __repr__(self) -> str:
        stats, rate = self.statistics, ""
        if stats.images_per_second is not None:
            rate = f", {stats.images_per_second:.2f} images/s"
        return (f"<{self.info_string}: {len(self.durations_s)} steps, {stats.mean_s:.3f} +/- "
                f"{stats.sd_s:.3f} s{rate}{', partial' if self.partial else ''}>")

    def _repr_html_(self) -> str:
        return TimingResults([self])._repr_html_()

    def to_pandas(self) -> "pandas.DataFrame":
        """Returns a pandas ``DataFrame``, a row a step: ``step``, ``is_burn_in``, ``duration_s``.

        Steps of burn-in have numbers below 0, and the first timed one is 0.

        Raises:
          SlimResnetError: pandas is not installed.
        """
        burn_in = len(self.burn_in_durations_s)
        return data_frame([
            {"step": number - burn_in, "is_burn_in": number < burn_in, "duration_s": duration}
            for number, duration in enumerate(self.burn_in_durations_s + self.durations_s)])

    def summary_line(self) -> str:
        """The blog's last line; a partial run says so at its end."""
        stats = self.statistics
        line = "%s: %s across %d steps, %.3f +/- %.3f sec / batch" % (
            datetime.now(), self.info_string, len(self.durations_s), stats.mean_s, stats.sd_s)
        if self.partial:
            line += f" (partial: stopped before {self.num_batches} steps)"
        return line


class TimingResults(Rows):
    """A list of `TimingResult`, which notebooks show as a table of their statistics."""

    noun = "timed runs"
    columns = (
        Column("seconds a batch", lambda row: row.info_string
               + (" (partial)" if row.partial else "")),
        Column("batch", lambda row: row.batch_size),
        Column("steps", lambda row: len(row.durations_s)),
        *(Column(name, lambda row, name=name: getattr(row.statistics, f"{name}_s"), "{:.4g}".format)
          for name in ("mean", "sd", "jitter", "p50", "p90", "p95", "p99", "min", "max")),
        Column("images/s", lambda row: row.statistics.images_per_second, "{:.2f}".format))

    def about(self) -> str:
        return ", ".join(f"{row.info_string} {row.statistics.mean_s:.3f} s" for row in self)

    def records(self) -> list[dict[str, Any]]:
        return [{"info_string": row.info_string, "batch_size": row.batch_size,
                 "steps": len(row.durations_s), "partial": row.partial,
                 **dataclasses.asdict(row.statistics)} for row in self]


@dataclasses.dataclass(frozen=True)
class Run:
    """One thing to time: ``session.run(target, feed_dict)`` under a name."""

    session: Any
    target: Any
    info_string: str
    feed_dict: dict[Any, Any] | None = None
    batch_size: int | None = None


def time_interleaved(runs: Sequence[Run], num_batches: int = 100, num_steps_burn_in: int = 10,
                     on_step: Callable[[int, int], object] | None = None
                     ) -> TimingResults:
    """Times several runs step by step in turn, so that drift hits all alike.

    Prints the blog's lines, a line each ten steps and a last one for each run. On
    Ctrl-C what is finished is printed and returned, marked partial.

    Args:
      runs: A list of `Run`.
      num_batches: Timed steps of each run.
      num_steps_burn_in: Untimed steps of each run before them.
      on_step: Called between steps with how many steps are over and how many there
        are, burn-in included.

    Returns:
      A list of `TimingResult` in the order of ``runs``, see `TimingResults`.

    Raises:
      KeyboardInterrupt: Ctrl-C came before every run had a timed step.
      ValueError: A count is out of range.
    """
    if num_batches < 1 or num_steps_burn_in < 0:
        raise ValueError(f"num_batches must be at least 1 and num_steps_burn_in at least 0, "
                         f"not {num_batches} and {num_steps_burn_in}")
    durations = [[] for _ in runs]
    partial = False
    clock = time.perf_counter
    try:
        for i in range(num_batches + num_steps_burn_in):
            for run, run_durations in zip(runs, durations):
                start_time = clock()
                run.session.run(run.target, run.feed_dict)
                duration = clock() - start_time
                run_durations.append(duration)
                if i >= num_steps_burn_in and not i % 10:
                    name = f"{run.info_string} " if len(runs) > 1 else ""
                    print("%s: %sstep %d, duration = %.3f" % (
                        datetime.now(), name, i - num_steps_burn_in, duration), flush=True)
            if on_step:
                on_step(i + 1, num_batches + num_steps_burn_in)
    except KeyboardInterrupt:
        if any(len(d) <= num_steps_burn_in for d in durations):
            raise
        partial = True
    results = TimingResults(
        TimingResult(run.info_string, num_batches, num_steps_burn_in, run.batch_size,
                     tuple(d[num_steps_burn_in:]), tuple(d[:num_steps_burn_in]), partial)
        for run, d in zip(runs, durations))
    for result in results:
        print(result.summary_line(), flush=True)
    return results


def time_tensorflow_run(session: Any, target: Any, info_string: str, num_batches: int = 100,
                        num_steps_burn_in: int = 10, feed_dict: dict[Any, Any] | None = None,
                        batch_size: int | None = None) -> TimingResult:
    """Times ``session.run(target)`` and prints what the blog prints.

    Args:
      session: A ``tf.compat.v1.Session``.
      target: What to fetch; its value is copied to the host in every step.
      info_string: Names the run in the last line.
      num_batches: Timed steps. The blog reads it from a global that is 100.
      num_steps_burn_in: Untimed steps before them.
      feed_dict: Fed in every step.
      batch_size: Images a step; None takes the target's first dimension, if known.

    Returns:
      A `TimingResult`.

    Raises:
      KeyboardInterrupt: Ctrl-C came before the first timed step was over.
      ValueError: A count is out of range.
    """
    if batch_size is None and getattr(getattr(target, "shape", None), "rank", None):
        # Not shape[0], which is a Dimension after tf.disable_v2_behavior().
        batch_size = target.shape.as_list()[0]
    run = Run(session, target, info_string, feed_dict, batch_size)
    return time_interleaved([run], num_batches, num_steps_burn_in)[0]
