"""A benchmark's record as a plot; needs the extra ``plot``."""

import itertools

from slim_resnet.pictures.drawing import themed_figure
from slim_resnet.pictures.markup import shortened
from slim_resnet.pictures.plots import save, title


def plot_benchmark(record: dict, path: str, theme: str = "light") -> None:
    """Draws each run's steps over time and a histogram of them.

    Args:
      record: A record of `slim_resnet.benchmark`.
      path: File to write; its ending chooses the format.
      theme: A key of `themes.THEMES`.
    """
    runs = record["runs"]
    with themed_figure(theme, 11, 1.4 + 2.5 * len(runs)) as (figure, colours):
        title(figure, "Seconds a batch, step by step")
        axes = figure.subplots(len(runs), 2, squeeze=False, width_ratios=(2, 1))
        for (steps, histogram), run, colour in zip(
                axes, runs, itertools.cycle((colours.main, colours.second, colours.third))):
            burn_in, durations = run["burn_in_durations_s"], run["durations_s"]
            stats = run["statistics"]
            steps.plot(range(-len(burn_in), 0), burn_in, "x", color=colours.muted)
            steps.plot(range(len(durations)), durations, ".-", color=colour, linewidth=0.8)
            steps.axhline(stats["p50_s"], color=colours.text, linestyle="--", linewidth=1)
            in_int8 = " int8" * bool(run.get("quantised"))
            name = shortened(f"{run['model']}{in_int8}: {run['info_string'].split()[-1]}, batch "
                             f"{run['batch_size']}, {run['image_size_px']} px", 42)
            steps.set_title(name, loc="left", fontsize=10)
            steps.set(xlabel=f"step; dashed: the median, {stats['p50_s']:.3f} s"
                      + ("; ×: burn-in" if burn_in else ""),
                      ylim=(0, 1.08 * max([*burn_in, *durations])))
            histogram.hist(durations, bins="auto", color=colour)
            histogram.set_title(f"{stats['mean_s']:.3f} +/- {stats['sd_s']:.3f} s, "
                                f"{len(durations)} steps", loc="left", fontsize=10)
            histogram.set(xlabel="seconds a batch", ylabel="steps")
            steps.xaxis.get_major_locator().set_params(integer=True)
            histogram.yaxis.get_major_locator().set_params(integer=True)
    save(figure, path)
