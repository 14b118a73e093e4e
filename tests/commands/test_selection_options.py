"""Which network of a checkpoint the commands take, and what they say of it."""

import json

import pytest
import tensorflow as tf

from slim_resnet import cli
from tests.helpers import checkpoints

tf1 = tf.compat.v1


def one_error_line(capsys):
    """Returns the last line on stderr, an error."""
    out, err = capsys.readouterr()
    assert out == "" and ": error: " in err.splitlines()[-1]
    return err.splitlines()[-1]


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    """Two networks in a file, and an image."""
    folder = tmp_path_factory.mktemp("towers")

    def build(images):
        checkpoints.slim_builder((1, 1), 10, "b/net")(images)
        return checkpoints.slim_builder((1, 1), 7, "a/net")(images)
    (folder / "image.png").write_bytes(
        tf.io.encode_png(tf.cast(tf.reshape(tf.range(3 * 32 * 32) % 256, [32, 32, 3]),
                                 tf.uint8)).numpy())
    return checkpoints.write(folder / "net", build).path, str(folder / "image.png")


def commands(path, image, folder):
    size = ["--image-size", "32", "--preprocessing", "none"]
    return {
        "describe": ["checkpoint", "describe", path, "--json"],
        "classify": ["classify", path, image, "--json", *size],
        "evaluate": ["evaluate", path, image, "--compare", "--json", "--precision", "float32",
                     *size],
        "export": ["export", path, str(folder / "net.npz"), "--format", "npz"],
        "end-points": ["end-points", path, "--json", *size[:2]],
        "pictures": ["pictures", path, "--output", str(folder), "--kinds", "diagram", *size[:2]],
        "report": ["report", path, image, "--output", str(folder / "page.html"), *size]}


@pytest.mark.parametrize("command", [
    "describe", "classify", "export", "end-points", "pictures",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("evaluate", "report"))])
def test_scope_and_blocks(towers, tmp_path, capsys, command):
    words = commands(*towers, tmp_path)[command]
    assert cli.main(words) == 2
    assert "holds 2 networks: a/net, b/net; choose one with --scope" in one_error_line(capsys)
    assert cli.main([*words, "--scope", "a"]) == 0
    out, err = capsys.readouterr()
    if command != "describe":
        assert "strides: slim's, for no checkpoint records them: 2 in the last unit of block1\n" \
            in err
    assert cli.main([*words, "--scope", "a", "--blocks", "1,1"]) == 0 or command == "export"
    assert "strides" not in capsys.readouterr().err
    if command in ("classify", "end-points", "evaluate"):
        record = json.loads(out)
        assert record["selection"] == {"scope": ["a"]} and list(record["assumed"]) == ["strides"]
    if command == "classify":
        assert record["num_classes"] == 7 and len(record["images"][0]["classes"]) == 5


@pytest.mark.parametrize("options,said", [
    (["--scope", "c"], "holds no networks under the scope 'c'; there are a/net, b/net"),
    (["--scope", "a", "--blocks", "1"], "--blocks 1 has 1 strides, and the network 2 blocks"),
    (["--scope", "a", "--blocks", "x"], "blocks 'x': write the stride of each block's last unit"),
    (["--exclude", "c/*"], "exclude pattern 'c/*' fits no variable")])
def test_one_line(towers, capsys, options, said):
    assert cli.main(["end-points", towers[0], "--image-size", "32", *options]) == 2
    assert said in one_error_line(capsys)


def test_a_model_has_no_scope(capsys):
    assert cli.main(["end-points", "resnet_v2_50", "--scope", "a"]) == 2
    assert "--scope says which network of a CHECKPOINT is meant, and resnet_v2_50 is none" in \
        one_error_line(capsys)


def test_results_are_of_one_selection(towers, tmp_path, capsys):
    path, image = towers
    words = ["classify", path, image, "--output", str(tmp_path / "r.jsonl"), "--image-size", "32",
             "--preprocessing", "none", "--resume", "--scope"]
    assert cli.main([*words, "a"]) == 0
    capsys.readouterr()
    assert cli.main([*words, "b"]) == 2
    assert "holds results made with another scope (['a'], now ['b'])" in one_error_line(capsys)
