"""Evaluating a run: at its end, and every so many steps on the way."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf

from slim_resnet.checkpoint.runs import CHECKPOINT
from slim_resnet.images.labelled import find_data
from slim_resnet.training import records
from slim_resnet.training.evaluation import (
    AVERAGED,
    MOST_TRAINING_IMAGES,
    MOVING,
    Evaluated,
    evaluate_run,
)
from slim_resnet.training.graph import Architecture, TrainingGraph
from slim_resnet.training.hooks import SaveHook
from slim_resnet.training.options import TrainingOptions

tf1 = tf.compat.v1


@dataclasses.dataclass(frozen=True)
class Judge:
    """Evaluates the checkpoints of a run and keeps what they are found to be worth.

    Attributes:
      options: `TrainingOptions`.
      architecture: The `graph.Architecture`.
      output: Folder of the run.
      classes: Names of its classes.
      data: What it is trained on, see `finding.kind_of_data`.
      validation: What it is evaluated on; None takes some of ``data``.
      every_steps: Steps from one evaluation on the way to the next; None has none.
      on_message: Called with a line for people.
      progress: See `evaluation.evaluate_run`.
    """

    options: TrainingOptions
    architecture: Architecture
    output: str | os.PathLike
    classes: list[str]
    data: Sequence[str | os.PathLike]
    validation: Sequence[str | os.PathLike] | None = None
    every_steps: int | None = None
    on_message: Callable[[str], None] = lambda line: None
    progress: Callable[[Iterable, int | None], Iterable] = lambda items, total: items

    @property
    def way(self) -> str:
        """How the run is used unless said otherwise: by averaged weights if it keeps them."""
        return MOVING if self.options.ema_decay is None else AVERAGED

    @property
    def measured_on(self) -> str:
        """`records.VALIDATION` or `records.TRAINING`."""
        return records.measured_on(self.data, self.validation)

    def check(self) -> None:
        """Raises `SlimResnetError` unless the run can be evaluated on its validation data."""
        if self.validation:
            find_data(self.validation, len(self.classes), self.classes,
                      self.options.labels_offset, self.options.max_pixels)

    def judge(self, step: int, ways: Sequence[str] | None = None) -> tuple[Evaluated, ...]:
        """Evaluates the checkpoint of a step, see `evaluation.evaluate_run`."""
        return evaluate_run(
            self.options, self.architecture, os.path.join(self.output, f"{CHECKPOINT}-{step}"),
            self.classes, self.validation or self.data,
            None if self.validation else MOST_TRAINING_IMAGES, ways, self.progress)

    def on_the_way(self, step: int) -> None:
        """Evaluates the checkpoint of a step, once, and keeps it if it is the best."""
        one, = self.judge(step, [self.way])
        self._note(step, one)

    def at_the_end(self) -> tuple[Evaluated, ...]:
        """Evaluates the last checkpoint in each way of using it; writes ``evaluation.json``."""
        # Asynchronous workers may have made more steps than the chief has seen.
        state = tf.train.get_checkpoint_state(self.output)
        step = int(state.model_checkpoint_path.rpartition("-")[2])
        results = self.judge(step)
        if self.every_steps:
            self._note(step, next(one for one in results if one.how == self.way))
        records.write_evaluation(self.output, step, self.options, self.measured_on,
                                 self.validation or self.data, results)
        if self.every_steps:
            best = records.best_row(records.evaluated_rows(self.output))
            self.on_message(f"the best checkpoint by top-1 on {best['evaluated_on']}, "
                            f"{best['top_1_percent']:.2f} % at step {best['step']}, is in "
                            f"{os.path.join(self.output, records.BEST)}; {self.output} itself "
                            "stands for the last one")
        return results

    def _note(self, step, one):
        if step not in self.evaluated_steps():
            records.add_metrics_row(self.output,
                                    records.metrics_row(step, self.measured_on, one))
            self.on_message(f"step {step}: top-1 {100 * one.top_1:.2f} %, {one.how}, on "
                            f"{one.num_images} {self.measured_on}")
        records.keep_best(self.output)

    def evaluated_steps(self) -> set[int]:
        """Returns the steps that metrics.jsonl has evaluations of."""
        return {row["step"] for row in records.evaluated_rows(self.output)}


class EvaluateHook(tf1.train.SessionRunHook):
    """Evaluates on the way: saves a checkpoint, and judges what is on the disk.

    A run that was killed between the two is judged when it goes on, so that metrics.jsonl and
    ``best/`` are those of a run that nothing stopped.

    Args:
      graph: The `graph.TrainingGraph`.
      judge: The `Judge`.
      save: The run's `hooks.SaveHook`, which comes before this one.
    """

    def __init__(self, graph: TrainingGraph, judge: Judge, save: SaveHook) -> None:
        self._graph, self._judge, self._save = graph, judge, save

    def after_create_session(self, session: tf1.Session, coord: tf1.train.Coordinator) -> None:
        self._last = step = int(session.run(self._graph.global_step))
        rounds = {evaluated // self._judge.every_steps
                  for evaluated in self._judge.evaluated_steps()}
        if step // self._judge.every_steps not in {0, *rounds}:
            self._judge.on_the_way(step)
        records.keep_best(self._judge.output)

    def before_run(self, run_context: tf1.train.SessionRunContext) -> tf1.train.SessionRunArgs:
        return tf1.train.SessionRunArgs(self._graph.train_op)

    def after_run(self, run_context: tf1.train.SessionRunContext,
                  run_values: tf1.train.SessionRunValues) -> None:
        step, every = int(run_values.results), self._judge.every_steps
        # Steps of several asynchronous workers are not seen one by one. The last one is
        # evaluated in all ways, when the session is over.
        if step // every > self._last // every and step < self._judge.options.steps:
            self._save.save(run_context.session, step)
            self._judge.on_the_way(step)
        self._last = step
