"""Pictures of measurements; needs the extra ``plot``."""

import os
import statistics

from slim_resnet.common.files import atomic_write
from slim_resnet.errors import SlimResnetError
from slim_resnet.experiments import degradation_records
from slim_resnet.pictures.figures import figure_class
from slim_resnet.pictures.themes import COLOURS

FORMATS = ("png", "svg", "pdf")


def check_plot_file(path):
    """Raises `SlimResnetError` if a plot could not be made under this name."""
    if _format_of(path) not in FORMATS:
        raise SlimResnetError(f"{path}: a plot's name ends in .png, .svg or .pdf")
    figure_class()


def plot_benchmark(record, path):
    """Draws each run's steps over time and a histogram of them.

    Args:
      record: A record of `slim_resnet.benchmark`.
      path: File to write; its ending chooses the format.
    """
    figure = figure_class()(figsize=(11, 1.2 + 2.6 * len(record["runs"])), layout="constrained")
    axes = figure.subplots(len(record["runs"]), 2, squeeze=False, width_ratios=(2, 1))
    for (steps, histogram), run, colour in zip(axes, record["runs"], COLOURS):
        burn_in, durations = run["burn_in_durations_s"], run["durations_s"]
        stats = run["statistics"]
        steps.plot(range(-len(burn_in), 0), burn_in, "x", color="0.5", label="burn-in")
        steps.plot(range(len(durations)), durations, ".-", color=colour, linewidth=0.8,
                   label="timed")
        steps.axhline(stats["p50_s"], color="0.3", linestyle="--", linewidth=1,
                      label=f"median {stats['p50_s']:.3f} s")
        steps.set(title=f"{run['model']}: {run['info_string'].split()[-1]}, batch "
                        f"{run['batch_size']}, {run['image_size_px']} px",
                  xlabel="step", ylabel="seconds a batch")
        # Room above the longest step for the legend.
        steps.set_ylim(0, 1.3 * max([*burn_in, *durations]))
        steps.legend(loc="upper right", ncols=3, fontsize="small")
        histogram.hist(durations, bins="auto", color=colour)
        histogram.set(title=f"{stats['mean_s']:.3f} +/- {stats['sd_s']:.3f} s",
                      xlabel="seconds a batch", ylabel="steps")
        steps.xaxis.get_major_locator().set_params(integer=True)
        histogram.yaxis.get_major_locator().set_params(integer=True)
        for axis in (steps, histogram):
            axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def plot_degradation(runs, data_set, path):
    """Draws training and test error against depth: medians, spread, and every run.

    Args:
      runs: Runs of a record of `slim_resnet.experiments.degradation`.
      data_set: Name of the data set, for the titles.
      path: File to write; its ending chooses the format.
    """
    figure = figure_class()(figsize=(11, 4), layout="constrained")
    for axis, error, title in zip(figure.subplots(1, 2, sharey=True), degradation_records.ERRORS,
                                  ("training", "test")):
        for kind, colour in zip(degradation_records.KINDS, COLOURS[1::-1]):
            by_depth = degradation_records.errors_by_depth(runs, kind, error)
            depths, seeds = list(by_depth), list(by_depth.values())
            axis.plot(depths, [statistics.median(errors) for errors in seeds], "-", color=colour,
                      label=f"{kind}, median")
            axis.fill_between(depths, list(map(min, seeds)), list(map(max, seeds)), color=colour,
                              alpha=0.2, linewidth=0)
            axis.plot([depth for depth in depths for _ in by_depth[depth]], sum(seeds, []), ".",
                      color=colour)
        axis.set(title=f"{data_set}: {title} error", xlabel="layers", ylabel="%",
                 xticks=sorted({run["layers"] for run in runs}))
        axis.set_ylim(bottom=0)
        axis.legend(loc="center right", fontsize="small")
        axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _save(figure, path):
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format=_format_of(path), dpi=120)


def plot_peers(record, path):
    """Draws each engine's images a second, a panel a precision and batch size.

    Args:
      record: A record of `slim_resnet.peers`.
      path: File to write; its ending chooses the format.
    """
    titles = list(dict.fromkeys(run["title"] for run in record["runs"]))
    batch_sizes = sorted(record["options"]["batch_sizes"])
    precisions = list(dict.fromkeys(run["precision"] for run in record["runs"]))
    figure = figure_class()(
        figsize=(3 + 3.2 * len(batch_sizes), 1 + len(precisions) * (1 + 0.35 * len(titles))),
        layout="constrained")
    rows = figure.subplots(max(len(precisions), 1), len(batch_sizes), squeeze=False, sharey=True)
    for precision, panels in zip(precisions, rows):
        limit = (record["gemm"][precision]["flops"]
                 / (2 * record["network"]["multiply_adds_per_image"]))
        for batch_size, axes in zip(batch_sizes, panels):
            axes.axvline(limit, color="0.3", linestyle="--", linewidth=1,
                         label=f"matrix product's rate, {limit:.1f}")
            for run in record["runs"]:
                for batch in run["batches"]:
                    if (run["precision"], batch["batch_size"]) == (precision, batch_size):
                        place, rate = titles.index(run["title"]), batch["images_per_s"]
                        ours = run["title"].startswith("slim_resnet")
                        axes.barh(place, rate, color=COLOURS[0 if ours else 4])
                        # On white, as the limit's line may run through it.
                        axes.annotate(f"{rate:.1f}", (rate, place), (3, 0), va="center",
                                      textcoords="offset points", fontsize="small",
                                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
            axes.set(title=f"{precision}, batch {batch_size}", xlabel="images a second")
            axes.set_yticks(range(len(titles)), titles)
            axes.set_xlim(0, 1.2 * max([limit, axes.dataLim.x1]))
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].invert_yaxis()
        panels[-1].legend(loc="lower right", bbox_to_anchor=(1, 1.08), fontsize="small")
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format=_format_of(path), dpi=120)


def plot_accuracy(record, path):
    """Draws the relative error of every layer, in order, on a logarithmic scale.

    Args:
      record: What `accuracy.as_record` returns.
      path: File to write; its ending chooses the format.
    """
    layers = record["layers"]
    figure = figure_class()(figsize=(9, 4.5), layout="constrained")
    axis = figure.subplots()
    for key, colour in zip(("mean", "largest"), COLOURS):
        axis.plot([layer[key] for layer in layers], ".", color=colour, label=key)
    for number, layer in enumerate(layers):
        name = layer["end_point"].rsplit("/", 1)[-1]
        if name.startswith("block"):
            axis.axvline(number, color="0.8", linewidth=1, zorder=0)
            axis.annotate(name, (number, 1), xycoords=("data", "axes fraction"), rotation=90,
                          xytext=(-10, -4), textcoords="offset points", va="top",
                          fontsize="small", color="0.3")
    axis.set(title=f"{record['precision']}, folded, against the unfolded float32 network "
                   f"({record['layer_images']} images)",
             xlabel="end point, in order of computation", ylabel="relative error")
    axis.set_yscale("log", nonpositive="clip")
    axis.legend(loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format=_format_of(path), dpi=120)


def _format_of(path):
    return os.path.splitext(path)[1].lstrip(".").lower()
