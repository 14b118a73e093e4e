"""Tables of what `comparison` measured: pure functions of its record."""

from collections.abc import Container, Iterable

from scripts.peers.comparison import OURS, PLAIN, TENSORFLOW
from slim_resnet.common.spread import median_ratio
from slim_resnet.common.tables import format_table


def heading(record: dict) -> list[str]:
    """Returns lines on the network, the machine and the limits that were measured."""
    network, options, machine = (record[key] for key in ("network", "options", "environment"))
    versions = machine["versions"]
    lines = [
        f"{options['network']}: {network['parameters'] / 1e6:.1f} M parameters, "
        f"{network['multiply_adds_per_image'] / 1e9:.2f} GMAC an image of "
        f"{options['image_size']} x {options['image_size']}",
        f"{machine['cpu']['model']}, {options['threads']} threads, "
        f"TensorFlow {versions['tensorflow']}, whose default here is oneDNN "
        f"{'on' if network['onednn_by_default'] else 'off'}"]
    for precision, gemm in record["gemm"].items():
        lines.append(f"{precision} matrix product: " + "; ".join(
            f"{title.removeprefix('matrix product, ')}: {flops / 1e9:.0f} GFLOP/s"
            for title, flops in gemm["flops_by_setting"].items()))
    return lines


def ratio(ours: dict, theirs: dict) -> float:
    """Returns the median of ours / theirs, round by round; both ``batches`` of a run."""
    return median_ratio(ours["durations_s"], theirs["durations_s"])


def measured(record: dict, precision: str, batch_size: int) -> list[tuple[dict, dict]]:
    """Returns ``[(run, its batch)]`` of one precision and batch size."""
    return [(run, batch) for run in record["runs"] if run["precision"] == precision
            for batch in run["batches"] if batch["batch_size"] == batch_size]


def fastest(pairs: Iterable[tuple[dict, dict]], engines: Container[str]
            ) -> tuple[dict, dict] | None:
    """Returns the ``(run, batch)`` of the least median among some engines, or None."""
    return min((pair for pair in pairs if pair[0]["engine"] in engines),
               key=lambda pair: pair[1]["median_s"], default=None)


def table(record: dict) -> list[str]:
    """Returns lines: a row for every engine, precision and batch size, and what is missing.

    "time / ours" is over the fastest of our engines in the same precision.
    """
    rows = []
    for precision, batch_size in _settings(record):
        pairs = measured(record, precision, batch_size)
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
    lines = format_table(["engine", "precision", "batch", "median s", "min", "max", "images/s",
                          "time / ours", "of GEMM", "peak MiB", "start s", "rel. error",
                          "top-1 %"], rows)
    lines += ["ONNX Runtime reads the ONNX file that we write, as its own converter is no more "
              "released; OpenVINO has converted the frozen graph itself."]
    titles = [run["title"] for run in record["runs"] if not run["same_weights"]]
    if titles:
        lines.append("With weights and a count of multiply-adds of its own: "
                     + ", ".join(sorted(set(titles))) + ".")
    return lines + [f"Not measured: {one['title']}, {one['precision']}: {one['why']}"
                    for one in record["unavailable"]]


def conclusions(record: dict) -> list[str]:
    """Returns lines: ours against the best peer, by setting, and what it takes to start."""
    lines = []
    for precision, batch_size in _settings(record):
        pairs = measured(record, precision, batch_size)
        ours, tensorflow = fastest(pairs, OURS), fastest(pairs, {TENSORFLOW})
        # Without int8, a peer's best is in another precision.
        peers = pairs if precision != "int8" else [
            pair for other in ("float32", "bfloat16")
            for pair in measured(record, other, batch_size)]
        peer = fastest(peers, {run["engine"] for run, _ in peers} - {*OURS, PLAIN, "keras"})
        if ours is None:
            continue
        parts = [f"{_named(*ours)}"]
        if ours[1]["share_of_gemm"] is not None:
            parts.append(f"{ours[1]['share_of_gemm']:.2f} of the GEMM limit")
        if peer:
            parts.append(f"best of ours / best peer {ratio(ours[1], peer[1]):.3f} "
                         f"({peer[0]['title']}, {peer[0]['precision']})")
            if tensorflow:
                parts.append(f"TensorFlow / best peer {ratio(tensorflow[1], peer[1]):.3f}")
        lines.append(f"{precision}, batch {batch_size}: {'; '.join(parts)}")
    for precision in dict.fromkeys(run["precision"] for run in record["runs"]):
        runs = [run for run in record["runs"] if run["precision"] == precision]
        for who, chosen in (("ours", [run for run in runs if run["engine"] in OURS]),
                            ("peers", [run for run in runs if run["engine"] not in (
                                *OURS, PLAIN, "keras")])):
            if chosen:
                first = min(chosen, key=lambda run: run["startup_s"])
                least = min(chosen, key=lambda run: run["batches"][0]["peak_bytes"])
                lines.append(
                    f"{precision}, {who}: first result {first['startup_s']:.2f} s "
                    f"({first['title']}); peak memory, batch {least['batches'][0]['batch_size']}, "
                    f"{least['batches'][0]['peak_bytes'] / 2 ** 20:.0f} MiB ({least['title']})")
    return lines


def _named(run, batch):
    return f"{run['title']} {batch['median_s']:.4f} s"


def _settings(record):
    """Returns the pairs of precision and batch size that were measured, in order."""
    return list(dict.fromkeys((run["precision"], batch["batch_size"])
                              for batch_size in sorted(record["options"]["batch_sizes"])
                              for run in record["runs"] for batch in run["batches"]
                              if batch["batch_size"] == batch_size))
