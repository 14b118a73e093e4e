"""What a run has learnt: by moving statistics, by batch statistics, by averaged weights.

Training normalises each batch by its own statistics, inference by their moving averages.
Where a network is much better with the former than with the latter, it has not learnt
badly: its averages have not converged.
"""

import dataclasses
import itertools
import math
import os
import typing
from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf

from slim_resnet.checkpoint.restoring import restore
from slim_resnet.common.listing import Paths
from slim_resnet.images.labelled import find_data
from slim_resnet.images.reading import read_source
from slim_resnet.inference.evaluation import count, judge_batches
from slim_resnet.training.graph import Architecture, build_logits
from slim_resnet.training.options import TrainingOptions, batch_norm_decay_for

tf1 = tf.compat.v1

MOVING, BATCH, AVERAGED = "moving statistics", "batch statistics", "averaged weights"

# Images of the training data that are evaluated on where there is no other.
MOST_TRAINING_IMAGES = 1000
# Difference of two accuracies that is no matter of chance, in standard errors, and at least.
_STANDARD_ERRORS, _LEAST_DIFFERENCE = 3, 0.02


class Evaluated(typing.NamedTuple):
    """Accuracy of a run's network in one way of using it.

    Attributes:
      how: `MOVING`, `BATCH` or `AVERAGED` (weights, with moving statistics).
      num_images: Images that it was measured on.
      top_1: Fraction of them whose label is the most probable class.
      top_5: Fraction of them whose label is among the five most probable classes.
      unreadable: Number of images that could not be read.
    """

    how: str
    num_images: int
    top_1: float
    top_5: float
    unreadable: int


class _TrainedNetwork:
    """A run's network in one way of using it; a `protocol.ScoringNetwork`."""

    def __init__(self, how, options, architecture, num_classes, folder):
        self.num_classes = num_classes
        graph = tf.Graph()
        with graph.as_default():
            size = options.image_size
            self._images = tf1.placeholder(tf.float32, [None, size, size, 3])
            # Batch statistics leave the moving ones alone, and need nothing to debias them.
            self._logits = build_logits(
                self._images, num_classes, architecture,
                dataclasses.replace(options, zero_debias=False, batch_norm_updates="collected"),
                is_training=how == BATCH)
            self._session = tf1.Session(graph=graph)
            restore(self._session, folder, use_moving_averages=how == AVERAGED)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._session.close()

    def logits(self, images):
        return self._session.run(self._logits, {self._images: images})


def evaluate_run(options: TrainingOptions, architecture: Architecture,
                 checkpoint: str | os.PathLike, classes: list[str],
                 data: Paths, most_images: int | None = None,
                 ways: Sequence[str] | None = None,
                 progress: Callable[[Iterable, int | None], Iterable]
                 = lambda items, total: items) -> tuple[Evaluated, ...]:
    """Evaluates a checkpoint of a run in each way of using it.

    Batch statistics are those of whole batches of ``options.batch_size`` images in an
    order of chance; a smaller last batch is left out.

    Args:
      options: `TrainingOptions`.
      architecture: The `graph.Architecture`.
      checkpoint: The checkpoint, or the folder of the run.
      classes: Names of its classes.
      data: See `finding.kind_of_data`.
      most_images: How many images at most; None takes all.
      ways: Some of `MOVING`, `BATCH` and `AVERAGED`; None takes all that the run has.
      progress: Called for each way with what was made of the images to come and how many
        they are at most, None if unknown; yields them.

    Returns:
      A tuple of `Evaluated`: moving statistics, batch statistics, and averaged weights if
      the run keeps them.

    Raises:
      KeyboardInterrupt: Ctrl-C came; figures of a part would be taken for those of all.
    """
    source = find_data(data, len(classes), classes, options.labels_offset,
                       options.max_pixels).shuffled(seed=0)
    results, total = [], source.num_images
    if total is not None and most_images is not None:
        total = min(total, -(-most_images // options.batch_size) * options.batch_size)
    for how in ways or (MOVING, BATCH, AVERAGED)[:2 if options.ema_decay is None else 3]:
        batches = read_source(source, options.image_size, options.prepared,
                              options.batch_size)
        if most_images is not None:
            batches = itertools.islice(batches, -(-most_images // options.batch_size))
        if how == BATCH:
            batches = _whole(batches, options.batch_size)
        with _TrainedNetwork(how, options, architecture, len(classes),
                             checkpoint) as network:
            judged = itertools.chain.from_iterable(judge_batches(network, batches))
            result = count(progress(judged, total), len(classes))
        if result.interrupted:
            raise KeyboardInterrupt
        results.append(Evaluated(how, result.num_images, result.top_1, result.top_5,
                                 len(result.unreadable)))
    return tuple(results)


def _whole(batches, batch_size):
    """Yields batches of the full size, and the first one whatever its size."""
    for number, batch in enumerate(batches):
        if number == 0 or len(batch.images) == batch_size:
            yield batch


def warning(evaluations: tuple[Evaluated, ...], options: TrainingOptions) -> str | None:
    """Returns what to say of the averages, or None if they have converged.

    Args:
      evaluations: What `evaluate_run` returned.
      options: `TrainingOptions`.
    """
    by_how = {one.how: one for one in evaluations}
    moving, batch = by_how[MOVING], by_how[BATCH]
    error = math.sqrt(sum(one.top_1 * (1 - one.top_1) / one.num_images
                          for one in (moving, batch)))
    if batch.top_1 - moving.top_1 <= max(_LEAST_DIFFERENCE, _STANDARD_ERRORS * error):
        return None
    decay = batch_norm_decay_for(options)
    return (f"batch statistics classify {100 * batch.top_1:.1f} % right and moving statistics "
            f"{100 * moving.top_1:.1f} %: the averages have not converged; with a batch norm decay "
            f"of {decay:g} they need a few times {1 / (1 - decay):.0f} steps, and there were "
            f"{options.steps}: lower --batch-norm-decay or train longer")
