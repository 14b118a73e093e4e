"""What the checks of `restore` cost beside a plain ``Saver().restore``.

Durations are taken in turn in one process, each in a graph of its own; peaks of
memory each in a process of its own.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np
import tensorflow as tf
import tf_slim as slim

from slim_resnet import resnet_v2
from slim_resnet.checkpoint.restoring import restore
from slim_resnet.common.environment import child_environment, memory_bytes
from slim_resnet.errors import SlimResnetError

tf1 = tf.compat.v1

NUM_CLASSES = 1001


def _plain(session, path):
    tf1.train.Saver().restore(session, path)


RESTORERS = {"plain": _plain, "checked": restore}


def _build(depth):
    with slim.arg_scope(resnet_v2.resnet_arg_scope()):
        getattr(resnet_v2, f"resnet_v2_{depth}")(
            tf1.placeholder(tf.float32, [None, 224, 224, 3]), NUM_CLASSES, is_training=False)


def write_checkpoint(path, depth, format):
    """Writes a network of random weights and returns the size of its files in bytes.

    Args:
      path: V1 file or V2 prefix, in an empty folder.
      depth: A key of `resnet_v2.DEPTHS`.
      format: ``V1`` or ``V2``.
    """
    with tf.Graph().as_default(), tf1.Session() as session:
        _build(depth)
        session.run(tf1.global_variables_initializer())
        version = getattr(tf1.train.SaverDef, format)
        tf1.train.Saver(write_version=version).save(session, path, write_meta_graph=False,
                                                    write_state=False)
    folder = os.path.dirname(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))


def restore_once(name, path, depth):
    """Returns the seconds of one restore, and the bytes that memory grew at its peak.

    Building the graph and handing it to the session is not counted; making the
    Saver is, since a person who restores has to.
    """
    with tf.Graph().as_default(), tf1.Session() as session:
        _build(depth)
        session.run(tf.no_op())
        before = _reset_peak()
        start = time.perf_counter()
        RESTORERS[name](session, path)
        return time.perf_counter() - start, memory_bytes("VmHWM") - before


def peak_in_own_process(name, path, depth):
    """Returns the second result of `restore_once`, from a fresh process."""
    code = ("import json, sys; from slim_resnet.restore_cost import restore_once; "
            "print(json.dumps(restore_once(*json.loads(sys.argv[1]))))")
    child = subprocess.run([sys.executable, "-c", code, json.dumps([name, path, depth])],
                           env=child_environment(), capture_output=True, text=True)
    if child.returncode != 0:
        raise SlimResnetError(f"the process that measures memory failed: "
                              f"{child.stderr.strip().splitlines()[-1:]}")
    return json.loads(child.stdout.splitlines()[-1])[1]


def summary(durations_s, peak_bytes, file_bytes):
    """Returns the record of one format's measurements.

    Args:
      durations_s: Maps ``plain`` and ``checked`` to the seconds of each round.
      peak_bytes: Maps both to the growth of memory.
      file_bytes: Size of the checkpoint.
    """
    medians = {name: float(np.median(values)) for name, values in durations_s.items()}
    ratios = [checked / plain for plain, checked in zip(*map(durations_s.get, RESTORERS))]
    return {
        "file_bytes": file_bytes, "durations_s": durations_s, "median_s": medians,
        "time_ratio": medians["checked"] / medians["plain"],
        "time_ratio_range": [min(ratios), max(ratios)],
        "peak_bytes": peak_bytes,
        "peak_to_file": {name: peak / file_bytes for name, peak in peak_bytes.items()},
    }


def summary_line(format, record):
    """Returns one line for people on a `summary`."""
    low, high = record["time_ratio_range"]
    return (f"{format}: plain {record['median_s']['plain']:.3f} s, checked "
            f"{record['median_s']['checked']:.3f} s (medians of "
            f"{len(record['durations_s']['plain'])}), ratio {record['time_ratio']:.3f} "
            f"({low:.3f} to {high:.3f} a round); peak memory {record['peak_to_file']['plain']:.2f} "
            f"and {record['peak_to_file']['checked']:.2f} x the file's "
            f"{record['file_bytes']:,} bytes")


def _reset_peak():
    """Makes the process's peak of memory start anew; returns its bytes now."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return memory_bytes("VmRSS")
    except OSError as error:
        raise SlimResnetError("peaks of memory are read from Linux's /proc, which cannot be used "
                              f"here: {error.strerror}") from error
