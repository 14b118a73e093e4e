"""What restoring with every check costs, against a plain ``Saver().restore``.

Writes a checkpoint of random weights to a temporary folder and restores it both ways in
turn, each in a graph of its own. Time counts from a finished graph to restored variables,
the making of the Saver included; memory is the growth of a fresh process's peak. What of the
checked restore goes to reading the index before TensorFlow does is timed by itself.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from scripts import random_checkpoint
from slim_resnet import cli
from slim_resnet.commands.options import add_json, positive_int
from slim_resnet.commands.progress import with_progress
from slim_resnet.common.environment import child_environment, memory_bytes
from slim_resnet.common.spread import ratios, spread
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError

NUM_CLASSES = 1001


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="restore_cost.py", description=__doc__)
    parser.add_argument("--depth", type=int, choices=(50, 101, 152, 200), default=152,
                        help="layers of the network (default: %(default)s)")
    parser.add_argument("--rounds", type=positive_int, default=7, metavar="N",
                        help="timed restores each way, after one untimed (default: %(default)s)")
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> None:
    records = {}
    for format in ("V1", "V2"):
        with temporary_folder() as folder:
            path = os.path.join(folder, "net.ckpt")
            random_checkpoint.write(path, f"resnet_v2_{arguments.depth}", 224, NUM_CLASSES, format)
            file_bytes = sum(os.path.getsize(os.path.join(folder, name))
                             for name in os.listdir(folder))
            durations, index_s = {name: [] for name in RESTORERS}, []
            rounds = arguments.rounds + 1
            for turn in with_progress(range(rounds), rounds, f"rounds of {format}"):
                for name in RESTORERS:
                    seconds, _ = restore_once(name, path, arguments.depth)
                    if turn:
                        durations[name].append(seconds)
                if turn:
                    index_s.append(index_seconds(path))
            peaks = {name: peak_in_own_process(name, path, arguments.depth) for name in RESTORERS}
        records[format] = summary(durations, index_s, peaks, file_bytes)
    if arguments.json:
        print(json.dumps({"depth": arguments.depth, **records}, indent=1))
    else:
        for format, record in records.items():
            print(summary_line(format, record))


def _plain(session, path):
    import tensorflow as tf
    tf.compat.v1.train.Saver().restore(session, path)


def _checked(session, path):
    from slim_resnet.checkpoint.restoring import restore
    restore(session, path)


RESTORERS = {"plain": _plain, "checked": _checked}


def _build(depth):
    import tensorflow as tf
    import tf_slim as slim

    from slim_resnet import resnet_v2
    images = tf.compat.v1.placeholder(tf.float32, [None, 224, 224, 3])
    with slim.arg_scope(resnet_v2.resnet_arg_scope()):
        getattr(resnet_v2, f"resnet_v2_{depth}")(images, NUM_CLASSES, is_training=False)


def restore_once(name: str, path: str, depth: int) -> tuple[float, int]:
    """Returns the seconds of one restore, and the bytes that memory grew at its peak.

    Building the graph and handing it to the session is not counted; making the
    Saver is, since a person who restores has to.
    """
    import tensorflow as tf
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        _build(depth)
        session.run(tf.no_op())
        # What restoring needs is not to be loaded within the time.
        from slim_resnet.checkpoint import restoring  # noqa: F401
        before = _reset_peak()
        start = time.perf_counter()
        RESTORERS[name](session, path)
        return time.perf_counter() - start, memory_bytes("VmHWM") - before


def index_seconds(path: str) -> float:
    """Returns the seconds that checking what the files say that they hold takes."""
    from slim_resnet.checkpoint import index, location
    found = location.locate(path)
    start = time.perf_counter()
    if found.format == "V1":
        index.check_v1(found.files)
    else:
        index.check_v2(found.files[0], found.files[1:])
    return time.perf_counter() - start


def peak_in_own_process(name: str, path: str, depth: int) -> int:
    """Returns the second result of `restore_once`, from a fresh process."""
    code = ("import json, sys; from scripts.restore_cost import restore_once; "
            "print(json.dumps(restore_once(*json.loads(sys.argv[1]))))")
    child = subprocess.run([sys.executable, "-c", code, json.dumps([name, path, depth])],
                           env=child_environment(), capture_output=True, text=True)
    if child.returncode != 0:
        raise SlimResnetError(f"the process that measures memory failed: "
                              f"{child.stderr.strip().splitlines()[-1:]}")
    return json.loads(child.stdout.splitlines()[-1])[1]


def summary(durations_s: dict, index_s: list, peak_bytes: dict, file_bytes: int) -> dict:
    """Returns the record of one format's measurements.

    Args:
      durations_s: Maps ``plain`` and ``checked`` to the seconds of each round.
      index_s: Seconds of `index_seconds` in each round.
      peak_bytes: Maps both to the growth of memory.
      file_bytes: Size of the checkpoint.
    """
    medians = {name: spread(values)[1] for name, values in durations_s.items()}
    low, _, high = spread(ratios(durations_s["checked"], durations_s["plain"]))
    return {
        "file_bytes": file_bytes, "durations_s": durations_s, "median_s": medians,
        "index_s": index_s, "index_percent": 100 * spread(index_s)[1] / medians["checked"],
        "time_ratio": medians["checked"] / medians["plain"],
        "time_ratio_range": [low, high],
        "peak_bytes": peak_bytes,
        "peak_to_file": {name: peak / file_bytes for name, peak in peak_bytes.items()},
    }


def summary_line(format: str, record: dict) -> str:
    """Returns one line for people on a `summary`."""
    low, high = record["time_ratio_range"]
    return (f"{format}: plain {record['median_s']['plain']:.3f} s, checked "
            f"{record['median_s']['checked']:.3f} s (medians of "
            f"{len(record['durations_s']['plain'])}), ratio {record['time_ratio']:.3f} "
            f"({low:.3f} to {high:.3f} a round); checking the index is "
            f"{record['index_percent']:.1f} % of it; peak memory "
            f"{record['peak_to_file']['plain']:.2f} and {record['peak_to_file']['checked']:.2f} x "
            f"the file's {record['file_bytes']:,} bytes")


def _reset_peak():
    """Makes the process's peak of memory start anew; returns its bytes now."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return memory_bytes("VmRSS")
    except OSError as error:
        raise SlimResnetError("peaks of memory are read from Linux's /proc, which cannot be used "
                              f"here: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(cli.run(build_parser()))
