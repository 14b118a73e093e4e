"""Times networks as the blog does; by default exactly its experiment.

Prints the blog's lines. The record that --json writes holds every option, every
duration and the machine, and --show prints it as a table.
"""

import json
import sys

from slim_resnet.benchmark import records
from slim_resnet.commands import non_negative_int, optimize, positive_int
from slim_resnet.common.environment import cpu, has_bfloat16
from slim_resnet.common.files import atomic_write, check_writable
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import MODELS

HELP = "time the forward pass of one or several networks"

COMPARED = (records.CLAIM[0], *records.CLAIM[1])


def add_arguments(parser):
    what = parser.add_argument_group("what is timed")
    what.add_argument("--model", nargs="+", metavar="NAME", choices=MODELS,
                      help=f"one or several of {', '.join(MODELS)} (default: blog_resnet_v2_152)")
    what.add_argument("--compare", action="store_true",
                      help="the blog's three networks in turn, step by step, and its claim: "
                           + ", ".join(COMPARED))
    what.add_argument("--batch-size", type=positive_int, default=32, metavar="N")
    what.add_argument("--image-size", type=positive_int, metavar="PIXELS",
                      help="default: 224, and 299 for inception_v3")
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
    how.add_argument("--precision", choices=("float32", "bfloat16"), default="float32",
                     help="bfloat16: by TensorFlow's own mixed-precision rewrite")
    how.add_argument("--intra-op-threads", type=positive_int, default=0, metavar="N",
                     help="threads within an op")
    how.add_argument("--inter-op-threads", type=positive_int, default=0, metavar="N",
                     help="ops at a time")
    how.add_argument("--device", metavar="NAME", help="place everything there, e.g. /CPU:0")
    how.add_argument("--target", default="", metavar="grpc://HOST:PORT",
                     help="a running TensorFlow server that does the work")
    how.add_argument("--optimize", action="store_true",
                     help="time each ResNet in turn with its optimised form, and print the "
                          "ratio; images are fed; turns oneDNN on unless "
                          "TF_ENABLE_ONEDNN_OPTS is set")
    out = parser.add_argument_group("what is written")
    out.add_argument("--json", metavar="FILE", help="the record")
    out.add_argument("--plot", metavar="FILE",
                     help="steps and histogram, as .png, .svg or .pdf (extra: plot)")
    out.add_argument("--trace", metavar="FILE",
                     help="a Chrome trace of one more step, for chrome://tracing")
    out.add_argument("--show", nargs="+", metavar="FILE",
                     help="print the tables of these records and time nothing")


def run(arguments):
    if arguments.show:
        return _show(arguments.show)
    options, images_of_size = _check(arguments)
    if arguments.optimize:
        optimize.turn_onednn_on(arguments.verbose, "benchmark")
    from slim_resnet.benchmark import experiment
    trace = None
    if arguments.trace:
        def trace(text):
            with atomic_write(arguments.trace) as file:
                file.write(text)
    options = experiment.BenchmarkOptions(**options)
    record = experiment.run_benchmark(options, images_of_size, _announce, trace,
                                     _count_step if sys.stderr.isatty() else None)
    if len(record["runs"]) > 1:
        print("\n".join(["", *records.run_table(record)]))
    if arguments.optimize:
        print("\n".join(["", *records.optimized_lines(record)]))
    if arguments.compare:
        print("\n".join(["", *records.claim_table([record])]))
    if arguments.json:
        with atomic_write(arguments.json) as file:
            json.dump(record, file, indent=1)
            file.write("\n")
    if arguments.plot:
        from slim_resnet.pictures import plots
        plots.plot_benchmark(record, arguments.plot)
    partial = len(record["runs"]) < len(options.models) or any(
        one["partial"] for one in record["runs"])
    return 130 if partial else 0


def _check(arguments):
    """Checks what can be checked without TensorFlow, cheapest first."""
    if arguments.compare and arguments.model:
        raise SlimResnetError("--compare and --model exclude each other; --compare times "
                              + ", ".join(COMPARED))
    names = tuple(arguments.model or (COMPARED if arguments.compare else COMPARED[:1]))
    if len(set(names)) < len(names):
        raise SlimResnetError("--model names a network twice")
    image_sizes = {MODELS[name].checked_image_size(arguments.image_size) for name in names}
    if arguments.images and arguments.input == "random":
        raise SlimResnetError("--images goes with --input feed or constant, not random")
    if arguments.precision == "bfloat16" and not has_bfloat16(cpu()["flags"]):
        raise SlimResnetError(f"--precision bfloat16: this CPU ({cpu()['model']}) has neither "
                              "avx512_bf16 nor amx_bf16; use float32")
    if arguments.trace and len(names) > 1:
        raise SlimResnetError("--trace takes one model")
    if arguments.optimize:
        _check_optimize(arguments, names)
    for path in (arguments.json, arguments.plot, arguments.trace):
        if path:
            check_writable(path)
    if arguments.plot:
        from slim_resnet.pictures import plots
        plots.check_plot_file(arguments.plot)
    images_of_size = None
    if arguments.images:
        images_of_size = _image_batches(arguments.images, arguments.batch_size, image_sizes)
    fields = {name: getattr(arguments, name) for name in (
        "compare", "batch_size", "image_size", "num_classes", "num_batches", "burn_in", "mode",
        "images", "fetch", "precision", "intra_op_threads", "inter_op_threads", "device", "target",
        "seed", "optimize")}
    default_input = "feed" if arguments.images or arguments.optimize else "random"
    return ({**fields, "models": names, "input": arguments.input or default_input},
            images_of_size)


def _check_optimize(arguments, names):
    others = [name for name in names if not MODELS[name].foldable]
    if others:
        raise SlimResnetError(f"--optimize takes ResNets only, not {', '.join(others)}")
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

    from slim_resnet.images import reading
    paths = reading.find_images([folder])
    if len(paths) != batch_size:
        _announce(f"{len(paths)} images in {folder}, "
                  + ("repeated" if len(paths) < batch_size else "cut")
                  + f" to the batch of {batch_size}")
    used = paths[:batch_size]
    batches = {size: reading.load_images(used, size) for size in image_sizes}
    return lambda size: np.resize(batches[size], (batch_size, size, size, 3))


def _show(paths):
    shown = [records.read_record(path) for path in paths]
    for path, record in zip(paths, shown):
        print("\n".join([f"{path}: {records.heading(record)}", *records.run_table(record), ""]))
    table = records.claim_table(shown)
    if table:
        print("\n".join(table))


def _count_step(done, total):
    # The cursor goes back, and the next of the blog's lines is written over it.
    print(f"step {done} of {total}", end="\r", file=sys.stderr, flush=True)


def _announce(message):
    print(f"slim-resnet benchmark: {message}", file=sys.stderr, flush=True)
