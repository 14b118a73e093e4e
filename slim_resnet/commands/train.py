"""Train a network, or fine-tune a checkpoint.

    slim-resnet train flowers --output flowers-run --model resnet_v2_50 --steps 20000
    slim-resnet data digits digits
    slim-resnet train digits/train.npz --validation digits/test.npz --output run \\
        --model resnet_v2 --blocks 16x1,32x1,64x1 --image-size 32 --augmentation none --steps 400
    slim-resnet train flowers --output tuned --checkpoint resnet_v2_50_2017_04_14.tar.gz \\
        --exclude logits --train-only logits block4 --steps 1000

DATA is a folder with one folder of images a class, or TFRecord files in slim's format, or a
folder of them, or an .npz file with images ([N, H, W] or [N, H, W, C]; uint8, or floats from
0 to 1), labels ([N]) and perhaps classes (names). A run that was stopped, at whatever moment,
goes on from its last checkpoint when it is started again with the same options.

OUTPUT gets checkpoints, labels.txt, training.json (all options), metrics.jsonl, evaluation.json
(the last checkpoint's accuracy, and on what) and summaries for TensorBoard; classify, evaluate,
checkpoint and export take it as a checkpoint: the last one. With --evaluate-steps, OUTPUT/best
holds the best of those that were evaluated, by top-1, and is a checkpoint too. --plot draws
metrics.jsonl; tensorboard --logdir OUTPUT shows the summaries (pip install tensorboard).
"""

import argparse
import dataclasses
import functools
from collections.abc import Sequence

from slim_resnet.commands import options as shared
from slim_resnet.commands import preparation
from slim_resnet.commands.options import non_negative_int, positive_int
from slim_resnet.commands.progress import say, with_progress
from slim_resnet.commands.progress_line import Progress
from slim_resnet.common import terminal
from slim_resnet.common.cluster import PS, check_training_cluster, read_cluster
from slim_resnet.common.environment import check_bfloat16
from slim_resnet.common.tables import Column, Table
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import PREPROCESSING
from slim_resnet.models import FROM_BLOCKS, TRAINABLE
from slim_resnet.training import options as training_options

HELP = "train a network, or fine-tune a checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", nargs="+", help="images to train on")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where the run is kept")
    parser.add_argument("--validation", nargs="+", metavar="DATA",
                        help="images to evaluate on (default: some of DATA, which were trained "
                        "on)")
    _add_network(parser.add_argument_group("network"))
    _add_images(parser.add_argument_group("images"))
    _add_optimization(parser.add_argument_group("optimization"))
    _add_batch_norm(parser.add_argument_group("batch norm"))
    _add_fine_tuning(parser.add_argument_group("fine-tuning"))
    run_group = parser.add_argument_group("run")
    shared.add_trained_precision(run_group)
    run_group.add_argument("--save-seconds", type=positive_int, default=300, metavar="N",
                           help="from one checkpoint to the next (default: %(default)s)")
    run_group.add_argument("--save-steps", type=positive_int, metavar="N",
                           help="steps instead of seconds")
    run_group.add_argument("--log-steps", type=positive_int, default=10, metavar="N",
                           help="from one line of metrics.jsonl to the next "
                           "(default: %(default)s)")
    run_group.add_argument("--evaluate-steps", type=positive_int, metavar="N",
                           help="evaluate every N steps too, and keep the checkpoint of the "
                           "highest top-1 in FOLDER/best")
    shared.add_plot(run_group, "loss and accuracy against steps")
    cluster_group = parser.add_argument_group(
        "cluster", "several processes train one network: start the same command for every task, "
        "but for --job and --task")
    cluster_group.add_argument("--cluster", metavar="SPEC.json",
                               help='its tasks: {"ps": ["HOST:PORT"], "worker": ["HOST:PORT", '
                               "...]} (default: the cluster in TF_CONFIG, if there is one)")
    cluster_group.add_argument("--job", metavar="NAME", help="with --cluster: this process's job")
    cluster_group.add_argument("--task", type=shared.non_negative_int, metavar="N",
                               help="with --cluster: its number within the job, from 0")
    cluster_group.add_argument("--async", action="store_true", dest="asynchronous",
                               help="a step is one task's batch, applied at once (default: one of "
                               "each task's, applied together)")
    parser.set_defaults(**{field.name: field.default
                           for field in dataclasses.fields(training_options.TrainingOptions)
                           if field.default is not dataclasses.MISSING})


def _add_network(group):
    group.add_argument("--model", choices=TRAINABLE, metavar="NAME",
                       help=f"one of {', '.join(TRAINABLE)} (default: the "
                       "network of --checkpoint)")
    group.add_argument("--blocks", metavar="DxU,...",
                       help=f"for {' and '.join(FROM_BLOCKS)}: base depth x units of each block, "
                       "like 16x3,32x3,64x3; all but the last halve height and width")
    group.add_argument("--no-root-block", dest="root_block", action="store_false",
                       help="begin with the first block, without conv1 and pool1")


def _add_images(group):
    group.add_argument("--image-size", type=positive_int, metavar="PIXELS",
                       help="(default: the network's own, 224 for ResNets)")
    group.add_argument("--preprocessing", choices=PREPROCESSING,
                       help="inception: values from -1 to 1; vgg: from 0 to 255, less --mean; "
                       "none: from 0 to 255 "
                       "(default: as the network's released checkpoint was trained)")
    preparation.add_preparation_details(group)
    shared.add_labels_offset(group, "the label of class 0 in DATA")
    group.add_argument("--augmentation", choices=training_options.AUGMENTATIONS,
                       help="inception: random crop, flip and colours; vgg: shorter side from "
                       "--resize-side to twice that at random, random crop, and flip; flip: "
                       "prepared as for evaluation, and flip; none, for digits say (default: vgg "
                       "for --preprocessing vgg, else inception)")
    group.add_argument("--batch-size", type=positive_int, metavar="N",
                       help="(default: %(default)s)")
    group.add_argument("--seed", type=int, metavar="N",
                       help="of weights, order and augmentation (default: %(default)s)")


def _add_optimization(group):
    group.add_argument("--steps", type=positive_int, required=True, metavar="N")
    group.add_argument("--optimizer", choices=training_options.OPTIMIZERS,
                       help="(default: %(default)s)")
    group.add_argument("--momentum", type=float, metavar="X", help="(default: %(default)s)")
    group.add_argument("--learning-rate", type=float, metavar="X", help="(default: %(default)s)")
    group.add_argument("--schedule", choices=training_options.SCHEDULES,
                       help="(default: %(default)s)")
    group.add_argument("--boundaries", type=positive_int, nargs="+", metavar="STEP",
                       help="piecewise: where the rate is multiplied by --decay-rate")
    group.add_argument("--decay-rate", type=float, metavar="X", help="(default: %(default)s)")
    group.add_argument("--end-learning-rate", type=float, metavar="X",
                       help="of cosine and polynomial (default: %(default)s)")
    group.add_argument("--power", type=float, metavar="X",
                       help="of polynomial (default: %(default)s)")
    group.add_argument("--warmup-steps", type=non_negative_int, metavar="N",
                       help="in which the rate grows to its full size (default: %(default)s)")
    group.add_argument("--weight-decay", type=float, metavar="X", help="(default: %(default)s)")
    group.add_argument("--label-smoothing", type=float, metavar="X", help="(default: %(default)s)")
    group.add_argument("--clip-norm", type=float, metavar="X",
                       help="longest norm of all gradients together")
    group.add_argument("--ema-decay", type=float, metavar="X",
                       help="keep averages of the weights, of this decay")


def _add_batch_norm(group):
    group.add_argument("--batch-norm-decay", type=float, metavar="X",
                       help="of the moving statistics (default: 0.997, or less in runs of fewer "
                       "than 3333 steps: a tenth of the steps is remembered)")
    group.add_argument("--zero-debias", action="store_true",
                       help="debias moving means (default: the blog's network does)")
    group.add_argument("--no-zero-debias", dest="zero_debias", action="store_false",
                       help="do not")
    group.add_argument("--batch-norm-updates", choices=training_options.UPDATES,
                       help="collected: UPDATE_OPS, run with every step; in-place: "
                       "updates_collections=None (default: %(default)s)")
    group.add_argument("--freeze-batch-norm", action="store_true",
                       help="use the checkpoint's moving statistics, gamma and beta unchanged")


def _add_fine_tuning(group):
    group.add_argument("--checkpoint", metavar="PATH", help="to begin from")
    group.add_argument("--exclude", nargs="+", metavar="PATTERN",
                       help="what begins at random all the same, like logits")
    group.add_argument("--train-only", nargs="+", metavar="PATTERN",
                       help="train these alone, like logits block4/unit_3 '*/biases'")


def run(arguments: argparse.Namespace) -> int | None:
    options = _options(arguments)
    training_options.check(options)
    shared.check_files(arguments)
    if options.precision == "bfloat16":
        check_bfloat16()
    cluster = read_cluster(arguments.cluster, arguments.job, arguments.task)
    if arguments.asynchronous and not cluster:
        raise SlimResnetError("--async goes with --cluster; one process has nobody to wait for")
    if cluster:
        check_training_cluster(cluster)
    from slim_resnet.training import evaluation, records
    from slim_resnet.training import run as training
    train = training.train
    if cluster:
        from slim_resnet.training import cluster as cluster_training
        from slim_resnet.training import tasks
        if cluster.job == PS:
            return tasks.serve_parameters(cluster, _say)
        train = functools.partial(cluster_training.train, cluster,
                                  synchronous=not arguments.asynchronous)
    with Progress("steps", options.steps) as shown:
        outcome = train(
            options, arguments.data, arguments.output, validation=arguments.validation,
            evaluate_steps=arguments.evaluate_steps,
            save_seconds=arguments.save_seconds, save_steps=arguments.save_steps,
            log_steps=arguments.log_steps, on_message=_say,
            on_progress=functools.partial(_show_progress, shown),
            progress=functools.partial(with_progress, noun="images evaluated"))
    is_worker = cluster and cluster.shard[0] > 0
    if arguments.plot and not is_worker:
        from slim_resnet.training.plot import plot_training
        plot_training(arguments.output, arguments.plot, arguments.theme)
    if outcome.interrupted:
        _say(f"{'stopped' if is_worker else 'interrupted; saved'} at step {outcome.step} of "
             f"{options.steps}")
        return 130
    if not outcome.evaluations:  # a worker's, whose chief evaluates
        return 0
    on = records.measured_on(arguments.data, arguments.validation)
    print(records.heading(on, arguments.validation or arguments.data))
    terminal.show(terminal.table_lines(accuracy_table(outcome.evaluations)))
    warning = evaluation.warning(outcome.evaluations, options)
    if warning:
        _say(warning)


def _options(arguments):
    values = {field.name: getattr(arguments, field.name)
              for field in dataclasses.fields(training_options.TrainingOptions)}
    if values["blocks"] is not None:
        values["blocks"] = training_options.parse_blocks(values["blocks"])
    return training_options.TrainingOptions(**{
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()})


def accuracy_table(evaluations: Sequence) -> Table:
    """Returns the table that shows what `training.train` measured."""
    return Table([Column("evaluated with", [one.how for one in evaluations]),
                  Column("images", [one.num_images for one in evaluations]),
                  *(Column(f"top-{k} %", [f"{100 * getattr(one, f'top_{k}'):.2f}"
                                          for one in evaluations]) for k in (1, 5))])


def _say(line):
    say("train", line)


def _show_progress(shown, progress):
    shown.at(progress.step, f"loss {progress.loss:.4f}  accuracy {progress.accuracy:.3f}  "
             f"{progress.images_per_second:.1f} images/s", progress.seconds_left)
