"""The post's first point as an experiment: plain and residual networks against depth.

Networks of equal width, with and without shortcuts, are trained alike on the same images
in the same order, and their training and test errors compared.
"""

import concurrent.futures
import threading
import typing
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf
import tf_slim as slim

from slim_resnet import resnet_utils, resnet_v2
from slim_resnet.errors import SlimResnetError
from slim_resnet.experiments import plain
from slim_resnet.experiments.cifar10 import read_cifar10
from slim_resnet.experiments.degradation_records import DegradationOptions
from slim_resnet.experiments.digits import load_digits, split
from slim_resnet.training import options as training_options
from slim_resnet.training.graph import build_training_graph

tf1 = tf.compat.v1

UNIT_LAYERS = 3
# Where a map is at most this high and wide no further block halves it.
_SMALLEST_MAP = 4
# Steps that the training loss is averaged over.
_LAST_STEPS = 20
# Images an evaluation holds at a time.
_EVALUATED = 2000

_BLOCKS = {"plain": plain.plain_v2_block, "residual": resnet_v2.resnet_v2_block}

# tf-slim keeps its stack of arg scopes in one list for all threads.
_building = threading.Lock()


class DataSet(typing.NamedTuple):
    """Images ``[N, H, W, channels]``, float32 from -1 to 1, and classes ``[N]``, int64."""

    name: str
    training_images: np.ndarray
    training_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def num_classes(self) -> int:
        return int(self.training_labels.max()) + 1

    def description(self) -> dict:
        """Returns what a record says of the data, see `degradation_records.new_record`."""
        counts = np.bincount(self.training_labels)
        return {"name": self.name, "training_images": len(self.training_labels),
                "test_images": len(self.test_labels),
                "chance_error_percent": 100 * (1 - float(counts.max() / counts.sum()))}


def cifar10(path: str) -> DataSet:
    """Returns the `DataSet` of CIFAR-10 from an archive, see `read_cifar10`."""
    images, labels, test_images, test_labels = read_cifar10(path)
    return DataSet("CIFAR-10", images.astype(np.float32) / 127.5 - 1, labels,
                   test_images.astype(np.float32) / 127.5 - 1, test_labels)


def digits() -> DataSet:
    """Returns the `DataSet` of scikit-learn's digits; needs the extra ``experiments``."""
    images, labels = load_digits()
    training, test = split(len(images))
    images = images[..., np.newaxis].astype(np.float32) / 127.5 - 1
    return DataSet("digits", images[training], labels[training], images[test], labels[test])


def num_blocks(image_size: int) -> int:
    """Returns how many blocks networks have; each but the last halves the maps."""
    blocks = 1
    while image_size > _SMALLEST_MAP:
        image_size, blocks = -(-image_size // 2), blocks + 1
    return blocks


def check_depths(data_set: DataSet, depths: Iterable[int]) -> None:
    """Raises `SlimResnetError` if a network would have a block without a unit."""
    least = UNIT_LAYERS * num_blocks(data_set.training_images.shape[1]) + 1
    for layers in depths:
        if layers < least:
            raise SlimResnetError(f"--layers {layers}: networks for {data_set.name} have at least "
                                  f"{least} layers, a unit in each block")


def block_units(layers: int, image_size: int) -> list[int]:
    """Returns the number of units of each block: as even as can be, the last ones fewer.

    Args:
      layers: See `DegradationOptions`.
      image_size: Height and width of the images, in pixels.
    """
    blocks = num_blocks(image_size)
    units, left = divmod((layers - 1) // UNIT_LAYERS, blocks)
    return [units + (i < left) for i in range(blocks)]


def build_network(kind: str, images: tf.Tensor, num_classes: int, layers: int, width: int,
                  is_training: bool, reuse: bool | None = None) -> tf.Tensor:
    """Builds one of the compared networks, in slim's arg scope or one around it.

    Args:
      kind: ``plain`` or ``residual``.
      images: ``[N, H, W, channels]``.
      num_classes: Number of logits.
      layers: See `DegradationOptions`, as is ``width``.
      is_training: Mode of the batch norms.
      reuse: As in ``tf.compat.v1.variable_scope``.

    Returns:
      Logits ``[N, num_classes]``.
    """
    block, units = _BLOCKS[kind], block_units(layers, images.shape.as_list()[1])
    blocks = [block(f"block{i + 1}", width * 2 ** i, num_units, 1 if i == len(units) - 1 else 2)
              for i, num_units in enumerate(units)]
    logits, _ = resnet_v2.resnet_v2(images, blocks, num_classes, is_training=is_training,
                                    include_root_block=False, reuse=reuse, scope=kind)
    return tf.squeeze(logits, [1, 2])


def train(kind: str, layers: int, seed: int, data_set: DataSet, options: DegradationOptions,
          stopped: Callable[[], bool] = lambda: False) -> dict | None:
    """Trains one network on one thread, in a graph and a session of its own.

    Args:
      kind: ``plain`` or ``residual``.
      layers: Its depth.
      seed: Of its weights and the order of the images.
      data_set: A `DataSet`.
      options: `DegradationOptions`.
      stopped: Asked before every step; True ends the run.

    Returns:
      A run of a record, see `slim_resnet.experiments.degradation_records`; None if it was stopped.
    """
    images_shape = data_set.training_images.shape[1:]
    training = training_options.TrainingOptions(
        steps=options.steps, batch_size=options.batch_size, learning_rate=options.learning_rate,
        warmup_steps=options.warmup_steps)
    scope = resnet_utils.resnet_arg_scope(
        training.weight_decay,
        batch_norm_decay=training_options.batch_norm_decay_for(training))
    with _building, tf.Graph().as_default() as graph, slim.arg_scope(scope):
        if stopped():
            return None
        tf1.set_random_seed(seed)
        images = tf1.placeholder(tf.float32, [None, *images_shape])
        labels = tf1.placeholder(tf.int64, [None])

        def network(is_training, reuse=None):
            return build_network(kind, images, data_set.num_classes, layers, options.width,
                                 is_training, reuse)

        step = build_training_graph(images, labels, data_set.num_classes,
                                    lambda _: network(True), training)
        wrong = tf.reduce_sum(tf.cast(tf.not_equal(
            tf.argmax(network(False, reuse=True), 1), labels), tf.int32))
        initialise = tf1.global_variables_initializer()
    config = tf1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1,
                             use_per_session_threads=True)
    with tf1.Session(graph=graph, config=config) as session:
        session.run(initialise)
        losses = []
        for batch in _batches(len(data_set.training_images), options, seed):
            if stopped():
                return None
            loss, _ = session.run([step.cross_entropy, step.train_op], {
                images: data_set.training_images[batch], labels: data_set.training_labels[batch]})
            losses.append(loss)

        def error_percent(all_images, all_labels):
            return 100 * sum(int(session.run(wrong, {images: all_images[i:i + _EVALUATED],
                                                     labels: all_labels[i:i + _EVALUATED]}))
                             for i in range(0, len(all_images), _EVALUATED)) / len(all_images)

        return {
            "kind": kind, "layers": layers, "seed": seed,
            "training_error_percent": error_percent(data_set.training_images,
                                                    data_set.training_labels),
            "test_error_percent": error_percent(data_set.test_images, data_set.test_labels),
            "training_loss": float(np.mean(losses[-_LAST_STEPS:])),
        }


def _batches(num_images, options, seed):
    """Yields the indices of each step's images; every epoch is a new permutation."""
    rng = np.random.default_rng(seed)
    order = np.empty(0, np.int64)
    for _ in range(options.steps):
        while len(order) < options.batch_size:
            order = np.concatenate([order, rng.permutation(num_images)])
        yield order[:options.batch_size]
        order = order[options.batch_size:]


def train_all(runs: list[tuple[str, int, int]], data_set: DataSet, options: DegradationOptions,
              jobs: int) -> Iterator[dict | None]:
    """Trains networks side by side, each on a thread of its own.

    Args:
      runs: A list of ``(kind, layers, seed)``.
      data_set: A `DataSet`.
      options: `DegradationOptions`.
      jobs: Runs at a time; no result depends on it.

    Yields:
      A run of a record as each ends. Closing the generator, or an interrupt, stops the
      runs under way within a step.
    """
    stop = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(jobs) as executor:
        try:
            futures = [executor.submit(train, *run, data_set, options, stop.is_set)
                       for run in runs]
            for future in concurrent.futures.as_completed(futures):
                yield future.result()
        finally:
            stop.set()
            executor.shutdown(wait=False, cancel_futures=True)
