"""Measure a checkpoint's top-1 and top-5 accuracy and its confusions.

    slim-resnet evaluate resnet_v2_50_2017_04_14.tar.gz imagenet/validation
    slim-resnet evaluate resnet_v2_50.ckpt tfrecords/validation-*

DATA is a folder with one folder of images a class, or TFRecord files in slim's format
(image/encoded, image/class/label), or a folder of them. Sorted class folders are classes
0, 1, ...; 1000 folders for 1001 classes are classes 1, 2, ..., behind the background.
Unreadable images are left out of the figures, reported, and make the exit status 2.
"""

import contextlib
import json
import sys

from slim_resnet import commands

HELP = "measure top-1, top-5 and confusion on labelled images"


def add_arguments(parser):
    parser.add_argument("checkpoint", metavar="CHECKPOINT",
                        help="checkpoint file or prefix, folder, or released .tar.gz")
    parser.add_argument("data", metavar="DATA", nargs="+",
                        help="one folder of class folders or of TFRecord files, "
                        "or TFRecord files")
    parser.add_argument("--json", action="store_true",
                        help="print one JSON document, with the whole confusion matrix "
                        "(rows: labels, columns: most probable classes)")
    commands.add_image_arguments(parser)
    commands.add_optimize_arguments(parser)


def run(arguments):
    options = commands.prepare_optimize(arguments, "evaluate")
    from slim_resnet import evaluate
    from slim_resnet.checkpoint import open_checkpoint
    from slim_resnet.network import classes_of
    with contextlib.ExitStack() as stack:
        with open_checkpoint(arguments.checkpoint) as opened:
            examples, total, names = evaluate.read_labelled(
                arguments.data, classes_of(opened), arguments.image_size, arguments.preprocessing)
            network = stack.enter_context(commands.opened_network(
                opened, arguments.image_size, options, arguments, "evaluate"))
        result = evaluate.evaluate_examples(
            network, commands.with_progress(examples, total), arguments.batch_size)
    if arguments.json:
        print(json.dumps(_document(arguments, result, names)))
    else:
        print("\n".join(table_lines(result, names)))
    status = commands.report_unreadable(
        "evaluate", [(example.name, example.cause) for example in result.unreadable])
    if result.interrupted:
        print("slim-resnet evaluate: interrupted; these are the figures of a part",
              file=sys.stderr)
        return 130
    return status


def _document(arguments, result, names):
    return {"checkpoint": arguments.checkpoint, "data": arguments.data,
            "image_size_pixels": arguments.image_size,
            "preprocessing": arguments.preprocessing, "interrupted": result.interrupted,
            "num_images": result.num_images,
            "top_1_percent": 100 * result.top_1, "top_5_percent": 100 * result.top_5,
            "unreadable": [{"name": example.name, "cause": example.cause}
                           for example in result.unreadable],
            "classes": names, "confusion": result.confusion.tolist()}


def table_lines(result, names):
    """Returns what is printed for an `evaluate.Evaluation`.

    Args:
      result: The evaluation.
      names: Name of every class; None where unknown.
    """
    lines = [f"images      {result.num_images}",
             f"unreadable  {len(result.unreadable)}",
             f"top-1       {100 * result.top_1:.2f} %",
             f"top-5       {100 * result.top_5:.2f} %"]
    pairs = result.most_confused()
    if pairs:
        lines.append("most confused (images, label -> most probable class):")
        lines += [f"  {count:6d}  {_class(label, names)} -> {_class(predicted, names)}"
                  for label, predicted, count in pairs]
    return lines


def _class(number, names):
    return f"{number} ({commands.printable(names[number])})" if names[number] else str(number)
