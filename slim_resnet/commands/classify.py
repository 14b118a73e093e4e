"""Classify images with a checkpoint.

    slim-resnet classify resnet_v2_50_2017_04_14.tar.gz photo.jpg --labels imagenet.txt
    slim-resnet classify resnet_v2_50.ckpt photos --output classes.jsonl --resume
    slim-resnet classify resnet_v2_50.ckpt photo.jpg --engine auto
    slim-resnet classify resnet_v2_50.ckpt 'photos/*.png' --output classes --ray

For every image the most probable classes are printed: probability, class number, name.
With 1001 classes, class 0 is the background: none of the others. An unreadable image is
reported when the rest are done, and makes the exit status 2. Ctrl-C keeps what there is.
For the values of a layer see slim-resnet end-points --save.

FILE.jsonl may be stopped at any moment, in any way: the same command goes on with it by
--resume, and writes what it would have written without the stop. FILE.jsonl.run.json says
what made it.

With --ray many processes or machines share the images, and --output names a folder of parts;
it goes on in the same way. One behind the other they have the lines of FILE.jsonl.

With another engine the network is kept in the user's cache. From there, without --output and
for up to 64 JPEG and PNG files, the same numbers come without TensorFlow being imported.
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
from slim_resnet.commands import (
    cached,
    keeping,
    on_ray,
    optimize,
    options,
    preparation,
    progress,
)
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import finding
from slim_resnet.images.labels import class_names
from slim_resnet.inference import part_formats

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
    options.add_engine(parser)
    options.add_selection(parser)
    keeping.add_arguments(parser)
    on_ray.add_arguments(parser)
    parser.set_defaults(complete=_complete)


def _complete(arguments):
    if not (arguments.output or on_ray.wanted(arguments)):
        arguments.known = cached.known
    preparation.complete(arguments)


def run(arguments: argparse.Namespace) -> int:
    network_options = optimize.prepare(arguments, "classify")
    if arguments.json and arguments.output:
        raise SlimResnetError("--json prints and --output writes; leave one out")
    if on_ray.wanted(arguments):
        return _on_ray(arguments, network_options)
    keeping.check(arguments)
    paths = finding.find_images(arguments.images)
    network = None if arguments.output else cached.network(arguments)
    if network:
        with network:
            return _from_cache(arguments, paths, network)
    from slim_resnet.images import reading
    from slim_resnet.images.sources import ImageFiles
    from slim_resnet.inference import classification
    from slim_resnet.inference.network import classes_of
    results, skip = None, 0
    with contextlib.ExitStack() as stack:
        with options.opened_checkpoint(arguments, "classify") as opened:
            names = _class_names(arguments, classes_of(opened))
            if arguments.output:
                results = stack.enter_context(keeping.opened(
                    arguments, "classify", opened, ImageFiles(paths),
                    **_depends_on(arguments, names)))
                if results.finished:
                    return keeping.write("classify", results, [], len(paths), None)
                skip = results.batches_done
            network = stack.enter_context(optimize.opened_network(
                opened, arguments.image_size, network_options, arguments, "classify"))
            if results:
                results.noted["quantised"] = network.quantised
            elif getattr(network, "kept_in", None):
                cached.remember(arguments, opened)
            batches = classification.classify_batches(network, reading.read_images(
                paths, arguments.image_size, arguments.preprocessing, arguments.batch_size,
                skip=skip, channels=network.channels), names, arguments.top)
        batches = progress.saying(batches, "classify", arguments.prepared,
                                  when=progress.any_read)
        if results:
            return keeping.write("classify", results, batches, len(paths), network)
        return _print(arguments, itertools.chain.from_iterable(batches), len(paths), network,
                      opened.use_moving_averages)


def _from_cache(arguments, paths, network):
    """Classifies without TensorFlow, unless a file is none that can be read so."""
    from slim_resnet.images import plain_reading
    from slim_resnet.inference import classification
    facts = cached.known(arguments)
    names = _class_names(arguments, facts["num_classes"])
    optimize.say_engine(network, "classify")
    options.say_averages(arguments, "classify", *facts["averages"])
    options.say_assumed(arguments, "classify", facts["assumed"])
    batches = classification.classify_batches(network, plain_reading.read_images(
        paths, arguments.image_size, arguments.preprocessing, arguments.batch_size,
        network.channels), names, arguments.top)
    batches = progress.saying(batches, "classify", arguments.prepared, when=progress.any_read)
    status = _print(arguments, itertools.chain.from_iterable(batches), len(paths), network,
                    facts["averages"][0])
    if arguments.verbose:
        optimize.say_parts(network)
    return status


def _depends_on(arguments, names):
    return {"top": arguments.top,
            "names_sha256": hashlib.sha256(json.dumps(names).encode()).hexdigest()}


def _on_ray(arguments, network_options):
    if not arguments.output:
        raise SlimResnetError("--ray needs --output FOLDER, for the parts")
    from slim_resnet.images import labelled_parts
    from slim_resnet.inference.network import classes_of
    source = labelled_parts.find(arguments.images, arguments.preprocessing.max_pixels)
    suffix = part_formats.suffix_of(arguments.output, part_formats.ROWS)
    size = on_ray.part_images(arguments.batch_size)
    with contextlib.ExitStack() as stack:
        with options.opened_checkpoint(arguments, "classify") as opened:
            names = _class_names(arguments, classes_of(opened))
            parts = stack.enter_context(on_ray.parts_of(
                arguments, "classify", opened, source, arguments.output, suffix, size,
                **_depends_on(arguments, names)))
            job = on_ray.job(arguments, "classify", opened, suffix, network_options, names=names,
                             top=arguments.top)
        return on_ray.run(arguments, "classify", parts, job, source, size, [arguments.prepared])


def _print(arguments, results, total, network, moving_averages):
    # Where results appear on the terminal as they come, they are the progress.
    if not sys.stdout.isatty():
        results = progress.with_progress(results, total)
    before = json.dumps({
        **options.checkpoint_record(arguments), "num_classes": network.num_classes,
        "optimized": arguments.optimize, "precision": network.precision,
        "engine": network.engine, "quantised": network.quantised,
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


def _class_names(arguments, num_classes):
    labels = settings_of(arguments.checkpoint, arguments.image_size,
                         arguments.preprocessing, arguments.labels).labels
    return class_names(num_classes, labels, arguments.labels_offset)


def table_lines(result: Any) -> list[str]:
    """Returns what is printed for one `classification.Result`."""
    path = printable(result.path)
    if result.cause:
        return [f"{path}: unreadable"]
    return [f"{path}:"] + [
        f"  {probability:8.6f}  {number:4d}  {printable(name or '')}".rstrip()
        for number, name, probability in zip(result.classes, result.names, result.probabilities)]
