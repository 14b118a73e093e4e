"""Every table that a command prints, of data that a reader can follow.

What they look like at each width is in tests/data/tables. After a change that is meant, look
at the files that this writes, from the top folder::

    python -m tests.helpers.golden_tables
"""

import functools
import pathlib

import tensorflow as tf

from slim_resnet import models
from slim_resnet.benchmark import comparison, records
from slim_resnet.checkpoint import description
from slim_resnet.commands import evaluate, train
from slim_resnet.common import counts
from slim_resnet.end_points import listing, table
from slim_resnet.end_points.activations import Statistics
from slim_resnet.end_points.times import EndPointTime, Times
from slim_resnet.experiments import degradation_records
from slim_resnet.tf1 import check
from slim_resnet.training.evaluation import Evaluated
from tests.helpers import timing_records

FOLDER = pathlib.Path(__file__).parents[1] / "data" / "tables"
WIDTHS = (80, 100, 160)
SCOPE = "resnet_v2_50"
UNIT = f"{SCOPE}/block1/unit_1/bottleneck_v2"


@functools.cache
def summary(name):
    """Returns `table.summary` of a network by name, and its variables' names and shapes."""
    model = models.find_model(name)
    with tf.Graph().as_default() as graph:
        size = model.image_size
        images = tf.compat.v1.placeholder(tf.float32, [None, size, size, 3])
        _, end_points = model.build(images, 1000, False)
        variables = [(variable.op.name, variable.shape.as_list())
                     for variable in graph.get_collection("variables")]
    return table.summary(end_points), variables


def end_points(name, depth):
    rows = table.select(summary(name)[0], depth=depth)
    return listing.end_point_table(rows, table.total(rows), depth != "layer")


def variable_rows(names, **more):
    return [{"name": name, "shape": shape, "dtype": "float32",
             "values": tf.TensorShape(shape).num_elements(), "kind": counts.kind_of(name), **more}
            for name, shape in names]


def variables(more=(), **statistics):
    last = {f"{SCOPE}/{name}" for name in (
        "conv1/weights", "block4/unit_3/bottleneck_v2/conv3/weights", "logits/weights",
        "block4/unit_3/bottleneck_v2/conv2/BatchNorm/moving_variance")}
    rows = variable_rows([one for one in summary(SCOPE)[1] if one[0] in last] + list(more),
                         **statistics)
    rows.append({"name": "global_step", "shape": [], "dtype": "int64", "values": 1,
                 "kind": "other", **statistics})
    return description.variable_table({"variables": rows})


def statistics():
    common = {"images": 3, "values": 10_000, "channels": 64, "batch_change": None}
    return listing.statistics_table([
        Statistics(f"{SCOPE}/conv1", mean=-0.0123456, std=1.23456789, min=-12.3456, max=98.7654,
                   nan=0, inf=0, zeros=None, dead=None, norm=None, **common),
        Statistics(f"{UNIT}/conv1", mean=1.23456e-5, std=0.98765432, min=0.0, max=123456.789,
                   nan=0, inf=12, zeros=0.51234, dead=(1, 2), norm=0.97777, **common),
        Statistics("global_pool", mean=None, std=None, min=None, max=None, nan=131072, inf=0,
                   zeros=None, dead=None, norm=None, **common)])


def times():
    """Of batches of four, 0.5 s a step: one layer is slow, and one is of unknown size."""
    def row(key, time_s, multiply_adds, moved, level="layer"):
        rate = None if multiply_adds is None else 4 * multiply_adds / time_s
        return EndPointTime(key, time_s, time_s / 0.5, multiply_adds, rate, moved,
                            moved / time_s, level, None)

    rows = (row(f"{SCOPE}/conv1", 0.00123, 118_013_952, 15_300_000),
            row(f"{UNIT}/conv1", 0.3, 12_845_056, 4_000_000),
            row(f"{SCOPE}/block1", 0.375, None, 400_000_000, "block"),
            row(f"{SCOPE}/predictions", 0.0001, 0, 2000))
    return listing.time_table(rows, Times(
        rows, 4, 0.02, 0.005, row("whole step", 0.5, None, 415_302_000, "network"), (0.5,),
        (0.51,), (0.505,), False))


def runs(scale=1.0):
    record = timing_records.record(scale)
    record["runs"].append(timing_records.run_record(
        "resnet_v2_152 optimized", [1.0, 2.0, 3.0], 10_914_000_000))
    return record


def compared():
    steps = [1.0, 1.1, 0.9, 1.05, 0.95]
    a, b = (dict(timing_records.record(), runs=[
        timing_records.run_record("resnet_v2_50", steps, 4_000_000_000),
        timing_records.run_record("vgg_16", [step * scale for step in steps], 6_000_000_000),
        timing_records.run_record("inception_v3", [1.0] * few, 5_000_000_000)])
        for scale, few in ((1, 2), (1.5, 6)))
    return comparison.comparison_table(comparison.compare(a, b))


def layers():
    return evaluate.layer_table({"layers": [
        {"end_point": key, "largest": 1.2345e-6 * number, "mean": 2.3456e-7}
        for number, key in enumerate((f"{SCOPE}/conv1", f"{UNIT}/conv1", UNIT, "global_pool"), 1)]})


def degradation():
    return degradation_records.error_table([
        {"kind": kind, "layers": layers, "seed": seed, "training_loss": 0.1,
         "training_error_percent": layers / 3 + seed, "test_error_percent": 10.0 + seed}
        for kind in degradation_records.KINDS for layers in (7, 109) for seed in range(3)])


def checked():
    return check.Report([], [
        check.Name("tensorflow.contrib.layers.sparse_column_with_keys", "missing", "",
                   ["project/model/network.py:3", "b.py:1"]),
        check.Name("tensorflow.mul", "missing", "tf.multiply", ["train.py:33"]),
        check.Name("scipy.misc", "stand-in", "slim_resnet.tf1.stand_ins.scipy_misc",
                   ["train.py:5"])], [], []).table()


def difference():
    weights = f"{SCOPE}/block4/unit_3/bottleneck_v2/conv2/weights"
    return description.difference_table({
        "a": "a.ckpt", "b": "b.ckpt", "only_in_a": [], "only_in_b": ["global_step"],
        "shapes": [{"name": f"{SCOPE}/logits/weights", "a": [1, 1, 2048, 1001],
                    "b": [1, 1, 2048, 1000]}],
        "dtypes": [], "values": [{"name": weights, "largest": 0.0123456}], "equal": 269})


# Each, by the name of its files.
TABLES = {
    "end-points-resnet_v2_50": lambda: end_points("resnet_v2_50", "layer"),
    "end-points-resnet_v2_50-unit": lambda: end_points("resnet_v2_50", "unit"),
    "end-points-resnet_v1_50-unit": lambda: end_points("resnet_v1_50", "unit"),
    "end-points-vgg_16-unit": lambda: end_points("vgg_16", "unit"),
    "end-points-inception_v3-unit": lambda: end_points("inception_v3", "unit"),
    "end-points-values": statistics,
    "end-points-time": times,
    "checkpoint-describe": variables,
    "checkpoint-describe-stats": lambda: variables(
        mean=-0.00012345678, std=1.2345678, min=-1.5, max=2.25, nan=0, inf=0),
    "checkpoint-describe-stats-nan": lambda: variables(
        mean=-0.00012345678, std=1.2345678, min=-1.5, max=2.25, nan=3, inf=0),
    "checkpoint-describe-momentum": lambda: variables([(
        f"{SCOPE}/block4/unit_3/bottleneck_v2/conv2/BatchNorm/moving_variance/Momentum", [512])]),
    "checkpoint-diff": difference,
    "benchmark-show": lambda: records.run_table(runs()),
    "benchmark-claim": lambda: records.claim([timing_records.record()])[1],
    "benchmark-claim-of-several": lambda: records.claim(
        [timing_records.record(scale) for scale in (1, 2, 3)])[1],
    "benchmark-show-compare": compared,
    "evaluate-compare": layers,
    "degradation": degradation,
    "train": lambda: train.accuracy_table([
        Evaluated("moving statistics", 1000, 0.75, 0.9312, 0),
        Evaluated("batch statistics", 992, 0.7512, 1.0, 0)]),
    "run-check": checked,
}


def text(name, width):
    """Returns a table at a width, a line each."""
    return "".join(f"{line}\n" for line in TABLES[name]().lines(width))


def main():
    FOLDER.mkdir(exist_ok=True)
    for name in TABLES:
        for width in WIDTHS:
            path = FOLDER / f"{name}-{width}.txt"
            path.write_text(text(name, width), encoding="utf-8")
            print(path)


if __name__ == "__main__":
    main()
