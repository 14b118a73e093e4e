"""What a training session does beside its steps: input, log, checkpoints, stopping."""

import json
import math
import os
import re
import shutil
import signal
import threading
import time
import typing
from collections.abc import Callable

import tensorflow as tf

from slim_resnet.checkpoint.reader import open_checkpoint
from slim_resnet.checkpoint.runs import CHECKPOINT, METRICS, metrics_lines
from slim_resnet.common.files import atomic_write
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.training.data import Input
from slim_resnet.training.graph import TrainingGraph
from slim_resnet.training.options import TrainingOptions

tf1 = tf.compat.v1

KEPT_CHECKPOINTS = 3
_CHECKPOINT_FILE = re.compile(re.escape(CHECKPOINT) + r"-(\d+)\.index")
# What TensorFlow writes the state file to, before it gets its name.
_STATE_PART = re.compile(r"checkpoint\.tmp[0-9a-f]{32}")
_CHECKPOINT_PART = re.compile(re.escape(CHECKPOINT) + r"-(\d+)[._]")


class Progress(typing.NamedTuple):
    """How far a run is.

    Attributes:
      step: Steps that are over.
      steps: Steps of the run.
      loss: Total loss of the last step.
      accuracy: Share of its batch that was classified right.
      images_per_second: Since the run began or went on.
      seconds_left: At that rate.
    """

    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float
    seconds_left: float


class InputHook(tf1.train.SessionRunHook):
    """Starts a `data.Input` at the step that the session is at."""

    def __init__(self, graph: TrainingGraph, batches: Input) -> None:
        self._global_step, self._batches = graph.global_step, batches

    def after_create_session(self, session: tf1.Session, coord: tf1.train.Coordinator) -> None:
        self._batches.start(session, session.run(self._global_step))


class LogHook(tf1.train.SessionRunHook):
    """Writes metrics.jsonl, reports progress, and stops the run at a loss that is no number.

    Args:
      graph: A `graph.TrainingGraph`.
      folder: Folder of the run.
      options: Its `TrainingOptions`.
      log_steps: Steps from one line to the next; the last step has one too.
      on_progress: Called with a `Progress` after each step, unless None.
    """

    def __init__(self, graph: TrainingGraph, folder: str | os.PathLike, options: TrainingOptions,
                 log_steps: int, on_progress: Callable[[Progress], None] | None = None) -> None:
        self._fetches = {"step": graph.train_op, "loss": graph.total_loss,
                         "cross_entropy": graph.cross_entropy, "accuracy": graph.accuracy,
                         "learning_rate": graph.learning_rate}
        self._global_step = graph.global_step
        self._path = os.path.join(folder, METRICS)
        self._options, self._log_steps, self._on_progress = options, log_steps, on_progress
        self._file = None

    def after_create_session(self, session: tf1.Session, coord: tf1.train.Coordinator) -> None:
        self._first_step = int(session.run(self._global_step))
        keep_metrics(self._path, self._first_step)
        self._file = open(self._path, "a", encoding="utf-8")
        self._started = time.monotonic()

    def before_run(self, run_context: tf1.train.SessionRunContext) -> tf1.train.SessionRunArgs:
        return tf1.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context: tf1.train.SessionRunContext,
                  run_values: tf1.train.SessionRunValues) -> None:
        values = {name: value.item() for name, value in run_values.results.items()}
        step = values["step"]
        if not math.isfinite(values["loss"]):
            raise SlimResnetError(
                f"the loss is {values['loss']} at step {step}; lower --learning-rate, or give "
                "--clip-norm or --warmup-steps; the last checkpoint is kept")
        if step % self._log_steps == 0 or step == self._options.steps:
            self._file.write(json.dumps(values) + "\n")
        if self._on_progress:
            seconds = time.monotonic() - self._started
            rate = (step - self._first_step) / seconds
            self._on_progress(Progress(
                step, self._options.steps, values["loss"], values["accuracy"],
                rate * self._options.batch_size, (self._options.steps - step) / rate))

    def flush(self) -> None:
        """Brings all lines so far to the disk, where they must be before a checkpoint is."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file, if the session has ever opened it."""
        if self._file:
            self._file.close()


class SaveHook(tf1.train.SessionRunHook):
    """Saves checkpoints: every so often, and at the end.

    TensorFlow's own hook saves once more at the step that it has restored, over the only
    good checkpoint. This one does not, and refuses weights that are NaN or infinite.

    Args:
      graph: A `graph.TrainingGraph`, the default graph's.
      folder: Folder of the run.
      saver: A ``tf.compat.v1.train.Saver``.
      every_seconds: Seconds from one save to the next.
      every_steps: Steps; counts instead of seconds unless None.
      before_save: Called before each save.
    """

    def __init__(self, graph: TrainingGraph, folder: str | os.PathLike, saver: tf1.train.Saver,
                 every_seconds: float | None, every_steps: int | None = None,
                 before_save: Callable[[], None] = lambda: None) -> None:
        self._graph, self._folder, self._saver = graph, folder, saver
        self._before_save = before_save
        self._timer = tf1.train.SecondOrStepTimer(
            every_secs=None if every_steps else every_seconds, every_steps=every_steps)
        with tf1.name_scope("check_before_save"):
            self._all_finite = tf.reduce_all(
                [tf.reduce_all(tf.math.is_finite(v)) for v in tf1.global_variables()
                 if v.dtype.is_floating])

    def after_create_session(self, session: tf1.Session, coord: tf1.train.Coordinator) -> None:
        self._saved_step = int(session.run(self._graph.global_step))
        self._timer.reset()
        self._timer.update_last_triggered_step(self._saved_step)

    def before_run(self, run_context: tf1.train.SessionRunContext) -> tf1.train.SessionRunArgs:
        return tf1.train.SessionRunArgs(self._graph.train_op)

    def after_run(self, run_context: tf1.train.SessionRunContext,
                  run_values: tf1.train.SessionRunValues) -> None:
        step = int(run_values.results)
        if self._timer.should_trigger_for_step(step):
            self._timer.update_last_triggered_step(step)
            self.save(run_context.session, step)

    def end(self, session: tf1.Session) -> None:
        self.save(session, int(session.run(self._graph.global_step)))

    def save(self, session: tf1.Session, step: int) -> None:
        """Saves the checkpoint of a step, which is over, unless it is saved already."""
        if step == self._saved_step:
            return
        if not session.run(self._all_finite):
            raise SlimResnetError(
                f"weights are NaN or infinite after step {step}; the checkpoint of step "
                f"{self._saved_step} is kept: lower --learning-rate, or give --clip-norm")
        self._before_save()
        save_checkpoint(self._saver, session, self._folder, step)
        self._saved_step = step


class StopOnSignalHook(tf1.train.SessionRunHook):
    """Ends the run after the step at which Ctrl-C comes; a second Ctrl-C ends it at once.

    Attributes:
      stopped: Whether it came.
    """

    stopped = False

    def begin(self) -> None:
        # Python takes signals in its main thread alone.
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, *_):
        self.stopped = True
        self.restore()

    def after_run(self, run_context: tf1.train.SessionRunContext,
                  run_values: tf1.train.SessionRunValues) -> None:
        if self.stopped:
            run_context.request_stop()

    def restore(self) -> None:
        """Gives Ctrl-C its former meaning."""
        if hasattr(self, "_previous"):
            signal.signal(signal.SIGINT, self._previous)


def save_checkpoint(saver: tf1.train.Saver, session: tf1.Session, folder: str | os.PathLike,
                    step: int) -> None:
    """Saves a checkpoint; one that fails leaves nothing behind, and the others as they were.

    TensorFlow renames the data, then writes the index, then, atomically, the state file
    that names the checkpoint.

    Raises:
      SlimResnetError: It cannot be written.
    """
    try:
        saver.save(session, os.path.join(folder, CHECKPOINT), step, write_meta_graph=False)
    except (tf.errors.OpError, OSError) as error:
        _remove_checkpoint(folder, step)
        cause = error.strerror if isinstance(error, OSError) else cause_of(error.message)
        raise SlimResnetError(f"{folder}: the checkpoint of step {step} cannot be written: "
                              f"{cause}; those before it are kept") from error


def _remove_checkpoint(folder, step):
    _remove_parts(folder, lambda of, name: of == step)


def _remove_parts(folder, is_meant):
    for name in os.listdir(folder):
        match = _CHECKPOINT_PART.match(name)
        if match and is_meant(int(match[1]), name):
            path = os.path.join(folder, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def last_good_step(folder: str | os.PathLike, on_warning: Callable[[str], None]) -> int | None:
    """Returns the step of the newest whole checkpoint of a folder, None if there is none.

    All values are read and their checksums verified. The state file is made to name this
    checkpoint, and those before it that are kept. What a killed process has left of others is
    removed.

    Args:
      folder: Folder of the run.
      on_warning: Called with a line for every checkpoint that is passed over.

    Raises:
      SlimResnetError: There are checkpoints, and all are damaged.
    """
    steps = sorted((int(match[1]) for match in map(_CHECKPOINT_FILE.fullmatch, os.listdir(folder))
                    if match), reverse=True)
    # Of a killed save: the index is written last.
    _remove_parts(folder, lambda step, name: step not in steps or ".tempstate" in name)
    for name in filter(_STATE_PART.fullmatch, os.listdir(folder)):
        os.unlink(os.path.join(folder, name))
    for place, step in enumerate(steps):
        try:
            with open_checkpoint(os.path.join(folder, f"{CHECKPOINT}-{step}")) as checkpoint:
                for name in checkpoint.shapes:
                    checkpoint.tensor(name)
        except SlimResnetError as error:
            on_warning(f"passed over: {error}")
            continue
        kept = steps[place:place + KEPT_CHECKPOINTS]
        for old in set(steps[place:]) - set(kept):
            _remove_checkpoint(folder, old)
        # Names beside an absolute folder stay relative, so that the folder can be moved.
        tf1.train.update_checkpoint_state(
            os.path.abspath(folder), f"{CHECKPOINT}-{step}",
            [f"{CHECKPOINT}-{k}" for k in reversed(kept)])
        return step
    if steps:
        raise SlimResnetError(f"{folder}: no checkpoint in it is whole; remove the folder to "
                              "begin anew")
    return None


def keep_metrics(path: str | os.PathLike, step: int) -> None:
    """Drops the lines of a metrics file that are of later steps, or not whole."""
    if not os.path.exists(path):
        return
    kept = [line for line, row in metrics_lines(path) if row["step"] <= step]
    with atomic_write(path, "wb") as file:
        file.writelines(kept)
