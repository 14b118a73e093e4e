"""Every plot of measurements: data within its axes, words apart, and no legend on it."""

import itertools
import json

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_hex

from scripts.peers import plot as peers_plot
from slim_resnet.benchmark import plot as benchmark_plot
from slim_resnet.errors import SlimResnetError
from slim_resnet.experiments import degradation_plot
from slim_resnet.pictures import drawing, plots
from slim_resnet.pictures.themes import THEMES
from slim_resnet.training import plot as training_plot
from tests.helpers import drawn
from tests.helpers.timing_records import run_record


@pytest.fixture
def figure_of(monkeypatch):
    """Returns what calls a plot of a module and returns its figure.

    What all of them have: a theme, a title to the left, and no box around a legend.
    """
    def call(module, function, *arguments, theme="light"):
        figures = []
        monkeypatch.setattr(module, "save", lambda figure, path: figures.append(figure))
        getattr(module, function)(*arguments, "p.png", theme)
        figure, = figures
        drawn.readable(figure)
        assert to_hex(figure.get_facecolor()) == THEMES[theme].background
        assert figure.get_suptitle() and figure._suptitle.get_ha() == "left"
        boxes = [axes.get_legend() for axes in figure.axes] + figure.legends
        assert not any(box.get_frame_on() for box in boxes if box)
        return figure

    return call


def degradation_runs(training, test):
    return [{"kind": kind, "layers": layers, "seed": seed, "training_error_percent":
             training[kind] * layers + seed, "test_error_percent": test[kind] * layers + seed}
            for kind in ("plain", "residual") for layers in (7, 13, 55) for seed in (0, 1)]


@pytest.mark.parametrize("training, test, theme", [
    ((1.5, 0.1), (1.6, 0.2), "light"), ((0.1, 0.1), (1.7, 1.6), "light"),
    ((1.7, 1.6), (0.01, 0.01), "dark"), ((0.0, 0.0), (0.0, 0.0), "light"),
    ((1.7, 1.7), (1.7, 1.7), "light")])
def test_degradation(figure_of, training, test, theme):
    kinds = ("plain", "residual")
    runs = degradation_runs(dict(zip(kinds, training)), dict(zip(kinds, test)))
    figure = figure_of(degradation_plot, "plot_degradation", runs, "digits",
                       theme=theme)
    # Each line has its name at its end, none upon another.
    assert [text.get_text() for axes in figure.axes for text in axes.texts].count("plain") == 2
    # The two panels are compared by their height.
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert figure.axes[0].get_ylim()[0] <= 0


@pytest.mark.parametrize("durations, burn_in, theme", [
    ([1.0, 1.1, 0.9], [9.0], "light"), ([1.0], [], "dark"), ([2.0] * 30, [2.0] * 10, "light"),
    ([0.1] * 20 + [30.0], [0.1], "light")])
def test_benchmark(figure_of, durations, burn_in, theme):
    runs = [dict(run_record(f"network_{number}", durations, 10 ** 9), burn_in_durations_s=burn_in)
            for number in range(4)]
    figure = figure_of(benchmark_plot, "plot_benchmark", {"runs": runs},
                       theme=theme)
    # More runs than there are colours.
    assert all(len(axes.lines) + len(axes.patches) for axes in figure.axes)
    assert len(figure.axes) == 8


@pytest.mark.parametrize("largest, mean, theme", [
    (1e-3, 1e-5, "light"), (0.0, 0.0, "dark"), (5.0, 1e-9, "light")])
def test_accuracy(figure_of, largest, mean, theme):
    layers = [{"end_point": f"net/block{block}/unit_{unit}", "largest": largest * (unit + block),
               "mean": mean * unit} for block in (1, 2, 3, 4) for unit in range(6)]
    layers.append({"end_point": "net/block4", "largest": largest, "mean": mean})
    figure = figure_of(plots, "plot_accuracy", {
        "precision": "float32", "layer_images": 2, "layers": layers}, theme=theme)
    axis, = figure.axes
    labels = [line.get_label() for line in axis.lines]
    # What is 0 is on the plot too.
    assert ("mean: 0" in labels) and ("largest: 0" in labels) == (largest == 0)


def test_peers(figure_of):
    rates = itertools.count(1)
    runs = [{"title": title, "precision": precision, "batches": [
        {"batch_size": size, "images_per_s": 3.0 ** next(rates)} for size in (1, 8)]}
        for precision, titles in (("float32", ("slim_resnet", "a")),
                                  ("bfloat16", ("slim_resnet", "a", "b", "c")))
        for title in titles]
    figure = figure_of(peers_plot, "plot", {
        "name": "runs/net.ckpt", "runs": runs,
        "gemm": {"float32": {"flops": 1e12}, "bfloat16": {"flops": 2e12}},
        "network": {"multiply_adds_per_image": 10 ** 10}})
    # The first is on top.
    assert all(np.greater(*axes.get_ylim()) for axes in figure.axes)


def metrics(folder, rows):
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def trained(step, loss):
    return {"step": step, "loss": loss, "cross_entropy": loss / 2, "accuracy": min(1.0, 1 / loss),
            "learning_rate": 0.1}


def evaluated(step, weights, percent, statistics="moving"):
    return {"step": step, "evaluated_on": "validation images", "weights": weights,
            "batch_norm_statistics": statistics, "top_1_percent": percent}


@pytest.mark.parametrize("steps, theme", [(1, "light"), (2, "dark"), (300, "light")])
def test_training(figure_of, tmp_path, steps, theme):
    rows = [trained(step, 3.0 / step) for step in range(1, steps + 1)]
    rows += [evaluated(1, "raw", 10.0), evaluated(1, "averaged", 12.0),
             evaluated(1, "raw", 99.0, "batch"), evaluated(steps, "raw", 60.0)]
    figure = figure_of(training_plot, "plot_training", metrics(tmp_path, rows), theme=theme)
    loss, accuracy = figure.axes
    assert {text.get_text() for text in loss.texts} == {"with weight decay", "cross entropy"}
    assert {text.get_text() for text in accuracy.texts} == {
        "batches", "evaluated, raw", "evaluated, averaged"}
    assert figure.get_suptitle().endswith(f": training to step {steps}")
    raw, smooth = (line.get_xydata() for line in loss.lines[:2])
    np.testing.assert_allclose(raw[:, 1], 3.0 / np.arange(1, steps + 1))
    # Of 300 steps the mean is over eight, of the first over itself.
    last = np.mean([3.0 / step for step in range(293, 301)]) if steps == 300 else 3.0 / steps
    np.testing.assert_allclose(smooth[[0, -1], 1], [3.0, last])
    points, = [line.get_xydata() for line in accuracy.lines if line.get_marker() == "o"
               and line.get_ydata()[0] == 10]
    np.testing.assert_allclose(points, [[1, 10], [steps, 60]])


def test_training_without_steps_is_one_line(tmp_path):
    with pytest.raises(SlimResnetError, match="metrics.jsonl: has no steps to plot"):
        training_plot.plot_training(metrics(tmp_path, [evaluated(1, "raw", 5.0)]), "p.png")
    with pytest.raises(SlimResnetError, match="line 1 is damaged"):
        training_plot.plot_training(metrics(tmp_path, [{"step": 1}]), "p.png")


def test_names_at_the_ends_of_lines_stand_apart():
    with drawing.themed_figure("light", 5, 3) as (figure, _):
        axes = figure.subplots()
        for number in range(6):
            axes.plot([0, 1], [0, 1 + number / 1000])
        plots.title(figure, "title")
        plots.label_ends(axes, [(f"line {number}", 1, 1 + number / 1000) for number in range(6)])
    drawn.Drawn(figure).assert_readable()
    heights = [text.xyann[1] for text in axes.texts]
    assert heights == sorted(heights) and heights[0] == 0 < heights[1]
