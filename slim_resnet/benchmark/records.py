"""Benchmark records: what `slim-resnet benchmark --json` writes, and tables of it.

A record is plain data with units in its keys. Everything here is a pure function of
records, needs no TensorFlow and prints nothing.
"""

from collections.abc import Iterable

from slim_resnet.common.files import positive, read_json
from slim_resnet.common.spread import median_ratio, ratios, spread, spread_text
from slim_resnet.common.tables import Column, Table
from slim_resnet.common.units import short_count
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.engines.judged import described
from slim_resnet.inference.engines.table import INT8

FORMAT = "slim_resnet benchmark 1"

# What runs networks of which nothing else is recorded.
_TENSORFLOW = "TensorFlow"
# Ends the name of a network's optimised form.
OPTIMIZED = " optimized"

# The post's closing claim: the forward pass of ResNet V2 152 takes about half as long
# again as those of VGGNet and Inception V3.
CLAIMED_RATIO = 1.5
CLAIM = ("blog_resnet_v2_152", ("vgg_16", "inception_v3"))
# What the released checkpoint holds: slim's network of the same depth.
SLIM_152 = "resnet_v2_152"


def _durations(value):
    """a list of one positive number or more"""
    return isinstance(value, list) and value != [] and all(map(positive, value))


_QUANTISED = {"quantiser": str, "calibrated_with": str, "calibration_images": int,
              "judged_images": int, "top_1_agreement_percent": float,
              "top_5_agreement_percent": float, "logits": {"largest": float, "mean": float}}
_SHAPE = {
    "date": str,
    "options": {"checkpoints?": [str], "compare": bool, "mode": str, "precision": str,
                "input": str, "fetch": str, "intra_op_threads": int, "inter_op_threads": int},
    "environment": {"versions": {"tensorflow": str}, "onednn": bool,
                    "cpu": {"model": str, "cores": int}},
    "runs": [{"model": str, "engine?": str, "precision?": str, "quantised?": (_QUANTISED, None),
              "batch_size": int, "image_size_px": int, "parameters": int,
              "multiply_adds_per_image": positive, "partial": bool, "durations_s": _durations,
              "statistics": dict.fromkeys(
                  ("mean_s", "sd_s", "jitter_s", "p50_s", "p90_s", "p95_s", "p99_s", "min_s",
                   "max_s", "images_per_second"), float)}]}


def read_record(path: str) -> dict:
    """Reads one record.

    Args:
      path: A file that ``--json`` wrote.

    Raises:
      SlimResnetError: The file cannot be read or is no such record.
    """
    return read_json(path, FORMAT, "a record of slim-resnet benchmark --json", _SHAPE)


def heading(record: dict) -> str:
    """Returns one line: date, CPU, threads, versions and options of a record."""
    environment, options = record["environment"], record["options"]
    versions = environment["versions"]
    precisions = dict.fromkeys(precision_of(record, run) for run in record["runs"])
    threads = " ".join(f"{kind} {options[kind + '_op_threads'] or 'default'}"
                       for kind in ("intra", "inter"))
    return (f"{record['date']}  {environment['cpu']['model']}, "
            f"{environment['cpu']['cores']} cores (threads: {threads}), "
            f"TensorFlow {versions['tensorflow']}, "
            f"oneDNN {'on' if environment['onednn'] else 'off'}; "
            f"{options['mode']}, {' and '.join(precisions)}, input {options['input']}, "
            f"fetch {options['fetch']}")


def precision_of(record: dict, run: dict) -> str:
    """Returns what one run of a record computed in."""
    return run.get("precision", record["options"]["precision"])


def run_table(record: dict) -> Table:
    """Returns a table: one row a run, seconds a batch."""
    runs = record["runs"]

    def seconds(name):
        return Column(name, [f"{run['statistics'][name + '_s']:.3f}" for run in runs])

    return Table([
        Column("seconds a batch", [_named(run) for run in runs]),
        Column("precision", [precision_of(record, run) for run in runs]),
        Column("batch", [run["batch_size"] for run in runs]),
        Column("px", [run["image_size_px"] for run in runs]),
        *_costs(runs),
        Column("steps", [len(run["durations_s"]) for run in runs]),
        *map(seconds, ("mean", "sd", "jitter", "p50", "p90", "p95", "p99", "min", "max")),
        Column("images/s", [f"{run['statistics']['images_per_second']:.2f}" for run in runs]),
    ], give_up=("jitter", "p95", "p99", "p90", "max", "min", "precision", "steps", "px", "batch",
                "GMAC", "params M", "sd"))


def engine_of(run: dict) -> str:
    """Returns what ran one run, without the version of TensorFlow, which the heading has."""
    engine = run.get("engine", _TENSORFLOW)
    return _TENSORFLOW if engine.startswith(_TENSORFLOW) else engine


def _named(run):
    other = "" if engine_of(run) == _TENSORFLOW else f", {engine_of(run)}"
    # The column of precisions may be left out, and others beside it are of float32.
    other += f", {INT8}" * bool(run.get("quantised"))
    return f"{run['model']}{other}{' (partial)' * run['partial']}"


def _costs(runs):
    return [Column("params M", [f"{run['parameters'] / 1e6:.1f}" for run in runs],
                   [short_count(run["parameters"]) for run in runs], "params"),
            Column("GMAC", [f"{run['multiply_adds_per_image'] / 1e9:.2f}" for run in runs],
                   [short_count(run["multiply_adds_per_image"]) for run in runs], "MACs")]


def optimized_lines(record: dict) -> list[str]:
    """Returns a line for every network that was timed in turn with its optimised form."""
    runs = {run["model"]: run for run in record["runs"]}
    lines = []
    for name, plain in runs.items():
        optimized = runs.get(name + OPTIMIZED)
        if optimized:
            low, middle, high = spread(ratios(plain["durations_s"], optimized["durations_s"]))
            kinds = ["plain", "optimized"]
            if precision_of(record, plain) != precision_of(record, optimized):
                kinds = [f"{kind} in {precision_of(record, run)}"
                         for kind, run in zip(kinds, (plain, optimized))]
            lines.append(f"{name}: {' / '.join(kinds)} = {middle:.3f} (median step by step; "
                         f"{low:.3f} to {high:.3f})")
    return lines


def int8_lines(record: dict) -> list[str]:
    """Returns a line for every network in int8: how it was calibrated and judged."""
    random = "" if record["options"].get("checkpoints") else (
        "; of random weights, whose classes mean nothing")
    return ["{model}: {}; calibrated with {quantised[calibration_images]} images of "
            "{quantised[calibrated_with]}{}".format(described(run["quantised"]), random, **run)
            for run in record["runs"] if run.get("quantised")]


def claim_ratios(record: dict) -> dict[str, float]:
    """Returns ``{other network: median of (ResNet's / its seconds), step by step}``.

    Empty unless the record is of the blog's three networks, timed in turn.
    """
    durations = {run["model"]: run["durations_s"] for run in record["runs"]}
    resnet, others = _compared_resnet(record), CLAIM[1]
    if not record["options"]["compare"] or not {resnet, *others} <= durations.keys():
        return {}
    return {other: median_ratio(durations[resnet], durations[other]) for other in others}


def _compared_resnet(record):
    """Returns the name of a record's ResNet V2 152: the post's, or slim's of the same depth."""
    names = [run["model"] for run in record["runs"]]
    return next((name for name in (CLAIM[0], SLIM_152) if name in names), None)


def claim(records: Iterable[dict]) -> tuple[list[str], Table] | None:
    """Returns the blog's claim beside what one or more records measured.

    Args:
      records: Records of ``--compare``; others are left out. With several, each
        column of seconds and ratios is min / median / max over the records.

    Returns:
      Sentences, and the table that they are about; None if no record is of the claim.
    """
    records = [record for record in records if claim_ratios(record)]
    if not records:
        return None
    resnet = _compared_resnet(records[0])
    if any(_compared_resnet(record) != resnet for record in records):
        raise SlimResnetError(f"{CLAIM[0]} and {SLIM_152} are two networks; show their records "
                              "one at a time")
    measured = [claim_ratios(record) for record in records]
    runs = [{run["model"]: run for run in record["runs"]} for record in records]
    names, others = [resnet, *CLAIM[1]], CLAIM[1]
    first = [runs[0][name] for name in names]
    batch_size, macs = first[0]["batch_size"], first[0]["multiply_adds_per_image"]
    sentences = [
        "The post's claim: the forward pass of ResNet V2 152 takes about 50 % more time than "
        "VGGNet's and Inception V3's.",
        f"Batch {batch_size}, {len(first[0]['durations_s'])} steps in turn, median; "
        + (f"min / median / max of {len(records)} runs." if len(records) > 1 else "one run.")]

    def ratio(name, cells):
        """A column of ResNet's time, or multiply-adds, over those of the others."""
        return Column(f"ResNet / it: {name}", [None, *cells], short_name=name)

    return sentences, Table([
        Column("network", names),
        Column("px", [run["image_size_px"] for run in first]),
        *_costs(first),
        Column("s / batch", [spread_text([by_name[name]["statistics"]["p50_s"]
                                          for by_name in runs]) for name in names]),
        ratio("claimed", [f"{CLAIMED_RATIO:.2f}"] * len(others)),
        ratio("measured", [spread_text([by_name[name] for by_name in measured])
                           for name in others]),
        ratio("by GMAC", [f"{macs / run['multiply_adds_per_image']:.2f}" for run in first[1:]]),
    ], give_up=("px", "params M", "ResNet / it: claimed", "GMAC"),
        said="Ratios (claimed, measured, by GMAC) are ResNet's over the other's.")
