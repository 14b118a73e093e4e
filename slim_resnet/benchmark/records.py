"""Benchmark records: what `slim-resnet benchmark --json` writes, and tables of it.

A record is plain data with units in its keys. Everything here is a pure function of
records, needs no TensorFlow and prints nothing.
"""

from collections.abc import Iterable

from slim_resnet.common.files import positive, read_json
from slim_resnet.common.spread import median_ratio, ratios, spread, spread_text
from slim_resnet.common.tables import format_table
from slim_resnet.errors import SlimResnetError

FORMAT = "slim_resnet benchmark 1"

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


_SHAPE = {
    "date": str,
    "options": {"compare": bool, "mode": str, "precision": str, "input": str, "fetch": str,
                "intra_op_threads": int, "inter_op_threads": int},
    "environment": {"versions": {"tensorflow": str}, "onednn": bool,
                    "cpu": {"model": str, "cores": int}},
    "runs": [{"model": str, "engine?": str, "batch_size": int, "image_size_px": int,
              "parameters": int,
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
    threads = " ".join(f"{kind} {options[kind + '_op_threads'] or 'default'}"
                       for kind in ("intra", "inter"))
    return (f"{record['date']}  {environment['cpu']['model']}, "
            f"{environment['cpu']['cores']} cores (threads: {threads}), "
            f"TensorFlow {versions['tensorflow']}, "
            f"oneDNN {'on' if environment['onednn'] else 'off'}; "
            f"{options['mode']}, {options['precision']}, input {options['input']}, "
            f"fetch {options['fetch']}")


def run_table(record: dict) -> list[str]:
    """Returns lines: one row a run, seconds a batch."""
    return format_table(*run_rows(record))


def run_rows(record: dict) -> tuple[list[str], list[list]]:
    """Returns what `run_table` shows: headers, and rows of cells."""
    rows = []
    for run in record["runs"]:
        stats = run["statistics"]
        rows.append([
            run["model"] + (" (partial)" if run["partial"] else ""),
            record["options"]["precision"],
            # Records from before there were others have none.
            run.get("engine", f"TensorFlow {record['environment']['versions']['tensorflow']}"),
            run["batch_size"], run["image_size_px"], f"{run['parameters'] / 1e6:.1f}",
            f"{run['multiply_adds_per_image'] / 1e9:.2f}", len(run["durations_s"]),
            *(f"{stats[key]:.3f}" for key in ("mean_s", "sd_s", "jitter_s", "p50_s", "p90_s",
                                              "p95_s", "p99_s", "min_s", "max_s")),
            f"{stats['images_per_second']:.2f}"])
    return ["seconds a batch", "precision", "engine", "batch", "px", "params M", "GMAC", "steps",
            "mean", "sd", "jitter", "p50", "p90", "p95", "p99", "min", "max", "images/s"], rows


def optimized_lines(record: dict) -> list[str]:
    """Returns a line for every network that was timed in turn with its optimised form."""
    durations = {run["model"]: run["durations_s"] for run in record["runs"]}
    lines = []
    for name, plain in durations.items():
        optimized = durations.get(name + OPTIMIZED)
        if optimized:
            low, middle, high = spread(ratios(plain, optimized))
            lines.append(f"{name}: plain / optimized = {middle:.3f} (median step by step; "
                         f"{low:.3f} to {high:.3f})")
    return lines


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


def claim_table(records: Iterable[dict]) -> list[str]:
    """Returns lines: the blog's claim beside what one or more records measured.

    Args:
      records: Records of ``--compare``; others are left out. With several, each
        column of seconds and ratios is min / median / max over the records.
    """
    records = [record for record in records if claim_ratios(record)]
    if not records:
        return []
    resnet = _compared_resnet(records[0])
    if any(_compared_resnet(record) != resnet for record in records):
        raise SlimResnetError(f"{CLAIM[0]} and {SLIM_152} are two networks; show their records "
                              "one at a time")
    measured = [claim_ratios(record) for record in records]
    runs = [{run["model"]: run for run in record["runs"]} for record in records]
    rows = []
    for name in (resnet, *CLAIM[1]):
        run = runs[0][name]
        rows.append([
            name, run["image_size_px"], f"{run['parameters'] / 1e6:.1f}",
            f"{run['multiply_adds_per_image'] / 1e9:.2f}",
            spread_text([by_name[name]["statistics"]["p50_s"] for by_name in runs]),
            None if name == resnet else f"{CLAIMED_RATIO:.2f}",
            None if name == resnet else spread_text([by_name[name] for by_name in measured]),
            None if name == resnet else
            f"{runs[0][resnet]['multiply_adds_per_image'] / run['multiply_adds_per_image']:.2f}"])
    batch_size = records[0]["runs"][0]["batch_size"]
    lines = ["The post's claim: the forward pass of ResNet V2 152 takes about 50 % more time than "
             "VGGNet's and Inception V3's.",
             f"Batch {batch_size}, {len(runs[0][resnet]['durations_s'])} steps in turn, median; "
             + (f"min / median / max of {len(records)} runs." if len(records) > 1 else "one run.")]
    return lines + format_table(
        ["network", "px", "params M", "GMAC", "s / batch", "ResNet / it: claimed", "measured",
         "by GMAC"], rows)
