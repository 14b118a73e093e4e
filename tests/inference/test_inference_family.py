"""Networks beside ResNet V2 at work: classes, features, evidence, pictures, exports."""

import json

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet import cli
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import Preprocessing
from slim_resnet.inference import Network
from slim_resnet.pictures import class_activation, diagram, inspection
from tests.helpers import checkpoints
from tests.helpers.family import plain_builder, v1_builder

tf1 = tf.compat.v1


@pytest.fixture(scope="module")
def v1(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("v1") / "v1.ckpt", v1_builder())


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("inception") / "inception_v1.ckpt",
                             plain_builder("inception_v1", 6))


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("alexnet") / "alexnet.ckpt",
                             plain_builder("alexnet_v2", 6))


def resized(images, size):
    with tf.Graph().as_default(), tf1.Session() as session:
        return session.run(tf.image.resize(images, [size, size]))


def check_scores(written, size, key):
    """Returns the network, whose logits, probabilities and layers are the file's."""
    images = resized(written.images, size)
    network = Network(written.path, size)
    np.testing.assert_allclose(network.logits(images), written.net.reshape(1, -1), rtol=1e-4,
                               atol=1e-5)
    probabilities = network.probabilities(images)
    exponentials = np.exp(written.net.reshape(1, -1))
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(), rtol=1e-4)
    np.testing.assert_allclose(network.features(key, images), written.end_points[key], rtol=1e-4,
                               atol=1e-4)
    return network, images


def check_evidence(network, images):
    weights, biases = class_activation.logit_parameters(network)
    maps, logits, _ = network.evidence_inputs(images)
    parts = class_activation.contributions(maps[0], weights, range(len(biases)))
    np.testing.assert_allclose(parts.sum((1, 2)) + biases, logits[0], rtol=1e-3, atol=1e-4)
    assert class_activation.placement(network).stride > 1


def test_resnet_v1(v1):
    network, images = check_scores(v1, 32, "resnet_v1_50/block1")
    with network:
        assert network.end_points["global_pool"].shape.as_list() == [None, 1, 1, 8]
        check_evidence(network, images)
        assert inspection.chosen_keys(network) == [
            f"resnet_v1_50/{name}" for name in ("conv1", "block1", "block2")]


@pytest.mark.slow
def test_inception(inception):
    network, images = check_scores(inception, 224, "Mixed_4f")
    with network:
        assert network.end_points["global_pool"].shape.as_list() == [None, 1, 1, 1024]
        check_evidence(network, images)
        assert inspection.chosen_keys(network)[-1] == "Mixed_5c"
        with pytest.raises(SlimResnetError, match="Inception V1 has no residual blocks to draw"):
            diagram.of_recognised(network.recognised)


@pytest.mark.slow
def test_without_global_pool(alexnet):
    network, images = check_scores(alexnet, 224, "alexnet_v2/fc7")
    with network:
        assert network.last_maps is None and "global_pool" not in network.end_points
        assert network.evidence_inputs(images)[0] is None


@pytest.mark.slow
def test_image_sizes_that_it_cannot_take(alexnet):
    with pytest.raises(SlimResnetError, match="alexnet_v2 takes images of at most 226 x 226"):
        Network(alexnet.path, 299)


def test_prepared_as_the_released_one_unless_asked(v1):
    assert settings_of(v1.path) == (224, Preprocessing("vgg"), None)
    assert settings_of(v1.path, 32, "none") == (32, Preprocessing("none"), None)


@pytest.fixture
def photo(tmp_path):
    from PIL import Image
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (40, 50, 3), np.uint8)).save(path)
    return str(path)


def test_commands_on_a_resnet_v1(v1, photo, tmp_path, capsys):
    prepared = ["--image-size", "32", "--preprocessing", "none"]
    assert cli.main(["classify", v1.path, photo, "--json", *prepared]) == 0
    (result,) = json.loads(capsys.readouterr().out)["images"]
    assert len(result["classes"]) == 5
    assert cli.main(["export", v1.path, str(tmp_path / "frozen.pb"), "--format", "frozen"]) == 0
    assert "frozen of slim's ResNet V1, 10 classes, float32\nchecked by" in capsys.readouterr().out
    assert cli.main(["pictures", v1.path, "--output", str(tmp_path), "--kinds", "diagram",
                     "--image-size", "32"]) == 0
    drawn = (tmp_path / "diagram.svg").read_text()
    assert "ResNet V1 of slim" in drawn and "postnorm" not in drawn and "1×1, 4, BN<" in drawn
    assert cli.main(["end-points", v1.path, "--depth", "block", "--image-size", "32"]) == 0
    assert "block2" in capsys.readouterr().out
