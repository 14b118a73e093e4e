"""Times networks as the blog does; by default exactly its experiment.

    slim-resnet benchmark
    slim-resnet benchmark --model resnet_v2_50 resnet_v2_101 --json run.json
    slim-resnet benchmark --compare resnet_v1_50 resnet_v2_50
    slim-resnet benchmark --checkpoint resnet_v2_50.ckpt
    slim-resnet benchmark --checkpoint resnet_v2_50.ckpt --engine auto
    slim-resnet benchmark --show run.json
    slim-resnet benchmark --show run.json run.json --compare

Prints the blog's lines. The record that --json writes holds every option, every
duration and the machine, and --show prints it as a table. With --compare it says of two
records, A and B, whether their times differ: the ratio of the medians, B's over A's, with an
interval by bootstrap over steps; where that holds 1, no difference is shown. Records of
other networks, batch or image sizes, or modes are refused.

With --precision int8 the optimised form is of int8 and the network beside it of float32. A line
says how far the two agree on images that it was not calibrated with; below 97 % of the same most
probable classes it is refused, as in classify. Random weights need no --calibrate and are not
refused: they are calibrated with 64 images of random numbers, and their classes mean nothing.

A table that is wider than the terminal leaves columns out, first jitter, then p95, p99, p90,
max, min, precision, steps, px, batch, MACs, params and sd; a last line says which.
"""

import argparse

from slim_resnet.benchmark import records
from slim_resnet.commands import optimize, options, progress
from slim_resnet.commands.options import non_negative_int, positive_int
from slim_resnet.commands.progress_line import counted_steps
from slim_resnet.common import terminal
from slim_resnet.common.environment import PRECISIONS, check_bfloat16
from slim_resnet.common.files import atomic_write
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.engines.table import CHOICES, INT8, TENSORFLOW, choose
from slim_resnet.models import MODELS

HELP = "time the forward pass of one or several networks"

COMPARED = (records.CLAIM[0], *records.CLAIM[1])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what is timed")
    what.add_argument("--model", nargs="+", metavar="NAME", choices=MODELS,
                      help=f"one or several of {', '.join(MODELS)} (default: blog_resnet_v2_152)")
    what.add_argument("--compare", nargs="*", metavar="NAME", choices=MODELS,
                      help="these in turn, step by step (default: the blog's three, "
                           f"{', '.join(COMPARED)}, and its claim); with --show of two "
                           "records: whether their times differ")
    what.add_argument("--checkpoint", nargs="+", metavar="CHECKPOINT",
                      help="the networks of these files, with their values and classes; with "
                           "--compare in turn")
    what.add_argument("--batch-size", type=positive_int, default=32, metavar="N")
    what.add_argument("--image-size", type=positive_int, metavar="PIXELS",
                      help="default: the network's own, 224 for most, 299 for inception_v3")
    what.add_argument("--num-classes", type=positive_int, default=1000, metavar="N")
    what.add_argument("--num-batches", type=positive_int, default=100, metavar="N",
                      help="timed steps (default: 100)")
    what.add_argument("--burn-in", type=non_negative_int, default=10, metavar="N",
                      help="untimed steps before them (default: 10)")
    what.add_argument("--mode", choices=("forward", "forward-backward"), default="forward",
                      help="forward-backward: in training mode, the gradients of half the squared "
                           "logits for all trainable variables")
    what.add_argument("--input", choices=("random", "constant", "feed"),
                      help="random: made by an op in every step, as in the blog (default); "
                           "constant: made once, inside the graph; feed: from host memory "
                           "(default with --images)")
    what.add_argument("--images", metavar="DIR",
                      help="use these images, decoded before timing, repeated or cut to the batch")
    what.add_argument("--fetch", choices=("output", "none"), default="output",
                      help="none: the op is run, nothing is copied back")
    what.add_argument("--seed", type=int, metavar="N", help="graph-level random seed")
    how = parser.add_argument_group("how it is run")
    how.add_argument("--precision", choices=(*PRECISIONS, INT8), default=PRECISIONS[0],
                     help="bfloat16: by TensorFlow's own mixed-precision rewrite; int8: of the "
                     "optimised form, in another engine, beside the network in float32")
    how.add_argument("--intra-op-threads", type=positive_int, default=0, metavar="N",
                     help="threads within an op")
    how.add_argument("--inter-op-threads", type=positive_int, default=0, metavar="N",
                     help="ops at a time")
    how.add_argument("--device", metavar="NAME", help="place everything there, e.g. /CPU:0")
    how.add_argument("--target", default="", metavar="grpc://HOST:PORT",
                     help="a running TensorFlow server that does the work")
    how.add_argument("--step-timeout", type=positive_int, metavar="SECONDS",
                     help="with --target: how long one step may take (default: 600)")
    how.add_argument("--optimize", action="store_true",
                     help="time each network in turn with its optimised form, and print the "
                          "ratio; images are fed; turns oneDNN on unless "
                          "TF_ENABLE_ONEDNN_OPTS is set")
    how.add_argument("--engine", choices=CHOICES,
                     help="what runs the optimised form: tensorflow (default), or another, which "
                          "implies --optimize; auto: the fastest that is installed")
    options.add_int8(how, "; without a CHECKPOINT random numbers will do")
    out = parser.add_argument_group("what is written")
    options.add_record(out, "the record", "steps and histogram")
    out.add_argument("--trace", metavar="FILE",
                     help="a Chrome trace of one more step, for chrome://tracing")
    out.add_argument("--show", nargs="+", metavar="FILE",
                     help="print the tables of these records and time nothing")
    options.add_wide(out)


def run(arguments: argparse.Namespace) -> int | None:
    if arguments.show:
        return _show(arguments)
    timed, images_of_size = _check(arguments)
    if arguments.optimize:
        optimize.turn_onednn_on(arguments.verbose, "benchmark")
    from slim_resnet.benchmark import experiment
    trace = None
    if arguments.trace:
        def trace(text):
            with atomic_write(arguments.trace) as file:
                file.write(text)
    timed = experiment.BenchmarkOptions(**timed)
    with progress.written_alone(arguments.json):
        return _measure(arguments, timed, images_of_size, trace)


def _measure(arguments, timed, images_of_size, trace):
    from slim_resnet.benchmark import experiment
    with counted_steps() as on_step:
        record = experiment.run_benchmark(timed, images_of_size, _announce, trace, on_step)
    if len(record["runs"]) > 1:
        terminal.show(["", *terminal.table_lines(records.run_table(record), arguments.wide)])
    if arguments.optimize:
        said = [*records.optimized_lines(record), *records.int8_lines(record)]
        terminal.show(["", *_prose(said, arguments.wide)])
    claim = records.claim([record]) if arguments.compare is not None else None
    if claim:
        terminal.show(["", *_claim_lines(claim, arguments.wide)])
    progress.write_record(record, arguments.json)
    if arguments.plot:
        from slim_resnet.benchmark.plot import plot_benchmark
        plot_benchmark(record, arguments.plot, arguments.theme)
    partial = len(record["runs"]) < len(record["options"]["models"]) or any(
        one["partial"] for one in record["runs"])
    return 130 if partial else 0


def _check(arguments):
    """Checks what can be checked without TensorFlow, cheapest first."""
    compare = arguments.compare is not None
    if compare and arguments.model:
        raise SlimResnetError("--compare and --model exclude each other; --compare times "
                              f"{', '.join(COMPARED)}, or those that it names")
    if arguments.checkpoint and (arguments.model or arguments.compare):
        raise SlimResnetError("--checkpoint and the names of models exclude each other; a "
                              "checkpoint's network is its own")
    if arguments.checkpoint and arguments.images:
        raise SlimResnetError("--images does not go with --checkpoint; leave it out")
    names = () if arguments.checkpoint else tuple(
        arguments.model or arguments.compare or (COMPARED if compare else COMPARED[:1]))
    if len(set(names)) < len(names):
        raise SlimResnetError(f"--{'compare' if compare else 'model'} names a network twice")
    image_sizes = {MODELS[name].checked_image_size(arguments.image_size) for name in names}
    if arguments.images and arguments.input == "random":
        raise SlimResnetError("--images goes with --input feed or constant, not random")
    if arguments.precision == "bfloat16":
        check_bfloat16()
    arguments.optimize |= arguments.engine not in (None, TENSORFLOW)
    engine = choose(arguments.engine or TENSORFLOW, arguments.precision).name
    _check_int8(arguments)
    if arguments.trace and len(arguments.checkpoint or names) > 1:
        raise SlimResnetError("--trace takes one model")
    if arguments.optimize:
        _check_optimize(arguments)
    options.check_files(arguments, arguments.json, arguments.trace)
    images_of_size = None
    if arguments.images:
        images_of_size = _image_batches(arguments.images, arguments.batch_size, image_sizes)
    fields = {name: getattr(arguments, name) for name in (
        "batch_size", "image_size", "num_classes", "num_batches", "burn_in", "mode",
        "images", "fetch", "precision", "intra_op_threads", "inter_op_threads", "device", "target",
        "seed", "optimize", "calibrate", "accept")}
    if arguments.step_timeout is not None:
        if not arguments.target:
            raise SlimResnetError("--step-timeout goes with --target; this process's own steps "
                                  "end at Ctrl-C")
        fields["step_timeout"] = arguments.step_timeout
    default_input = "feed" if arguments.images or arguments.optimize else "random"
    return ({**fields, "engine": engine, "models": names,
             "checkpoints": tuple(arguments.checkpoint or ()), "compare": compare,
             "input": arguments.input or default_input},
            images_of_size)


def _check_int8(arguments):
    optimize.check_int8(arguments, is_needed=bool(arguments.checkpoint))
    if not arguments.checkpoint:
        options.refuse(arguments, ("accept",), "goes with --checkpoint; of random weights int8 is "
                       "timed however few classes agree")
    if arguments.calibrate:
        optimize.calibration_files(arguments)


def _check_optimize(arguments):
    for option, wanted in (("mode", "forward"), ("input", "feed"), ("fetch", "output"),
                           ("device", None), ("target", "")):
        if getattr(arguments, option) not in (None, wanted):
            raise SlimResnetError(f"--optimize goes with --{option} {wanted}" if wanted else
                                  f"--optimize runs in this process; leave --{option} out")
    if arguments.trace:
        raise SlimResnetError("--optimize and --trace exclude each other")


def _image_batches(folder, batch_size, image_sizes):
    """Decodes the images now; returns a function from image size to batch."""
    import numpy as np

    from slim_resnet.images import finding, reading
    paths = finding.find_images([folder])
    if len(paths) != batch_size:
        _announce(f"{len(paths)} images in {folder}, "
                  + ("repeated" if len(paths) < batch_size else "cut")
                  + f" to the batch of {batch_size}")
    used = paths[:batch_size]
    batches = {size: reading.load_images(used, size) for size in image_sizes}
    return lambda size: np.resize(batches[size], (batch_size, size, size, 3))


def _show(arguments):
    paths, comparing = arguments.show, arguments.compare is not None
    if arguments.compare:
        raise SlimResnetError("--compare with --show compares all networks that two records have; "
                              "name none")
    options.refuse(arguments, ("plot", "trace"), "is of what is timed, and --show times nothing")
    if not comparing:
        options.refuse(arguments, ("json",), "with --show needs --compare, whose result it keeps")
    elif len(paths) != 2:
        raise SlimResnetError("--show with --compare takes two records, and has "
                              f"{len(paths)}: {', '.join(paths)}")
    options.check_files(arguments, arguments.json)
    shown = [records.read_record(path) for path in paths]
    if comparing:
        return _compare_records(arguments, shown)
    for path, record in zip(paths, shown):
        terminal.show([*terminal.prose(f"{path}: {records.heading(record)}", arguments.wide),
                       *terminal.table_lines(records.run_table(record), arguments.wide),
                       *_prose(records.int8_lines(record), arguments.wide), ""])
    claim = records.claim(shown)
    if claim:
        terminal.show(_claim_lines(claim, arguments.wide))


def _compare_records(arguments, shown):
    from slim_resnet.benchmark import comparison
    found = comparison.compare(*shown)
    headings = [f"{side} = {path}: {records.heading(record)}"
                for side, path, record in zip("AB", arguments.show, shown)]
    table = comparison.comparison_table(found)
    terminal.show([*_prose(headings, arguments.wide), "",
                   *terminal.table_lines(table, arguments.wide),
                   *_prose(comparison.sentences(found), arguments.wide)])
    progress.write_record({**found, "a": arguments.show[0], "b": arguments.show[1]},
                          arguments.json)


def _prose(sentences, wide):
    return [line for sentence in sentences for line in terminal.prose(sentence, wide)]


def _claim_lines(claim, wide):
    sentences, table = claim
    return [*_prose(sentences, wide), *terminal.table_lines(table, wide)]


def _announce(message):
    progress.say("benchmark", message)
