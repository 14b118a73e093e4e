"""The front door: a checkpoint loaded in one line, against the functions that it stands before."""

import base64
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

import slim_resnet
from slim_resnet import inference
from slim_resnet.checkpoint import Selection, open_checkpoint
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import Preprocessing, load_images
from slim_resnet.inference import InferenceModel, Network
from tests.helpers import checkpoints, command_line, pictures

tf1 = tf.compat.v1
LABELS = ["<script>alert(1)</script>", *(f"class {k}" for k in range(1, 10))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loaded")
    (folder / "labels.txt").write_text("\n".join(LABELS))
    (folder / "photos").mkdir()
    for number, name in enumerate(("<b>a.png", "b.png")):
        pictures.write_png(folder / "photos" / name, number)
    (folder / "photos" / "c.png").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def written(folder):
    return checkpoints.write(folder / "net.ckpt", checkpoints.slim_builder(base_depth=2))


@pytest.fixture(scope="module")
def net(written, folder):
    with slim_resnet.load(written.path, image_size=32, labels=str(folder / "labels.txt")) as net:
        yield net


@pytest.fixture(scope="module")
def results(net, folder):
    return net.classify([folder / "photos", pictures.picture(3)], top=10)


@pytest.fixture(scope="module")
def features(net, folder):
    return net.features(["block?", "*/conv1", "global_pool"], [folder / "photos",
                                                               pictures.picture(3)])


def test_features_are_the_network_s(net, written, folder, features):
    files = [str(folder / "photos" / name) for name in ("<b>a.png", "b.png", "c.png")]
    images = load_images([*files[:2], pictures.picture(3)], 32)
    with Network(written.path, 32) as network:
        expected = network.run(network.end_points, images)
    assert set(net.end_points) == {*written.end_points, "global_pool"}
    assert list(features.arrays) == [
        key for key in net.end_points if key.endswith(("block1", "block2", "/conv1", "pool"))]
    for key, array in features.arrays.items():
        assert array.dtype == np.float32 and np.isnan(array[2]).all()
        np.testing.assert_allclose(array[[0, 1, 3]], expected[key], rtol=1e-5, atol=1e-6)
    assert features["block2"] is features.arrays["resnet_v2_50/block2"]
    assert features["resnet_v2_50/pool5"] is features.arrays["global_pool"]
    assert features.names == [*files, "image 3"] and len(features) == 4
    assert [cause is None for cause in features.causes] == [True, True, False, True]
    assert repr(features).startswith("<features of 4 images, float32: resnet_v2_50/conv1 [4, 16, "
                                     "16, 64], ") and repr(features).endswith("; 1 unreadable>")
    with pytest.raises(SlimResnetError, match="'conv1' is the name of "):
        features["conv1"]
    with pytest.raises(SlimResnetError, match="^there are no features of resnet_v2_50/logits; "
                       "there are those of resnet_v2_50/conv1, "):
        features["logits"]
    with pytest.raises(SlimResnetError, match="^there are features of 7 end points; take one, "
                       r"such as features\['resnet_v2_50/conv1'\]"):
        np.asarray(features)


def test_features_of_one_end_point_are_an_array(net, features):
    one = net.features("pool5", pictures.picture(3))
    assert np.array(one).shape == (1, 1, 1, 16)
    np.testing.assert_allclose(one, features["global_pool"][3:], rtol=1e-5, atol=1e-6)


def test_classes_are_those_of_classify(written, folder, results):
    expected = [*inference.classify(written.path, [folder / "photos", pictures.picture(3)],
                                    str(folder / "labels.txt"), 10, image_size=32)]
    assert results == expected and results[2].cause is not None
    frame = results.to_pandas()
    assert frame["rank"].tolist()[:10] == [*range(1, 11)] and len(frame) == 31
    assert frame[frame.path == "image 3"].probability.tolist() == list(expected[3].probabilities)
    unreadable = frame[frame.cause.notna()]
    assert unreadable.path.tolist() == [expected[2].path] and unreadable["class"].isna().all()
    assert repr(results).startswith("<4 images: ") and len(repr(results)) < 600


def test_slim_s_own_things(net, written):
    logits = net.session.run(net.end_points["resnet_v2_50/logits"], {net.images: written.images})
    np.testing.assert_allclose(logits, written.net, rtol=1e-5, atol=1e-6)
    assert net.graph is net.session.graph is net.images.graph
    assert isinstance(net.end_points, dict) and net.images.shape.as_list() == [None, 32, 32, 3]
    assert net.class_names == LABELS and net.num_classes == 10


def test_it_says_what_it_is_and_what_is_assumed(net, written, folder):
    parameters = sum(value.size for value in written.values.values())
    assert repr(net) == (
        f"<slim's ResNet V2 of {written.path}: 32 pixels; inception (central, values from -1 to "
        f"1), assumed; float32; {parameters:,} parameters; assumed: strides, images>")
    assert net.parameters == parameters and set(net.assumed) == {"strides", "images"}
    with slim_resnet.load(written.path, image_size=32, preprocessing="vgg", blocks="2,1") as said:
        assert said.assumed == {} and "assumed" not in repr(said)
    assert repr(net.end_points).startswith(f"<{len(net.end_points)} end points by key: resnet_v2_")


def test_options_are_passed_on(written, folder):
    vgg = Preprocessing("vgg", mean=(1, 2, 3), resize="whole")
    with slim_resnet.load(written.path, image_size=48, preprocessing=vgg, output_stride=4,
                          scope="resnet_v2_50", exclude="*/logits/*") as net:
        assert net.num_classes is None and net.class_names is None
        assert net.images.shape.as_list() == [None, 48, 48, 3]
        assert net.end_points["resnet_v2_50/block2"].shape.as_list()[1:3] == [12, 12]
        assert np.array_equal(net.prepare(pictures.picture(1)),
                              load_images(pictures.picture(1), 48, vgg))
        assert net.description.record["selection"] == {
            "scope": ["resnet_v2_50"], "exclude": ["*/logits/*"], "output_stride": 4}
        with pytest.raises(SlimResnetError, match="has no logits, so it cannot classify"):
            net.classify(pictures.picture(1))


def test_averages(folder):
    name = "resnet_v2_50/logits/biases"
    written = checkpoints.write(folder / "averaged.ckpt", change=lambda values: None, extra={
        f"{one}/ExponentialMovingAverage": value * 0
        for one, value in checkpoints.write(folder / "plain.ckpt").values.items()
        if "moving" not in one})
    for asked, expected in ((None, written.values[name]), (True, 0 * written.values[name])):
        with slim_resnet.load(written.path, image_size=32, use_moving_averages=asked) as net:
            assert np.array_equal(net.network.variable("logits/biases"), expected)


def test_an_open_checkpoint_stays_open(written):
    with open_checkpoint(written.path) as opened:
        with slim_resnet.load(opened, image_size=32):
            pass
        assert opened.tensor("resnet_v2_50/logits/biases").shape == (10,)
        with pytest.raises(SlimResnetError, match="^.*net.ckpt: scope: give them with the path"):
            slim_resnet.load(opened, scope="resnet_v2_50")
    with pytest.raises(SlimResnetError, match="or in its Selection$"):
        slim_resnet.load(Selection(written.path), blocks="2,1")


@pytest.mark.slow
def test_a_folded_network(net, written, folder):
    with slim_resnet.load(written.path, image_size=32, optimize=True, end_points="block2",
                          labels=str(folder / "labels.txt")) as folded:
        assert isinstance(folded.network, InferenceModel)
        assert f"; float32, folded, TensorFlow {tf.__version__}; " in repr(folded)
        ours, theirs = (one.features("block2", folder / "photos") for one in (folded, net))
        np.testing.assert_allclose(ours["block2"], theirs["block2"], rtol=2e-4, atol=1e-5)
        assert [one.classes for one in folded.classify(folder / "photos")] == [
            one.classes for one in net.classify(folder / "photos")]
        with pytest.raises(SlimResnetError, match="is folded without the end point resnet_v2_50/"
                           "block1; name it in end_points when it is loaded$"):
            folded.features("block1", folder / "photos")
        for use in (lambda net: net.session, lambda net: net.graph, lambda net: net.images,
                    lambda net: net.to_pandas()):
            with pytest.raises(SlimResnetError, match="a folded network has no graph of slim's; "
                               "load it without optimize$"):
                use(folded)
        # A folded graph's ops would be counted as slim's.
        assert not hasattr(folded.end_points, "_repr_html_")
        assert "MACs" not in folded._repr_html_() and "float32, folded" in folded._repr_html_()
    with pytest.raises(SlimResnetError, match="net.ckpt: the network is closed; load it again"):
        folded.classify(pictures.picture(1))


def test_another_engine_runs_the_folded_network(net, written, folder):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    with slim_resnet.load(written.path, image_size=32, engine="onnxruntime",
                          end_points="block2") as other:
        assert f"; float32, folded, ONNX Runtime {onnxruntime.__version__}; " in repr(other)
        ours, theirs = (one.features("block2", folder / "photos") for one in (other, net))
        np.testing.assert_allclose(ours["block2"], theirs["block2"], rtol=2e-4, atol=1e-5)
        with pytest.raises(SlimResnetError, match="a folded network has no graph of slim's"):
            other.session


@pytest.fixture(scope="module")
def closed(written):
    net = slim_resnet.load(written.path, image_size=32)
    net.close()
    net.close()
    return net


@pytest.mark.parametrize("use", [
    lambda net: net.classify(pictures.picture(1)), lambda net: net.session, lambda net: net.graph,
    lambda net: net.features("block2", pictures.picture(1)), lambda net: net.images,
    lambda net: net.network.logits(np.zeros([1, 32, 32, 3], np.float32)),
    lambda net: net.network.variable("logits/biases")])
def test_use_after_close_is_one_line(closed, use):
    with pytest.raises(SlimResnetError, match="^.*net.ckpt: the network is closed; load it again, "
                       "or use it within its 'with' block$"):
        use(closed)
    assert repr(closed).endswith("; closed>") and "<td>closed</td>" in closed._repr_html_()


@pytest.mark.parametrize("options, said", [
    ({"precision": "float32"}, "precision: goes with optimize=True"),
    ({"end_points": "block2"}, "end_points: goes with optimize=True"),
    ({"image_size": 300, "preprocessing": "vgg"}, "--image-size 300: is more than the 256"),
    ({"labels": "no such file"}, "no such file: "),
    ({"scope": "tower"}, "holds no networks under the scope 'tower'")])
def test_bad_options(written, options, said):
    with pytest.raises(SlimResnetError, match=re.escape(said)):
        slim_resnet.load(written.path, **options)


@pytest.mark.parametrize("use, said", [
    (lambda net: net.classify([]), "no image: the list is empty"),
    (lambda net: net.features("block2", []), "no image: the list is empty"),
    (lambda net: net.classify(pictures.picture(1), top=0), "top 0: give at least 1"),
    (lambda net: net.features("block9", pictures.picture(1)), "there is no end point 'block9'"),
    (lambda net: net.classify(np.zeros([32, 32, 3])), "image 0: is an array of float64")])
def test_bad_questions(net, use, said):
    with pytest.raises(SlimResnetError, match="^" + re.escape(said)):
        use(net)


def test_results_in_a_notebook(results):
    markup = results._repr_html_()
    assert "&lt;b&gt;a.png" in markup and "<b>" not in markup
    assert "&lt;script&gt;alert(1)&lt;/script&gt; (0)" in markup and markup.count("<script>") == 1
    pngs = [base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)", markup)]
    assert len(pngs) == 3
    # Smaller than a thumbnail: as it is.
    assert np.array_equal(tf.io.decode_png(pngs[2]), pictures.picture(3))
    # Pictures go with their images, however the list is sorted.
    first = re.search(r"base64,([^\"]+)", results[::-1]._repr_html_())
    assert base64.b64decode(first[1]) == pngs[2]


def test_features_in_a_notebook(features, monkeypatch):
    markup = features._repr_html_()
    # Maps of four of the six end points that have any, of the first two images.
    assert markup.count("<details>") == 8 and markup.count("<img ") == 8 + 3
    assert "Maps of resnet_v2_50/conv1 for " in markup and "<b>" not in markup
    mean = float(features["block1"][0].mean(dtype=np.float64))
    assert f'<td class="n" data-value="{mean}">{mean:.4g}</td>' in markup
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    without = features._repr_html_()
    assert without.count("<details>") == 0 and without.count("<img ") == 3


def test_a_network_in_a_notebook(net):
    markup = net._repr_html_()
    assert '<tr><th scope="row">network</th><td>slim&#x27;s ResNet V2, blocks of 2, 1' in markup
    assert "<td>32 pixels; inception (central, values from -1 to 1), assumed</td>" in markup
    assert markup.count("<td>resnet_v2_50/block2</td>") == 1
    assert len(net.to_pandas()) == len(net.end_points)


@pytest.mark.slow
def test_importing_the_package_imports_no_tensorflow():
    assert command_line.python(
        "import sys, slim_resnet; assert 'load' in dir(slim_resnet); print('tensorflow' in "
        "sys.modules); slim_resnet.load; print('tensorflow' in sys.modules)") == "False\nTrue\n"


def test_a_missing_file(tmp_path):
    with pytest.raises(SlimResnetError, match="no such checkpoint; the released one is http"):
        slim_resnet.load(str(tmp_path / "resnet_v2_50.ckpt"))
