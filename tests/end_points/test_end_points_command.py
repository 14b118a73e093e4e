"""slim-resnet end-points: the table, statistics and files; TensorBoard read back by TensorFlow."""

import fnmatch
import glob
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import blog, models
from slim_resnet.cli import main
from slim_resnet.end_points import activations
from slim_resnet.images import reading as images
from slim_resnet.inference import features
from slim_resnet.inference.network import Network
from tests.helpers import checkpoints, command_line, interrupts, networks, pictures

tf1 = tf.compat.v1

STRIDES = command_line.strides("end-points")
ASSUMED = command_line.assumed_images("end-points")
UNIT = "resnet_v2_50/block1/unit_1/bottleneck_v2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pictures and, in the middle, one that is cut short."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, name in enumerate("acd"):
        pictures.write_png(folder / f"{name}.png", i)
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:90])
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("net") / "net.ckpt")


def run(*words):
    return main(["end-points", *map(str, words)])


def run_json(capsys, *words):
    assert run(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_table_of_a_checkpoint(written, capsys):
    document = run_json(capsys, written.path, "--image-size", 32)
    rows = {row["key"]: row for row in document["end_points"]}
    assert set(rows) == {*written.end_points, "global_pool"}
    for key, value in written.end_points.items():
        assert rows[key]["shape"] == [None, *value.shape[1:]], key
        assert rows[key]["activation_bytes"] == value[0].nbytes
    assert document["total"]["parameters"] == sum(v.size for v in written.values.values())
    assert document["image_size_pixels"] == 32
    assert run(written.path, "--image-size", 32, "--wide") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["end", "point", "op", "shape", "parameters", "GMACs", "bytes",
                                "stride", "field"]
    moving = sum(v.size for name, v in written.values.items() if "/moving_" in name)
    parameters = document["total"]["parameters"]
    assert lines[-1] == (f"{parameters:,} parameters: {parameters - moving:,} trainable, "
                         f"{moving:,} moving statistics")
    assert len(lines) == 4 + len(rows)
    cells = {line.split()[0]: line.split() for line in lines}
    # 16 x 16 pixels, 7 x 7 x 3 to 64.
    assert cells["resnet_v2_50/conv1"] == [
        "resnet_v2_50/conv1", ".../BiasAdd", *"? x 16 x 16 x 64".split(), "9,472", "0.0024",
        "65,536", "2", "7"]
    assert cells["resnet_v2_50/logits"][-2:] == ["-", "-"]
    assert cells["total"][:2] == ["total", f"{document['total']['parameters']:,}"]


def test_no_value_of_a_checkpoint_is_read(written, capsys, monkeypatch):
    monkeypatch.setattr(tf1, "Session", None)
    assert run(written.path, "--depth", "block") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Keys begin with resnet_v2_50/, but for global_pool and predictions."
    assert [line.split()[0] for line in lines[3:-2]] == [
        "conv1", "block1", "block2", "global_pool", "logits", "predictions", "total"]
    assert lines[-2] == "Left out for want of room: op; --wide has all columns."


@pytest.mark.slow
def test_table_of_a_model(capsys):
    document = run_json(capsys, "resnet_v2_50", "--num-classes", 1001, "--depth", "unit")
    assert document["total"]["parameters"] == 25_615_849
    assert document["image_size_pixels"] == 224
    assert len(document["end_points"]) == 3 + 4 + 16
    assert run("resnet_v2_50", "--markdown", "--end-points", "*/block4", "*/logits") == 0
    assert capsys.readouterr().out.splitlines() == [
        "| end point | op | shape | parameters | GMACs | bytes | stride | field |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
        "| resnet_v2_50/block4 | .../unit_3/bottleneck_v2/add | ? x 7 x 7 x 2048 | 14,983,168 "
        "| 0.7322 | 401,408 | 32 | 483 |",
        "| resnet_v2_50/logits | .../BiasAdd | ? x 1 x 1 x 1000 | 2,057,192 | 0.0020 | 4,000 "
        "| - | - |",
        # Mean and variance of 8192 channels in the units' norms, and of 2048 in postnorm.
        "| total |  |  | 17,040,360 | 0.7342 | 405,408 |  |  |", "",
        "17,040,360 parameters: 17,019,880 trainable, 20,480 moving statistics"]


def test_nothing_but_the_document_is_on_stdout(capsys, monkeypatch):
    def build(images, num_classes, is_training):
        with slim.arg_scope(blog.resnet_arg_scope(is_training)):
            return blog.resnet_v2(images, networks.tiny_blog_blocks(), num_classes)

    # The blog's network says where its end points are, as it is built.
    monkeypatch.setitem(models.MODELS, "tiny", models.Model("tiny", build, 32))
    document = run_json(capsys, "tiny", "--depth", "block", "--num-classes", 5)
    assert [row["shape"] for row in document["end_points"]] == [
        [None, 16, 16, 64], [None, 4, 4, 4], [None, 4, 4, 8], [None, 1, 1, 5], [None, 1, 1, 5]]


@pytest.mark.slow
def test_statistics_of_images(written, folder, capsys):
    options = [written.path, "--images", folder, "--image-size", 32, "--batch-size", 2]
    assert run(*options, "--json", "--end-points", "*conv*") == 2
    out, err = capsys.readouterr()
    document = json.loads(out)
    readable = [str(folder / f"{name}.png") for name in "acd"]
    with Network(written.path, 32) as network:
        keys = fnmatch.filter(network.end_points, "*conv*")
        rows = activations.layer_statistics(network, [pictures.prepared(readable)], keys)
    assert [row["key"] for row in document["end_points"]] == [row.key for row in rows]
    for row, expected in zip(document["end_points"], rows):
        assert row["images"] == 3
        assert row["dead"] == (None if expected.dead is None else list(expected.dead))
        np.testing.assert_allclose(
            [row[name] for name in ("mean", "std", "min", "max")],
            [getattr(expected, name) for name in ("mean", "std", "min", "max")],
            rtol=1e-5, atol=1e-6)
    lines = err.splitlines()
    assert lines[-1].startswith(f"slim-resnet end-points: {folder}/b.png: cannot be read: ")
    # What the library doubts, the command says.
    assert lines[:2] == [ASSUMED, STRIDES]
    assert document["doubts"] == [line.split("warning: ")[1] for line in lines[2:-1]]
    assert [line.split(": ", 2)[2].split(" (")[0] for line in lines[2:-1]] == [
        doubt.split(" (")[0] for doubt in activations.doubts(rows)]
    assert len(lines) > 3
    assert run(*options, "--wide") == 2
    cells = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert len(cells[f"{UNIT}/conv1"]) == 11  # dead channels are written "0 / 1"
    assert cells["resnet_v2_50/conv1"][4:] == ["-", "-", "0", "0", "-"]


def test_saved_end_points_are_tf_slim_s(written, folder, tmp_path, capsys):
    keys = ["resnet_v2_50/block1", f"{UNIT}/conv2"]
    assert run(written.path, "--images", folder, "--image-size", 32, "--batch-size", 3,
               "--save", tmp_path / "f.npz", "--end-points", *keys) == 2
    assert "b.png: cannot be read" in capsys.readouterr().err
    readable = [str(folder / name) for name in ("a.png", "c.png", "d.png")]
    expected = pictures.run_with_saver(
        written, checkpoints.slim_builder(), pictures.prepared(readable),
        lambda net, end_points: [end_points[key] for key in keys])
    with np.load(tmp_path / "f.npz") as file:
        assert sorted(file) == sorted(["engine", "errors", "files", "precision", *keys])
        assert file["precision"] == "float32"
        assert str(file["engine"]).startswith("TensorFlow ")
        assert [os.path.basename(name) for name in file["files"]] == [
            "a.png", "b.png", "c.png", "d.png"]
        for key, array in zip(keys, expected):
            assert file[key].dtype == np.float32
            np.testing.assert_allclose(file[key][[0, 2, 3]], array, rtol=1e-5, atol=1e-6)
            assert np.isnan(file[key][1]).all()


@pytest.mark.slow
def test_saved_pool_of_a_network_without_logits(folder, tmp_path, capsys):
    """Also of files whose names are not UTF-8."""
    build = checkpoints.slim_builder(num_classes=None)
    headless = checkpoints.write(tmp_path / "headless.ckpt", build)
    path = os.path.join(os.fsencode(tmp_path), b"\xff.png")
    shutil.copy(folder / "a.png", path)
    assert run(headless.path, "--images", os.fsdecode(path), "--image-size", 32,
               "--save", tmp_path / "f.npz", "--end-points", "global_pool") == 0
    *before, busy = capsys.readouterr().err.splitlines()
    assert before == [STRIDES, ASSUMED] and busy.startswith("slim-resnet end-points: 1 images in ")
    expected = pictures.run_with_saver(headless, build, pictures.prepared([str(folder / "a.png")]),
                                       lambda net, end_points: net)
    with np.load(tmp_path / "f.npz") as file:
        assert sorted(file) == ["engine", "errors", "files", "global_pool", "precision"]
        assert file["files"].tolist() == [os.fsdecode(path)]
        np.testing.assert_allclose(file["global_pool"], expected, rtol=1e-5, atol=1e-6)


def test_interrupt_keeps_saved_values(written, folder, tmp_path, capsys, monkeypatch):
    interrupts.at_call(monkeypatch, Network, "features", 2)
    assert run(written.path, "--images", *(folder / f"{name}.png" for name in "acd"),
               "--image-size", 32, "--batch-size", 1, "--save", tmp_path / "f.npz",
               "--end-points", "global_pool") == 130
    assert "interrupted after 1 of 3 images" in capsys.readouterr().err
    with np.load(tmp_path / "f.npz") as file:
        assert file["errors"].tolist() == ["", features.INTERRUPTED, features.INTERRUPTED]
        assert np.isnan(file["global_pool"]).reshape(3, -1).all(1).tolist() == [False, True, True]


def events(folder):
    path, = glob.glob(f"{folder}/events.out.tfevents.*")
    return list(tf1.train.summary_iterator(path))


@pytest.mark.slow
def test_tensorboard_run(written, folder, tmp_path, capsys):
    readable = [folder / name for name in ("a.png", "c.png", "d.png")]
    assert run(written.path, "--images", *readable, "--image-size", 32, "--batch-size", 2,
               "--logdir", tmp_path / "new" / "run") == 0
    assert "\nlogits " in capsys.readouterr().out
    read = events(tmp_path / "new" / "run")
    graph = tf1.GraphDef.FromString(*[event.graph_def for event in read if event.graph_def])
    # Opens as one network with blocks and units, nothing of what we add beside it.
    tops = {node.name.split("/")[0] for node in graph.node}
    assert tops == {"images", "resnet_v2_50", "restore_checked", "Squeeze", "Squeeze_1"}
    assert {"block1", "block2", "conv1", "postnorm", "logits"} < {
        node.name.split("/")[1] for node in graph.node if node.name.startswith("resnet_v2_50/")}
    assert f"{UNIT}/conv2/Conv2D" in {node.name for node in graph.node}

    prepared = pictures.prepared(list(map(str, readable)))
    with Network(written.path, 32) as network:
        values = network.run(network.end_points, prepared)
    histograms = {(value.tag, event.step): value.histo for event in read
                  for value in event.summary.value if value.HasField("histo")}
    assert {tag for tag, _ in histograms} == {*values, *written.values}
    for key, array in values.items():
        for step, rows in enumerate((array[:2], array[2:])):
            histogram = histograms[key, step]
            assert histogram.num == rows.size == sum(histogram.bucket)
            assert (histogram.min, histogram.max, histogram.sum) == pytest.approx(
                (rows.min(), rows.max(), rows.sum(dtype=np.float64)), rel=1e-4, abs=1e-3)
    for name, array in written.values.items():
        assert histograms[name, 0].num == array.size
        assert histograms[name, 0].sum_squares == pytest.approx((array.astype(float) ** 2).sum())

    shown = {value.tag: tf.io.decode_png(value.image.encoded_image_string).numpy()
             for event in read for value in event.summary.value if value.HasField("image")}
    assert sorted(shown) == ["images/image/0", "images/image/1"]
    low, high = prepared[:2].min(), prepared[:2].max()
    np.testing.assert_allclose(shown["images/image/1"],
                               255 * (prepared[1] - low) / (high - low), atol=0.51)

    metadata = tf1.RunMetadata.FromString(*[
        event.tagged_run_metadata.run_metadata for event in read
        if event.HasField("tagged_run_metadata")])
    times = {node.node_name: node.all_end_rel_micros for device in metadata.step_stats.dev_stats
             for node in device.node_stats}
    # Convolutions are fused with what follows, up to the end point.
    assert {network.end_points[key].op.name for key in values} < set(times)
    assert sum(times.values()) > 0


@pytest.mark.slow
def test_tensorboard_graph_of_a_model_and_weights_of_a_checkpoint(written, tmp_path, capsys):
    assert run("resnet_v2_50", "--logdir", tmp_path / "model", "--image-size", 32) == 0
    graph, = [event.graph_def for event in events(tmp_path / "model") if event.graph_def]
    assert "resnet_v2_50/block4/unit_3/bottleneck_v2/conv3/Conv2D" in {
        node.name for node in tf1.GraphDef.FromString(graph).node}
    assert run(written.path, "--logdir", tmp_path / "weights", "--image-size", 32) == 0
    assert {value.tag for event in events(tmp_path / "weights")
            for value in event.summary.value} == set(written.values)


@pytest.mark.slow
def test_nan_in_values_does_not_stop_histograms(tmp_path, folder, capsys):
    def overflow(values):
        values["resnet_v2_50/logits/weights"][:] = 3e38

    path = checkpoints.write(tmp_path / "net.ckpt", change=overflow).path
    assert run(path, "--images", folder / "a.png", "--image-size", 32, "--logdir",
               tmp_path / "run", "--json") == 0
    out, err = capsys.readouterr()
    rows = {row["key"]: row for row in json.loads(out)["end_points"]}
    assert rows["resnet_v2_50/logits"]["inf"] + rows["resnet_v2_50/logits"]["nan"] > 0
    assert "hold NaN or infinite values; first resnet_v2_50/logits" in err


@pytest.mark.parametrize("options, message", [
    (["--end-points", "*/blok1"], "no end point '*/blok1'; nearest: resnet_v2_50/block1"),
    (["--num-classes", "3"], "--num-classes goes with the name of a model"),
    (["--batch-size", "3"], "--batch-size goes with --images"),
    (["--preprocessing", "none"], "--preprocessing goes with --images"),
    (["--save", "{}/f.npz", "--end-points", "x"], "--save goes with --images"),
    (["--images", "{}", "--save", "{}/f.npz"], "--save needs --end-points KEY"),
    (["--images", "{}", "--optimize"], "--optimize goes with --save"),
    (["--images", "{}", "--precision", "float32"], "--precision goes with --save"),
    (["--images", "{}", "--save", "{}/f.npz", "--end-points", "blok1"],
     "no end point 'blok1'; nearest: resnet_v2_50/block1"),
    (["--images", "{}", "--save", "{}/f.npz", "--end-points", "x", "--json"],
     "--json says what to show"),
    (["--images", "{}", "--save", "{}/none/f.npz", "--end-points", "x"], "none does not exist"),
    (["--images", "{}/no.png"], "no.png: no such file or folder"),
    (["--logdir", "{}/a.png/run"], "a.png/run: cannot be written: Not a directory"),
    (["--logdir", "/proc/run"], "/proc/run: cannot be written: "),
])
def test_bad_options_are_one_line(written, folder, capsys, options, message):
    before = sorted(os.listdir(folder))
    assert run(written.path, *(option.format(folder) for option in options)) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize("words, message", [
    (["vgg_16", "--image-size", "64"], "vgg_16 needs images of at least 224"),
    (["resnet_v2_50", "--images", "a.png"], "--images needs the values of a checkpoint"),
    (["resnet_v2_51"], "resnet_v2_51: no such checkpoint"),
])
def test_bad_networks_are_one_line(tmp_path, capsys, words, message):
    assert run(*words, "--logdir", tmp_path / "run") == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_images_that_are_none_are_one_line_each(written, folder, capsys):
    assert run(written.path, "--images", folder / "b.png", "--image-size", 32) == 2
    out, err = capsys.readouterr()
    strides, unreadable = err.splitlines()
    assert (out, strides) == ("", STRIDES) and "b.png: cannot be read" in unreadable


def test_interrupt_keeps_what_there_is(written, folder, capsys, monkeypatch):
    original = images.read_images

    def interrupted(*arguments, **options):
        yield next(original(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "read_images", interrupted)
    assert run(written.path, "--images", *(folder / f"{name}.png" for name in "acd"),
               "--image-size", 32, "--batch-size", 1, "--json") == 130
    out, err = capsys.readouterr()
    assert {row["images"] for row in json.loads(out)["end_points"]} == {1}
    assert err.splitlines()[-1] == "slim-resnet end-points: interrupted after 1 of 3 images"
