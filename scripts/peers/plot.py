"""A picture of what `comparison` measured; needs the extra ``plot``."""

from slim_resnet.pictures.drawing import themed_figure
from slim_resnet.pictures.plots import save, title


def plot(record: dict, path: str, theme: str = "light") -> None:
    """Draws each engine's images a second, a panel a precision and batch size.

    Args:
      record: A record of `comparison.compare`.
      path: File to write; its ending chooses the format.
      theme: A key of `themes.THEMES`.
    """
    titles = list(dict.fromkeys(run["title"] for run in record["runs"]))
    batch_sizes = sorted(record["options"]["batch_sizes"])
    precisions = list(dict.fromkeys(run["precision"] for run in record["runs"]))
    with themed_figure(theme, 3 + 3.2 * len(batch_sizes),
                       1.4 + len(precisions) * (1 + 0.35 * len(titles))) as (figure, colours):
        title(figure, "Images a second; dashed: what the rate of matrix products allows")
        rows = figure.subplots(max(len(precisions), 1), len(batch_sizes), squeeze=False,
                               sharey=True)
        for precision, panels in zip(precisions, rows):
            # Of int8 no product was timed.
            gemm = record["gemm"].get(precision)
            limit = gemm and gemm["flops"] / (2 * record["network"]["multiply_adds_per_image"])
            for batch_size, axes in zip(batch_sizes, panels):
                if limit:
                    axes.axvline(limit, color=colours.muted, linestyle="--", linewidth=1)
                for run in record["runs"]:
                    for batch in run["batches"]:
                        if (run["precision"], batch["batch_size"]) == (precision, batch_size):
                            place, rate = titles.index(run["title"]), batch["images_per_s"]
                            ours = run["title"].startswith("slim_resnet")
                            axes.barh(place, rate,
                                      color=colours.main if ours else colours.second)
                            # On a ground of its own, as the limit's line may run through it.
                            axes.annotate(f"{rate:.1f}", (rate, place), (3, 0), va="center",
                                          textcoords="offset points", fontsize="small",
                                          bbox={"facecolor": colours.background,
                                                "edgecolor": "none", "pad": 0.5})
                dashed = f"; dashed: {limit:.1f}" if limit else ""
                axes.set_title(f"{precision}, batch {batch_size}{dashed}", loc="left", fontsize=10)
                axes.locator_params(axis="x", nbins=4)
                axes.set_yticks(range(len(titles)), titles)
                axes.set_xlim(0, 1.2 * max([limit or 0, axes.dataLim.x1]))
        # Once, for all panels share it; and last, for it ends their scaling.
        rows[0, 0].invert_yaxis()
    save(figure, path)
