"""slim-resnet train from the command line: learning, fine-tuning, use of what it wrote."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.image import imread

from slim_resnet.checkpoint import open_checkpoint, recognise
from slim_resnet.cli import main
from slim_resnet.commands import progress_line
from slim_resnet.commands import train as train_command
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.evaluation import evaluate
from slim_resnet.training import evaluation
from slim_resnet.training import run as training
from slim_resnet.training.evaluation import AVERAGED, BATCH, MOVING, Evaluated
from slim_resnet.training.hooks import Progress
from slim_resnet.training.options import TrainingOptions, check, parse_blocks
from tests.helpers import checkpoints, pictures

CLASSES = ("dark", "light", "mid")


def write_arrays(path, seed, shades=((0, 60), (190, 255), (90, 160)), classes=CLASSES, number=24):
    """Pictures whose class is how light they are."""
    rng = np.random.RandomState(seed)
    labels = np.arange(number) % len(shades)
    images = np.stack([rng.randint(*shades[label], (16, 16)) for label in labels])
    np.savez(path, images=images.astype(np.uint8), labels=labels, classes=classes)
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("train")


@pytest.fixture(scope="module")
def data(folder):
    return write_arrays(folder / "train.npz", 0), write_arrays(folder / "test.npz", 1)


def words(data, output, *more):
    return ["train", *map(str, [data, "--output", output, "--augmentation", "none",
                                "--image-size", "32", "--batch-size", "8", "--log-steps", "1",
                                *more])]


NETWORK = ("--model", "resnet_v2", "--blocks", "2x1,4x1")


@pytest.fixture(scope="module")
def run(data, folder):
    """A run that learns the shades."""
    status = main(words(data[0], folder / "run", *NETWORK, "--steps", "30", "--ema-decay", "0.8",
                        "--validation", data[1]))
    assert status == 0
    return folder / "run"


def metrics(output):
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_tags_of_tensorboard_are_the_names(run):
    path, = run.glob("events.out.tfevents.*")
    tags = {value.tag for event in tf.compat.v1.train.summary_iterator(str(path))
            for value in event.summary.value if value.HasField("simple_value")}
    assert tags == {"cross_entropy", "total_loss", "accuracy", "learning_rate"}


def test_a_run_that_has_ended_is_plotted(run, data, tmp_path, capsys):
    command = words(data[0], run, *NETWORK, "--steps", "30", "--ema-decay", "0.8", "--validation",
                    data[1])
    assert main([*command, "--plot", str(tmp_path / "run.png"), "--theme", "dark"]) == 0
    pixels = imread(tmp_path / "run.png")
    np.testing.assert_allclose(255 * pixels[0, 0, :3], [20, 23, 26], atol=0.5)
    assert pixels[..., :3].std() > 0.02
    capsys.readouterr()
    for options, message in ((("--theme", "dark"), "--theme goes with --plot"),
                             (("--plot", "run.gif"), "run.gif: a plot's name ends in .png")):
        assert main([*command, *options]) == 2
        assert message in capsys.readouterr().err


def test_it_learns(run, data, capsys):
    assert metrics(run)[-1]["cross_entropy"] < 0.3 < metrics(run)[0]["cross_entropy"]
    # A run that has ended is evaluated once more, and no step is added.
    before = (run / "metrics.jsonl").read_bytes()
    assert main(words(data[0], run, *NETWORK, "--steps", "30", "--ema-decay", "0.8",
                      "--validation", data[1])) == 0
    assert (run / "metrics.jsonl").read_bytes() == before
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == f"measured on validation images, of {data[1]}"
    table = [line.rsplit(None, 3) for line in out.splitlines()[3:]]
    assert [row[0].strip() for row in table] == [MOVING, BATCH, AVERAGED]
    assert [row[1] for row in table] == ["24"] * 3
    result = evaluate(run, [data[1]])
    assert float(table[0][2]) == pytest.approx(100 * result.top_1, abs=0.01) and result.top_1 > 0.9


@pytest.mark.slow
def test_other_commands_take_it_as_it_was_trained(run, folder, capsys):
    with open_checkpoint(run) as checkpoint:
        found = recognise(checkpoint)
    assert (found.variant, found.num_classes, found.root_block) == ("slim", 3, True)
    assert found.leftovers["ExponentialMovingAverage"] == found.leftovers["Momentum"]
    assert (run / "labels.txt").read_text() == "0:dark\n1:light\n2:mid\n"
    path = pictures.write_png(folder / "photo.png", 0)
    for checkpoint in (run, run / "model.ckpt-30"):
        assert main(["classify", str(checkpoint), path, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["image_size_pixels"] == 32
        assert sorted(document["images"][0]["names"]) == sorted(CLASSES)
    labels = folder / "other.txt"
    labels.write_text("x\ny\nz\n")
    assert main(["classify", str(run), path, "--json", "--labels", str(labels), "--image-size",
                 "48"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["image_size_pixels"] == 48
    assert sorted(document["images"][0]["names"]) == ["x", "y", "z"]
    assert main(["export", str(run), str(folder / "saved"), "--format", "saved_model"]) == 0
    record = json.loads((folder / "saved" / "assets.extra" / "slim_resnet_metadata.json")
                        .read_text())
    assert record["image_size_pixels"] == 32


def test_data_of_other_classes_is_refused(run, folder, data, capsys):
    other = write_arrays(folder / "other.npz", 1, classes=("dark", "mid", "light"))
    assert main(["evaluate", str(run), other]) == 2
    assert "has the class mid where the checkpoint has light" in capsys.readouterr().err
    with pytest.raises(SlimResnetError, match="has the class mid"):
        evaluate(run, [other])


@pytest.mark.slow
def test_fine_tuning_begins_at_the_checkpoint(run, folder, data):
    two = write_arrays(folder / "two.npz", 2, ((0, 100), (150, 255)), ("dark", "light"))
    assert main(words(two, folder / "tuned", "--checkpoint", run, "--exclude", "logits",
                      "--train-only", "logits", "block2", "--ema-decay", "0.9", "--steps",
                      "3")) == 0
    with open_checkpoint(run) as old, open_checkpoint(folder / "tuned" / "model.ckpt-0") as start, \
            open_checkpoint(folder / "tuned") as end:
        names = [name for name in old.shapes if name.startswith("resnet_v2/")
                 and not name.endswith(("Momentum", "ExponentialMovingAverage"))]
        assert len(names) > 40
        for name in names:
            if "/logits/" in name:
                assert start.shapes[name] != old.shapes[name]
                continue
            np.testing.assert_array_equal(start.tensor(name), old.tensor(name))
            average = name + "/ExponentialMovingAverage"
            if average in start.shapes:
                np.testing.assert_array_equal(start.tensor(average), old.tensor(name))
            if "moving_" not in name:
                unchanged = np.array_equal(end.tensor(name), old.tensor(name))
                assert unchanged == ("/block2/" not in name)
        assert np.abs(start.tensor("resnet_v2/logits/weights")).max() > 0
        assert not np.array_equal(start.tensor("resnet_v2/logits/weights"),
                                  end.tensor("resnet_v2/logits/weights"))


@pytest.mark.slow
def test_frozen_batch_norms_stay_and_the_blog_s_network_is_tuned(folder, data):
    written = checkpoints.write(folder / "blog" / "net.ckpt",
                                checkpoints.blog_builder(num_classes=3, is_training=True))
    assert main(words(data[0], folder / "frozen", "--checkpoint", written.path, "--steps", "2",
                      "--freeze-batch-norm", "--batch-norm-updates", "in-place")) == 0
    with open_checkpoint(folder / "frozen") as end:
        assert recognise(end).variant == "blog"
        for name, value in written.values.items():
            if "BatchNorm" in name or "norm" in name:
                if name in end.shapes:
                    np.testing.assert_array_equal(end.tensor(name), value, err_msg=name)
            elif name.endswith("weights"):
                assert not np.array_equal(end.tensor(name), value), name


def test_an_unfit_checkpoint_leaves_nothing_begun(run, data, folder, capsys):
    four = write_arrays(folder / "four.npz", 3, ((0, 50), (60, 110), (120, 170), (180, 255)),
                        tuple("abcd"))
    assert main(words(four, folder / "unfit", "--checkpoint", run, "--steps", "2")) == 2
    line, = capsys.readouterr().err.splitlines()
    assert "the file has 3 classes and the graph 4" in line
    assert not list((folder / "unfit").glob("model.ckpt-*"))
    assert main(words(four, folder / "unfit", "--checkpoint", run, "--steps", "2", "--exclude",
                      "logit")) == 2
    assert "--exclude 'logit' fits no variable" in capsys.readouterr().err


def test_changed_data_is_told(run, folder, data, capsys):
    more = write_arrays(folder / "more.npz", 0, number=27)
    assert main(words(more, run, *NETWORK, "--steps", "30", "--ema-decay", "0.8")) == 0
    assert "the data had 24 images and has 27 now" in capsys.readouterr().err


def test_progress_line_on_a_terminal(run, data, folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(words(data[0], folder / "shown", *NETWORK, "--steps", "2")) == 0
    err = capsys.readouterr().err
    line = next(line for line in err.split("\r\x1b[K") if "2 of 2 steps (100 %)" in line)
    assert f"loss {metrics(folder / 'shown')[1]['loss']:.4f}" in line
    # Then it evaluates, and leaves a clean line for the results.
    assert "24 of 24 images evaluated" in err and err.endswith("\r\x1b[K")


def test_without_a_terminal_a_line_a_minute(monkeypatch, capsys, progress_each_minute):
    clock = 0
    monkeypatch.setattr("time.monotonic", lambda: clock)
    shown = progress_line.Progress("steps", 9)
    for step, clock in enumerate([59, 60, 119, 120], 1):  # noqa: B007 (the lambda reads it)
        train_command._show_progress(shown, Progress(step, 9, 0.5, 0.25, 10, 65))
    assert capsys.readouterr().err.splitlines() == [
        f"slim-resnet: {step} of 9 steps ({share} %)  loss 0.5000  accuracy 0.250  "
        "10.0 images/s  1:05 left" for step, share in ((2, 22), (4, 44))]


def test_averages_that_have_not_converged_are_told():
    options = TrainingOptions(steps=100, model="resnet_v2_50", batch_norm_decay=0.997)

    def warning(moving, batch, images=1000):
        return evaluation.warning([Evaluated(MOVING, images, moving, 1.0, 0),
                                            Evaluated(BATCH, images, batch, 1.0, 0)], options)

    assert warning(0.95, 0.96) is None and warning(0.96, 0.2) is None
    assert warning(0.5, 0.6, images=20) is None
    assert "a few times 333 steps, and there were 100" in warning(0.3, 0.9)


@pytest.mark.parametrize("change, said", [
    ({"model": None}, "--model is missing"),
    ({"blocks": None}, "say its blocks"),
    ({"model": "resnet_v2_50"}, "--blocks goes with"),
    ({"momentum": 1.0}, "--momentum 1.0: must be at least 0 and below 1"),
    ({"label_smoothing": -0.1}, "--label-smoothing -0.1"),
    ({"batch_norm_decay": 1.5}, "--batch-norm-decay 1.5"),
    ({"learning_rate": 0.0}, "--learning-rate 0.0: must be above 0"),
    ({"clip_norm": float("inf")}, "--clip-norm inf"),
    ({"weight_decay": float("nan")}, "--weight-decay nan"),
    ({"schedule": "piecewise"}, "--schedule piecewise and --boundaries go together"),
    ({"schedule": "piecewise", "boundaries": (5, 5)}, "--boundaries 5 5: must grow"),
    ({"warmup_steps": 10}, "--warmup-steps 10: must be fewer than the 10"),
    ({"exclude": ("logits",)}, "give both"),
    ({"freeze_batch_norm": True}, "give both"),
    ({"freeze_batch_norm": True, "checkpoint": "x", "zero_debias": True}, "has no effect"),
])
def test_options_that_do_not_go_together(change, said):
    good = TrainingOptions(steps=10, model="resnet_v2", blocks=((1, 1),))
    check(good)
    with pytest.raises(SlimResnetError, match=said):
        check(dataclasses.replace(good, **change))


def test_blocks():
    assert parse_blocks("16x3,32x1") == ((16, 3), (32, 1))
    for text in ("16", "16x0", "", "16x3,", "ax3", "-1x3"):
        with pytest.raises(SlimResnetError, match="like 16x3,32x3,64x3"):
            parse_blocks(text)


def test_unwritable_output(data, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(words(data[0], tmp_path / "file" / "run", *NETWORK, "--steps", "2")) == 2
    assert f"{tmp_path / 'file' / 'run'}: cannot be made: " in capsys.readouterr().err


def test_no_root_block_is_recognised(data, tmp_path):
    options = TrainingOptions(steps=2, model="blog_resnet_v2", blocks=((2, 1), (4, 2)),
                              root_block=False, image_size=16, augmentation="none", batch_size=4)
    training.train(options, [data[0]], tmp_path / "run", evaluate=False)
    with open_checkpoint(tmp_path / "run") as checkpoint:
        found = recognise(checkpoint)
    assert (found.variant, found.root_block) == ("blog", False)
    assert [[(unit["depth"], unit["stride"]) for unit in block.args] for block in found.blocks] \
        == [[(8, 2)], [(16, 1), (16, 1)]]
