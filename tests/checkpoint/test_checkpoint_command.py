"""``slim-resnet checkpoint describe`` and ``diff``, and the pure functions under them."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet import cli
from slim_resnet.checkpoint import description
from tests.helpers import checkpoints
from tests.helpers.family import plain_builder, v1_builder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths: ``a``; ``b``, which differs in every way; ``nan``, with NaN; ``blog``."""
    folder = tmp_path_factory.mktemp("files")
    step = {"global_step": np.int64(2 ** 60)}

    def spoil(values):
        values["resnet_v2_50/postnorm/beta"][:3] = [np.nan, np.inf, -np.inf]

    def change(values):
        values["resnet_v2_50/postnorm/gamma"][2] += 0.25

    written = {
        "a": checkpoints.write(folder / "a" / "net.ckpt", version=checkpoints.V1, extra=step),
        "b": checkpoints.write(folder / "b" / "net.ckpt", checkpoints.slim_builder(num_classes=7),
                               extra={"global_step": step["global_step"] + 1, "more": [1.0]},
                               change=change),
        "nan": checkpoints.write(folder / "nan" / "net.ckpt", change=spoil),
        "blog": checkpoints.write(folder / "blog" / "net.ckpt", checkpoints.blog_builder()),
    }
    return {name: w.path for name, w in written.items()}


def run(capsys, *words):
    """Returns the exit status, stdout and stderr of one command line."""
    status = cli.main(["checkpoint", *words])
    return (status, *capsys.readouterr())


def test_describe(files, capsys, monkeypatch):
    status, out, err = run(capsys, "describe", files["a"], "--wide")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    monkeypatch.setenv("COLUMNS", "78")
    narrow = run(capsys, "describe", files["a"])[1].splitlines()
    assert narrow[4:6] == [
        "strides    slim's, for no checkpoint records them: 2 in the last unit of",
        "           block1"]
    assert narrow[10] == "Names begin with resnet_v2_50/, but for global_step."
    assert "conv1/weights" in [line.split()[0] for line in narrow[13:]]
    assert max(map(len, narrow[1:])) <= 78 and len(narrow) == len(lines) + 3
    assert lines[0] == f"{files['a']}: V1, {pathlib.Path(files['a']).stat().st_size:,} bytes"
    assert lines[1:9] == [
        "network    slim's ResNet V2, blocks of 2, 1 units and 4, 8 channels",
        "scope      resnet_v2_50",
        "classes    10",
        "strides    slim's, for no checkpoint records them: 2 in the last unit of block1",
        "leftovers  1 global_step",
        "parameters 10,384 parameters: 10,208 trainable, 176 moving statistics",
        "beside     1 other; 61 variables in all",
        ""]
    assert lines[9].split() == ["name", "shape", "dtype", "values", "kind"]
    assert [line.split() for line in lines if "conv1/weights" in line][-1] == [
        "resnet_v2_50/conv1/weights", "7x7x3x64", "float32", "9,408",
        "trainable"]
    assert lines[11].split() == ["global_step", "scalar", "int64", "1", "other"]
    assert len(lines) == 11 + 61
    assert "the blog's ResNet V2" in run(capsys, "describe", files["blog"])[1]


def test_networks_that_cannot_be_built_are_described(tmp_path, capsys):
    def build(images):
        tf.compat.v1.get_variable("MobilenetV1/Conv2d_0/weights", [3, 3, 3, 8])
        return images, {}

    path = checkpoints.write(tmp_path / "net.ckpt", build, extra={"global_step": 1}).path
    status, out, err = run(capsys, "describe", path, "--wide")
    assert (status, err) == (0, "")
    assert out.splitlines()[1:6] == [
        "network    MobileNet (MobilenetV1), which tf_slim does not ship: it cannot be built here",
        "leftovers  1 global_step, 1 other",
        "parameters 216 parameters: 216 trainable, 0 moving statistics",
        "beside     1 other; 2 variables in all", ""]
    record = json.loads(run(capsys, "describe", path, "--json")[1])
    assert record["network"] == {"title": "MobileNet (MobilenetV1)", "buildable": False}
    assert cli.main(["classify", path, "photo.jpg"]) == 2
    assert capsys.readouterr().err == (
        f"slim-resnet classify: error: {path}: holds MobileNet (MobilenetV1), which tf_slim does "
        "not ship: it can be described, and not built here\n")


def test_other_networks_are_described(tmp_path, capsys):
    v1 = checkpoints.write(tmp_path / "v1.ckpt", v1_builder()).path
    assert run(capsys, "describe", v1)[1].splitlines()[1] == (
        "network    slim's ResNet V1, blocks of 2, 1 units and 4, 8 channels")
    alexnet = checkpoints.write(tmp_path / "alexnet.ckpt", plain_builder("alexnet_v2")).path
    assert run(capsys, "describe", alexnet)[1].splitlines()[1:4] == [
        "network    AlexNet V2", "scope      alexnet_v2", "classes    7"]
    assert run(capsys, "diff", alexnet, alexnet)[0] == 0


def test_describe_json_with_statistics(files, capsys):
    status, out, _ = run(capsys, "describe", files["nan"], "--stats", "--json")
    record = json.loads(out, parse_constant=pytest.fail)
    assert status == 0
    assert record["format"] == "V2" and record["network"]["num_classes"] == 10
    assert record["network"]["blocks"][0]["units"][1] == {
        "depth": 4, "depth_bottleneck": 1, "stride": 2}
    assert record["totals"] == {
        "variables": 60, "parameters": 10384, "trainable_parameters": 10208,
        "moving_statistics": 176, "optimizer_state": 0, "averaged_weights": 0, "other": 0}
    assert record["moving_averages"] is False
    rows = {row["name"]: row for row in record["variables"]}
    beta = rows["resnet_v2_50/postnorm/beta"]
    rest = checkpoints.distinct_value("resnet_v2_50/postnorm/beta", [8], np.float32)[3:]
    assert (beta["nan"], beta["inf"], beta["shape"]) == (1, 2, [8])
    assert beta["min"] == rest.min() and beta["max"] == rest.max()
    assert sum(row["nan"] + row["inf"] for row in rows.values()) == 3


def test_diff_of_equals(files, capsys):
    assert run(capsys, "diff", files["a"], files["a"])[:2] == (
        0, "0 differences, 61 variables equal\n")
    # NaN equals NaN: a copy of a spoilt file is a copy.
    status, out, _ = run(capsys, "diff", files["nan"], files["nan"], "--json")
    assert status == 0 and json.loads(out)["same"] is True


def test_diff(files, capsys):
    status, out, err = run(capsys, "diff", files["a"], files["b"])
    assert (status, err) == (1, "")
    first, second, *lines = out.splitlines()
    assert (first, second) == (f"A: {files['a']}", f"B: {files['b']}")
    lines = [line.split(None, 1) for line in lines]
    assert set("".join(lines.pop(3))) == {"-"}
    assert lines == [
        [], ["Names", "begin with resnet_v2_50/, but for more and global_step."],
        ["name", "difference"],
        ["more", "only in B"],
        ["logits/biases", "shape 10 against 7"],
        ["logits/weights", "shape 1x1x8x10 against 1x1x8x7"],
        ["global_step", "values differ by up to 1"],
        ["postnorm/gamma", "values differ by up to 0.25"],
        ["5", "differences, 57 variables equal"]]
    wide = run(capsys, "diff", files["a"], files["b"], "--wide")[1]
    assert "\nresnet_v2_50/logits/biases   shape 10 against 7\n" in wide
    status, out, _ = run(capsys, "diff", files["b"], files["a"], "--json")
    record = json.loads(out)
    assert (status, record["same"], record["equal"]) == (1, False, 57)
    assert (record["only_in_a"], record["only_in_b"]) == (["more"], [])
    assert record["shapes"][0] == {"name": "resnet_v2_50/logits/biases", "a": [7], "b": [10]}
    assert record["values"][0] == {"name": "global_step", "largest": 1.0}


def test_diff_against_nan(files, capsys):
    status, out, _ = run(capsys, "diff", files["nan"], files["a"], "--json")
    record = json.loads(out, parse_constant=pytest.fail)
    assert status == 1
    assert record["values"] == [{"name": "resnet_v2_50/postnorm/beta", "largest": "infinity"}]


def test_bad_input_is_one_line_and_status_2(files, tmp_path, capsys):
    bad = tmp_path / "bad.ckpt"
    bad.write_bytes(b"\xff\xd8\xff")
    for words in (["describe", str(bad)], ["diff", files["a"], str(bad)]):
        status, out, err = run(capsys, *words)
        assert (status, out) == (2, "")
        assert err == (f"slim-resnet checkpoint: error: {bad}: no readable checkpoint: bad.ckpt "
                       "is a JPEG image\n")
    # Damage in the values, which opening alone does not find.
    data = bytearray(pathlib.Path(files["nan"] + ".data-00000-of-00001").read_bytes())
    data[-1] ^= 1
    (tmp_path / "net.ckpt.data-00000-of-00001").write_bytes(data)
    (tmp_path / "net.ckpt.index").write_bytes(pathlib.Path(files["nan"] + ".index").read_bytes())
    status, out, err = run(capsys, "describe", str(tmp_path / "net.ckpt"))
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert "resnet_v2_50/postnorm/moving_variance cannot be read" in err


def test_statistics():
    nothing = dict(mean=None, std=None, min=None, max=None, nan=0, inf=0)
    assert description.value_statistics(np.float32([1, 2, 3, 6])) == dict(
        mean=3.0, std=np.sqrt(3.5), min=1.0, max=6.0, nan=0, inf=0)
    assert description.value_statistics(np.float16([np.nan, np.inf])) == dict(nothing, nan=1, inf=1)
    assert description.value_statistics(np.zeros([0, 3])) == nothing
    assert description.value_statistics(np.array([b"text"], object)) == nothing
    assert description.value_statistics(np.asarray(b"text")) == nothing
    # float16 sums overflow; the sum of a million of float32's ones does not stop short.
    assert description.value_statistics(np.full(10, 60000, np.float16))["mean"] == 60000
    assert description.value_statistics(np.array(True))["mean"] == 1


def test_largest_difference():
    difference = description.largest_difference
    assert difference(np.float32([1, 2]), np.float32([1, -2])) == 4
    assert difference(np.float32([np.nan, np.inf]), np.float32([np.nan, np.inf])) == 0
    assert difference(np.float32([np.nan, 1]), np.float32([1, 1])) == np.inf
    assert difference(np.float32([np.inf]), np.float32([-np.inf])) == np.inf
    assert difference(np.int64([2 ** 60]), np.int64([2 ** 60 + 1])) == 1
    assert difference(np.float32([1e-45]), np.float32([0])) > 0
    assert difference(np.array([b"a"], object), np.array([b"a"], object)) == 0
    assert difference(np.array([b"a"], object), np.array([b"b"], object)) is None
    assert difference(np.asarray(b"a"), np.asarray(b"b")) is None
    assert difference(np.uint8([3]), np.uint8([255])) == 252
