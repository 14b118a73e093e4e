"""slim-resnet export: what it writes, read back without slim_resnet, has the same numbers."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet import export
from slim_resnet.checkpoint import open_checkpoint
from slim_resnet.cli import main
from tests.helpers import checkpoints, pictures

tf1 = tf.compat.v1

LEFTOVERS = {"global_step": np.int64(2 ** 40 + 1),
             "resnet_v2_50/conv1/weights/Momentum": np.full([7, 7, 3, 64], 0.25, np.float32)}

# What a user without slim_resnet writes: argv are the folder, inputs and outputs.
LOAD_SAVED_MODEL = """
import sys
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
inputs = np.load(sys.argv[2])
outputs = {}
for name, argument, value in (("serving_default", "image_bytes", [f.tobytes() for f in
                              np.split(inputs["bytes"], np.cumsum(inputs["sizes"])[:-1])]),
                              ("end_points", "images", inputs["images"])):
    for key, tensor in model.signatures[name](**{argument: tf.constant(value)}).items():
        outputs[name + ":" + key] = tensor.numpy()
assert not any(module.split(".")[0] in ("slim_resnet", "tf_slim") for module in sys.modules)
np.savez(sys.argv[3], **{key: value.astype("U") if value.dtype == object else value
                         for key, value in outputs.items()})
"""


@pytest.fixture(scope="module")
def slim(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("slim") / "net.ckpt", extra=LEFTOVERS)


@pytest.fixture(scope="module")
def readable(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return [pictures.write_png(folder / f"{i}.png", i) for i in range(3)]


def run(*words):
    return main(["export", *map(str, words)])


def load_elsewhere(folder, paths, images, tmp_path):
    """Returns what `LOAD_SAVED_MODEL` gets in a process of its own."""
    contents = [pathlib.Path(path).read_bytes() for path in paths]
    np.savez(tmp_path / "inputs.npz", bytes=np.frombuffer(b"".join(contents), np.uint8),
             sizes=list(map(len, contents)), images=images)
    subprocess.run([sys.executable, "-c", LOAD_SAVED_MODEL, str(folder),
                    str(tmp_path / "inputs.npz"), str(tmp_path / "outputs.npz")],
                   check=True, timeout=300, cwd=tmp_path)
    with np.load(tmp_path / "outputs.npz") as outputs:
        return dict(outputs)


def by_saver(written, build, batch, keys):
    return pictures.run_with_saver(written, build, batch, lambda net, end_points: {
        "net": net, **{key: end_points[key] for key in keys}})


@pytest.mark.slow
def test_saved_model_in_plain_tf2(slim, readable, tmp_path, capsys):
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"name {k}\n" for k in range(10)))
    keys = ["resnet_v2_50/block1", "predictions"]
    assert run(slim.path, tmp_path / "served", "--format", "saved_model", "--image-size", 40,
               "--labels", labels, "--end-points", *keys) == 0
    # Which of two errors, zero or a rounding, is the larger depends on the CPU.
    assert re.fullmatch(
        re.escape(f"{tmp_path / 'served'}: saved_model of slim's ResNet V2, 10 classes, float32\n"
                  f"checked by tensorflow {tf.__version__}: 4 images, largest error ")
        + r"(0\.0e\+00|\d\.\de-(0[7-9]|1\d)) \((resnet_v2_50/block1|predictions)\), "
        r"0\.001 allowed\n", capsys.readouterr().out)
    images = np.random.RandomState(3).uniform(-1, 1, [2, 48, 36, 3]).astype(np.float32)
    outputs = load_elsewhere(tmp_path / "served", readable, images, tmp_path)
    assert sorted(outputs) == sorted([
        "serving_default:probabilities", "serving_default:classes",
        *(f"end_points:{key}" for key in keys)])

    expected = by_saver(slim, checkpoints.slim_builder(), pictures.prepared(readable, 40), keys)
    np.testing.assert_allclose(outputs["serving_default:probabilities"],
                               expected["predictions"][:, 0, 0], rtol=1e-5)
    assert outputs["serving_default:classes"].tolist() == [[f"name {k}" for k in range(10)]] * 3
    expected = by_saver(slim, checkpoints.slim_builder(), images, keys)
    for key in keys:
        np.testing.assert_allclose(outputs[f"end_points:{key}"], expected[key], rtol=1e-5,
                                   atol=1e-6)
    with open(tmp_path / "served/assets.extra/slim_resnet_metadata.json", encoding="utf-8") as file:
        record = json.load(file)
    assert (record["variant"], record["scope"], record["num_classes"], record["depth"],
            record["image_size_pixels"], record["preprocessing"]) == (
                "slim", "resnet_v2_50", 10, None, 40, "inception")


@pytest.mark.slow
def test_saved_model_of_the_blog_s_network(readable, tmp_path):
    written = checkpoints.write(tmp_path / "blog.ckpt", checkpoints.blog_builder())
    record = export.export_saved_model(written.path, tmp_path / "served", image_size=32,
                                       preprocessing="none")
    assert (record["variant"], record["preprocessing"]) == ("blog", "none")
    outputs = load_elsewhere(tmp_path / "served", readable[:1], written.images, tmp_path)
    assert sorted(outputs) == ["end_points:global_pool", "end_points:predictions",
                               "end_points:resnet_v2_152/logits", "serving_default:probabilities"]
    np.testing.assert_allclose(outputs["end_points:resnet_v2_152/logits"], written.net, rtol=1e-5)
    raw = tf1.image.resize_bilinear(
        tf.cast(pictures.picture(0), tf.float32)[tf.newaxis], [32, 32]).numpy()
    expected = by_saver(written, checkpoints.blog_builder(), raw, ["predictions"])
    np.testing.assert_allclose(outputs["serving_default:probabilities"],
                               expected["predictions"][:, 0, 0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.oldest
def test_saved_model_is_what_serving_takes(slim, readable, tmp_path):
    export.export_saved_model(slim.path, tmp_path / "served", image_size=32)
    images = pictures.prepared(readable)
    with tf.Graph().as_default(), tf1.Session() as session:
        meta_graph = tf1.saved_model.load(session, ["serve"], str(tmp_path / "served"))
        signatures = meta_graph.signature_def
        assert sorted(signatures) == ["end_points", "serving_default"]
        serving, end_points = signatures["serving_default"], signatures["end_points"]
        for signature in (serving, end_points):
            assert signature.method_name == "tensorflow/serving/predict"
            for info in [*signature.inputs.values(), *signature.outputs.values()]:
                assert info.tensor_shape.dim[0].size == -1
        assert sorted(serving.inputs) == ["image_bytes"]
        assert sorted(serving.outputs) == ["probabilities"]
        assert [d.size for d in serving.outputs["probabilities"].tensor_shape.dim] == [-1, 10]
        assert [d.size for d in end_points.inputs["images"].tensor_shape.dim] == [-1, -1, -1, 3]

        def serve(signature, **inputs):
            return session.run(
                {key: info.name for key, info in signature.outputs.items()},
                {signature.inputs[key].name: value for key, value in inputs.items()})

        from_bytes = serve(serving, image_bytes=[pathlib.Path(path).read_bytes()
                                                 for path in readable])
        from_images = serve(end_points, images=images)
        np.testing.assert_array_equal(from_bytes["probabilities"],
                                      from_images["predictions"][:, 0, 0])
        assert serve(serving, image_bytes=[])["probabilities"].shape == (0, 10)


@pytest.mark.slow
def test_saved_model_without_logits(tmp_path):
    build = checkpoints.slim_builder(num_classes=None)
    written = checkpoints.write(tmp_path / "net.ckpt", build)
    export.export_saved_model(written.path, tmp_path / "served")
    model = tf.saved_model.load(str(tmp_path / "served"))
    assert list(model.signatures) == ["end_points"]
    outputs = model.signatures["end_points"](images=tf.constant(written.images))
    np.testing.assert_allclose(outputs["global_pool"], written.net, rtol=1e-5)


def read_graph_def(path):
    graph_def = tf1.GraphDef()
    with open(path, "rb") as file:
        graph_def.ParseFromString(file.read())
    return graph_def


def test_frozen_graph(slim, tmp_path, capsys):
    path = tmp_path / "net.pb"
    assert run(slim.path, path, "--format", "frozen", "--end-points", "predictions",
               "resnet_v2_50/block2/unit_1/bottleneck_v2") == 0
    assert "frozen of slim's ResNet V2" in capsys.readouterr().out
    graph_def = read_graph_def(path)
    assert not {node.op for node in graph_def.node} & {"VariableV2", "VarHandleOp"}
    with tf.Graph().as_default(), tf1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        predictions, unit, record = session.run(
            ["end_points/predictions:0", "end_points/resnet_v2_50/block2/unit_1/bottleneck_v2:0",
             "slim_resnet_metadata:0"], {"images:0": slim.images})
    np.testing.assert_allclose(predictions, slim.end_points["predictions"], rtol=1e-5)
    np.testing.assert_allclose(
        unit, slim.end_points["resnet_v2_50/block2/unit_1/bottleneck_v2"], rtol=1e-5, atol=1e-6)
    assert json.loads(record)["variant"] == "slim"


def test_more_than_a_graph_holds(slim, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("slim_resnet.export.frozen._MAX_BYTES", 1000)
    assert run(slim.path, tmp_path / "net.pb") == 2
    assert f"{slim.path}: its variables take more than the 2 GiB that a GraphDef can hold" in \
        capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("words, size", [([], -1), (["--image-size", "64"], 64)])
def test_frozen_graph_s_image_size_and_default_outputs(slim, tmp_path, words, size):
    assert run(slim.path, tmp_path / "net.pb", "--format", "frozen", *words) == 0
    nodes = {node.name: node for node in read_graph_def(tmp_path / "net.pb").node}
    dims = [dim.size for dim in nodes["images"].attr["shape"].shape.dim]
    assert dims == [-1, size, size, 3]
    assert {name for name in nodes if name.startswith("end_points/")} == {
        "end_points/global_pool", "end_points/predictions", "end_points/resnet_v2_50/logits"}


def read_values(path):
    with open_checkpoint(path) as opened:
        return opened.format, {name: opened.tensor(name) for name in opened.shapes}


def assert_same_values(values, expected):
    assert sorted(values) == sorted(expected)
    for name, value in expected.items():
        assert values[name].dtype == value.dtype, name
        np.testing.assert_array_equal(values[name], value, err_msg=name)


def test_v1_v2_and_npz_hold_the_same_values(slim, tmp_path):
    paths = [slim.path, tmp_path / "one", tmp_path / "two", tmp_path / "three.npz"]
    for source, target, format in zip(paths, paths[1:], ("v1", "v2", "npz")):
        assert run(source, target, "--format", format) == 0
    assert sorted(os.listdir(tmp_path)) == [
        "one", "one.json", "three.npz", "three.npz.json", "two.data-00000-of-00001", "two.index",
        "two.json"]
    for path, format in ((paths[1], "V1"), (paths[2], "V2")):
        found_format, values = read_values(path)
        assert found_format == format
        assert_same_values(values, slim.values)
        # TensorFlow's own Saver takes them too.
        restored = checkpoints.Written(str(path), *slim[1:])
        net = by_saver(restored, checkpoints.slim_builder(), slim.images, [])["net"]
        np.testing.assert_allclose(net, slim.net, rtol=1e-5)
    with np.load(paths[3]) as file:
        values = dict(file)
    assert json.loads(str(values.pop("slim_resnet_metadata")))["variant"] == "slim"
    assert_same_values(values, slim.values)


def test_blog_s_variables_keep_their_names(tmp_path):
    written = checkpoints.write(tmp_path / "blog.ckpt", checkpoints.blog_builder(is_training=True))
    record = export.export_checkpoint(written.path, tmp_path / "out", "v2")
    assert record["variant"] == "blog"
    assert_same_values(read_values(tmp_path / "out")[1], written.values)


@pytest.mark.parametrize("format, words, message", [
    ("saved_model", ["--end-points", "resnet_v2_50/block9"],
     "no end point 'resnet_v2_50/block9'; nearest: resnet_v2_50/block"),
    ("frozen", ["--end-points", "blok2"], "nearest: resnet_v2_50/block2"),
    ("saved_model", ["--labels", "{}/source/labels.txt"],
     "labels.txt: has 2 labels, but the checkpoint has 10 classes"),
    ("v1", ["--end-points", "predictions"], "--end-points has no effect on --format v1"),
    ("npz", ["--image-size", "32"], "--image-size has no effect on --format npz"),
    ("frozen", ["--preprocessing", "none"], "--preprocessing has no effect on --format frozen"),
    ("frozen", ["--labels", "x"], "--labels has no effect on --format frozen"),
])
def test_bad_options_leave_nothing(slim, tmp_path, capsys, format, words, message):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/labels.txt").write_text("a\nb\n")
    assert run(slim.path, tmp_path / "out", "--format", format,
               *(word.format(tmp_path) for word in words)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert os.listdir(tmp_path) == ["source"]


@pytest.mark.parametrize("format, existing, message", [
    ("saved_model", "out/", "out: exists already"),
    ("saved_model", "out", "out: exists already"),
    ("frozen", "out/", "out: is a folder"),
    ("npz", "out/", "out: is a folder"),
    ("v1", "out.index", "out.index exists already"),
    ("v2", "out", "out exists already"),
    ("v2", "out.data-00000-of-00002", "out.data-00000-of-00002 exists already"),
])
def test_existing_targets_are_refused(slim, tmp_path, capsys, format, existing, message):
    if existing.endswith("/"):
        (tmp_path / existing).mkdir()
    else:
        (tmp_path / existing).write_text("mine")
    assert run(slim.path, tmp_path / "out", "--format", format) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert os.listdir(tmp_path) == [existing.rstrip("/")]


@pytest.mark.parametrize("format", ["saved_model", "frozen", "v1", "v2", "npz"])
def test_missing_parent_is_one_line(slim, tmp_path, capsys, format):
    assert run(slim.path, tmp_path / "none/out", "--format", format) == 2
    assert f"the folder {tmp_path / 'none'} does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("format, broken", [
    ("saved_model", "json.dump"), ("v1", "os.replace"), ("v2", "os.replace"),
    ("npz", "numpy.lib.format.write_array"), ("frozen", "slim_resnet.export.runtimes.np.savez"),
])
def test_interrupt_leaves_nothing(slim, tmp_path, capsys, monkeypatch, format, broken):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(broken, interrupt)
    assert run(slim.path, tmp_path / "out", "--format", format) == 130
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("format, message", [
    ("npz", "global_step is of dtype bfloat16, which .npz cannot hold; choose v2"),
    ("v1", "cannot be written: Saving data type bfloat16 not yet supported"),
])
def test_formats_without_bfloat16_say_so(tmp_path, capsys, format, message):
    extra = {"global_step": np.asarray(tf.constant([1.5], tf.bfloat16))}
    written = checkpoints.write(tmp_path / "net.ckpt", extra=extra)
    before = sorted(os.listdir(tmp_path))
    assert run(written.path, tmp_path / "out", "--format", format) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err
    assert sorted(os.listdir(tmp_path)) == before
    assert run(written.path, tmp_path / "out", "--format", "v2") == 0
    assert_same_values(read_values(tmp_path / "out")[1], written.values)
