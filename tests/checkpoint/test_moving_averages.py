"""Averaged weights in every command and in Python: asked for, refused, or the run's default."""

import json

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet import cli
from slim_resnet.checkpoint import build_from_checkpoint, open_checkpoint, recognise
from slim_resnet.checkpoint.reader import AVERAGE
from slim_resnet.common.counts import is_moving_statistic
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference import InferenceModel, Network, classify, evaluate
from tests.helpers import checkpoints, pictures

tf1 = tf.compat.v1

SIZE = ["--image-size", "32"]
BY_DEFAULT = "averaged weights, as the run that wrote them was evaluated; --no-moving-averages"
THERE = "the checkpoint holds averaged weights too; --moving-averages takes them"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A checkpoint with averages, one with them for weights, one without; and a run's folder.

    Averages are other values than the weights; moving statistics have none.
    """
    folder = tmp_path_factory.mktemp("averages")
    raw = checkpoints.write(folder / "raw" / "net.ckpt")
    averages = {name: checkpoints.distinct_value(name + "/other", value.shape, value.dtype)
                if not name.endswith(("gamma", "weights")) else value * np.float32(0.8)
                for name, value in raw.values.items() if not is_moving_statistic(name)}
    # Another class than that of the weights, for whatever image.
    averages["resnet_v2_50/logits/biases"] = 50 * np.eye(10, dtype=np.float32)[
        (raw.net.argmax() + 1) % 10]
    checkpoints.write(folder / "both" / "net.ckpt", extra={
        name + AVERAGE: value for name, value in averages.items()})
    averaged = checkpoints.write(folder / "averaged" / "net.ckpt",
                                 change=lambda values: values.update(averages))
    run = folder / "run"
    checkpoints.write(run / "model.ckpt-5", extra={
        name + AVERAGE: value for name, value in averages.items()})
    (run / "training.json").write_text(json.dumps({
        "format": "slim_resnet training 1", "num_images": 3, "classes": list("abcdefghij"),
        "options": {"image_size": 32, "preprocessing": "inception", "ema_decay": 0.9}}))
    (run / "labels.txt").write_text("".join(f"{n}:{name}\n" for n, name in enumerate("abcdefghij")))
    photo = pictures.write_png(folder / "photo.png", 0)
    return {"raw": raw, "averaged": averaged, "both": str(folder / "both" / "net.ckpt"),
            "run": str(run), "photo": photo, "folder": folder}


# What is opened, what is asked for, and whose logits it then has.
CASES = [("both", None, "raw"), ("both", True, "averaged"), ("run", None, "averaged"),
         ("run", False, "raw")]


@pytest.mark.parametrize("name, asked, expected", [
    case if case[0] == "run" and case[1] is None else pytest.param(*case, marks=pytest.mark.slow)
    for case in CASES])
def test_networks_in_python(made, name, asked, expected):
    path, written = made[name], made[expected]
    images = written.images
    logits = written.net[:, 0, 0]
    assert np.abs(made["raw"].net - made["averaged"].net).max() > 0.1
    with Network(path, 32, use_moving_averages=asked) as network:
        np.testing.assert_allclose(network.logits(images), logits, rtol=1e-4, atol=1e-5)
        assert network.moving_averages == (expected == "averaged")
    with InferenceModel.from_checkpoint(path, "float32", use_moving_averages=asked) as model:
        np.testing.assert_allclose(model.logits(images), logits, rtol=1e-3, atol=1e-4)
    with tf.Graph().as_default(), tf1.Session() as session:
        net, _ = build_from_checkpoint(path, tf.constant(images), use_moving_averages=asked)
        np.testing.assert_allclose(session.run(net), written.net, rtol=1e-4, atol=1e-5)
    # An open checkpoint goes on with what it was opened with.
    with open_checkpoint(path, asked) as opened, Network(opened, 32) as network:
        np.testing.assert_allclose(network.logits(images), logits, rtol=1e-4, atol=1e-5)
        name = next(iter(recognise(opened).names))
        np.testing.assert_array_equal(
            opened.network_tensor(name), made[expected].values[name])
        with Network(opened, 32, use_moving_averages=False) as plain:
            np.testing.assert_allclose(plain.logits(images), made["raw"].net[:, 0, 0], rtol=1e-4,
                                       atol=1e-5)
    first, = classify(path, [made["photo"]], image_size=32, use_moving_averages=asked)
    same, = classify(written.path, [made["photo"]], image_size=32)
    assert first.classes == same.classes
    np.testing.assert_allclose(first.probabilities, same.probabilities, rtol=1e-4)


def option(asked):
    return [] if asked is None else ["--moving-averages" if asked else "--no-moving-averages"]


def run(capsys, *words):
    status = cli.main(list(map(str, words)))
    out, err = capsys.readouterr()
    assert status == 0, err
    return out, err


@pytest.mark.slow
@pytest.mark.parametrize("name, asked, expected", CASES)
def test_commands_take_them_and_say_so(made, tmp_path, capsys, name, asked, expected):
    path, written, photo = made[name], made[expected], made["photo"]
    said = (BY_DEFAULT if expected == "averaged" else THERE) if asked is None else \
        "averaged weights" if asked else ""

    def same(err):
        lines = [line.partition(": ")[2] for line in err.splitlines() if "averag" in line]
        assert [line[:len(said)] for line in lines] == ([said] if said else [])

    for more in ([], ["--optimize", "--precision", "float32"]):
        out, err = run(capsys, "classify", path, photo, *SIZE, "--json", *more, *option(asked))
        document = json.loads(out)
        assert document["moving_averages"] == (expected == "averaged")
        wanted = json.loads(run(capsys, "classify", written.path, photo, *SIZE, "--json")[0])
        np.testing.assert_allclose(document["images"][0]["probabilities"],
                                   wanted["images"][0]["probabilities"], rtol=1e-3)
        same(err)
    _, err = run(capsys, "classify", path, photo, *SIZE, "--output", tmp_path / "r.jsonl",
                 *option(asked))
    same(err)
    record = json.loads((tmp_path / "r.jsonl.run.json").read_text())
    assert record["options"]["moving_averages"] == (expected == "averaged")
    # Results of the other weights are others.
    assert cli.main(["classify", path, photo, *SIZE, "--output", str(tmp_path / "r.jsonl"),
                     "--resume", *option(expected != "averaged")]) == 2
    assert "made with another moving averages" in capsys.readouterr().err

    _, err = run(capsys, "end-points", path, "--images", photo, *SIZE, "--save",
                 tmp_path / "f.npz", "--end-points", "*/logits", *option(asked))
    same(err)
    key, = (key for key in np.load(tmp_path / "f.npz").files if key.endswith("logits"))
    with Network(written.path, 32) as network:
        from slim_resnet.images.reading import load_images
        np.testing.assert_allclose(np.load(tmp_path / "f.npz")[key][:, 0, 0],
                                   network.logits(load_images([photo], 32)), rtol=1e-4, atol=1e-5)
    out, err = run(capsys, "end-points", path, "--images", photo, *SIZE, "--json", *option(asked))
    assert json.loads(out)["moving_averages"] == (expected == "averaged")
    same(err)

    _, err = run(capsys, "export", path, tmp_path / "n.pb", "--format", "frozen", *SIZE,
                 *option(asked))
    same(err)
    with tf.Graph().as_default(), tf1.Session() as session:
        definition = tf1.GraphDef.FromString((tmp_path / "n.pb").read_bytes())
        logits, text = tf.import_graph_def(definition, return_elements=[
            "end_points/resnet_v2_50/logits:0", "slim_resnet_metadata:0"], name="")
        np.testing.assert_allclose(session.run(logits, {"images:0": written.images}), written.net,
                                   rtol=1e-4, atol=1e-5)
        assert json.loads(session.run(text))["moving_averages"] == (expected == "averaged")

    line, = (line for line in run(capsys, "checkpoint", "describe", path)[0].splitlines()
             if line.startswith("averages "))
    assert ("are taken" in line) == (name == "run")


@pytest.mark.slow
def test_evaluate_and_pictures(made, tmp_path, capsys):
    labelled = tmp_path / "data.npz"
    np.savez(labelled, images=np.random.default_rng(0).integers(0, 255, [20, 32, 32, 3], np.uint8),
             labels=np.arange(20) % 10)
    figures = {}
    for asked in (True, False):
        out, _ = run(capsys, "evaluate", made["both"], labelled, *SIZE, "--json", *option(asked))
        document = json.loads(out)
        wanted = made["averaged" if asked else "raw"].path
        result = evaluate(wanted, [labelled], image_size=32)
        assert document["confusion"] == result.confusion.tolist()
        assert document["moving_averages"] == asked
        figures[asked] = document["confusion"]
        assert evaluate(made["both"], [labelled], image_size=32,
                        use_moving_averages=asked).confusion.tolist() == document["confusion"]
    assert figures[True] != figures[False]
    pytest.importorskip("matplotlib")
    drawn = {}
    for path, asked in ((made["both"], True), (made["both"], False), (made["averaged"].path, None)):
        folder = tmp_path / f"p{len(drawn)}"
        run(capsys, "pictures", path, "--kinds", "filters", "--output", folder, *SIZE,
            *option(asked))
        drawn[len(drawn)] = (folder / "filters.png").read_bytes()
    assert drawn[0] == drawn[2]


@pytest.mark.parametrize("words, message", [
    (["classify", "{raw}", "{photo}", *SIZE, "--moving-averages"], "holds no moving averages"),
    (["classify", "{raw}", "{photo}", *SIZE, "--moving-averages", "--optimize"],
     "holds no moving averages"),
    (["end-points", "{both}", "--moving-averages"], "--moving-averages goes with --images"),
    (["end-points", "resnet_v2_50", "--no-moving-averages"], "--no-moving-averages needs"),
    (["pictures", "resnet_v2_50", "--output", "p", "--moving-averages"], "needs a checkpoint"),
    (["export", "{both}", "{folder}/v2.ckpt", "--format", "v2", "--no-moving-averages"],
     "--moving-averages has no effect on --format v2"),
    (["classify", "{both}", "{photo}", *SIZE, "--labels", "{photo}"], "photo.png: "),
    (["end-points", "{run}", "--images", "{photo}", *SIZE, "--end-points", "*/none"],
     "there is no end point '*/none'")])
def test_errors_are_one_line(made, capsys, words, message):
    words = [word.format(**{**made, "raw": made["raw"].path}) for word in words]
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_a_weight_without_an_average_is_named(made, tmp_path):
    name = "resnet_v2_50/postnorm/beta"
    checkpoints.write(tmp_path / "net.ckpt", extra={
        f"resnet_v2_50/postnorm/gamma{AVERAGE}": np.ones(8, np.float32)})
    with pytest.raises(SlimResnetError, match="wanted and not in the file"):
        Network(str(tmp_path / "net.ckpt"), 32, use_moving_averages=True)
    with pytest.raises(SlimResnetError, match="holds no moving average of "), \
            open_checkpoint(tmp_path / "net.ckpt", True) as opened:
        opened.network_tensor(name)
