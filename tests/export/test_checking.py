"""What does not give the session's numbers, or crashes its runtime, is refused and removed."""

import dataclasses
import json
import os

import numpy as np
import pytest

from slim_resnet.cli import main
from slim_resnet.export import checking, export_checkpoint, formats, runtimes
from tests.helpers import checkpoints, pictures
from tests.helpers.family import v1_builder


def refused(capsys, *words):
    """Returns the one line that an export is refused with."""
    assert main(["export", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1, err
    return err


def change_outputs(monkeypatch, format, change):
    """Has a runtime give something else than it does."""
    read = getattr(runtimes, format)

    def changed(path, package):
        run = read(path, package)
        return lambda images: change(dict(run(images)))
    monkeypatch.setattr(runtimes, format, changed)


def scaled(key, by):
    return lambda outputs: {**outputs, key: outputs[key] * np.float32(by)}


def padded(outputs):
    return {**outputs, "predictions": outputs["predictions"][:, 0]}


def lost(outputs):
    del outputs["predictions"]
    return outputs


@pytest.mark.parametrize("change, message", [
    (scaled("resnet_v2_50/logits", 1.002), "resnet_v2_50/logits is off by 0.002 of its largest "
     "value, and 0.001 is allowed"),
    (scaled("global_pool", np.nan), "global_pool is NaN or infinite"),
    (padded, "predictions has the shape [1, 1, 10] and not [1, 1, 1, 10]"),
    (lambda outputs: {**outputs, "predictions": outputs["predictions"][..., ::-1]},
     "predictions is off by "),
    (lost, "it has other end points than were asked for: predictions"),
])
def test_other_numbers(slim, tmp_path, capsys, monkeypatch, change, message):
    change_outputs(monkeypatch, "frozen", change)
    err = refused(capsys, slim.path, tmp_path / "net.pb", "--image-size", 48)
    assert f"the frozen that was written failed its check and was removed: {message}" in err
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_folder_with_other_numbers(slim, tmp_path, capsys, monkeypatch):
    change_outputs(monkeypatch, "saved_model", scaled("global_pool", 1.1))
    err = refused(capsys, slim.path, tmp_path / "net", "--format", "saved_model")
    assert "global_pool is off by 0.1 of its" in err
    assert os.listdir(tmp_path) == []


def test_an_error_within_the_bound_is_recorded(slim, tmp_path, monkeypatch, capsys):
    change_outputs(monkeypatch, "frozen", scaled("resnet_v2_50/logits", 1.0005))
    assert main(["export", slim.path, str(tmp_path / "net.pb")]) == 0
    assert "4 images, largest error 5.0e-04 (resnet_v2_50/logits), 0.001 allowed" in \
        capsys.readouterr().out
    record = json.loads((tmp_path / "net.pb.json").read_text())
    assert record["check"]["largest_error"] == pytest.approx(5e-4, rel=1e-3)
    assert record["check"]["errors"]["global_pool"] < 1e-6
    # Its own size, and three of an odd one that is not square.
    assert record["check"]["batches"] == [[1, 299, 299, 3], [3, 97, 75, 3]]


def test_predictions_of_large_logits(tmp_path, monkeypatch):
    """Large logits that are off by their last bit have other probabilities."""
    def change(values):
        values["resnet_v2_50/logits/biases"] += np.float32(1e5)

    def rounded(outputs):
        logits = outputs["resnet_v2_50/logits"].copy()
        logits[..., ::2] = np.nextafter(logits[..., ::2], np.float32(np.inf))
        exponentials = np.exp(logits - logits.max(-1, keepdims=True))
        predictions = exponentials / exponentials.sum(-1, keepdims=True)
        assert np.abs(predictions / outputs["predictions"] - 1).max() > 3e-3
        return {**outputs, "resnet_v2_50/logits": logits, "predictions": predictions}

    written = checkpoints.write(tmp_path / "source/net.ckpt", change=change)
    change_outputs(monkeypatch, "frozen", rounded)
    record = export_checkpoint(written.path, tmp_path / "net.pb", image_size=48)
    assert record["check"]["largest_error"] < 1e-6


@pytest.mark.parametrize("format", ["v1", "v2", "npz"])
@pytest.mark.parametrize("change", ["bit", "lost", "more", "dtype"])
def test_other_variables(slim, tmp_path, capsys, monkeypatch, format, change):
    read, name = getattr(runtimes, format), "resnet_v2_50/conv1/weights"

    def changed(path, package):
        values = dict(read(path, package))
        if change == "lost":
            del values[name]
        elif change == "more":
            values[f"{name}/more"] = values[name]
        elif change == "dtype":
            values[name] = values[name].astype(np.float64)
        else:
            values[name] = values[name].copy()
            values[name].view(np.uint32).flat[5] ^= 1
        return iter(values.items())

    monkeypatch.setattr(runtimes, format, changed)
    err = refused(capsys, slim.path, tmp_path / "net", "--format", format)
    assert f"1 variables are not as in the checkpoint, {name}" in err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("body, message", [
    ("import os; os.abort()", "onnxruntime cannot run it: its process was ended by SIGABRT"),
    ("import os; os.kill(os.getpid(), 9)", "its process was ended by SIGKILL"),
    ("import os; os._exit(3)", "its process ended with 3"),
    ("raise RuntimeError('no such\\nkernel')", "onnxruntime cannot run it: kernel"),
])
def test_a_runtime_that_crashes(slim, tmp_path, capsys, monkeypatch, own_process, body, message):
    pytest.importorskip("onnxruntime")
    (tmp_path / "first").mkdir()
    (tmp_path / "first/onnxruntime.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "first"))
    err = refused(capsys, slim.path, tmp_path / "net.onnx", "--image-size", 32)
    assert message in err
    assert os.listdir(tmp_path) == ["first"]


def test_without_a_runtime(slim, tmp_path, capsys, monkeypatch):
    row = dataclasses.replace(formats.FORMATS["frozen"], runtimes=("no_such_runtime",))
    monkeypatch.setitem(formats.FORMATS, "frozen", row)
    assert main(["export", slim.path, str(tmp_path / "net.pb")]) == 0
    assert "not checked: no_such_runtime is not installed\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "net.pb.json").read_text())["check"] == {
        "unchecked": "no_such_runtime is not installed"}
    row = dataclasses.replace(row, runtimes=("no_such_runtime", "nor_this"))
    monkeypatch.setitem(formats.FORMATS, "frozen", row)
    assert export_checkpoint(slim.path, tmp_path / "net.pb")["check"] == {
        "unchecked": "no_such_runtime and nor_this not installed"}


def test_images_of_a_users(slim, tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    for number in range(5):
        pictures.write_png(tmp_path / f"images/{number}.png", number)
    seen = []
    change_outputs(monkeypatch, "frozen", lambda outputs: seen.append(outputs) or outputs)
    monkeypatch.setattr(checking, "MOST_IMAGES", 4)
    record = export_checkpoint(slim.path, tmp_path / "net.pb", verify=tmp_path / "images",
                               image_size=40)
    assert record["check"]["batches"] == [[1, 40, 40, 3], [3, 40, 40, 3], [4, 40, 40, 3]]
    paths = [str(tmp_path / f"images/{number}.png") for number in range(4)]
    expected = pictures.run_with_saver(
        slim, checkpoints.slim_builder(), pictures.prepared(paths, 40), lambda net, _: net)
    np.testing.assert_allclose(seen[2]["resnet_v2_50/logits"], expected, rtol=1e-5)


def test_an_unreadable_image(slim, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    err = refused(capsys, slim.path, tmp_path / "net.pb", "--verify", tmp_path)
    assert "broken.png: cannot be read" in err
    assert os.listdir(tmp_path) == ["broken.png"]


def test_a_network_whose_outputs_are_nan(tmp_path, capsys):
    def change(values):
        values["resnet_v2_50/logits/weights"][:] = 3e38

    written = checkpoints.write(tmp_path / "source/net.ckpt", change=change)
    assert "is NaN or infinite, so no export of it can be checked" in refused(
        capsys, written.path, tmp_path / "net.pb", "--image-size", 48)
    # Variables are what they are.
    assert main(["export", written.path, str(tmp_path / "net.npz")]) == 0
    assert sorted(os.listdir(tmp_path)) == ["net.npz", "net.npz.json", "source"]


def test_a_record_that_is_not_ours_stays(slim, tmp_path, capsys):
    (tmp_path / "net.pb.json").write_text('{"format": "mine"}')
    assert "net.pb.json: is not a record of slim-resnet export, and an export would replace it" \
        in refused(capsys, slim.path, tmp_path / "net.pb")
    assert os.listdir(tmp_path) == ["net.pb.json"]


def test_the_format_is_the_endings(slim, tmp_path, capsys):
    assert main(["export", slim.path, str(tmp_path / "NET.PB"), "--image-size", "48"]) == 0
    assert ": frozen of slim's" in capsys.readouterr().out
    assert "net.abc: no format has this ending (.pb, .npz" in refused(
        capsys, slim.path, tmp_path / "net.abc")


def test_images_of_other_channels(tmp_path):
    # Of four there is no mean that ResNet V1's preparation would subtract.
    written = checkpoints.write(tmp_path / "net.ckpt", v1_builder(), channels=4)
    record = export_checkpoint(written.path, tmp_path / "net.pb", image_size=33)
    assert record["check"]["batches"] == [[1, 33, 33, 4], [3, 33, 33, 4]]
    assert record["check"]["largest_error"] < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("format", ["saved_model", "v2", "npz"])
def test_in_a_process_of_its_own(slim, tmp_path, own_process, format):
    record = export_checkpoint(slim.path, tmp_path / "net", format)
    assert record["check"]["largest_error"] < 1e-5
    assert record["check"]["runtime"] == ("numpy" if format == "npz" else "tensorflow")
    assert not [
        name for name in os.listdir(tmp_path) if name.startswith(".")]
