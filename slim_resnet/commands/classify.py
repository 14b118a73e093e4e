"""Classify images with a checkpoint.

    slim-resnet classify resnet_v2_50_2017_04_14.tar.gz photo.jpg --labels imagenet.txt
    slim-resnet classify resnet_v2_50.ckpt photos --output classes.jsonl --resume

For every image the most probable classes are printed: probability, class number, name.
With 1001 classes, class 0 is the background: none of the others. An unreadable image is
reported when the rest are done, and makes the exit status 2. Ctrl-C keeps what there is.
For the values of a layer see slim-resnet end-points --save.

FILE.jsonl may be stopped at any moment, in any way: the same command goes on with it by
--resume, and writes what it would have written without the stop. FILE.jsonl.run.json says
what made it. Several processes share the images by --cluster (or TF_CONFIG), each with a
part of its own, FILE.jsonl-00000-of-00002; whichever finishes last writes FILE.jsonl. They
need to see the same files under the same names, and do not speak to each other.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import itertools
import json
import sys
from typing import Any

from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.commands import keeping, optimize, options, preparation, progress
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError

HELP = "classify images"
TOP = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_checkpoint(parser)
    options.add_images(parser)
    options.add_labels(parser)
    parser.add_argument("--top", type=options.positive_int, default=TOP, metavar="N",
                        help="classes an image (default: %(default)s)")
    options.add_json(parser)
    preparation.add_preparation(parser)
    options.add_moving_averages(parser)
    options.add_batch_size(parser)
    options.add_optimize(parser)
    options.add_selection(parser)
    keeping.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    network_options = optimize.prepare(arguments, "classify")
    keeping.check(arguments)
    if arguments.json and arguments.output:
        raise SlimResnetError("--json prints and --output writes; leave one out")
    from slim_resnet.images import finding, reading
    from slim_resnet.images.sources import ImageFiles
    from slim_resnet.inference import classification
    paths = finding.find_images(arguments.images)
    results, shard, skip = None, (0, 1), 0
    with contextlib.ExitStack() as stack:
        with options.opened_checkpoint(arguments, "classify") as opened:
            names = _class_names(arguments, opened)
            if arguments.output:
                results = stack.enter_context(keeping.opened(
                    arguments, "classify", opened, ImageFiles(paths), top=arguments.top,
                    names_sha256=hashlib.sha256(json.dumps(names).encode()).hexdigest()))
                if results.finished:
                    return keeping.write("classify", results, [], len(paths), None)[1]
                shard, skip = results.shard, results.batches_done
            network = stack.enter_context(optimize.opened_network(
                opened, arguments.image_size, network_options, arguments, "classify"))
            batches = classification.classify_batches(network, reading.read_images(
                paths, arguments.image_size, arguments.preprocessing, arguments.batch_size,
                shard=shard, skip=skip, channels=network.channels), names, arguments.top)
        batches = progress.saying(batches, "classify", arguments.prepared,
                                  when=progress.any_read)
        if results:
            return keeping.write("classify", results, batches, len(paths), network)[1]
        return _print(arguments, itertools.chain.from_iterable(batches), len(paths), network,
                      opened.use_moving_averages)


def _print(arguments, results, total, network, moving_averages):
    # Where results appear on the terminal as they come, they are the progress.
    if not sys.stdout.isatty():
        results = progress.with_progress(results, total)
    before = json.dumps({
        **options.checkpoint_record(arguments), "num_classes": network.num_classes,
        "optimized": arguments.optimize, "precision": network.precision,
        "image_size_pixels": arguments.image_size,
        **arguments.preprocessing.as_record(),
        "moving_averages": moving_averages})[:-1] + ', "images": ['
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
        print("" if done else before, '], "interrupted": ', json.dumps(interrupted), "}", sep="")
    status = progress.report_unreadable("classify", unreadable)
    return progress.report_interrupted("classify", done, total) if interrupted else status


def _class_names(arguments, opened):
    from slim_resnet.images.labels import class_names
    from slim_resnet.inference.network import classes_of
    labels = settings_of(arguments.checkpoint, arguments.image_size,
                         arguments.preprocessing, arguments.labels).labels
    return class_names(classes_of(opened), labels, arguments.labels_offset)


def table_lines(result: Any) -> list[str]:
    """Returns what is printed for one `classification.Result`."""
    path = printable(result.path)
    if result.cause:
        return [f"{path}: unreadable"]
    return [f"{path}:"] + [
        f"  {probability:8.6f}  {number:4d}  {printable(name or '')}".rstrip()
        for number, name, probability in zip(result.classes, result.names, result.probabilities)]
