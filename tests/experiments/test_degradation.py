"""The experiment on plain and residual networks: what it trains, says and keeps."""

import json
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import cli, resnet_v2
from slim_resnet.common import locks
from slim_resnet.experiments import degradation
from slim_resnet.experiments import degradation_records as records

tf1 = tf.compat.v1


def tiny_data():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = rng.normal(size=[90, 8, 8, 1]) * 0.1 + labels[:, None, None, None] - 1
    images = images.astype(np.float32)
    return degradation.DataSet("digits", images[:60], labels[:60], images[60:], labels[60:])


OPTIONS = records.DegradationOptions(layers=(7,), width=1, seeds=2, steps=20, batch_size=10)


@pytest.mark.parametrize("layers, image_size, units", [
    (7, 8, [1, 1]), (19, 8, [3, 3]), (10, 8, [2, 1]), (55, 32, [5, 5, 4, 4]), (4, 4, [1]),
    (13, 28, [1, 1, 1, 1])])
def test_layers_are_units_of_blocks(layers, image_size, units):
    assert degradation.block_units(layers, image_size) == units


@pytest.mark.parametrize("kind, shortcuts", [("plain", 0), ("residual", 2)])
def test_networks_have_as_many_layers_and_channels_as_said(kind, shortcuts, graph):
    with slim.arg_scope(resnet_v2.resnet_arg_scope()):
        logits = degradation.build_network(kind, tf.zeros([2, 8, 8, 1]), 3, 13, 2, True)
    shapes = {v.op.name: v.shape.as_list() for v in tf1.trainable_variables()
              if v.op.name.endswith("/weights")}
    assert len([name for name in shapes if "/shortcut/" not in name]) == 13
    assert len([name for name in shapes if "/shortcut/" in name]) == shortcuts
    assert [shape[2:] for name, shape in shapes.items() if "conv2" in name] == [[2, 2]] * 2 + [
        [4, 4]] * 2
    assert logits.shape.as_list() == [2, 3]


@pytest.mark.slow
def test_runs_are_those_of_their_seeds_however_many_are_trained_at_a_time():
    data = tiny_data()
    planned = records.planned(OPTIONS)
    one, two = ([run for run in degradation.train_all(planned, data, OPTIONS, jobs)]
                for jobs in (1, 2))
    assert [records.key_of(run) for run in one] == planned and len(planned) == 4
    assert sorted(map(str, one)) == sorted(map(str, two))
    assert len({run["training_loss"] for run in one}) == 4
    assert np.mean([run["training_error_percent"] for run in one]) < 50
    assert data.description() == {"name": "digits", "training_images": 60, "test_images": 30,
                                  "chance_error_percent": pytest.approx(100 * 2 / 3)}


def test_errors_are_of_all_images():
    """A network that has learned nothing names one class for all."""
    data = tiny_data()
    options = records.DegradationOptions(layers=(7,), width=1, seeds=1, steps=1, batch_size=10,
                                         learning_rate=1e-9)
    data = data._replace(test_labels=np.full(30, 3))  # none of its classes
    run = degradation.train("plain", 7, 0, data, options)
    assert run["test_error_percent"] == 100
    assert 60 < run["training_error_percent"] <= 100


def test_a_stopped_run_is_none():
    assert degradation.train("plain", 7, 0, tiny_data(), OPTIONS, stopped=lambda: True) is None


def test_closing_stops_what_is_under_way_and_begins_nothing_more(monkeypatch):
    begun, second_begun = [], threading.Event()

    def train(kind, layers, seed, data, options, stopped):
        begun.append((kind, layers, seed))
        if len(begun) == 2:
            second_begun.set()
            deadline = time.monotonic() + 60
            while not stopped():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            begun.append("stopped")
        return {}

    monkeypatch.setattr(degradation, "train", train)
    planned = records.planned(OPTIONS)
    results = degradation.train_all(planned, tiny_data(), OPTIONS, 1)
    assert next(results) == {} and second_begun.wait(60)
    results.close()
    assert begun == [*planned[:2], "stopped"]


# Training errors by depth that show what the post says.
SHOWN = {"plain": {7: (9, 11), 19: (5, 6), 37: (40, 50)},
         "residual": {7: (8, 9), 19: (2, 3), 37: (0, 0.2)}}


def runs_of(training, test=None):
    test = test or training
    return [{"kind": kind, "layers": layers, "seed": seed, "training_error_percent": error,
             "test_error_percent": test[kind][layers][seed], "training_loss": 0.1}
            for kind, by_depth in training.items() for layers, errors in by_depth.items()
            for seed, error in enumerate(errors)]


def changed(kind, layers, errors):
    return {**SHOWN, kind: {**SHOWN[kind], layers: errors}}


def test_verdict_that_it_is_shown():
    shown, lines = records.verdict(runs_of(SHOWN), 90)
    assert shown is True
    assert [line[:5] for line in lines[2:]] == ["  yes"] * 4 and "These runs show it" in lines[1]


@pytest.mark.parametrize("training, test, not_shown", [
    (changed("plain", 37, (6.2, 50)), None, [0, 1]),  # rises by 0.2 points in one seed
    (changed("plain", 37, (5.9, 50)), SHOWN, [0]),
    (SHOWN, changed("plain", 37, (5, 6)), [1]),  # only training error rises
    (changed("residual", 19, (9.6, 9.7)), None, [2]),
    (changed("residual", 37, (7.8, 8.2)), None, [2]),
    (changed("residual", 37, (3, 41)), None, [2, 3]),
    (changed("plain", 37, (1, 2)), None, [0, 1]),  # goes on falling
])
def test_verdict_names_what_is_not_shown(training, test, not_shown):
    shown, lines = records.verdict(runs_of(training, test), 90)
    assert shown is False and "do NOT show it" in lines[1]
    assert [i for i, line in enumerate(lines[2:]) if line.startswith("  NO")] == not_shown


def test_verdict_allows_half_a_point_where_nothing_is_left_to_fall():
    assert records.falls({7: [8, 9], 19: [0, 0], 37: [0.4, 0.5]})
    assert not records.falls({7: [8, 9], 19: [0, 0], 37: [0.6, 0.7]})
    assert not records.degrades({7: [8, 9], 19: [0, 1], 37: [1.5, 9]})
    assert records.degrades({7: [8, 9], 19: [0, 1], 37: [1.6, 9]})


def test_verdict_says_where_plain_networks_learn_nothing():
    _, lines = records.verdict(runs_of(changed("plain", 37, (89.5, 90))), 90)
    assert lines[-2:] == ["At 37 layers most plain networks learn nothing: they stay at chance, "
                          "90.0 %.", "Without these depths their training error does not rise."]
    four = {"plain": {**SHOWN["plain"], 55: (90, 90)}, "residual": {**SHOWN["residual"],
                                                                    55: (0, 0)}}
    assert records.verdict(runs_of(four), 90)[1][-1].endswith("training error rises too.")


@pytest.mark.parametrize("training", [
    {kind: {layers: errors[:1] for layers, errors in by_depth.items()}
     for kind, by_depth in SHOWN.items()},
    {kind: {7: (9, 11), 19: (5, 6)} for kind in SHOWN},
    changed("residual", 37, (0,)),
    {"plain": SHOWN["plain"]},
])
def test_verdict_on_too_few_runs(training):
    shown, lines = records.verdict(runs_of(training), 90)
    assert shown is None and lines[0].startswith("Too few runs to tell")


def test_table_of_errors():
    lines = records.error_table(runs_of(SHOWN)).lines()
    assert lines[2].split() == "plain 7 2 9.00 / 10.00 / 11.00 9.00 / 10.00 / 11.00".split()
    assert [line.split()[:2] for line in lines[2:]] == [
        [kind, str(layers)] for kind in ("plain", "residual") for layers in (7, 19, 37)]


@pytest.fixture
def trained(monkeypatch):
    """Stands for training: `SHOWN`'s errors; lists what is trained."""
    done = []

    def train(kind, layers, seed, *_):
        done.append((kind, layers, seed))
        return next(run for run in runs_of(SHOWN) if records.key_of(run) == done[-1])

    monkeypatch.setattr(degradation, "train", train)
    monkeypatch.setattr(degradation, "digits", tiny_data)
    return done


def run_command(*arguments, seeds=2):
    return cli.main(["degradation", "--layers", "37", "7", "19", "--seeds", str(seeds), "--steps",
                     "20", "--jobs", "1", *map(str, arguments)])


def test_command_prints_keeps_and_plots(trained, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    record, plot = tmp_path / "r.json", tmp_path / "p.png"
    assert run_command("--json", record, "--plot", plot) == 0
    out = capsys.readouterr().out
    assert "These runs show it" in out and "40.00 / 45.00 / 50.00" in out
    written = json.loads(record.read_text())
    assert len(written["runs"]) == 12 and written["options"]["layers"] == [7, 19, 37]
    picture = tf.io.decode_png(plot.read_bytes()).numpy()
    assert picture.shape[0] > 300 and picture.std() > 10


def test_command_goes_on_where_it_was_interrupted(trained, tmp_path, capsys, monkeypatch):
    record = tmp_path / "r.json"

    def interrupted(items, *_):
        for count, item in enumerate(items):
            if count == 7:
                raise KeyboardInterrupt
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["slim_resnet.commands.degradation"], "with_progress", interrupted)
        assert run_command("--json", record) == 130
    assert "Too few runs to tell" in capsys.readouterr().out
    assert len(json.loads(record.read_text())["runs"]) == 7
    del trained[:]
    assert run_command("--json", record) == 0
    assert len(trained) == 5
    assert "5 of 12 networks to train" in capsys.readouterr().err
    del trained[:]
    assert run_command("--json", record, seeds=1) == 0 and not trained
    assert "Too few runs to tell" in capsys.readouterr().out


def one_error_line(capsys):
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith("slim-resnet degradation: error: ")
    return line


def test_record_of_other_options_is_not_mixed_in(trained, tmp_path, capsys, monkeypatch):
    record = tmp_path / "r.json"
    run_command("--json", record)
    before = record.read_text()
    capsys.readouterr()
    assert run_command("--json", record, "--width", 3) == 2
    assert f"{record}: its runs have width 2, not 3" in one_error_line(capsys)
    assert run_command("--json", record, "--cifar10", "x.tar.gz") == 2
    assert "data_set digits, not CIFAR-10" in one_error_line(capsys)
    with monkeypatch.context() as patch:
        patch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
        assert run_command("--json", record) == 2
    assert "its runs have TF_ENABLE_ONEDNN_OPTS 0, not 1" in one_error_line(capsys)
    assert record.read_text() == before
    changed = json.loads(before)
    changed["environment"]["versions"]["tensorflow"] = "1.15"
    record.write_text(json.dumps(changed))
    assert run_command("--json", record) == 2
    assert f"its runs have TensorFlow 1.15, not {tf.__version__}" in one_error_line(capsys)
    for content, message in (("{}", "is not a record of slim-resnet degradation"),
                             (json.dumps({"format": records.FORMAT, "data_set": []}),
                              "is damaged")):
        record.write_text(content)
        assert run_command("--json", record) == 2
        assert message in one_error_line(capsys)


def test_a_record_is_one_processs(trained, tmp_path, capsys):
    record = tmp_path / "r.json"
    with locks.locked(record, "is writing it"):
        assert run_command("--json", record) == 2
    assert "r.json: another process is writing it" in one_error_line(capsys) and not trained


@pytest.mark.parametrize("arguments, message", [
    (["--layers", "20"], "--layers 20: networks have 3 layers a unit and one"),
    (["--layers", "1"], "--layers 1: "),
    (["--layers", "4"], "--layers 4: networks for digits have at least 7 layers"),
    (["--learning-rate", "0"], "--learning-rate 0.0: must be above 0"),
    (["--learning-rate", "nan"], "--learning-rate nan: must be above 0"),
    (["--steps", "5", "--warmup-steps", "5"], "--warmup-steps 5: must be fewer than --steps 5"),
    (["--plot", "p.gif"], "ends in .png, .svg or .pdf"),
    (["--json", "nowhere/r.json"], "the folder"),
    (["--cifar10", "nowhere.tar.gz"], "nowhere.tar.gz: no such file"),
])
def test_bad_input_is_one_line(arguments, message, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["degradation", *arguments]) == 2
    assert message in one_error_line(capsys)
    assert not trained and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_warm_up_lowers_the_first_rates():
    """A rate that has hardly begun to grow is as good as one that is next to nothing."""
    def loss(**changes):
        options = records.DegradationOptions(layers=(7,), width=1, seeds=1, steps=4, batch_size=30,
                                             **changes)
        return degradation.train("residual", 7, 0, tiny_data(), options)["training_loss"]

    assert loss(warmup_steps=10 ** 9) == pytest.approx(
        loss(warmup_steps=0, learning_rate=1e-9), rel=1e-5)
    assert loss(warmup_steps=0) != pytest.approx(loss(warmup_steps=10 ** 9), rel=1e-3)


def test_digits_without_scikit_learn_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert cli.main(["degradation"]) == 2
    assert "pip install 'slim-resnet[experiments]'" in one_error_line(capsys)


def test_digits():
    pytest.importorskip("sklearn")
    data = degradation.digits()
    assert data.training_images.shape[1:] == data.test_images.shape[1:] == (8, 8, 1)
    assert len(data.training_labels) + len(data.test_labels) == 1797 and data.num_classes == 10
    assert (data.training_images.min(), data.training_images.max()) == (-1, 1)
