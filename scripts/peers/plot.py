"""A picture of what `comparison` measured; needs the extra ``plot``."""

import os

from scripts.peers.records import batch_sizes, measured, precisions
from slim_resnet.pictures.drawing import themed_figure
from slim_resnet.pictures.plots import save, title


def plot(network: dict, path: str, theme: str = "light") -> None:
    """Draws each engine's images a second on a network, a panel a precision and batch size.

    Args:
      network: An element of ``networks`` of `comparison.compare`.
      path: File to write; its ending chooses the format.
      theme: A key of `themes.THEMES`.
    """
    sizes = batch_sizes(network)
    # Those that a precision was timed in.
    titles = {precision: list(dict.fromkeys(run["title"] for run in network["runs"]
                                            if run["precision"] == precision))
              for precision in precisions(network)}
    heights = [1 + 0.35 * len(names) for names in titles.values()] or [1]
    with themed_figure(theme, 3 + 3.2 * len(sizes), 1.4 + sum(heights)) as (figure, colours):
        title(figure, f"{os.path.basename(network['name'])}: images a second; dashed: what the "
              "rate of matrix products allows")
        rows = figure.subplots(len(heights), max(len(sizes), 1), squeeze=False, sharey="row",
                               height_ratios=heights)
        for (precision, names), panels in zip(titles.items(), rows):
            # Of int8 no product was timed.
            gemm = network["gemm"].get(precision)
            limit = gemm and gemm["flops"] / (2 * network["network"]["multiply_adds_per_image"])
            for batch_size, axes in zip(sizes, panels):
                if limit:
                    axes.axvline(limit, color=colours.muted, linestyle="--", linewidth=1)
                for run, batch in measured(network, precision, batch_size):
                    place, rate = names.index(run["title"]), batch["images_per_s"]
                    ours = run["title"].startswith("slim_resnet")
                    axes.barh(place, rate, color=colours.main if ours else colours.second)
                    # On a ground of its own, as the limit's line may run through it.
                    axes.annotate(f"{rate:.1f}", (rate, place), (3, 0), va="center",
                                  textcoords="offset points", fontsize="small",
                                  bbox={"facecolor": colours.background, "edgecolor": "none",
                                        "pad": 0.5})
                dashed = f"; dashed: {limit:.1f}" if limit else ""
                axes.set_title(f"{precision}, batch {batch_size}{dashed}", loc="left", fontsize=10)
                axes.locator_params(axis="x", nbins=4)
                axes.set_yticks(range(len(names)), names)
                axes.set_xlim(0, 1.2 * max([limit or 0, axes.dataLim.x1]))
            # Once, for the row shares it; and last, for it ends its scaling.
            panels[0].invert_yaxis()
    save(figure, path)


def path_of(path: str, name: str, networks: int) -> str:
    """Returns where the picture of one of several networks goes: its name is put into ``path``.

    Args:
      path: Of the picture of one network alone.
      name: The network's, or its checkpoint's path.
      networks: How many there are.
    """
    stem, ending = os.path.splitext(path)
    return path if networks == 1 else f"{stem}_{os.path.basename(name)}{ending}"
