"""Classify images with a checkpoint, or write the features of a layer.

    slim-resnet classify resnet_v2_50_2017_04_14.tar.gz photo.jpg --labels imagenet.txt
    slim-resnet classify resnet_v2_50.ckpt photos --output classes.jsonl --resume
    slim-resnet classify resnet_v2_50.ckpt photos --features global_pool --output features.npz

For every image the most probable classes are printed: probability, class number, name.
With 1001 classes, class 0 is the background: none of the others. An unreadable image is
reported when the rest are done, and makes the exit status 2. Ctrl-C keeps what there is.

FILE.jsonl may be stopped at any moment, in any way: the same command goes on with it by
--resume, and writes what it would have written without the stop. FILE.jsonl.run.json says
what made it. Several processes share the images by --cluster (or TF_CONFIG), each with a
part of its own, FILE.jsonl-00000-of-00002; whichever finishes last writes FILE.jsonl. They
need to see the same files under the same names, and do not speak to each other.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import sys

from slim_resnet import commands
from slim_resnet.checkpoint.runs import settings_of
from slim_resnet.commands import optimize
from slim_resnet.errors import SlimResnetError

HELP = "classify images, or write their features"
TOP = 5


def add_arguments(parser):
    parser.add_argument("checkpoint", metavar="CHECKPOINT",
                        help="checkpoint file or prefix, folder, or released .tar.gz")
    parser.add_argument("images", metavar="IMAGE", nargs="+",
                        help="JPEG, PNG, GIF or BMP file, or a folder to search for them")
    parser.add_argument("--labels", metavar="FILE",
                        help="names of classes, one a line; for 1001 classes, 1000 lines "
                        "will do, and background is put before them (default: those of slim-resnet "
                        "train, if it wrote the checkpoint)")
    parser.add_argument("--top", type=commands.positive_int, metavar="N",
                        help=f"classes an image (default: {TOP})")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--features", metavar="END_POINT",
                        help="write this end point instead of classes, e.g. global_pool")
    parser.add_argument("--output", metavar="FILE",
                        help="FILE.jsonl: a line of JSON an image, written as they come; with "
                        "--features, FILE.npz: arrays features, files and errors")
    commands.add_resume_argument(parser)
    commands.add_image_arguments(parser)
    commands.add_cluster_arguments(parser)
    optimize.add_arguments(parser)


def run(arguments):
    options = optimize.prepare(arguments, "classify")
    if arguments.features is not None:
        if arguments.output is None:
            raise SlimResnetError("--features needs --output FILE.npz, where they go")
        for option in ("labels", "top", "json"):
            if getattr(arguments, option):
                raise SlimResnetError(f"--{option} says how to give classes, and --features "
                                      "writes none; leave one out")
        commands.refuse_results_options(arguments, "is for classes in FILE.jsonl, not for "
                                        "--features")
        return commands.write_features(
            "classify", arguments.checkpoint, arguments.images,
            {"features": arguments.features}, arguments.output, arguments, options)
    commands.check_output_options(arguments)
    if arguments.json and arguments.output:
        raise SlimResnetError("--json prints and --output writes; leave one out")
    return (_write_classes if arguments.output else _print_classes)(arguments, options)


def _print_classes(arguments, options):
    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.images import finding, reading
    from slim_resnet.inference import classification
    paths = finding.find_images(arguments.images)
    with contextlib.ExitStack() as stack:
        with open_checkpoint(arguments.checkpoint) as opened:
            names = _class_names(arguments, opened)
            network = stack.enter_context(optimize.opened_network(
                opened, arguments.image_size, options, arguments, "classify"))
        batches = reading.read_images(paths, arguments.image_size, arguments.preprocessing,
                                     arguments.batch_size)
        results = itertools.chain.from_iterable(
            classification.classify_batches(network, batches, names, arguments.top or TOP))
        # Where results appear on the terminal as they come, they are the progress.
        if arguments.json or not sys.stdout.isatty():
            results = commands.with_progress(results, len(paths))
        before = json.dumps({
            "checkpoint": arguments.checkpoint, "num_classes": network.num_classes,
            "image_size_pixels": arguments.image_size,
            "preprocessing": arguments.preprocessing})[:-1] + ', "images": ['
        done, unreadable, interrupted = 0, [], False
        try:
            for result in results:
                done += 1
                if result.cause is not None:
                    unreadable.append((result.path, result.cause))
                if arguments.json:
                    print(f"{before}\n{json.dumps(dataclasses.asdict(result))}", end="")
                    before = ","
                else:
                    print("\n".join(table_lines(result)), flush=True)
        except KeyboardInterrupt:
            interrupted = True
        if arguments.json:
            print("" if done else before, '], "interrupted": ', json.dumps(interrupted), "}",
                  sep="")
    status = commands.report_unreadable("classify", unreadable)
    if interrupted:
        return commands.report_interrupted("classify", done, len(paths))
    return status


def _write_classes(arguments, options):
    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.images import finding, reading
    from slim_resnet.inference import classification
    paths = finding.find_images(arguments.images)
    top = arguments.top or TOP
    with contextlib.ExitStack() as stack:
        with open_checkpoint(arguments.checkpoint) as opened:
            names = _class_names(arguments, opened)
            results = commands.open_results(
                arguments, "classify", opened, paths, top=top, names_sha256=_sha256(names))
            if results.finished:
                return commands.write_results("classify", results, [], len(paths), None)[1]
            network = stack.enter_context(optimize.opened_network(
                opened, arguments.image_size, options, arguments, "classify"))
        batches = reading.read_images(paths, arguments.image_size, arguments.preprocessing,
                                     arguments.batch_size, shard=results.shard,
                                     skip=results.batches_done)
        return commands.write_results(
            "classify", results, classification.classify_batches(network, batches, names, top),
            len(paths), network)[1]


def _class_names(arguments, opened):
    from slim_resnet.images.labels import class_names
    from slim_resnet.inference.network import classes_of
    labels = settings_of(arguments.checkpoint, labels=arguments.labels).labels
    return class_names(classes_of(opened), labels)


def _sha256(names):
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def table_lines(result):
    """Returns what is printed for one `classify.Result`."""
    path = commands.printable(result.path)
    if result.cause:
        return [f"{path}: unreadable"]
    return [f"{path}:"] + [
        f"  {probability:8.6f}  {number:4d}  {name or ''}".rstrip() for number, name, probability
        in zip(result.classes, result.names, result.probabilities)]
