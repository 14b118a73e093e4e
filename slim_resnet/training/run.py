"""Training and fine-tuning, in graph mode as slim does it.

From Python::

    from slim_resnet.training import TrainingOptions, train

    options = TrainingOptions(steps=2000, model="resnet_v2", image_size=32,
                              blocks=((16, 3), (32, 3), (64, 3)))
    outcome = train(options, ["digits/train.npz"], "run", validation=["digits/test.npz"])
    print(outcome.evaluations)

A run that was stopped, at whatever moment, goes on when it is called again with the same
arguments: from the last checkpoint, with the images and the losses that it would have had.
"""

import contextlib
import dataclasses
import json
import os
import typing
from collections.abc import Callable, Iterable

import tensorflow as tf

from slim_resnet import compat
from slim_resnet.checkpoint import runs
from slim_resnet.checkpoint.reader import open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.checkpoint.restoring import restore
from slim_resnet.common import environment
from slim_resnet.common.listing import Paths
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.sources import Arrays, ImageFiles, Records
from slim_resnet.models import TRAINABLE
from slim_resnet.training import folder
from slim_resnet.training import hooks as training_hooks
from slim_resnet.training import options as training_options
from slim_resnet.training.data import Input, open_data
from slim_resnet.training.graph import (
    Architecture,
    OptimizerWrapper,
    TrainingGraph,
    architecture_of,
    build_all_logits,
    build_training_graph,
    matching,
)
from slim_resnet.training.hooks import Progress
from slim_resnet.training.judge import EvaluateHook, Judge
from slim_resnet.training.options import TrainingOptions

tf1 = tf.compat.v1

SAVE_SECONDS = 300
LOG_STEPS = 10


class Outcome(typing.NamedTuple):
    """How a run ended.

    Attributes:
      step: Steps that are over.
      interrupted: Whether Ctrl-C ended it before its last step.
      evaluations: What `evaluation.evaluate_run` returned, if it did.
    """

    step: int
    interrupted: bool
    evaluations: tuple = ()


def train(options: TrainingOptions, data: Paths, output: str | os.PathLike, *,
          validation: Paths | None = None,
          save_seconds: float | None = SAVE_SECONDS, save_steps: int | None = None,
          log_steps: int = LOG_STEPS, evaluate: bool = True, evaluate_steps: int | None = None,
          hooks: Iterable[tf1.train.SessionRunHook] = (),
          on_progress: Callable[[Progress], None] | None = None,
          on_message: Callable[[str], None] = lambda line: None,
          progress: Callable[[Iterable, int | None], Iterable]
          = lambda items, total: items) -> Outcome:
    """Trains a network, or goes on with a run, and evaluates it.

    Args:
      options: `TrainingOptions`.
      data: Images to train on, see `finding.kind_of_data`.
      output: Folder of the run; made if it is not there.
      validation: Images to evaluate on, see `finding.kind_of_data`; None evaluates on
        some of those trained on, which says little of others.
      save_seconds: Seconds from one checkpoint to the next.
      save_steps: Steps from one to the next, instead of seconds.
      log_steps: Steps from one line of ``metrics.jsonl`` to the next.
      evaluate: Whether to evaluate at the end; ``evaluation.json`` keeps the figures.
      evaluate_steps: Steps from one evaluation on the way to the next, which metrics.jsonl
        keeps, and the best checkpoint ``best/`` in the folder, see `training.records`. None
        has none.
      hooks: More ``tf.compat.v1.train.SessionRunHook``s, run before ours.
      on_progress: Called with a `training_hooks.Progress` after each step.
      on_message: Called with a line for people, now and then.
      progress: Of evaluating, see `evaluation.evaluate_run`.

    Returns:
      An `Outcome`.

    Raises:
      SlimResnetError: Options, data or folder are at fault, an image cannot be read, the
        disk is full, or the loss is NaN. The last good checkpoint stays.
    """
    training_options.check(options)
    options = completed(options)
    source = open_data(data, options.labels_offset, options.max_pixels)
    architecture, config = find_architecture(options), session_config(options)
    judge = Judge(options, architecture, output, source.classes, data, validation,
                  evaluate_steps, on_message, progress)
    if evaluate:
        judge.check()
    with folder.locked(output), tf.Graph().as_default():
        prepare_folder(output, options, source, on_message)
        tf1.set_random_seed(options.seed)
        batches = Input(source, options)
        graph = build_graph(batches, len(source.classes), architecture, options)
        saver = make_saver()
        step = first_step(graph, options, saver, output, on_message)
        interrupted = False
        if step < options.steps:
            step, interrupted = run_session(
                graph, batches, saver, options, output, step, save_seconds=save_seconds,
                save_steps=save_steps, log_steps=log_steps, hooks=hooks,
                on_progress=on_progress, judge=judge, config=config)
        if interrupted or not evaluate:
            return Outcome(step, interrupted)
        return Outcome(step, False, judge.at_the_end())


def find_architecture(options: TrainingOptions) -> Architecture:
    """Returns the `Architecture` that the options name: a model's, or the checkpoint's."""
    if options.model is not None:
        return architecture_of(options.model, options.blocks, options.root_block)
    with open_checkpoint(options.checkpoint) as opened:
        found = recognise(opened)
    if found.input_channels != 3:
        raise SlimResnetError(f"{options.checkpoint}: its network takes {found.input_channels} "
                              "channels, and images have 3")
    return Architecture(found.variant, found.blocks, found.scope, found.root_block,
                        found.row.network, found.aux_kernel is not None)


def completed(options: TrainingOptions) -> TrainingOptions:
    """Returns the options with the network's own image size and preparation where none is given.

    Those are the row's in `models.TRAINABLE`; where a run of ours wrote the checkpoint, its own.

    Raises:
      SlimResnetError: The network cannot be built at the image size.
    """
    record, row = None, None
    if options.model is not None:
        row = TRAINABLE[options.model]
    elif options.checkpoint is not None:
        _, record = runs.run_of(options.checkpoint)
        with open_checkpoint(options.checkpoint) as opened:
            row = recognise(opened).row
    known = {"image_size": row.image_size, "preprocessing": row.preprocessing}
    if record is not None:
        known = {name: record["options"][name] for name in known}
        if options.preprocessing in (None, known["preprocessing"]):
            known.update({name: record["options"].get(name)
                          for name in ("mean", "resize", "resize_side")})
    options = dataclasses.replace(options, **{
        name: value for name, value in known.items() if getattr(options, name) is None})
    if row.network:
        row.checked_image_size(options.image_size)
    training_options.check_preparation(options)
    return options


def prepare_folder(output: str | os.PathLike, options: TrainingOptions,
                   source: ImageFiles | Arrays | Records,
                   on_message: Callable[[str], None] = lambda line: None,
                   workers: str = "1 worker") -> None:
    """Begins a run in a folder, or checks that it holds this one.

    Args:
      output: Folder of the run, `folder.locked`.
      options: `TrainingOptions`.
      source: What `data.open_data` returned.
      on_message: Called with a line for people.
      workers: How many train together, and how; kept with the options.

    Raises:
      SlimResnetError: It holds something else, or cannot be written to.
    """
    recorded = json.loads(json.dumps({**dataclasses.asdict(options), "workers": workers}))
    # No number follows from it, and a run that met a larger image is to go on.
    del recorded["max_pixels"]
    record = runs.read_record(output)
    made_with = environment.made_with(tf.__version__, compat.onednn_enabled(), options.precision)
    begun = folder.has_begun(output)
    if begun and record is None:
        raise SlimResnetError(f"{output}: holds checkpoints and no {runs.RECORD}; name "
                              "another folder")
    if not begun:
        folder.write_record(output, recorded, source.classes, source.num_images, made_with)
        return
    folder.check_same(output, record, recorded, source.classes)
    if record["num_images"] != source.num_images:
        on_message(f"the data had {record['num_images']} images and has {source.num_images} "
                   "now: from here on their order is another")
    changes = folder.add_made_with(output, record, made_with)
    if changes:
        on_message(f"the run was made with {changes}: from here on its losses may differ in their "
                   "last digits")


def build_graph(batches: Input, num_classes: int, architecture: Architecture,
                options: TrainingOptions,
                wrap_optimizer: OptimizerWrapper | None = None) -> TrainingGraph:
    """Builds the `graph.TrainingGraph` of a network on a `data.Input`."""
    return build_training_graph(
        batches.images, batches.labels, num_classes,
        lambda images: build_all_logits(images, num_classes, architecture, options,
                                        is_training=not options.freeze_batch_norm, dropout=True),
        options, wrap_optimizer=wrap_optimizer)


def make_saver() -> tf1.train.Saver:
    """Returns the saver of a run's checkpoints, for all variables of the default graph."""
    return tf1.train.Saver(max_to_keep=training_hooks.KEPT_CHECKPOINTS, save_relative_paths=True)


def first_step(graph: TrainingGraph, options: TrainingOptions, saver: tf1.train.Saver,
               output: str | os.PathLike, on_message: Callable[[str], None] = lambda line: None,
               target: str = "", config: tf1.ConfigProto | None = None) -> int:
    """Returns the step that a run goes on from; one that begins gets its first checkpoint."""
    step = training_hooks.last_good_step(output, on_message)
    if step is None:
        write_first_checkpoint(graph, options, saver, output, target, config)
        return 0
    if step:
        on_message(f"going on from step {step}")
    return step


def write_first_checkpoint(graph: TrainingGraph, options: TrainingOptions, saver: tf1.train.Saver,
                           output: str | os.PathLike, target: str = "",
                           config: tf1.ConfigProto | None = None) -> None:
    """Saves step 0: random weights, and those of ``options.checkpoint`` where it has them.

    Every run restores a checkpoint when it begins, and this is the first one's.
    """
    others = {id(v) for v in graph.network_variables}
    with tf1.Session(target, config=config) as session:
        session.run(tf1.variables_initializer(graph.network_variables))
        if options.checkpoint is not None:
            excluded = matching(graph.network_variables, options.exclude, "--exclude")
            restore(session, options.checkpoint, variables=graph.network_variables,
                    exclude=[v.op.name for v in excluded])
        # Averages of weights begin at what the weights are now.
        session.run(tf1.variables_initializer(
            [v for v in tf1.global_variables() if id(v) not in others]))
        training_hooks.save_checkpoint(saver, session, output, 0)


def session_config(options: TrainingOptions) -> tf1.ConfigProto:
    """Returns the ``ConfigProto`` of a run.

    Raises:
      SlimResnetError: Its precision is not to be had, see `environment.check_bfloat16`.
    """
    config = tf1.ConfigProto()
    if options.precision == "bfloat16":
        environment.check_bfloat16(compat.onednn_enabled())
        compat.allow_bfloat16(config)
    return config


def run_session(graph: TrainingGraph, batches: Input, saver: tf1.train.Saver,
                options: TrainingOptions, output: str | os.PathLike, step: int, *,
                save_seconds: float | None = SAVE_SECONDS, save_steps: int | None = None,
                log_steps: int = LOG_STEPS, hooks: Iterable[tf1.train.SessionRunHook] = (),
                on_progress: Callable[[Progress], None] | None = None,
                judge: Judge | None = None, is_chief: bool = True,
                target: str = "", config: tf1.ConfigProto | None = None,
                stop_grace_seconds: float = 120) -> tuple[int, bool]:
    """Runs the steps that are left in a ``MonitoredTrainingSession``.

    Args:
      graph: The `graph.TrainingGraph`.
      batches: Its `data.Input`.
      saver: Of `make_saver`; needs no checkpoint where this is not the chief.
      options: `TrainingOptions`.
      output: Folder of the run.
      step: What `first_step` returned.
      save_seconds: See `train`, as are ``save_steps``, ``log_steps``, ``hooks`` and
        ``on_progress``.
      judge: Evaluates on the way, if it is the chief's and has ``every_steps``.
      is_chief: Whether to initialise, log and save; see `training.cluster`.
      target: ``grpc://HOST:PORT`` of this task's server; empty for this process alone.
      config: The session's ``ConfigProto``, of `session_config`.
      stop_grace_seconds: How long threads of the session are waited for at its end.

    Returns:
      ``(step, interrupted)``.
    """
    stop = training_hooks.StopOnSignalHook()
    all_hooks = [*hooks, training_hooks.InputHook(graph, batches)]
    closing = contextlib.ExitStack()
    if is_chief:
        log = training_hooks.LogHook(graph, output, options, log_steps, on_progress)
        closing.callback(log.close)
        # Not tf1.summary.scalar, whose tags are made unique among the graph's ops.
        summaries = [tf.raw_ops.ScalarSummary(tags=name, values=getattr(graph, name)) for name in
                     ("cross_entropy", "total_loss", "accuracy", "learning_rate")]
        save = training_hooks.SaveHook(graph, output, saver, save_seconds, save_steps, log.flush)
        all_hooks += [
            log,
            tf1.train.SummarySaverHook(save_steps=log_steps, output_dir=output,
                                       summary_op=tf1.summary.merge(summaries)),
            save]
        if judge and judge.every_steps:
            all_hooks.append(EvaluateHook(graph, judge, save))
    all_hooks += [tf1.train.StopAtStepHook(last_step=options.steps), stop]
    closing.callback(stop.restore)
    failure = None
    with closing:
        with tf1.train.MonitoredTrainingSession(
                target, is_chief, output, tf1.train.Scaffold(saver=saver), all_hooks,
                save_checkpoint_secs=None, save_checkpoint_steps=None,
                save_summaries_steps=None, save_summaries_secs=None, log_step_count_steps=None,
                config=config,
                stop_grace_period_secs=stop_grace_seconds) as session:
            while not session.should_stop():
                try:
                    step = session.run(graph.train_op)
                except tf.errors.InvalidArgumentError as error:
                    failure = error
                    break
    if failure is not None:
        raise _failure(failure, batches, step)
    return int(step), stop.stopped and step < options.steps


def _failure(error, batches, step):
    found = batches.unreadable(step)
    if found is None:
        return error
    name, cause = found
    return SlimResnetError(f"{name}: cannot be read: {cause}; the run is saved at step {step}: "
                           "mend the image and start it again")
