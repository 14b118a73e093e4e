"""Measure a checkpoint's top-1 and top-5 accuracy and its confusions.

    slim-resnet evaluate resnet_v2_50_2017_04_14.tar.gz imagenet/validation
    slim-resnet evaluate resnet_v2_50.ckpt tfrecords/validation-*

DATA is a folder with one folder of images a class, or TFRecord files in slim's format
(image/encoded, image/class/label), or a folder of them. Sorted class folders are classes
0, 1, ...; 1000 folders for 1001 classes are classes 1, 2, ..., behind the background.
Unreadable images are left out of the figures, reported, and make the exit status 2.

With --output, what each image was taken for is kept in FILE.jsonl. The same command goes on
with it by --resume after any stop, and several processes share the images by --cluster, as
slim-resnet classify --help says; the task that finishes last prints the figures.
"""

import contextlib
import itertools
import json
import sys
import time

from slim_resnet import commands
from slim_resnet.commands import optimize
from slim_resnet.inference.results import read_rows

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
    parser.add_argument("--output", metavar="FILE.jsonl",
                        help="also write a line of JSON an image, as they come")
    commands.add_resume_argument(parser)
    commands.add_image_arguments(parser)
    commands.add_cluster_arguments(parser)
    optimize.add_arguments(parser)


def run(arguments):
    options = optimize.prepare(arguments, "evaluate")
    commands.check_output_options(arguments)
    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.checkpoint.runs import classes_of_run
    from slim_resnet.images import find_data, read_source
    from slim_resnet.inference import evaluation
    from slim_resnet.inference.network import classes_of
    results, shard, skip, network = None, (0, 1), 0, None
    with contextlib.ExitStack() as stack:
        with open_checkpoint(arguments.checkpoint) as opened:
            num_classes = classes_of(opened)
            classes = classes_of_run(arguments.checkpoint)
            data = find_data(arguments.data, num_classes, classes)
            if arguments.output:
                results = commands.open_results(arguments, "evaluate", opened, data.files)
                shard, skip = results.shard, results.batches_done
            if not (results and results.finished):
                network = stack.enter_context(optimize.opened_network(
                    opened, arguments.image_size, options, arguments, "evaluate"))
        batches = []
        if network:
            batches = evaluation.judge_batches(network, read_source(
                data, arguments.image_size, arguments.preprocessing, arguments.batch_size, shard,
                skip))
        if results:
            whole, status = commands.write_results("evaluate", results, batches, data.num_images,
                                                   network)
            if not whole:
                return status
            judgements = (evaluation.Judgement(**row) for row in read_rows(arguments.output))
        else:
            judgements = commands.with_progress(itertools.chain.from_iterable(batches),
                                                data.num_images)
        started = time.perf_counter()
        result = evaluation.count(judgements, num_classes)
    if arguments.json:
        print(json.dumps(_document(arguments, result, data.classes)))
    else:
        print("\n".join(table_lines(result, data.classes)))
    if results:
        return status
    commands.report_busy("evaluate", result.num_images + len(result.unreadable),
                         time.perf_counter() - started, network.busy_s)
    status = commands.report_unreadable(
        "evaluate", [(judgement.path, judgement.cause) for judgement in result.unreadable])
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
            "unreadable": [{"name": judgement.path, "cause": judgement.cause}
                           for judgement in result.unreadable],
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
