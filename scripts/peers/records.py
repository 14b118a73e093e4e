"""Tables of what `comparison` measured: pure functions of its record.

Most are of one network, ``network``: an element of the record's ``networks``.
"""

import itertools
import statistics
from collections.abc import Container, Iterable

from scripts.peers.table import OURS, PEERS, TENSORFLOW
from slim_resnet.common.spread import median_ratio
from slim_resnet.common.tables import format_table

# Threads that a table names one by one, at most.
_THREADS = 4


def lines(record: dict) -> list[str]:
    """Returns all that there is to say: of the machine once, then of one network after the other.
    """
    machine, options = record["environment"], record["options"]
    said = [f"{machine['cpu']['model']}, {options['threads']} threads, TensorFlow "
            f"{machine['versions']['tensorflow']}"]
    for network in record["networks"]:
        for part in (heading, table, profile, conclusions):
            said += ["", *part(network)]
    return said


def heading(network: dict) -> list[str]:
    """Returns lines on a network and the limits that were measured beside it."""
    files = network["network"]
    size = files["image_size"]
    said = [f"{network['name']}: {files['parameters'] / 1e6:.1f} M parameters, "
            f"{files['multiply_adds_per_image'] / 1e9:.2f} GMAC an image of {size} x {size}; "
            f"oneDNN is {'on' if files['onednn_by_default'] else 'off'} by default here"]
    for precision, gemm in network["gemm"].items():
        said.append(f"{precision} matrix product: " + "; ".join(
            f"{title.removeprefix('matrix product, ')}: {flops / 1e9:.0f} GFLOP/s"
            for title, flops in gemm["flops_by_setting"].items()))
    return said


def ratio(ours: dict, theirs: dict) -> float:
    """Returns the median of ours / theirs, round by round; both ``batches`` of a run."""
    return median_ratio(ours["durations_s"], theirs["durations_s"])


def batch_sizes(network: dict) -> list[int]:
    """Returns those that were measured, the smallest first."""
    return sorted({batch["batch_size"] for run in network["runs"] for batch in run["batches"]})


def precisions(network: dict) -> list[str]:
    """Returns those that were measured, in their order."""
    return list(dict.fromkeys(run["precision"] for run in network["runs"]))


def measured(network: dict, precision: str, batch_size: int) -> list[tuple[dict, dict]]:
    """Returns ``[(run, its batch)]`` of one precision and batch size."""
    return [(run, batch) for run in network["runs"] if run["precision"] == precision
            for batch in run["batches"] if batch["batch_size"] == batch_size]


def fastest(pairs: Iterable[tuple[dict, dict]], engines: Container[str]
            ) -> tuple[dict, dict] | None:
    """Returns the ``(run, batch)`` of the least median among some engines, or None."""
    return min((pair for pair in pairs if pair[0]["engine"] in engines),
               key=lambda pair: pair[1]["median_s"], default=None)


def table(network: dict) -> list[str]:
    """Returns lines: a row for every engine, precision and batch size, and what is missing.

    "time / ours" is over the fastest of our engines in the same precision.
    """
    rows = []
    for precision, batch_size in _settings(network):
        pairs = measured(network, precision, batch_size)
        ours = fastest(pairs, OURS)
        for run, batch in pairs:
            agreement = run.get("agreement")
            rows.append([
                run["title"], precision, batch_size, f"{batch['median_s']:.4f}",
                f"{min(batch['durations_s']):.4f}", f"{max(batch['durations_s']):.4f}",
                f"{batch['images_per_s']:.2f}",
                f"{1 / ratio(ours[1], batch):.3f}" if ours else None,
                None if batch["share_of_gemm"] is None else f"{batch['share_of_gemm']:.2f}",
                f"{batch['peak_bytes'] / 2 ** 20:.0f}", f"{run['startup_s']:.1f}",
                f"{agreement['relative_error']:.1e}" if agreement else None,
                f"{100 * agreement['top_1']:.0f}" if agreement else None])
    said = format_table(["engine", "precision", "batch", "median s", "min", "max", "images/s",
                         "time / ours", "of GEMM", "peak MiB", "start s", "rel. error",
                         "top-1 %"], rows)
    engines = {run["engine"] for run in network["runs"]}
    if not engines.isdisjoint(("onnxruntime", "torch")):
        said.append("ONNX Runtime and PyTorch run the ONNX file that we write.")
    if "openvino" in engines:
        said.append("OpenVINO has converted the frozen graph itself.")
    titles = [run["title"] for run in network["runs"] if not run["same_weights"]]
    if titles:
        said.append("With weights and a count of multiply-adds of its own: "
                    + ", ".join(sorted(set(titles))) + ".")
    return said + [f"Not measured: {one['title']}, {one['precision']}: {one['why']}"
                   for one in network["unavailable"]]


def profile(network: dict) -> list[str]:
    """Returns lines: where the time of a step of the smallest batch goes, by engine.

    Threads are not named: the first number is of the thread that slept most.
    """
    rows = []
    smallest = batch_sizes(network)[:1]
    for precision, batch_size in itertools.product(precisions(network), smallest):
        for run, batch in measured(network, precision, batch_size):
            wall, cpu = batch["median_s"], statistics.median(batch["cpu_s"])
            rows.append([run["title"], precision, f"{1e3 * wall:.1f}", f"{1e3 * cpu:.1f}",
                         f"{cpu / wall:.2f}", _in_words(sleeps(batch))])
    return [*(f"One step of batch {size}: time, CPU time of all threads, and how often each "
              "thread went to sleep of itself" for size in smallest),
            *format_table(["engine", "precision", "ms", "CPU ms", "cores busy",
                           "sleeps of each thread"], rows)]


def sleeps(batch: dict) -> list[float] | None:
    """Returns the median over rounds of how often each thread slept a step, most first.

    Those that never did are left out; None where it could not be counted.
    """
    if None in batch["sleeps"]:
        return None
    medians = map(statistics.median, itertools.zip_longest(*batch["sleeps"], fillvalue=0.0))
    return [median for median in medians if median]


def _in_words(counts):
    if counts is None:
        return None
    more = len(counts) - _THREADS
    return ", ".join(f"{count:.1f}" for count in counts[:_THREADS]) + (
        f" and {more} more" if more > 0 else "") or "0"


def conclusions(network: dict) -> list[str]:
    """Returns lines: ours against the best peer, by setting; starting up; memory."""
    said = []
    for precision, batch_size in _settings(network):
        pairs = measured(network, precision, batch_size)
        ours, tensorflow = fastest(pairs, OURS), fastest(pairs, {TENSORFLOW})
        # Without int8, a peer's best is in another precision.
        peer = fastest(pairs if precision != "int8" else [
            pair for other in ("float32", "bfloat16")
            for pair in measured(network, other, batch_size)], PEERS)
        if ours is None:
            continue
        parts = [f"{ours[0]['title']} {ours[1]['median_s']:.4f} s"]
        if ours[1]["share_of_gemm"] is not None:
            parts.append(f"{ours[1]['share_of_gemm']:.2f} of the GEMM limit")
        if peer:
            parts.append(f"best of ours / best peer {ratio(ours[1], peer[1]):.3f} "
                         f"({peer[0]['title']}, {peer[0]['precision']})")
            if tensorflow:
                parts.append(f"our TensorFlow / best peer {ratio(tensorflow[1], peer[1]):.3f}")
        said.append(f"{precision}, batch {batch_size}: {'; '.join(parts)}")
    for precision in precisions(network):
        for who, engines in (("ours", OURS), ("peers", PEERS)):
            said += _starting(who, [pair for size in batch_sizes(network)[:1]
                                    for pair in measured(network, precision, size)
                                    if pair[0]["engine"] in engines])
    peaks = [(peak, f"making {name}") for name, peak in network["making_peak_bytes"].items()
             if peak] + [(batch["peak_bytes"], f"{run['title']}, {run['precision']}, batch "
                          f"{batch['batch_size']}")
                         for run in network["runs"] for batch in run["batches"]]
    peak, where = max(peaks)
    return [*said, f"largest peak of a process: {peak / 2 ** 20:.0f} MiB ({where})"]


def _starting(who, pairs):
    """Returns a line on the fastest of some engines, and on who needs least; none for none."""
    if not pairs:
        return []
    run, batch = min(pairs, key=lambda pair: pair[1]["median_s"])
    first, _ = min(pairs, key=lambda pair: pair[0]["startup_s"])
    least, its = min(pairs, key=lambda pair: pair[1]["peak_bytes"])
    return [f"{run['precision']}, {who}, batch {batch['batch_size']}: the fastest, {run['title']}, "
            f"has its first result after {run['startup_s']:.2f} s and a peak of "
            f"{batch['peak_bytes'] / 2 ** 20:.0f} MiB; least are {first['startup_s']:.2f} s "
            f"({first['title']}) and {its['peak_bytes'] / 2 ** 20:.0f} MiB ({least['title']})"]


def _settings(network):
    """Returns the pairs of precision and batch size that were measured, in order."""
    return [(precision, size) for size in batch_sizes(network)
            for precision in precisions(network) if measured(network, precision, size)]
