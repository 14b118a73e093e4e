"""Write one self-contained page about a checkpoint and what it makes of images.

    slim-resnet report resnet_v2_50_2017_04_14.tar.gz photo.jpg --output report.html
    slim-resnet report resnet_v2_50.ckpt photos --output report.html --benchmark run.json

The page shows what was recognised, the network's diagram, for every image the most
probable classes and what speaks for the first of them and where, feature maps, statistics
along the depth, and the end points as a table to sort and search. It asks for nothing
outside itself. An unreadable image is reported on it and makes the exit status 2. Ctrl-C
keeps what there is.
"""

import argparse

from slim_resnet.benchmark import records
from slim_resnet.commands import options, preparation, progress
from slim_resnet.common.files import atomic_write, check_writable

HELP = "write one page about a checkpoint and images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_checkpoint(parser)
    options.add_images(parser)
    parser.add_argument("--output", metavar="FILE.html", required=True, help="where the page goes")
    options.add_labels(parser)
    parser.add_argument("--benchmark", metavar="FILE.json",
                        help="show these timings: a record of slim-resnet benchmark --json")
    options.add_end_points(parser, "maps to show, the first 6 of them (default: conv1 and the "
                           "blocks)")
    parser.add_argument("--max-images", type=options.positive_int, default=20, metavar="N",
                        help="images on the page, a megabyte each or more (default: %(default)s)")
    preparation.add_preparation(parser)
    options.add_moving_averages(parser)
    options.add_batch_size(parser)
    options.add_selection(parser)


def run(arguments: argparse.Namespace) -> int:
    check_writable(arguments.output)
    from slim_resnet.pictures import drawing
    drawing.figure_class()
    benchmark = records.read_record(arguments.benchmark) if arguments.benchmark else None
    from slim_resnet.report import making
    with options.opened_checkpoint(arguments, "report") as opened:
        page = making.make(
            opened, arguments.images, arguments.labels,
            image_size=arguments.image_size, preprocessing=arguments.preprocessing,
            batch_size=arguments.batch_size, end_points=arguments.end_points,
            max_images=arguments.max_images, benchmark=benchmark,
            labels_offset=arguments.labels_offset, progress=progress.with_progress)
    with atomic_write(arguments.output) as file:
        file.write(page.html)
    progress.say("report", arguments.prepared)
    status = progress.report_unreadable("report", page.unreadable)
    if page.interrupted:
        return progress.report_interrupted("report", page.shown, page.total)
    if page.shown < page.total:
        progress.say("report", f"{page.total - page.shown} of {page.total} images were left out; "
                     "--max-images takes more")
    return status
