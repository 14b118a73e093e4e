"""Where in an image a network finds what speaks for a class: class activation maps.

After Zhou et al., "Learning Deep Features for Discriminative Localization"
(arXiv:1512.04150). In ResNets and Inception nothing but an average and a matrix lies between
the last maps and the logits, so the maps are no estimate: each place's contributions add up
to the logit less its bias. In networks with dense layers, like VGG, there is no such map.
"""

import typing
from collections.abc import Iterable

import numpy as np

from slim_resnet.end_points.receptive_field import sights
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.network import Network


class Placement(typing.NamedTuple):
    """Where a map lies on the images, in pixels along each side.

    Attributes:
      stride: From the centre of what one position sees to the next's.
      centre: Of what the first position sees, as a coordinate of the images: 0 is the
        middle of the first pixel.
    """

    stride: float
    centre: float

    def positions(self, pixels: float | np.ndarray) -> float | np.ndarray:
        """Returns where coordinates on the images lie between the map's positions."""
        return (pixels - self.centre) / self.stride


def contributions(maps: np.ndarray, weights: np.ndarray, classes: Iterable[int]) -> np.ndarray:
    """Splits logits into what each place of the image adds to them.

    Args:
      maps: One image's ``network.Network.last_maps``, ``[height, width, channels]``.
      weights: ``[channels, number of classes]``, see `logit_parameters`.
      classes: Class numbers, ``k`` of them.

    Returns:
      float64 ``[k, height, width]``. Each class's sum is its logit less its bias
      (tests/test_class_evidence.py).
    """
    height, width, _ = maps.shape
    chosen = np.asarray(weights, np.float64)[:, list(classes)]
    return np.moveaxis(np.asarray(maps, np.float64) @ chosen, -1, 0) / (height * width)


def logit_parameters(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Returns the logits' ``weights [channels, classes]`` and ``biases [classes]``.

    Args:
      network: A `network.Network`.

    Raises:
      SlimResnetError: It has no logits.
    """
    if network.num_classes is None:
        raise SlimResnetError(f"{network.path}: has no logits, so there is no evidence for a class")
    scope = network.recognised.logits_scope
    weights = network.variable(f"{scope}/weights")
    return weights.reshape(-1, weights.shape[-1]), network.variable(f"{scope}/biases")


def placement(network: Network) -> Placement:
    """Returns the `Placement` of a `network.Network`'s last maps on its images."""
    operations = network.last_maps.graph.get_operations()
    sight = sights(operations)[network.last_maps.op][0]
    return Placement(sight.stride, (sight.first + sight.last) / 2)
