"""Every plot of measurements: data within its axes, and no legend on it."""

import itertools

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from scripts.peers import plot as peers_plot
from slim_resnet.benchmark import plot as benchmark_plot
from slim_resnet.experiments import degradation_plot
from slim_resnet.pictures import plots
from tests.helpers import drawn
from tests.helpers.timing_records import run_record


@pytest.fixture
def figure_of(monkeypatch):
    """Returns what calls a plot of a module and returns its figure."""
    def call(module, function, *arguments):
        figures = []
        monkeypatch.setattr(module, "save", lambda figure, path: figures.append(figure))
        getattr(module, function)(*arguments, "p.png")
        return figures[0]

    return call


def degradation_runs(training, test):
    return [{"kind": kind, "layers": layers, "seed": seed, "training_error_percent":
             training[kind] * layers + seed, "test_error_percent": test[kind] * layers + seed}
            for kind in ("plain", "residual") for layers in (7, 13, 55) for seed in (0, 1)]


@pytest.mark.parametrize("training, test", [
    ((1.5, 0.1), (1.6, 0.2)), ((0.1, 0.1), (1.7, 1.6)), ((1.7, 1.6), (0.01, 0.01)),
    ((0.0, 0.0), (0.0, 0.0)), ((1.7, 1.7), (1.7, 1.7))])
def test_degradation(figure_of, training, test):
    kinds = ("plain", "residual")
    runs = degradation_runs(dict(zip(kinds, training)), dict(zip(kinds, test)))
    figure = figure_of(degradation_plot, "plot_degradation", runs, "digits")
    drawn.assert_data_is_shown(figure)
    # The two panels are compared by their height.
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert figure.axes[0].get_ylim()[0] <= 0


@pytest.mark.parametrize("durations, burn_in", [
    ([1.0, 1.1, 0.9], [9.0]), ([1.0], []), ([2.0] * 30, [2.0] * 10), ([0.1] * 20 + [30.0], [0.1])])
def test_benchmark(figure_of, durations, burn_in):
    runs = [dict(run_record(f"network_{number}", durations, 10 ** 9), burn_in_durations_s=burn_in)
            for number in range(9)]
    figure = figure_of(benchmark_plot, "plot_benchmark", {"runs": runs})
    drawn.assert_data_is_shown(figure)
    # More runs than there are colours.
    assert all(len(axes.lines) + len(axes.patches) for axes in figure.axes)
    assert len(figure.axes) == 18


@pytest.mark.parametrize("largest, mean", [
    (1e-3, 1e-5), (0.0, 0.0), (5.0, 1e-9)])
def test_accuracy(figure_of, largest, mean):
    layers = [{"end_point": f"net/block{block}/unit_{unit}", "largest": largest * (unit + block),
               "mean": mean * unit} for block in (1, 2, 3, 4) for unit in range(6)]
    layers.append({"end_point": "net/block4", "largest": largest, "mean": mean})
    figure = figure_of(plots, "plot_accuracy", {
        "precision": "float32", "layer_images": 2, "layers": layers})
    drawn.assert_data_is_shown(figure)
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
        "runs": runs, "options": {"batch_sizes": [8, 1]},
        "gemm": {"float32": {"flops": 1e12}, "bfloat16": {"flops": 2e12}},
        "network": {"multiply_adds_per_image": 10 ** 10}})
    drawn.assert_data_is_shown(figure)
    # The first is on top.
    assert all(np.greater(*axes.get_ylim()) for axes in figure.axes)
