"""Compare a checkpoint's optimised network with the network as it is, on images.

    slim-resnet accuracy resnet_v2_50_2017_04_14.tar.gz photos

Prints how often both see the same class and the same five classes, and the relative error
of the logits over all images; and that of every layer, over the first batch. Errors are
the largest (largest difference over largest value, by image) and the mean (mean difference
over mean magnitude).
"""

import json

from slim_resnet import commands
from slim_resnet.commands import optimize
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.common.files import check_writable
from slim_resnet.common.tables import format_table

HELP = "compare the optimised network with the network as it is"


def add_arguments(parser):
    parser.add_argument("checkpoint", metavar="CHECKPOINT",
                        help="checkpoint file or prefix, folder, or released .tar.gz")
    parser.add_argument("images", metavar="IMAGE", nargs="+",
                        help="JPEG, PNG, GIF or BMP file, or a folder to search for them")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto",
                        help="of the optimised network (default: auto)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--plot", metavar="FILE",
                        help="the error of every layer, as .png, .svg or .pdf (extra: plot)")
    commands.add_image_arguments(parser, batch_size=2)


def run(arguments):
    if arguments.plot:
        from slim_resnet.pictures import plots
        check_writable(arguments.plot)
        plots.check_plot_file(arguments.plot)
    optimize.turn_onednn_on(arguments.verbose, "accuracy")
    from slim_resnet.images import finding
    from slim_resnet.inference import accuracy
    paths = finding.find_images(arguments.images)
    result = accuracy.measure(
        arguments.checkpoint, paths, precision=arguments.precision,
        image_size=arguments.image_size, preprocessing=arguments.preprocessing,
        batch_size=arguments.batch_size,
        progress=lambda batches: commands.with_progress(
            batches, len(paths), size=lambda batch: len(batch.names)))
    record = accuracy.as_record(result)
    if arguments.json:
        print(json.dumps(dict(record, checkpoint=arguments.checkpoint), indent=1))
    else:
        print("\n".join(table_lines(record)))
    if arguments.plot:
        plots.plot_accuracy(record, arguments.plot)
    return commands.report_unreadable("accuracy", result.unreadable)


def table_lines(record):
    """Returns what is printed for an `accuracy.as_record`."""
    logits = record["logits"]
    return [f"precision        {record['precision']}",
            f"images           {record['num_images']}",
            f"top-1 agreement  {record['top_1_agreement_percent']:.2f} %",
            f"top-5 agreement  {record['top_5_agreement_percent']:.2f} %",
            f"logits           relative error: largest {logits['largest']:.2e}, "
            f"mean {logits['mean']:.2e}",
            "",
            f"layers, over {record['layer_images']} images:",
            *format_table(["end point", "largest", "mean"],
                          [[layer["end_point"], f"{layer['largest']:.2e}", f"{layer['mean']:.2e}"]
                           for layer in record["layers"]])]
