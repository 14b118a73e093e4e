"""Measure a checkpoint's top-1 and top-5 accuracy, or what --optimize costs it.

    slim-resnet evaluate resnet_v2_50_2017_04_14.tar.gz imagenet/validation
    slim-resnet evaluate resnet_v2_50.ckpt tfrecords/validation-*
    slim-resnet evaluate resnet_v2_50.ckpt 'tfrecords/*' --output judged --ray
    slim-resnet evaluate resnet_v2_50.ckpt photos --compare

DATA is a folder with one folder of images a class, or TFRecord files in slim's format
(image/encoded, image/class/label), or a folder of them. Sorted class folders are classes
0, 1, ...; 1000 folders for 1001 classes are classes 1, 2, ..., behind the background. Where
records count their labels from 1, --labels-offset 1 says so. Other preparations and offsets are
tried on 32 images: if one fits far better (more than 20 % of them and 3 standard errors more
right), a line on stderr and "better_fit" in JSON say so, and the figures stay as they are.
Unreadable images are left out of the figures, reported, and make the exit status 2.

With --output, what each image was taken for is kept in FILE.jsonl. The same command goes on
with it by --resume after any stop. With --ray many processes or machines share the images,
and --output, which may be left out, names a folder of parts; the figures are the same.

With --compare, DATA is image files or folders to search for them; labels are not needed.
It prints how often the optimised network and the network as it is see the same class and
the same five classes, and the relative error of the logits over all images; and that of
every layer, over the first batch. Errors are the largest (largest difference over largest
value, by image) and the mean (mean difference over mean magnitude). int8 is compared with
float32 however little they agree, on other images than those of --calibrate; the layers are those
of a network that gives all of them, which is calibrated by itself.
"""

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import time
from collections.abc import Sequence
from typing import Any

from slim_resnet.commands import keeping, on_ray, optimize, options, preparation, progress
from slim_resnet.common import terminal
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.common.tables import Column, Table
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import BATCH_SIZE
from slim_resnet.inference import part_formats
from slim_resnet.inference.engines import judged
from slim_resnet.inference.engines.table import ENGINES, TENSORFLOW
from slim_resnet.inference.results import read_rows

HELP = "measure top-1, top-5 and confusion, or what --optimize costs"

# Every layer of the first batch is held at once, 0.1 GB an image at 152 layers.
COMPARED_BATCH_SIZE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_checkpoint(parser)
    parser.add_argument("data", metavar="DATA", nargs="+",
                        help="one folder of class folders or of TFRecord files, or TFRecord "
                        "files; with --compare, images")
    formats = parser.add_mutually_exclusive_group()
    options.add_json(formats, ", with the whole confusion matrix (rows: labels, columns: most "
                     "probable classes)")
    options.add_wide(formats, "; with --compare")
    preparation.add_preparation(parser)
    options.add_moving_averages(parser)
    options.add_labels_offset(parser, "the label of class 0 in DATA")
    options.add_batch_size(parser, None, f"; with --compare {COMPARED_BATCH_SIZE}")
    options.add_engine(parser, "--optimize or --compare")
    parser.add_argument("--compare", action="store_true",
                        help="compare the optimised network, in --precision, with the network as "
                        "it is in float32")
    options.add_selection(parser)
    options.add_plot(parser, "with --compare: the error of every layer")
    keeping.add_arguments(parser)
    on_ray.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.compare:
        return _compare(arguments)
    options.refuse(arguments, ("plot", "theme", "wide"), "goes with --compare")
    network_options = optimize.prepare(arguments, "evaluate")
    arguments.batch_size = arguments.batch_size or BATCH_SIZE
    if on_ray.wanted(arguments):
        return _on_ray(arguments, network_options)
    keeping.check(arguments)
    from slim_resnet.checkpoint.runs import classes_of_run, labels_offset_of_run
    from slim_resnet.images import find_data, read_source
    from slim_resnet.images.labelled import assumed_offset
    from slim_resnet.inference import evaluation, fit
    from slim_resnet.inference.network import classes_of
    results, skip, network, batches, better = None, 0, None, [], None
    with contextlib.ExitStack() as stack:
        with options.opened_checkpoint(arguments, "evaluate") as opened:
            num_classes = classes_of(opened)
            classes = classes_of_run(arguments.checkpoint)
            offset = arguments.labels_offset
            if offset is None:
                offset = assumed_offset(arguments.data, num_classes,
                                        labels_offset_of_run(arguments.checkpoint))
            data = find_data(arguments.data, num_classes, classes, offset,
                             arguments.preprocessing.max_pixels)
            if arguments.output:
                results = stack.enter_context(keeping.opened(
                    arguments, "evaluate", opened, data,
                    **_depends_on(offset, data.classes, getattr(data, "labels", None))))
                skip = results.batches_done
            if not (results and results.finished):
                network = stack.enter_context(optimize.opened_network(
                    opened, arguments.image_size, network_options, arguments, "evaluate"))
                if results:
                    results.noted["quantised"] = network.quantised
                batches = evaluation.judge_batches(network, read_source(
                    data, arguments.image_size, arguments.preprocessing, arguments.batch_size,
                    skip, network.channels))
        if network:
            lines = [_prepared(arguments, offset)]
            if not skip:
                try:
                    better = fit.better_fit(network, data, arguments.image_size,
                                            arguments.preprocessing, offset)
                except KeyboardInterrupt:
                    if results is None:
                        raise
                    return keeping.stopped("evaluate", results, data.num_images)
                lines += [fit.described(better)] if better else []
            batches = progress.saying(batches, "evaluate", *lines, when=progress.any_read)
        if results:
            status = keeping.write("evaluate", results, batches, data.num_images, network)
            if not results.finished:
                return status
            judgements = (evaluation.Judgement(**row) for row in read_rows(arguments.output))
        else:
            judgements = progress.with_progress(itertools.chain.from_iterable(batches),
                                                data.num_images)
        started = time.perf_counter()
        result = evaluation.count(judgements, num_classes)
    _print(arguments, result, data.classes, opened, offset, better, network)
    if results:
        return status
    progress.report_busy("evaluate", result.num_images + len(result.unreadable),
                         time.perf_counter() - started, network.busy_s)
    status = progress.report_unreadable(
        "evaluate", [(judgement.path, judgement.cause) for judgement in result.unreadable])
    if result.interrupted:
        progress.say("evaluate", "interrupted; these are the figures of a part")
        return 130
    return status


def _prepared(arguments, offset):
    return (f"{arguments.prepared}; class 0 has label {offset}"
            f"{', assumed' * (arguments.labels_offset is None)}")


def _depends_on(offset, classes, labels):
    labels = json.dumps([classes, labels])
    return {"labels_offset": offset, "labels_sha256": hashlib.sha256(labels.encode()).hexdigest()}


def _on_ray(arguments, network_options):
    from slim_resnet.checkpoint.runs import classes_of_run, labels_offset_of_run
    from slim_resnet.images import labelled_parts
    from slim_resnet.inference import evaluation, fit
    from slim_resnet.inference.network import classes_of
    size, better = on_ray.part_images(arguments.batch_size), None
    with contextlib.ExitStack() as stack:
        folder = arguments.output or os.path.join(
            stack.enter_context(temporary_folder()), "parts")
        suffix = part_formats.suffix_of(folder, part_formats.ROWS)
        with options.opened_checkpoint(arguments, "evaluate") as opened:
            num_classes = classes_of(opened)
            data = labelled_parts.find_labelled(
                arguments.data, num_classes, classes_of_run(arguments.checkpoint),
                arguments.labels_offset, labels_offset_of_run(arguments.checkpoint),
                arguments.preprocessing.max_pixels)
            offset = data.labels_offset
            parts = stack.enter_context(on_ray.parts_of(
                arguments, "evaluate", opened, data.source, folder, suffix, size,
                **_depends_on(offset, data.classes, getattr(data.source, "labels", None))))
            job = on_ray.job(arguments, "evaluate", opened, suffix, network_options)
            lines = [_prepared(arguments, offset)]
            if not parts.done:
                with optimize.opened_network(opened, arguments.image_size, network_options,
                                             arguments, "evaluate") as network:
                    better = fit.better_fit(network, data.sample(), arguments.image_size,
                                            arguments.preprocessing, offset)
                lines += [fit.described(better)] if better else []
        status = on_ray.run(arguments, "evaluate", parts, job, data.source, size, lines,
                            kept=bool(arguments.output))
        if not parts.finished:
            return status
        result = evaluation.count(
            (evaluation.Judgement(**row) for content in parts.contents()
             for row in part_formats.decode_rows(content, suffix)), num_classes)
    _print(arguments, result, data.classes, opened, offset, better, None)
    if not arguments.output:
        progress.report_unreadable("evaluate", [(judgement.path, judgement.cause)
                                                for judgement in result.unreadable])
    return status


def _print(arguments, result, names, opened, labels_offset, better, network):
    if arguments.json:
        print(json.dumps(_document(arguments, result, names, opened, labels_offset, better,
                                   network)))
    else:
        print("\n".join(table_lines(result, names)))


def _document(arguments, result, names, opened, labels_offset, better, network):
    # What is finished was done by an engine of the same version.
    row = optimize.resolve(arguments) or ENGINES[TENSORFLOW]
    return {**options.checkpoint_record(arguments), "data": arguments.data,
            "optimized": arguments.optimize, "precision": arguments.precision or PRECISIONS[0],
            "engine": row.described, "quantised": network and network.quantised,
            "image_size_pixels": arguments.image_size,
            **arguments.preprocessing.as_record(), "labels_offset": labels_offset,
            "better_fit": better and better[1].as_record(),
            "moving_averages": opened.use_moving_averages, "interrupted": result.interrupted,
            "num_images": result.num_images,
            "top_1_percent": 100 * result.top_1, "top_5_percent": 100 * result.top_5,
            "unreadable": [{"name": judgement.path, "cause": judgement.cause}
                           for judgement in result.unreadable],
            "classes": names, "confusion": result.confusion.tolist()}


def table_lines(result: Any, names: Sequence[str | None]) -> list[str]:
    """Returns what is printed for an `evaluation.Evaluation`.

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
    return f"{number} ({printable(names[number])})" if names[number] else str(number)


def _compare(arguments):
    options.refuse(arguments, ("output", "resume", "ray", "ray-cpus"),
                   "keeps what images are taken for, and --compare keeps nothing; leave one out")
    options.refuse(arguments, ("labels-offset",), "is of labels, and --compare needs none")
    options.refuse(arguments, ("accept",), "takes int8 that agrees too little, and --compare only "
                   "says how little; leave one out")
    options.check_files(arguments)
    row = optimize.resolve(arguments)
    # The network that is compared with is TensorFlow's in any case.
    optimize.turn_onednn_on(arguments.verbose, "evaluate")
    from slim_resnet.images import finding
    from slim_resnet.inference import accuracy
    paths, calibration = finding.find_images(arguments.data), None
    if arguments.calibrate:
        _check_others(paths, arguments)
    with options.opened_checkpoint(arguments, "evaluate") as opened:
        moving_averages = opened.use_moving_averages
        if arguments.calibrate:
            calibration = optimize.calibration_images(arguments, opened, "evaluate")
        result = accuracy.measure(
            arguments.checkpoint, paths, use_moving_averages=moving_averages,
            precision=arguments.precision or PRECISIONS[0], engine=row.name,
            image_size=arguments.image_size, preprocessing=arguments.preprocessing,
            batch_size=arguments.batch_size or COMPARED_BATCH_SIZE, calibration=calibration,
            progress=lambda batches: progress.saying(progress.with_progress(
                batches, len(paths), size=lambda batch: len(batch.names)), "evaluate",
                arguments.prepared))
    record = accuracy.as_record(result)
    if result.quantised:
        progress.say("evaluate", judged.described(result.quantised))
    if arguments.json:
        print(json.dumps(dict(record, **options.checkpoint_record(arguments), data=arguments.data,
                              image_size_pixels=arguments.image_size,
                              **arguments.preprocessing.as_record(),
                              moving_averages=moving_averages), indent=1))
    else:
        terminal.show([*comparison_lines(record),
                       *terminal.table_lines(layer_table(record), arguments.wide)])
    if arguments.plot:
        from slim_resnet.pictures import plots
        plots.plot_accuracy(record, arguments.plot, arguments.theme)
    return progress.report_unreadable("evaluate", result.unreadable)


def _check_others(paths, arguments):
    """Raises `SlimResnetError` if int8 would be compared on what it was calibrated with."""
    known = set(map(os.path.realpath, optimize.calibration_files(arguments)))
    same = [path for path in paths if os.path.realpath(path) in known]
    if same:
        raise SlimResnetError(f"{same[0]}: is in DATA and in --calibrate ({len(same)} in all); "
                              "int8 is to be compared on images that it was not calibrated with")


def comparison_lines(record: dict) -> list[str]:
    """Returns what is printed for an `accuracy.as_record`, but for its layers."""
    logits, quantised = record["logits"], record["quantised"]
    by = f", by {quantised['quantiser']}" if quantised else ""
    return [f"precision        {record['precision']}{by}",
            f"engine           {record['engine']}",
            f"images           {record['num_images']}",
            f"top-1 agreement  {record['top_1_agreement_percent']:.2f} %",
            f"top-5 agreement  {record['top_5_agreement_percent']:.2f} %",
            f"logits           relative error: largest {logits['largest']:.2e}, "
            f"mean {logits['mean']:.2e}",
            "",
            f"layers, over {record['layer_images']} images:"]


def layer_table(record: dict) -> Table:
    """Returns the table of the layers of an `accuracy.as_record`."""
    layers = record["layers"]
    return Table([Column("end point", [layer["end_point"] for layer in layers]),
                  *(Column(error, [f"{layer[error]:.2e}" for layer in layers])
                    for error in ("largest", "mean"))], names="Keys")
