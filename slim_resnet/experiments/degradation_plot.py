"""The degradation experiment as a plot; needs the extra ``plot``."""

from slim_resnet.common.spread import spread
from slim_resnet.experiments import degradation_records
from slim_resnet.pictures.drawing import themed_figure
from slim_resnet.pictures.plots import label_ends, save, title


def plot_degradation(runs: list[dict], data_set: str, path: str, theme: str = "light") -> None:
    """Draws training and test error against depth: medians, spread, and every run.

    Args:
      runs: Runs of a record of `slim_resnet.experiments.degradation`.
      data_set: Name of the data set, for the title.
      path: File to write; its ending chooses the format.
      theme: A key of `themes.THEMES`.
    """
    with themed_figure(theme, 11, 4.4) as (figure, colours):
        title(figure, f"{data_set}: error of plain and residual networks against depth")
        panels = figure.subplots(1, 2, sharey=True)
        ends = []
        for axes, error, name in zip(panels, degradation_records.ERRORS, ("training", "test")):
            ends.append([])
            for kind, colour in zip(degradation_records.KINDS, (colours.second, colours.main)):
                by_depth = degradation_records.errors_by_depth(runs, kind, error)
                depths, seeds = list(by_depth), list(by_depth.values())
                least, medians, most = zip(*map(spread, seeds))
                axes.plot(depths, medians, "-", color=colour)
                axes.fill_between(depths, least, most, color=colour, alpha=0.2, linewidth=0)
                axes.plot([depth for depth in depths for _ in by_depth[depth]], sum(seeds, []),
                          ".", color=colour)
                ends[-1].append((kind, depths[-1], medians[-1]))
            axes.set_title(f"{name} error in %: medians, and bands of all seeds", loc="left",
                           fontsize=10)
            axes.set(xlabel="layers", xticks=sorted({run["layers"] for run in runs}))
        # Not before all is drawn: a limit that is set ends the scaling of the axis they share.
        panels[0].set_ylim(bottom=min(0, panels[0].get_ylim()[0]))
        for axes, found in zip(panels, ends):
            label_ends(axes, found)
    save(figure, path)
