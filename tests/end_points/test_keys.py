"""Keys as people type them, in every function that takes them; values are tf_slim's own."""

import json

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.cli import main
from slim_resnet.end_points import activations, choose, choose_one, select, summary, tensorboard
from slim_resnet.errors import SlimResnetError
from slim_resnet.export import export_frozen, export_saved_model
from slim_resnet.images import read_images
from slim_resnet.images.display import DisplayedImage
from slim_resnet.inference import BuiltNetwork, InferenceModel, Network, write_features
from slim_resnet.pictures import inspection
from tests.helpers import checkpoints, pictures

tf1 = tf.compat.v1

SCOPE = "resnet_v2_50"
UNIT = f"{SCOPE}/block1/unit_2/bottleneck_v2"
KEYS = [f"{SCOPE}/conv1", f"{SCOPE}/block1/unit_1/bottleneck_v2/conv1",
        f"{SCOPE}/block1/unit_1/bottleneck_v2", f"{UNIT}/conv1", UNIT, f"{SCOPE}/block1",
        f"{SCOPE}/block2/unit_1/bottleneck_v2/conv1", f"{SCOPE}/block2/unit_1/bottleneck_v2",
        f"{SCOPE}/block2", f"{SCOPE}/logits", "predictions", "global_pool"]


@pytest.mark.parametrize("pattern, chosen", [
    ("block2", [f"{SCOPE}/block2"]), ("predictions", ["predictions"]),
    (f"{SCOPE}/block2", [f"{SCOPE}/block2"]),
    ("block1/unit_2", [UNIT]), ("unit_2", [UNIT]), ("unit_2/bottleneck_v2", [UNIT]),
    ("unit_2/bottleneck_v2/conv1", [f"{UNIT}/conv1"]),
    ("*/block?", [f"{SCOPE}/block1", f"{SCOPE}/block2"]), ("block?", [f"{SCOPE}/block1",
                                                                      f"{SCOPE}/block2"]),
    ("unit_[12]/bottleneck_v2", [KEYS[2], UNIT, KEYS[7]]),
    (f"{SCOPE}/pool5", ["global_pool"]), ("pool5", ["global_pool"]), ("*/pool5", ["global_pool"]),
    ("global_pool", ["global_pool"]),
    # All that are there; the pool's other name is none of them.
    ("*", KEYS), (f"{SCOPE}/*", KEYS[:-2])])
def test_choose(pattern, chosen):
    assert choose(pattern, KEYS) == choose([pattern], dict.fromkeys(KEYS)) == chosen


def test_several_come_in_the_order_of_the_network():
    assert choose(["pool5", "block1", "*/block1"], KEYS) == [f"{SCOPE}/block1", "global_pool"]
    assert choose([], KEYS) == []


@pytest.mark.parametrize("known, asked, key", [
    (["tower/net/block1", "tower/net/block2", "tower/net/pool5"], "global_pool", "tower/net/pool5"),
    (["conv1", "block1/unit_1/bottleneck_v2", "block1", "global_pool"], "pool5", "global_pool"),
    (["tower/net/block1", "tower/net/block2", "global_pool"], "net/pool5", "global_pool"),
    (["net/block1", "net/pool5", "global_pool"], "net/pool5", "net/pool5")])
def test_both_names_of_the_pool_lead_to_the_one_that_is_there(known, asked, key):
    assert choose_one(asked, known) == key


@pytest.mark.parametrize("pattern, said", [
    ("blok2", f"there is no end point 'blok2'; nearest: {SCOPE}/block2, {SCOPE}/block1, "),
    ("unit_3", "there is no end point 'unit_3'; nearest: "),
    # Neither another network's scope nor a part of a word.
    ("resnet_v2_101/pool5", f"'resnet_v2_101/pool5'; nearest: {SCOPE}/pool5"),
    ("ock2", "there is no end point 'ock2'"), ("*/blok?", f"'\\*/blok\\?'; nearest: {SCOPE}/bl"),
    ("unit_1", f"'unit_1' is the name of 2 end points: {KEYS[2]}, {KEYS[7]}; give more of the "
               "one that is meant$"),
    ("conv1", f"'conv1' is the name of 4 end points: {SCOPE}/conv1, {KEYS[1]}, .*; give more of "
              "the one that is meant, or '\\*/conv1' for all"),
    (7, "an end point is named by a string, not by 7")])
def test_what_names_none_or_several(pattern, said):
    with pytest.raises(SlimResnetError, match=said):
        choose([pattern], KEYS)


def test_one_is_one():
    assert choose_one("*/unit_2/*v2", KEYS) == UNIT
    with pytest.raises(SlimResnetError, match="names 2 end points where one is meant: "
                       f"{SCOPE}/block1, {SCOPE}/block2$"):
        choose_one("*/block?", KEYS)


ASKED = {"block1": f"{SCOPE}/block1", "block1/unit_2": UNIT, "*/block2": f"{SCOPE}/block2"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("keys") / "net.ckpt")


@pytest.fixture(scope="module")
def network(written):
    with Network(written.path, 32) as network:
        yield network


@pytest.fixture(scope="module")
def pool(written):
    """The pooled features, by tf_slim's own op."""
    return pictures.run_with_saver(
        written, checkpoints.slim_builder(), written.images,
        lambda net, _: net.graph.get_tensor_by_name(f"{SCOPE}/pool5:0"))


def assert_close(values, expected):
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


def test_features(written, network, pool):
    for asked, key in ASKED.items():
        assert_close(network.features(asked, written.images), written.end_points[key])
    several = network.features({"a": "block1", "b": ["pool5", "global_pool", f"{SCOPE}/pool5"]},
                               written.images)
    assert_close(several["a"], written.end_points[f"{SCOPE}/block1"])
    for values in several["b"]:
        assert_close(values, pool)
    with pytest.raises(SlimResnetError, match="no end point 'block7'; nearest: "):
        network.features(["block1", "block7"], written.images)


def test_features_of_a_folded_network(written, pool):
    with InferenceModel.from_checkpoint(written.path, "float32", [*ASKED, "pool5"]) as model:
        assert list(model.end_points) == [UNIT, f"{SCOPE}/block1", f"{SCOPE}/block2",
                                          "global_pool"]
        for asked, key in ASKED.items():
            assert_close(model.features(asked, written.images), written.end_points[key])
        assert_close(model.features(f"{SCOPE}/pool5", written.images), pool)
        with pytest.raises(SlimResnetError, match=f"made without the end point {SCOPE}/logits; "
                           "name it in end_points when"):
            model.features("logits", written.images)
        # It is another one's name too, which the model could have been asked for.
        with pytest.raises(SlimResnetError, match="'unit_1' is the name of 2 end points"):
            model.features("unit_1", written.images)
    with InferenceModel.from_checkpoint(written.path, "float32", "block2") as model:
        assert list(model.end_points) == [f"{SCOPE}/block2"]
    with pytest.raises(SlimResnetError, match="no end point 'block7'; nearest: "):
        InferenceModel.from_checkpoint(written.path, "float32", ["block7"])


def test_rows_and_statistics(written, network):
    rows = summary(network.end_points)
    assert [row.key for row in select(rows, ["block1", "pool5"])] == [f"{SCOPE}/block1",
                                                                      "global_pool"]
    statistics, = activations.layer_statistics(network, [written.images], "block1")
    assert statistics.key == f"{SCOPE}/block1"
    assert statistics.max == pytest.approx(written.end_points[f"{SCOPE}/block1"].max(), rel=1e-5)


def test_a_network_of_your_own(written):
    with tf.Graph().as_default(), tf1.Session() as session:
        images = tf1.placeholder(tf.float32, [None, 32, 32, 3])
        _, end_points = checkpoints.slim_builder()(images)
        tf1.train.Saver().restore(session, written.path)
        mine = BuiltNetwork(session, images, end_points)
        statistics, = activations.layer_statistics(mine, [written.images], ["block2"])
    assert statistics.max == pytest.approx(written.end_points[f"{SCOPE}/block2"].max(), rel=1e-5)


def test_tensorboard(written, network, tmp_path):
    with tensorboard.Run(str(tmp_path), network.session.graph) as run:
        list(run.adding(network, "block1", [written.images]))
    event_file, = tmp_path.iterdir()
    tags = {value.tag for event in tf1.train.summary_iterator(str(event_file))
            for value in event.summary.value}
    assert tags == {f"{SCOPE}/block1", "images/image"}, tags


def test_maps(written, network):
    image = DisplayedImage("a", written.images[0])
    inspected, = inspection.inspect_images(network, [image], ["block1"], evidence=False)
    assert_close(inspected.maps[f"{SCOPE}/block1"], written.end_points[f"{SCOPE}/block1"][0])
    assert inspection.chosen_keys(network, "block2") == [f"{SCOPE}/block2"]


@pytest.mark.slow
def test_exports(written, tmp_path, pool):
    export_frozen(written.path, tmp_path / "net.pb", end_points=["block1", f"{SCOPE}/pool5"])
    graph_def = tf1.GraphDef.FromString((tmp_path / "net.pb").read_bytes())
    with tf.Graph().as_default(), tf1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        values = session.run([f"end_points/{SCOPE}/block1:0", "end_points/global_pool:0"],
                             {"images:0": written.images})
    assert_close(values[0], written.end_points[f"{SCOPE}/block1"])
    assert_close(values[1], pool)
    export_saved_model(written.path, tmp_path / "saved", end_points="block2")
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["end_points"](
        images=tf.constant(written.images))
    assert list(served) == [f"{SCOPE}/block2"]
    assert_close(served[f"{SCOPE}/block2"].numpy(), written.end_points[f"{SCOPE}/block2"])


def test_files_of_features(network, tmp_path):
    path = pictures.write_png(tmp_path / "a.png", 0)
    with open(tmp_path / "f.npz", "wb") as file:
        write_features(file, network, {"mine": "block1"}, [path], read_images(path, 32))
    with np.load(tmp_path / "f.npz") as saved:
        assert_close(saved["mine"], network.features(f"{SCOPE}/block1",
                                                     pictures.prepared([path])))


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--optimize", "--precision", "float32"]],
                         ids=["", "optimized"])
def test_the_command_saves_what_python_gives(network, written, tmp_path, more):
    path, target = pictures.write_png(tmp_path / "a.png", 0), tmp_path / "f.npz"
    assert main(["end-points", written.path, "--images", path, "--image-size", "32", "--save",
                 str(target), "--end-points", "block2", "pool5", *more]) == 0
    with np.load(target) as saved:
        assert set(saved) == {f"{SCOPE}/block2", "global_pool", "files", "errors",
                              "precision", "engine"}
        assert_close(saved[f"{SCOPE}/block2"], network.features("block2",
                                                                pictures.prepared([path])))


def test_the_command_s_table(written, capsys):
    assert main(["end-points", written.path, "--json", "--end-points", "block1/unit_2",
                 "pool5"]) == 0
    rows = json.loads(capsys.readouterr().out)["end_points"]
    assert [row["key"] for row in rows] == [UNIT, "global_pool"]
    assert main(["end-points", written.path, "--end-points", "conv1"]) == 2
    assert capsys.readouterr().err.startswith(
        f"slim-resnet end-points: error: 'conv1' is the name of 4 end points: {SCOPE}/conv1, ")


def test_a_wrong_variable_gets_the_nearest(network):
    with pytest.raises(SlimResnetError, match=f"no variable 'logits/weihgts'; nearest: {SCOPE}/"
                       "logits/weights"):
        network.variable("logits/weihgts")
