"""Look into a network: its end points as a table, their values for images, TensorBoard.

    slim-resnet end-points resnet_v2_152 --depth unit
    slim-resnet end-points resnet_v2_152 --time --depth unit
    slim-resnet end-points resnet_v2_50_2017_04_14.tar.gz --end-points '*/conv2' --markdown
    slim-resnet end-points resnet_v2_50.ckpt --images photos --logdir runs/look
    slim-resnet end-points resnet_v2_50.ckpt --images photos --save features.npz \\
        --end-points global_pool
    slim-resnet end-points resnet_v2_50.ckpt --images 'photos/*' --save features \\
        --end-points global_pool --ray

The table is worked out from the graph: no value is read and nothing is run. A row counts
what lies between its end point and those before it, a unit's or a block's all that is
inside, so that the rows within one add up to it, and all to the total. "?" is not known
without the images' size; "-" is not defined, as a stride is not behind global pooling.

With --depth unit it is a tree; a line such as "unit_2 … unit_7 ×6" is of six units with the
same shape, parameters and multiply-adds, and has what each of them has. A table that is
wider than the terminal (or COLUMNS; 80 where there is none) leaves columns out, first op,
then field, stride, bytes and shape; of values counts of infinity and NaN if there are none,
max, min, dead, norm and zeros. A last line says which. --wide, --markdown and --json have
everything, and exact.

With --time the table is of a step's time, measured on random images: milliseconds, their
share of the step, the multiply-adds a second, and what is read and written, in all and a
second. Steps are traced, each instant is divided among the ops that run in it, and what
is shown is the median of the steps; below stands how long a step takes without trace. What
is left out first is the bytes, then the multiply-adds.

With --images the table is of values: mean, std, min and max; for what a ReLU makes, the
share of zeros and the dead channels, zero for all images; the numbers of NaN and infinite
values; and how many times larger the values of its batch norms are than gamma and beta
promise, 1 where they fit the images. What looks wrong is said on stderr.
An unreadable image is reported when the rest are done, and makes the exit status 2.
Ctrl-C keeps what there is.

FILE.npz has an array of float32 for every key, with a row for every image, NaN where it
cannot be read; and files and errors, which say why. With --ray, --save names a folder of
such parts, which many processes or machines make; of Parquet if it ends in .parquet.
"""

import argparse
import contextlib
import dataclasses
import json
import time

from slim_resnet.checkpoint.settings import assumed_of
from slim_resnet.commands import (
    keeping,
    layer_times,
    on_ray,
    optimize,
    options,
    preparation,
    progress,
)
from slim_resnet.common import counts, terminal
from slim_resnet.common.files import check_folder, check_writable
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import BATCH_SIZE
from slim_resnet.inference import part_formats
from slim_resnet.models import MODELS

HELP = "table, statistics, values and TensorBoard run of a network's end points"

# Of --time, those of `end_points.time`.
NUM_BATCHES, BURN_IN = 5, 2
DEPTHS = {"block": "block", "unit": "unit", "all": "layer"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_network(parser, MODELS)
    shown = parser.add_argument_group("what is shown")
    options.add_end_points(shown, "only these")
    shown.add_argument("--depth", choices=DEPTHS,
                       help="block: nothing within blocks; unit: nothing within units, as a tree "
                       "in which equal units are one line (default: all)")
    shown.add_argument("--time", action="store_true",
                       help="the time that each takes, of a MODEL with random weights or of a "
                       "CHECKPOINT")
    shown.add_argument("--num-batches", type=options.positive_int, metavar="N",
                       help=f"with --time: traced steps (default: {NUM_BATCHES})")
    shown.add_argument("--burn-in", type=options.non_negative_int, metavar="N",
                       help=f"with --time: steps before them (default: {BURN_IN})")
    formats = shown.add_mutually_exclusive_group()
    options.add_json(formats)
    options.add_wide(formats, ", a line an end point")
    formats.add_argument("--markdown", action="store_true",
                         help="print the whole table in Markdown")
    values = parser.add_argument_group("values, of a CHECKPOINT")
    values.add_argument("--images", nargs="+", metavar="IMAGE",
                        help="JPEG, PNG, GIF or BMP files, or folders to search for them")
    values.add_argument("--save", metavar="FILE.npz",
                        help="write the values of --end-points instead of showing their "
                        "statistics; with --ray a folder of parts")
    keeping.add_resume(values)
    options.add_engine(values, "--optimize, and both with --save")
    parser.add_argument("--logdir", metavar="DIR",
                        help="write a TensorBoard run: the graph; of a CHECKPOINT histograms of "
                        "weights; with --images histograms of the end points shown, the images, "
                        "and the time of each op; shown by tensorboard --logdir DIR (pip install "
                        "tensorboard)")
    options.add_selection(parser)
    preparation.add_preparation(parser, "; a MODEL's own")
    options.add_moving_averages(values)
    # None tells what is not given, for what has no effect is refused.
    options.add_batch_size(parser, None)
    on_ray.add_arguments(parser)
    parser.set_defaults(complete=_complete)


def run(arguments: argparse.Namespace) -> int | None:
    if arguments.save:
        return _save(arguments)
    if arguments.images:
        return _statistics(arguments)
    if arguments.time:
        return _times(arguments, MODELS.get(arguments.checkpoint))
    return _table(arguments, MODELS.get(arguments.checkpoint))


def _complete(arguments):
    """Checks what can be checked without TensorFlow, and fills in the defaults."""
    model = MODELS.get(arguments.checkpoint)
    if model:
        options.refuse_selection(arguments, model.name)
        options.refuse(arguments, ("images", "save"),
                       f"needs the values of a checkpoint, and {model.name} has none")
        options.refuse_moving_averages(
            arguments, f"needs the values of a checkpoint, and {model.name} has none")
        arguments.image_size = model.checked_image_size(arguments.image_size)
    else:
        options.refuse(arguments, ("num-classes",),
                       "goes with the name of a model; a checkpoint has its own")
    if arguments.time:
        options.refuse(arguments, ("images", "save", "logdir"), "does not go with --time")
        # Not a default of 0, which is a burn-in too.
        if arguments.burn_in is None:
            arguments.burn_in = BURN_IN
        arguments.num_batches = arguments.num_batches or NUM_BATCHES
    else:
        options.refuse(arguments, ("num-batches", "burn-in"), "goes with --time")
    if not arguments.images:
        options.refuse(arguments, ("save", "preprocessing",
                                   *map(preparation.dashed, preparation.DETAILS)),
                       "goes with --images")
        if not arguments.time:
            options.refuse(arguments, ("batch-size",), "goes with --images or --time")
    if not (arguments.images or arguments.logdir):
        options.refuse_moving_averages(arguments, "goes with --images or --logdir; the table is "
                                       "the same with other values")
    if arguments.save:
        if arguments.end_points is None:
            raise SlimResnetError("--save needs --end-points KEY..., which it writes")
        options.refuse(arguments, ("depth", "json", "wide", "markdown", "logdir"),
                       "says what to show, and --save shows nothing; leave one out")
        if not on_ray.wanted(arguments):
            options.refuse(arguments, ("resume",), "goes with --ray")
            check_writable(arguments.save)
    else:
        options.refuse(arguments, ("optimize", "precision", "engine", "calibrate", "accept",
                                   "resume", "ray", "ray-cpus"),
                       "goes with --save")
    if arguments.logdir:
        check_folder(arguments.logdir)
    if not model:
        preparation.complete(arguments)
    arguments.batch_size = arguments.batch_size or BATCH_SIZE


def _on_ray(arguments, network_options):
    from slim_resnet.end_points.keys import choose
    from slim_resnet.images import labelled_parts
    source = labelled_parts.find(arguments.images, arguments.preprocessing.max_pixels)
    suffix = part_formats.suffix_of(arguments.save, part_formats.ARRAYS)
    with contextlib.ExitStack() as stack:
        with options.opened_checkpoint(arguments, "end-points") as opened:
            built = _built(opened, arguments.image_size)
            keys = choose(arguments.end_points, built)
            size = on_ray.part_images(arguments.batch_size, on_ray.bytes_of(
                built[key].shape[1:].as_list() for key in keys))
            parts = stack.enter_context(on_ray.parts_of(
                arguments, "end-points", opened, source, arguments.save, suffix, size,
                end_points=keys))
            job = on_ray.job(arguments, "end-points", opened, suffix, network_options,
                             end_points=keys)
        return on_ray.run(arguments, "end-points", parts, job, source, size,
                          [arguments.prepared])


def _save(arguments):
    network_options = optimize.prepare(arguments, "end-points")
    if on_ray.wanted(arguments):
        return _on_ray(arguments, network_options)
    from slim_resnet.common.files import atomic_write
    from slim_resnet.end_points.keys import choose
    from slim_resnet.images import finding
    from slim_resnet.inference import features
    paths = finding.find_images(arguments.images)
    with contextlib.ExitStack() as stack:
        with options.opened_checkpoint(arguments, "end-points") as opened:
            keys = (choose(arguments.end_points, _built(opened, arguments.image_size))
                    if network_options else [])
            network = stack.enter_context(optimize.opened_network(
                opened, arguments.image_size, network_options, arguments, "end-points", keys))
            keys = keys or choose(arguments.end_points, network.end_points)
            batches = progress.batches_with_progress(arguments, paths, network.channels)
        started = time.perf_counter()
        with atomic_write(arguments.save, "wb") as file:
            errors = features.write_features(file, network, {key: key for key in keys}, paths,
                                             batches)
    reached = [error != features.INTERRUPTED for error in errors]
    progress.report_busy("end-points", sum(reached), time.perf_counter() - started, network.busy_s)
    status = progress.report_unreadable(
        "end-points", [(path, error) for path, error, was_reached in zip(paths, errors, reached)
                       if error and was_reached])
    return status if all(reached) else progress.report_interrupted("end-points", sum(reached),
                                                                   len(paths))


def _built(opened, image_size):
    """Returns the end points of a checkpoint's network, built without values."""
    import tensorflow as tf

    from slim_resnet.inference.network import build_without_values
    with tf.Graph().as_default():
        return build_without_values(opened, image_size)


def _table(arguments, model):
    import tensorflow as tf

    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.end_points import listing, table, tensorboard
    from slim_resnet.inference.network import Network

    if arguments.logdir and not model:
        with options.opened_checkpoint(arguments, "end-points") as opened, \
             Network(opened, arguments.image_size) as network:
            rows = _rows(arguments, network.end_points)
            with tensorboard.Run(arguments.logdir, network.session.graph) as run:
                run.add_weights(network)
    elif model:
        with tf.Graph().as_default() as graph:
            rows = _rows(arguments, layer_times.build(arguments, model)[1])
        if arguments.logdir:
            with tensorboard.Run(arguments.logdir, graph):
                pass
    else:
        with open_checkpoint(arguments.checkpoint) as opened:
            rows = _rows(arguments, _built(opened, arguments.image_size))
            options.say_assumed(arguments, "end-points", assumed_of(opened))
    total = table.total(rows)
    _print(arguments, listing.end_point_table(rows, total, arguments.depth in ("block", "unit")),
           [row._asdict() for row in rows],
           total={name: getattr(total, name)
                  for name in (*table.PARAMETERS, "multiply_adds", "activation_bytes")})
    if not arguments.json:
        in_words = counts.text({name: getattr(total, name) for name in table.PARAMETERS})
        terminal.show(["", in_words] if arguments.markdown else
                      terminal.prose(in_words, arguments.wide))


def _times(arguments, model):
    from slim_resnet.end_points import listing, table
    times = layer_times.measure(arguments, model)
    rows = table.select(times.rows, arguments.end_points or (), DEPTHS[arguments.depth or "all"])
    _print(arguments, listing.time_table(rows, times), [row._asdict() for row in rows],
           step=layer_times.step_record(times))
    if not arguments.json:
        print(("\n" if arguments.markdown else "") + layer_times.line(times))
    for doubt in layer_times.doubts(times):
        progress.say("end-points", f"warning: {doubt}")
    if times.partial:
        progress.say("end-points", f"interrupted after {len(times.spans_s)} of "
                     f"{arguments.num_batches} traced steps")
        return 130
    return 0


def _rows(arguments, built):
    from slim_resnet.end_points import table
    return table.select(table.summary(built), arguments.end_points or (),
                        DEPTHS[arguments.depth or "all"])


def _statistics(arguments):
    from slim_resnet.end_points import activations, listing, tensorboard
    from slim_resnet.images import finding
    from slim_resnet.inference.network import Network

    paths, unreadable = finding.find_images(arguments.images), []
    with options.opened_checkpoint(arguments, "end-points") as opened, \
         Network(opened, arguments.image_size) as network, \
         contextlib.ExitStack() as stack:
        keys = [row.key for row in _rows(arguments, network.end_points)]
        batches = progress.readable_batches(arguments, paths, network.channels, unreadable)
        if arguments.logdir:
            run = stack.enter_context(tensorboard.Run(arguments.logdir, network.session.graph))
            run.add_weights(network)
            batches = run.adding(network, keys, batches)
        rows = activations.layer_statistics(network, batches, keys)
    doubts = activations.doubts(rows)
    if rows:
        _print(arguments, listing.statistics_table(rows), [dataclasses.asdict(row) for row in rows],
               doubts=doubts, moving_averages=network.moving_averages)
    for doubt in doubts:
        progress.say("end-points", f"warning: {doubt}")
    status = progress.report_unreadable("end-points", unreadable)
    done = len(unreadable) + (rows[0].images if rows else 0)
    if done < len(paths):
        return progress.report_interrupted("end-points", done, len(paths))
    return status


def _print(arguments, shown, rows, **more):
    if arguments.json:
        record = options.checkpoint_record(arguments)
        print(json.dumps({"network": record.pop("checkpoint"), **record,
                          "image_size_pixels": arguments.image_size, **more,
                          "end_points": rows}, indent=1, allow_nan=False))
    else:
        terminal.show(shown.markdown() if arguments.markdown else
                      terminal.table_lines(shown, arguments.wide))
