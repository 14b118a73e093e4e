"""Looks into checkpoints of slim's networks, and makes them of other files.

A PATH is a V1 file, the prefix of a V2 checkpoint, a folder with one, the released .tar.gz, or
a file that slim-resnet export wrote: .npz, .safetensors, .keras, a frozen graph, a SavedModel.
Keras' own files of ResNet V2, .keras and .h5, are read too. All subcommands read every value,
and so find what is damaged. A table that is wider than the terminal leaves columns out, first
dtype and kind, then counts of infinity and NaN if there are none, values, and with --stats max,
min and shape; a last line says which.

    slim-resnet checkpoint describe resnet_v2_50_2017_04_14.tar.gz --stats
    slim-resnet checkpoint diff resnet_v2_50_2017_04_14.tar.gz resnet_v2_50.ckpt
    slim-resnet checkpoint convert resnet_v2_50.ckpt resnet_v2_50_v2.ckpt
"""

import argparse
import contextlib
import json
import math
import os

from slim_resnet.commands import options
from slim_resnet.commands.progress import say, with_progress
from slim_resnet.commands.written import print_written
from slim_resnet.common import terminal
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.formats import export_checkpoint

HELP = "describe a checkpoint, compare two, or make one of another file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    describe = actions.add_parser("describe", help="what network, and a table of its variables")
    describe.add_argument("checkpoint", metavar="PATH")
    describe.add_argument("--stats", action="store_true",
                          help="add mean, std, min, max and the counts of NaN and infinity")
    options.add_selection(describe)
    describe.set_defaults(act=_describe)
    diff = actions.add_parser(
        "diff", help="what differs; exit status 0 when nothing does, 1 when something does")
    diff.add_argument("path", metavar="A")
    diff.add_argument("other", metavar="B")
    diff.set_defaults(act=_diff)
    convert = actions.add_parser(
        "convert", help="write what a file holds as a checkpoint for slim's own Saver")
    convert.add_argument("checkpoint", metavar="SOURCE")
    convert.add_argument("output", metavar="TARGET", help="file of V1, prefix of V2")
    convert.add_argument("--format", choices=("v1", "v2"), default="v2",
                         help="default: %(default)s")
    convert.set_defaults(act=_convert)
    for action in (describe, diff):
        formats = action.add_mutually_exclusive_group()
        options.add_json(formats)
        options.add_wide(formats)


def run(arguments: argparse.Namespace) -> int | None:
    return arguments.act(arguments)


def _describe(arguments):
    from slim_resnet.checkpoint import description
    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.checkpoint.recognition import UnbuildableNetwork, recognise

    options.select(arguments)
    with open_checkpoint(arguments.checkpoint) as checkpoint:
        try:
            recognised = recognise(checkpoint)
        except UnbuildableNetwork as network:
            recognised = network
        rows = []
        for name in with_progress(checkpoint.shapes, len(checkpoint.shapes), "variables"):
            value = checkpoint.tensor(name)
            rows.append({**description.variable_row(checkpoint, recognised, name),
                         **(description.value_statistics(value) if arguments.stats else {})})
        record = description.description(checkpoint, recognised, rows)
    if arguments.json:
        print(json.dumps(record, indent=1, allow_nan=False))
    else:
        width = None if arguments.wide else terminal.width()
        terminal.show([*map(printable, description.description_lines(record, width)),
                       *terminal.table_lines(description.variable_table(record), arguments.wide)])


def _diff(arguments):
    from slim_resnet.checkpoint import description
    from slim_resnet.checkpoint.reader import open_checkpoint

    with open_checkpoint(arguments.path) as a, open_checkpoint(arguments.other) as b:
        names = sorted({**a.shapes, **b.shapes})
        record = description.difference(
            a, b, with_progress(names, len(names), "variables"))
    equal = not any(record[key] for key in ("only_in_a", "only_in_b", "shapes", "dtypes", "values"))
    if arguments.json:
        for row in record["values"]:
            if row["largest"] is not None and math.isinf(row["largest"]):
                row["largest"] = "infinity"
        print(json.dumps(dict(record, same=equal), indent=1, allow_nan=False))
    else:
        lines = terminal.table_lines(description.difference_table(record), arguments.wide)
        if lines:
            lines = [printable(f"{side}: {record[side.lower()]}") for side in "AB"] + ["", *lines]
        count = sum(map(len, filter(lambda value: isinstance(value, list), record.values())))
        terminal.show([*lines, f"{count} differences, {record['equal']} variables equal"])
    return 0 if equal else 1


def _convert(arguments):
    with contextlib.suppress(OSError):
        if os.path.samefile(arguments.checkpoint, arguments.output):
            raise SlimResnetError(f"{arguments.output}: is what is to be converted; choose another "
                                  "TARGET")
    record = export_checkpoint(arguments.checkpoint, arguments.output, arguments.format)
    for what, text in record["assumed"].items():
        # A checkpoint records none either.
        if what != "strides":
            say("checkpoint convert", f"{what}: {text}")
    print_written(arguments.output, record)
