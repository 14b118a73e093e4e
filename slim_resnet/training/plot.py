"""The metrics of a training run as a plot; needs the extra ``plot``."""

import os

import numpy as np

from slim_resnet.checkpoint import runs
from slim_resnet.common.files import misfit
from slim_resnet.errors import SlimResnetError
from slim_resnet.pictures.drawing import themed_figure
from slim_resnet.pictures.plots import label_ends, save, title
from slim_resnet.training.records import evaluated_rows

_ROW = {"loss": float, "cross_entropy": float, "accuracy": float}
# The running mean is over this part of the lines.
_SMOOTHED = 1 / 40


def plot_training(folder: str | os.PathLike, path: str, theme: str = "light") -> None:
    """Draws loss and accuracy of a run against its steps, and what it was evaluated to.

    Args:
      folder: Folder of the run.
      path: File to write; its ending chooses the format.
      theme: A key of `themes.THEMES`.

    Raises:
      SlimResnetError: metrics.jsonl has no lines of training, or is damaged.
    """
    metrics = os.path.join(folder, runs.METRICS)
    rows = [row for _, row in runs.metrics_lines(metrics, lambda row: None if "evaluated_on" in row
                                                 else misfit(row, _ROW))
            if "evaluated_on" not in row]
    if not rows:
        raise SlimResnetError(f"{metrics}: has no steps to plot")
    steps = np.array([row["step"] for row in rows])
    values = {name: np.array([row[name] for row in rows], np.float64) for name in _ROW}
    evaluated = evaluated_rows(folder)
    with themed_figure(theme, 11, 4.4) as (figure, colours):
        title(figure, f"{os.path.basename(os.path.abspath(folder))}: training to step {steps[-1]}")
        loss, accuracy = figure.subplots(1, 2)
        lines = [(loss, "with weight decay", values["loss"], colours.second),
                 (loss, "cross entropy", values["cross_entropy"], colours.main),
                 (accuracy, "batches", 100 * values["accuracy"], colours.main)]
        ends = {loss: [], accuracy: []}
        for axes, label, numbers, colour in lines:
            smooth = _running_mean(numbers)
            axes.plot(steps, numbers, "-", color=colour, alpha=0.3, linewidth=0.8)
            axes.plot(steps, smooth, "-", color=colour)
            ends[axes].append((label, steps[-1], smooth[-1]))
        for weights in dict.fromkeys(row["weights"] for row in evaluated):
            points = [(row["step"], row["top_1_percent"]) for row in evaluated
                      if row["weights"] == weights and row["batch_norm_statistics"] == "moving"]
            if points:
                accuracy.plot(*zip(*points), "o-", color=colours.second, markersize=4)
                ends[accuracy].append((f"evaluated, {weights}", *points[-1]))
        loss.set_title("loss; bold: running mean", loc="left", fontsize=10)
        accuracy.set_title("accuracy in %", loc="left", fontsize=10)
        loss.set(xlabel="step", ylim=(0, None))
        accuracy.set(xlabel="step", ylim=(-3, 103))
        for axes, found in ends.items():
            axes.xaxis.get_major_locator().set_params(integer=True)
            label_ends(axes, found)
    save(figure, path)


def _running_mean(numbers):
    """Returns the mean of each number and of those that came before it, as far as is shown."""
    window = max(1, round(_SMOOTHED * len(numbers)))
    sums = np.cumsum(np.concatenate([[0], numbers]))
    at = np.arange(1, len(numbers) + 1)
    first = np.maximum(0, at - window)
    return (sums[at] - sums[first]) / (at - first)
