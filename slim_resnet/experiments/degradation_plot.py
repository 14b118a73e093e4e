"""The degradation experiment as a plot; needs the extra ``plot``."""

from slim_resnet.common.spread import spread
from slim_resnet.experiments import degradation_records
from slim_resnet.pictures.drawing import figure_class
from slim_resnet.pictures.plots import save
from slim_resnet.pictures.themes import COLOURS


def plot_degradation(runs: list[dict], data_set: str, path: str) -> None:
    """Draws training and test error against depth: medians, spread, and every run.

    Args:
      runs: Runs of a record of `slim_resnet.experiments.degradation`.
      data_set: Name of the data set, for the titles.
      path: File to write; its ending chooses the format.
    """
    figure = figure_class()(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axis, error, title in zip(panels, degradation_records.ERRORS, ("training", "test")):
        for kind, colour in zip(degradation_records.KINDS, COLOURS[1::-1]):
            by_depth = degradation_records.errors_by_depth(runs, kind, error)
            depths, seeds = list(by_depth), list(by_depth.values())
            least, medians, most = zip(*map(spread, seeds))
            axis.plot(depths, medians, "-", color=colour, label=f"{kind}, median")
            axis.fill_between(depths, least, most, color=colour, alpha=0.2, linewidth=0)
            axis.plot([depth for depth in depths for _ in by_depth[depth]], sum(seeds, []), ".",
                      color=colour)
        axis.set(title=f"{data_set}: {title} error", xlabel="layers", ylabel="%",
                 xticks=sorted({run["layers"] for run in runs}))
        axis.spines[["top", "right"]].set_visible(False)
    # Not before all is drawn: a limit that is set ends the scaling of the axis they share.
    panels[0].set_ylim(bottom=min(0, panels[0].get_ylim()[0]))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2,
                  fontsize="small", frameon=False)
    save(figure, path)
