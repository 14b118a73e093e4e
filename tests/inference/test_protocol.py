"""The networks that classify images have the interface that is named for them."""

import inspect

import pytest

from slim_resnet.inference import InferenceModel, Network
from slim_resnet.inference.protocol import ImageNetwork, ScoringNetwork
from slim_resnet.training.evaluation import _TrainedNetwork
from tests.helpers import checkpoints


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("protocol") / "net.ckpt")


@pytest.mark.parametrize("opened", [
    lambda path: Network(path, 32), lambda path: InferenceModel.from_checkpoint(path, "float32")])
def test_networks_of_checkpoints(written, opened):
    with opened(written.path) as network:
        assert isinstance(network, ImageNetwork) and isinstance(network, ScoringNetwork)
        assert network.num_classes == network.logits(written.images).shape[1] == 10
        assert network.probabilities(written.images).sum() == pytest.approx(1, abs=1e-5)
        assert network.busy_s > 0 and network.path == written.path
    assert not isinstance(object(), ScoringNetwork)


@pytest.mark.parametrize("one", [Network, InferenceModel])
@pytest.mark.parametrize("method", ["logits", "probabilities", "features"])
def test_signatures(one, method):
    assert inspect.signature(getattr(one, method)) == inspect.signature(
        getattr(ImageNetwork, method))


def test_trained_networks_give_logits():
    assert list(inspect.signature(_TrainedNetwork.logits).parameters) == ["self", "images"]
    assert {"__enter__", "__exit__", "logits"} <= set(vars(_TrainedNetwork))
