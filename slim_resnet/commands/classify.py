"""Classify images with a checkpoint, or write the features of a layer.

    slim-resnet classify resnet_v2_50_2017_04_14.tar.gz photo.jpg --labels imagenet.txt
    slim-resnet classify resnet_v2_50.ckpt photos --features global_pool --output features.npz

For every image the most probable classes are printed: probability, class number, name.
With 1001 classes, class 0 is the background: none of the others. An unreadable image is
reported when the rest are done, and makes the exit status 2. Ctrl-C keeps what there is.
"""

import dataclasses
import json
import sys

from slim_resnet import commands
from slim_resnet.errors import SlimResnetError

HELP = "classify images, or write their features"


def add_arguments(parser):
    parser.add_argument("checkpoint", metavar="CHECKPOINT",
                        help="checkpoint file or prefix, folder, or released .tar.gz")
    parser.add_argument("images", metavar="IMAGE", nargs="+",
                        help="JPEG, PNG, GIF or BMP file, or a folder to search for them")
    parser.add_argument("--labels", metavar="FILE",
                        help="names of classes, one a line; for 1001 classes, 1000 lines "
                        "will do, and background is put before them")
    parser.add_argument("--top", type=commands.positive_int, metavar="N",
                        help="classes an image (default: 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--features", metavar="END_POINT",
                        help="write this end point instead of classes, e.g. global_pool")
    parser.add_argument("--output", metavar="FILE.npz",
                        help="where --features go: arrays features, files and errors")
    commands.add_image_arguments(parser)


def run(arguments):
    if (arguments.features is None) != (arguments.output is None):
        raise SlimResnetError("--features and --output go together; give both or neither")
    if arguments.features is not None:
        for option in ("labels", "top", "json"):
            if getattr(arguments, option):
                raise SlimResnetError(f"--{option} says how to print classes, and --features "
                                      "writes none; leave one out")
        return commands.write_features(
            "classify", arguments.checkpoint, arguments.images,
            {"features": arguments.features}, arguments.output, arguments)
    return _classify(arguments)


def _classify(arguments):
    from slim_resnet import classify, images
    from slim_resnet.checkpoint import open_checkpoint
    from slim_resnet.network import Network, classes_of
    paths = images.find_images(arguments.images)
    with open_checkpoint(arguments.checkpoint) as opened:
        names = classify.class_names(classes_of(opened), arguments.labels)
        network = Network(opened, arguments.image_size)
    with network:
        examples = images.read_images(paths, arguments.image_size, arguments.preprocessing)
        results = classify.classify_examples(network, examples, names, arguments.top or 5,
                                             arguments.batch_size)
        # Where results appear on the terminal as they come, they are the progress.
        if arguments.json or not sys.stdout.isatty():
            results = commands.with_progress(results, len(paths))
        done, interrupted = [], False
        try:
            for result in results:
                done.append(result)
                if not arguments.json:
                    print("\n".join(table_lines(result)), flush=True)
        except KeyboardInterrupt:
            interrupted = True
        if arguments.json:
            print(json.dumps({
                "checkpoint": arguments.checkpoint, "num_classes": network.num_classes,
                "image_size_pixels": arguments.image_size,
                "preprocessing": arguments.preprocessing, "interrupted": interrupted,
                "images": [dataclasses.asdict(result) for result in done]}, indent=1))
    status = commands.report_unreadable(
        "classify", [(result.path, result.cause) for result in done if result.cause])
    if interrupted:
        return commands.report_interrupted("classify", len(done), len(paths))
    return status


def table_lines(result):
    """Returns what is printed for one `classify.Result`."""
    path = commands.printable(result.path)
    if result.cause:
        return [f"{path}: unreadable"]
    return [f"{path}:"] + [
        f"  {probability:8.6f}  {number:4d}  {name or ''}".rstrip() for number, name, probability
        in zip(result.classes, result.names, result.probabilities)]
