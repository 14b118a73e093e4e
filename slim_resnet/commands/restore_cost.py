"""Measures what restoring with every check costs, against a plain Saver().restore.

Writes a checkpoint of random weights to a temporary folder and restores it both ways in
turn. Time counts from a finished graph to restored variables, the making of the Saver
included; memory is the growth of a fresh process's peak.
"""

import json
import os
import sys
import tempfile

from slim_resnet.commands import positive_int

HELP = "measure what checked restoring costs in time and memory"


def add_arguments(parser):
    parser.add_argument("--depth", type=int, choices=(50, 101, 152, 200), default=152,
                        help="layers of the network (default: %(default)s)")
    parser.add_argument("--rounds", type=positive_int, default=7,
                        help="timed restores each way, after one untimed (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments):
    from slim_resnet import restore_cost

    records = {}
    for format in ("V1", "V2"):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "net.ckpt")
            file_bytes = restore_cost.write_checkpoint(path, arguments.depth, format)
            durations = {name: [] for name in restore_cost.RESTORERS}
            for turn in range(arguments.rounds + 1):
                for name in restore_cost.RESTORERS:
                    seconds, _ = restore_cost.restore_once(name, path, arguments.depth)
                    if turn:
                        durations[name].append(seconds)
                if sys.stderr.isatty():
                    print(f"{format}: round {turn} of {arguments.rounds}", file=sys.stderr)
            peaks = {name: restore_cost.peak_in_own_process(name, path, arguments.depth)
                     for name in restore_cost.RESTORERS}
        records[format] = restore_cost.summary(durations, peaks, file_bytes)
    if arguments.json:
        print(json.dumps({"depth": arguments.depth, **records}, indent=1))
    else:
        for format, record in records.items():
            print(restore_cost.summary_line(format, record))
