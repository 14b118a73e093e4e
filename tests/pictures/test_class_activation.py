"""Class activation maps against the logits that they explain."""

import numpy as np
import pytest

from slim_resnet.errors import SlimResnetError
from slim_resnet.images.display import DisplayedImage
from slim_resnet.inference import network
from slim_resnet.pictures import class_activation, inspection
from tests.helpers import checkpoints, networks

SIZE = 64


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("slim") / "net.ckpt")


@pytest.fixture(scope="module")
def net(written):
    with network.Network(written.path, SIZE) as net:
        yield net


def batch(seed=1, size=SIZE):
    return networks.images_of(size, size, seed=seed) * 2 - 1


def assert_explains(net, images):
    maps, logits, probabilities = net.evidence_inputs(images)
    weights, biases = class_activation.logit_parameters(net)
    classes = range(net.num_classes)
    assert np.ptp(logits) > 0.1
    for one_maps, one_logits in zip(maps, logits):
        evidence = class_activation.contributions(one_maps, weights, classes)
        assert evidence.shape == (len(classes), *one_maps.shape[:2])
        np.testing.assert_allclose(evidence.sum((1, 2)) + biases, one_logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(probabilities, net.probabilities(images), rtol=1e-6)


def test_places_add_up_to_the_logit_less_its_bias(net):
    assert_explains(net, batch())


def test_blog_s_places_add_up_too(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", checkpoints.blog_builder())
    with network.Network(written.path, 32) as net:
        assert_explains(net, batch(size=32))


def test_by_hand():
    maps = np.array([[[1., 2.], [3., 4.]], [[5., 6.], [7., 8.]]])
    weights = np.array([[1., 10., 0.], [-1., 0., 2.]])
    np.testing.assert_array_equal(class_activation.contributions(maps, weights, [2, 0]), [
        [[1, 2], [3, 4]], [[-.25, -.25], [-.25, -.25]]])


def test_inspection_gives_the_first_class_s_evidence(net, written):
    images = batch()
    pixels = np.zeros([4, 4, 3], np.uint8)
    displayed = [DisplayedImage("a", images[0], pixels), DisplayedImage("b", None, cause="bad"),
                 DisplayedImage("c", images[1], pixels)]
    key = "resnet_v2_50/block1"
    found = list(inspection.inspect_images(net, displayed, [key], top=3))
    logits, features = net.logits(images), net.features(key, images)
    assert found[1].result is None and found[1].image.cause == "bad"
    for inspected, one_logits, one_features in zip(found[::2], logits, features):
        first = int(np.argmax(one_logits))
        assert inspected.result.classes == tuple(np.argsort(-one_logits)[:3].tolist())
        assert inspected.logit == pytest.approx(one_logits[first], abs=1e-5)
        assert inspected.bias == written.values["resnet_v2_50/logits/biases"][first]
        assert inspected.contributions.sum() + inspected.bias == pytest.approx(
            inspected.logit, abs=1e-4)
        np.testing.assert_allclose(inspected.maps[key], one_features, rtol=1e-4, atol=1e-5)


def test_placement_is_where_a_pixel_is_seen(net):
    # A single bright pixel changes the last maps around the position that stands on it.
    place = class_activation.placement(net)
    assert place.stride == 8
    dark = np.zeros([1, SIZE, SIZE, 3], np.float32)
    for pixel in (18, 26, 34):
        bright = dark.copy()
        bright[0, pixel, pixel] = 1000
        change = np.abs(net.run(net.last_maps, bright) - net.run(net.last_maps, dark))[0].sum(-1)
        position = place.positions(pixel)
        assert position == pytest.approx((pixel - 2) / 8)
        total = change.sum()
        for axis in (0, 1):
            centre = (change.sum(axis) * np.arange(8)).sum() / total
            assert abs(centre - position) < 0.75
    assert place.positions(np.array([2, 10])).tolist() == [0, 1]


def test_network_without_logits_has_no_evidence(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", checkpoints.slim_builder(num_classes=None))
    with network.Network(written.path, 32) as net:
        with pytest.raises(SlimResnetError, match="has no logits"):
            class_activation.logit_parameters(net)
        image = DisplayedImage("a", batch(size=32)[0])
        inspected, = inspection.inspect_images(net, [image], ["global_pool"], evidence=False)
        assert inspected.result is None and inspected.maps["global_pool"].shape == (1, 1, 8)


def test_chosen_keys(net):
    assert inspection.chosen_keys(net) == [f"resnet_v2_50/{name}" for name in
                                           ("conv1", "block1", "block2")]
    assert inspection.chosen_keys(net, ["*/block2", "global_pool"]) == [
        "resnet_v2_50/block2", "global_pool"]
    with pytest.raises(SlimResnetError, match="no end point 'x'; nearest: "):
        inspection.chosen_keys(net, ["x"])
