"""The blog's experiment as a function: build networks, time them, return a record.

The default options are the post's: its ResNet V2 152, batch 32, 224 x 224, 1000
classes, a random input made anew in every step, logits fetched, 10 steps of burn-in
and 100 timed ones.
"""

import contextlib
import dataclasses
import datetime
import os
import time

import numpy as np
import tensorflow as tf

from slim_resnet import compat, models, timing
from slim_resnet.benchmark import records
from slim_resnet.benchmark.optimized import prepare_optimized
from slim_resnet.benchmark.servers import RemoteSession, check_device
from slim_resnet.checkpoint.building import build_recognised, restore_recognised
from slim_resnet.checkpoint.reader import open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.common.environment import PRECISIONS, check_bfloat16, environment
from slim_resnet.end_points.costs import forward_cost
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.inference.engines.table import INT8, TENSORFLOW

tf1 = tf.compat.v1

STEP_TIMEOUT_S = 600
INFO_STRINGS = {"forward": "Forward", "forward-backward": "Forward-backward"}


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """What to time and how.

    Attributes:
      models: Names in `models.MODELS`; with ``checkpoints`` what their networks are called.
      checkpoints: What `checkpoint.open_checkpoint` takes: files whose networks are timed,
        values and all, instead of those of ``models`` with random ones.
      compare: Whether the models are timed in turn, step by step, and not one
        after the other.
      batch_size: Images a step.
      image_size: Height and width in pixels; None takes each model's own.
      num_classes: Number of logits; a checkpoint has its own.
      num_batches: Timed steps.
      burn_in: Untimed steps before them.
      mode: ``forward``, in inference mode; or ``forward-backward``, in training
        mode: the gradients of half the squared logits (``tf.nn.l2_loss``, as in
        convnet-benchmarks) for all trainable variables that they depend on.
      input: ``random`` (an op makes the images in every step, as in the blog),
        ``constant`` (made once, kept in a variable) or ``feed`` (from host memory).
      images: Folder that the images were read from, for the record; None for
        random numbers.
      fetch: ``output`` (copied to the host, as in the blog) or ``none``.
      precision: ``float32``, or ``bfloat16`` by TensorFlow's own graph rewrite; or
        ``int8`` of the optimised form, beside the network as it is in float32.
      intra_op_threads: Threads within an op; 0 leaves it to TensorFlow.
      inter_op_threads: Ops at a time; 0 leaves it to TensorFlow.
      device: Where to place everything, like ``/CPU:0``; None leaves it open.
      target: ``grpc://HOST:PORT`` of a TensorFlow server; empty for this process.
      step_timeout: How long one step on ``target`` may take, in seconds.
      seed: Graph-level random seed; None for fresh ones.
      optimize: Whether each network is timed in turn with the
        `inference.InferenceModel` of the same weights.
      engine: What runs that one, see `engines.table.CHOICES`.
      calibrate: Folder of images that int8 is calibrated with and judged by; None takes
        random numbers, for networks of ``models`` only.
      accept: Whether int8 that agrees too little with a checkpoint's classes is timed.
    """

    models: tuple = ("blog_resnet_v2_152",)
    checkpoints: tuple = ()
    compare: bool = False
    batch_size: int = 32
    image_size: int | None = None
    num_classes: int = 1000
    num_batches: int = 100
    burn_in: int = 10
    mode: str = "forward"
    input: str = "random"
    images: str | None = None
    fetch: str = "output"
    precision: str = "float32"
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    device: str | None = None
    target: str = ""
    step_timeout: int = STEP_TIMEOUT_S
    seed: int | None = None
    optimize: bool = False
    engine: str = TENSORFLOW
    calibrate: str | None = None
    accept: bool = False


def session_config(options):
    """Returns the ``ConfigProto`` that `BenchmarkOptions` ask for."""
    config = tf1.ConfigProto(intra_op_parallelism_threads=options.intra_op_threads,
                             inter_op_parallelism_threads=options.inter_op_threads)
    if options.precision == "bfloat16":
        check_bfloat16(compat.onednn_enabled())
        compat.allow_bfloat16(config)
    return config


@dataclasses.dataclass
class Prepared:
    """A network that is ready to be timed.

    Attributes:
      name: Name of its model.
      run: What to time, a `timing.Run`; its session is to be closed.
      image_size: Height and width in pixels.
      cost: Its `graph_cost.Cost`.
      build_s: Seconds that building the graph took.
      engine: Title and version of what runs it.
      precision: What it computes in.
      quantised: Of int8, see `engines.quantising.quantise`, and ``calibrated_with``.
    """

    name: str
    run: timing.Run
    image_size: int
    cost: object
    build_s: float
    engine: str = f"TensorFlow {tf.__version__}"
    precision: str = PRECISIONS[0]
    quantised: dict | None = None


def prepare(name, options, images=None, checkpoint=None):
    """Builds a network and initialises its variables in a session of its own.

    Args:
      name: Name of the model; of a checkpoint's network, what it is called.
      options: `BenchmarkOptions`.
      images: ``[batch, height, width, 3]`` to use instead of random numbers, for
        the inputs ``constant`` and ``feed``.
      checkpoint: An open `checkpoint.Checkpoint` whose network it is, or None.

    Returns:
      A `Prepared`.
    """
    image_size = _row(name, checkpoint).checked_image_size(options.image_size)
    shape = [options.batch_size, image_size, image_size, 3]
    feed_dict = init_feed = None
    started = time.perf_counter()
    with tf.Graph().as_default() as graph, tf1.device(options.device):
        if options.seed is not None:
            tf1.set_random_seed(options.seed)
        if options.input == "random":
            inputs = tf1.random_uniform(shape)
        elif options.input == "feed":
            inputs = tf1.placeholder(tf.float32, shape)
            if images is None:
                images = np.random.default_rng(options.seed).random(shape, np.float32)
            feed_dict = {inputs: images}
        else:
            initial = tf1.random_uniform(shape)
            if images is not None:
                initial = tf1.placeholder(tf.float32, shape)
                init_feed = {initial: images}
            inputs = tf1.Variable(initial, trainable=False, name="images",
                                  collections=[tf1.GraphKeys.LOCAL_VARIABLES]).read_value()
        training = options.mode == "forward-backward"
        if checkpoint:
            output, _ = build_recognised(checkpoint, inputs, training)
        else:
            output, _ = models.find_model(name).build(inputs, options.num_classes, training)
        variables = tf1.global_variables()
        cost = forward_cost(output)
        target = output
        if training:
            gradients = tf1.gradients(tf.nn.l2_loss(output), tf1.trainable_variables())
            # Inception V3's auxiliary head has variables that the logits do not see.
            target = [gradient for gradient in gradients if gradient is not None]
        if options.fetch == "none":
            target = tf.group(target)
        init = tf.group(tf1.global_variables_initializer(), tf1.local_variables_initializer())
    build_s = time.perf_counter() - started
    config = session_config(options)
    session = RemoteSession(options.target, graph, config, options.step_timeout) \
        if options.target else tf1.Session(graph=graph, config=config)
    try:
        session.run(init, init_feed)
        if checkpoint:
            restore_recognised(session, checkpoint, variables)
    except BaseException:
        session.close()
        raise
    info_string = INFO_STRINGS[options.mode]
    if len(options.models) > 1 or options.optimize:
        info_string = f"{name} {info_string}"
    return Prepared(name, timing.Run(session, target, info_string, feed_dict, options.batch_size),
                    image_size, cost, build_s,
                    precision=PRECISIONS[0] if options.precision == INT8 else options.precision)


def _row(name, checkpoint):
    return recognise(checkpoint).row if checkpoint else models.find_model(name)


def check(options):
    """Raises `SlimResnetError` for what can be known to fail before any long work."""
    for name in () if options.checkpoints else options.models:
        models.find_model(name).checked_image_size(options.image_size)
    check_device(options.target, options.device)


def run_benchmark(options, images_of_size=None, announce=lambda message: None, trace=None,
                  on_step=None):
    """Times the networks and prints the blog's lines.

    Args:
      options: `BenchmarkOptions`.
      images_of_size: Called with an image size in pixels; returns the images to use,
        ``[batch, size, size, 3]``. None uses random numbers.
      announce: Called with a line about what is going on.
      trace: Called with the Chrome trace, JSON text, of one more step of the last
        network, once everything is timed.
      on_step: As in `timing.time_interleaved`.

    Returns:
      A record, plain data, see `slim_resnet.benchmark.records`.

    Raises:
      KeyboardInterrupt: Ctrl-C came before anything was timed.
      SlimResnetError: TensorFlow could not run the network.
    """
    check(options)
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(open_checkpoint(path)) for path in options.checkpoints]
        checkpoints = dict(zip(_names(opened), opened, strict=True))
        if checkpoints:
            options = dataclasses.replace(options, models=tuple(checkpoints))
        runs = _run_groups(options, checkpoints, images_of_size, announce, trace, on_step)
    return {
        "format": records.FORMAT,
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "options": dataclasses.asdict(options),
        "environment": {
            **environment(), "onednn": compat.onednn_enabled(),
            "devices": [device.name for device in tf.config.list_physical_devices()]},
        "runs": runs,
    }


def _names(checkpoints):
    """Returns what to call the networks of checkpoints: as the table does, else as the file."""
    names = [recognise(opened).model or os.path.basename(opened.path) for opened in checkpoints]
    for name in names:
        if names.count(name) > 1:
            raise SlimResnetError(f"{checkpoints[names.index(name)].path}: {name} is to be timed "
                                  "twice; give one checkpoint of it")
    return names


def _run_groups(options, checkpoints, images_of_size, announce, trace, on_step):
    """Times the networks, all in turn or one after the other; returns a record of each."""
    groups = [options.models] if options.compare else [(name,) for name in options.models]
    runs = []
    for names in groups:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_one_line_errors())
            prepared = []
            for name in names:
                announce(f"building {name}")
                checkpoint = checkpoints.get(name)
                images = images_of_size and images_of_size(
                    _row(name, checkpoint).checked_image_size(options.image_size))
                prepared.append(prepare(name, options, images, checkpoint))
                stack.callback(prepared[-1].run.session.close)
                if options.optimize:
                    prepared.append(prepare_optimized(prepared[-1], options, checkpoint,
                                                      announce))
                    stack.callback(prepared[-1].run.session.close)
            announce(f"{options.burn_in} steps of burn-in, then {options.num_batches} timed ones")
            try:
                results = timing.time_interleaved([p.run for p in prepared],
                                                  options.num_batches, options.burn_in, on_step)
            except KeyboardInterrupt:
                if not runs:
                    raise
                break
            runs += [_run_record(p, result) for p, result in zip(prepared, results)]
            if results[0].partial:
                break
            if trace:
                trace(trace_step(prepared[-1].run))
    return runs


def trace_step(run):
    """Runs one more step and returns its Chrome trace, JSON text."""
    metadata = tf1.RunMetadata()
    run.session.run(run.target, run.feed_dict,
                    tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE), metadata)
    return compat.chrome_trace(metadata)


def _run_record(prepared, result):
    return {
        "model": prepared.name,
        "engine": prepared.engine,
        "precision": prepared.precision,
        "quantised": prepared.quantised,
        "info_string": result.info_string,
        "batch_size": result.batch_size,
        "image_size_px": prepared.image_size,
        "parameters": prepared.cost.parameters,
        "trainable_parameters": prepared.cost.counts.trainable,
        "moving_statistics": prepared.cost.counts.moving_statistics,
        "multiply_adds_per_image": prepared.cost.multiply_adds,
        "forward_ops": prepared.cost.ops,
        "graph_build_s": prepared.build_s,
        "num_batches": result.num_batches,
        "num_steps_burn_in": result.num_steps_burn_in,
        "partial": result.partial,
        "burn_in_durations_s": list(result.burn_in_durations_s),
        "durations_s": list(result.durations_s),
        "statistics": dataclasses.asdict(result.statistics),
    }


@contextlib.contextmanager
def _one_line_errors():
    try:
        yield
    except tf.errors.OpError as error:
        raise SlimResnetError("TensorFlow could not run the network: "
                              f"{cause_of(error.message)}") from error
