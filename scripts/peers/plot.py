"""A picture of what `comparison` measured; needs the extra ``plot``."""

from slim_resnet.pictures.drawing import figure_class
from slim_resnet.pictures.plots import save
from slim_resnet.pictures.themes import COLOURS


def plot(record: dict, path: str) -> None:
    """Draws each engine's images a second, a panel a precision and batch size.

    Args:
      record: A record of `comparison.compare`.
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
        # Of int8 no product was timed.
        gemm = record["gemm"].get(precision)
        limit = gemm and gemm["flops"] / (2 * record["network"]["multiply_adds_per_image"])
        for batch_size, axes in zip(batch_sizes, panels):
            if limit:
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
            axes.set_xlim(0, 1.2 * max([limit or 0, axes.dataLim.x1]))
            axes.spines[["top", "right"]].set_visible(False)
        if limit:
            panels[-1].legend(loc="lower right", bbox_to_anchor=(1, 1.08), fontsize="small")
    # Once, for all panels share it; and last, for it ends their scaling.
    rows[0, 0].invert_yaxis()
    save(figure, path)
