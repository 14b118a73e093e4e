"""A benchmark's record as a plot; needs the extra ``plot``."""

import itertools

from slim_resnet.pictures.drawing import figure_class
from slim_resnet.pictures.plots import save
from slim_resnet.pictures.themes import COLOURS


def plot_benchmark(record: dict, path: str) -> None:
    """Draws each run's steps over time and a histogram of them.

    Args:
      record: A record of `slim_resnet.benchmark`.
      path: File to write; its ending chooses the format.
    """
    figure = figure_class()(figsize=(11, 1.2 + 2.6 * len(record["runs"])), layout="constrained")
    axes = figure.subplots(len(record["runs"]), 2, squeeze=False, width_ratios=(2, 1))
    for (steps, histogram), run, colour in zip(
            axes, record["runs"], itertools.cycle(COLOURS)):
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
    save(figure, path)
