"""Images of 1, 3, 4 and 6 channels, for networks that take so many."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.cli import main
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import decoding, find_data, read_source, reading
from slim_resnet.inference import network
from tests.helpers import checkpoints, damage
from tests.images.test_decoding import DATA

RGB = damage.image_of(3)
ALPHA = np.concatenate([RGB, RGB[..., :1] // 2], -1)
LUMINANCE = RGB @ np.array([0.299, 0.587, 0.114])


def encoded(array):
    return tf.io.encode_png(array).numpy()


def decode(contents, channels):
    """Returns what is decoded eagerly, and the same in a graph."""
    image = decoding.decode(contents, channels).numpy()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        np.testing.assert_array_equal(session.run(decoding.decode(contents, channels)), image)
    assert image.shape[-1] == channels and image.dtype == np.uint8
    return image.astype(int)


def test_alpha_is_read_where_a_file_has_it():
    np.testing.assert_array_equal(decode(encoded(ALPHA), 4), ALPHA)
    gray = decode(encoded(ALPHA[..., 2:]), 4)
    np.testing.assert_array_equal(gray, ALPHA[..., [2, 2, 2, 3]])
    with open(os.path.join(DATA, "alpha.bmp"), "rb") as file:
        assert decode(file.read(), 4).shape[-1] == 4


@pytest.mark.parametrize("contents", [
    encoded(RGB), encoded(RGB[..., :1]), tf.io.encode_jpeg(RGB).numpy()])
def test_no_alpha_is_made_up(contents):
    with pytest.raises(tf.errors.InvalidArgumentError, match="the file has no alpha"):
        decoding.decode(contents, 4)


@pytest.mark.slow
def test_gray():
    np.testing.assert_array_equal(decode(encoded(RGB[..., :1]), 1), RGB[..., :1])
    np.testing.assert_allclose(decode(encoded(RGB), 1)[..., 0], LUMINANCE, atol=8)
    jpeg = tf.io.encode_jpeg(RGB)
    np.testing.assert_array_equal(decode(jpeg.numpy(), 1), tf.io.decode_jpeg(jpeg, channels=1))
    for name in ("two_frames.gif", "rgb.bmp", "palette.bmp"):
        with open(os.path.join(DATA, name), "rb") as file:
            contents = file.read()
        np.testing.assert_allclose(decode(contents, 1)[..., 0],
                                   decode(contents, 3) @ np.array([0.299, 0.587, 0.114]), atol=1.5)


def test_other_numbers_are_said():
    with pytest.raises(SlimResnetError, match="6 channels, and image files have 1, 3 or 4"):
        decoding.decode(b"", 6)


@pytest.fixture(scope="module", params=[1, 4, 6])
def net(request, tmp_path_factory):
    channels = request.param
    written = checkpoints.write(tmp_path_factory.mktemp("net") / "net.ckpt",
                                checkpoints.slim_builder(), channels=channels)
    return channels, written.path


@pytest.fixture
def images(net, tmp_path):
    """Class folders of images that have what the network takes, and an .npz file."""
    channels, _ = net
    arrays = np.stack([np.concatenate([damage.image_of(k), damage.image_of(k + 50)], -1)
                       for k in range(10)])[..., :channels]
    np.savez(tmp_path / "data.npz", images=arrays, labels=np.arange(10))
    if channels <= 4:
        for k, array in enumerate(arrays):
            (tmp_path / f"images/class_{k}").mkdir(parents=True)
            (tmp_path / f"images/class_{k}/a.png").write_bytes(encoded(array))
    return tmp_path, arrays


@pytest.mark.slow
def test_commands_take_the_network_s_channels(net, images, capsys):
    channels, path = net
    folder, arrays = images
    assert main(["evaluate", path, str(folder / "data.npz"), "--image-size", "32", "--json"]) == 0
    of_arrays = json.loads(capsys.readouterr().out)["confusion"]
    assert np.sum(of_arrays) == 10
    batch, = read_source(find_data([folder / "data.npz"], 10), 32, channels=channels)
    with network.Network(path, 32) as opened:
        expected = opened.logits(batch.images).argmax(1)
    assert [row.index(1) for row in of_arrays] == expected.tolist()
    pictures = str(folder / "images")
    if channels == 6:
        (folder / "a.png").write_bytes(encoded(RGB))
        image, size = str(folder / "a.png"), ["--image-size", "32"]
        capsys.readouterr()
        for words in (["classify", path, image], ["end-points", path, "--images", image],
                      ["end-points", path, "--images", image, "--save", str(folder / "f.npz"),
                       "--end-points", "*/logits"], ["pictures", path, image, "--output",
                                                     str(folder / "out")]):
            assert main([*words, *size]) == 2
            out, err = capsys.readouterr()
            assert out == "" and err.count("\n") == 1 and "images of 6 channels" in err
        return
    assert main(["evaluate", path, pictures, "--image-size", "32", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["confusion"] == of_arrays
    assert main(["classify", path, pictures, "--image-size", "32", "--json", "--top", "1"]) == 0
    assert [row["classes"] for row in json.loads(capsys.readouterr().out)["images"]] == [
        [k] for k in expected]
    assert main(["end-points", path, "--images", pictures, "--image-size", "32", "--end-points",
                 "*/logits", "--save", str(folder / "f.npz")]) == 0
    with np.load(folder / "f.npz") as features:
        logits, = (features[name] for name in features.files if name.endswith("logits"))
    assert logits.reshape(10, -1).argmax(1).tolist() == expected.tolist()
    capsys.readouterr()


@pytest.mark.slow
def test_export_decodes_the_network_s_channels(net, images, capsys):
    channels, path = net
    folder, _ = images
    assert main(["export", path, str(folder / "saved"), "--format", "saved_model",
                 "--image-size", "32"]) == 0
    signatures = tf.saved_model.load(str(folder / "saved")).signatures
    assert signatures["end_points"].structured_input_signature[1]["images"].shape[-1] == channels
    if channels == 6:
        assert list(signatures) == ["end_points"]
        return
    file = folder / "images/class_3/a.png"
    served = signatures["serving_default"](tf.constant([file.read_bytes()]))["probabilities"]
    with network.Network(path, 32) as opened:
        expected = opened.probabilities(
            reading.load_images([file], 32, channels=channels))
    np.testing.assert_allclose(served, expected, atol=1e-6)


@pytest.mark.slow
def test_pictures_and_report(net, images, capsys):
    channels, path = net
    folder, _ = images
    if channels == 6:
        return
    pytest.importorskip("matplotlib")
    file = str(folder / "images/class_3/a.png")
    assert main(["pictures", path, file, "--image-size", "32", "--output",
                 str(folder / "out")]) == 0
    assert len(os.listdir(folder / "out")) > 3
    assert main(["report", path, file, "--image-size", "32", "--output",
                 str(folder / "out.html")]) == 0
    capsys.readouterr()


def test_arrays_of_others_are_said(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros([1, 8, 8, 2], np.uint8), labels=[0])
    with pytest.raises(SlimResnetError, match="images have 2 channels, and the network takes 3"):
        list(read_source(find_data([tmp_path / "a.npz"], 10), 8))
