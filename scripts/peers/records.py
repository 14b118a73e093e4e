"""Tables of what `comparison` measured: pure functions of its record."""

from collections.abc import Container, Iterable

from scripts.peers.comparison import OURS, PLAIN
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
    """Returns lines: a row for every engine, precision and batch size, and what is missing."""
    rows = []
    for precision, batch_size in _settings(record):
        pairs = measured(record, precision, batch_size)
        ours = fastest(pairs, {OURS})
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
    titles = [run["title"] for run in record["runs"] if not run["same_weights"]]
    if titles:
        lines.append("With weights and a count of multiply-adds of its own: "
                     + ", ".join(sorted(set(titles))) + ".")
    return lines + [f"Not measured: {one['title']}, {one['precision']}: {one['why']}"
                    for one in record["unavailable"]]


def conclusions(record: dict) -> list[str]:
    """Returns lines: ours against the plain session and the best peer, by setting."""
    lines = []
    for precision, batch_size in _settings(record):
        pairs = measured(record, precision, batch_size)
        ours, plain = fastest(pairs, {OURS}), fastest(pairs, {PLAIN})
        peer = fastest(pairs, {run["engine"] for run, _ in pairs} - {OURS, PLAIN, "keras"})
        if ours is None:
            continue
        parts = [f"{ours[1]['share_of_gemm']:.2f} of the GEMM limit"]
        if peer:
            parts.append(f"{ratio(ours[1], peer[1]):.3f} of the time of the best peer, "
                         f"{peer[0]['title']}")
        if plain:
            parts.append(f"plain session.run takes {1 / ratio(ours[1], plain[1]):.2f} times as "
                         "long")
        lines.append(f"{precision}, batch {batch_size}: {ours[0]['title']}: {'; '.join(parts)}")
    return lines


def _settings(record):
    """Returns the pairs of precision and batch size that were measured, in order."""
    return list(dict.fromkeys((run["precision"], batch["batch_size"])
                              for batch_size in sorted(record["options"]["batch_sizes"])
                              for run in record["runs"] for batch in run["batches"]
                              if batch["batch_size"] == batch_size))
