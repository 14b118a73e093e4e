"""What a checkpoint's network makes of images: top classes, evidence and maps, one at a time.

From Python, everything that a picture is drawn from::

    from slim_resnet.images.display import read_displayed
    from slim_resnet.inference import Network
    from slim_resnet.pictures import class_activation, class_evidence, feature_maps, inspection

    with Network("resnet_v2_50.ckpt") as network:
        images = read_displayed(["photo.jpg"], 299)
        for inspected in inspection.inspect_images(network, images, ["resnet_v2_50/block2"]):
            figure = class_evidence.draw(inspected, class_activation.placement(network))
            figure.savefig("evidence.png")
            for key, values in inspected.maps.items():
                feature_maps.draw(values, key, inspected.image.path).savefig("maps.png")
"""

import typing
from collections.abc import Iterable, Iterator

import numpy as np

from slim_resnet.end_points.keys import choose
from slim_resnet.end_points.table import select, summary
from slim_resnet.images.display import DisplayedImage
from slim_resnet.images.labels import class_names
from slim_resnet.inference.classification import Result, top_classes
from slim_resnet.inference.network import Network
from slim_resnet.pictures import class_activation


class Inspection(typing.NamedTuple):
    """What a network makes of one image.

    Attributes:
      image: A `display.DisplayedImage`; if it is unreadable, nothing else is there.
      result: Its top classes, a `classification.Result`; None if they were not asked for.
      contributions: ``[height, width]``: what each place adds to the first class's
        logit, see `class_activation.contributions`; None without ``result``, and for a
        network that does not end in global average pooling.
      logit: The first class's logit.
      bias: Its bias.
      maps: Maps keys to the values of end points, ``[height, width, channels]``.
    """

    image: tuple
    result: Result | None = None
    contributions: np.ndarray | None = None
    logit: float | None = None
    bias: float | None = None
    maps: dict = {}


def inspect_images(network: Network, images: Iterable[DisplayedImage],
                   keys: str | Iterable[str] = (), names: list[str | None] | None = None, *,
                   top: int = 5, evidence: bool = True) -> Iterator[Inspection]:
    """Runs images through a network, each alone.

    Args:
      network: A `network.Network`.
      images: Yields `display.DisplayedImage` of its image size.
      keys: End points whose values are wanted, NaN and infinite ones too; see
        `keys.choose`.
      names: Of the classes, see `labels.class_names`; None takes what is known.
      top: Classes an image.
      evidence: Whether classes and evidence are wanted; False for a network without
        logits.

    Yields:
      An `Inspection` for every image, in order.

    Raises:
      SlimResnetError: There is no such end point, the network has no logits, or what it
        gives is NaN or infinite.
    """
    fetched = {key: network.end_points[key] for key in choose(keys, network.end_points)}
    if evidence:
        weights, biases = class_activation.logit_parameters(network)
        names = names or class_names(network.num_classes)
    for image in images:
        if image.cause:
            yield Inspection(image)
            continue
        batch = image.prepared[np.newaxis]
        maps = {key: value[0] for key, value in network.run(fetched, batch).items()}
        if not evidence:
            yield Inspection(image, maps=maps)
            continue
        last_maps, logits, probabilities = network.evidence_inputs(batch)
        (classes,), (best,) = top_classes(probabilities, top)
        first = classes[0]
        yield Inspection(
            image, Result(image.path, tuple(classes.tolist()), tuple(names[k] for k in classes),
                          tuple(best.tolist())),
            None if last_maps is None else
            class_activation.contributions(last_maps[0], weights, [first])[0],
            float(logits[0, first]), float(biases[first]), maps)


def chosen_keys(network: Network, patterns: str | Iterable[str] | None = None) -> list[str]:
    """Returns keys of end points that have maps, in graph order.

    Args:
      network: A `network.Network`.
      patterns: See `keys.choose`; None chooses the root's convolution and the blocks; of a
        network without blocks, the last map of each resolution.

    Raises:
      SlimResnetError: A pattern fits no key.
    """
    rows = summary(network.end_points)
    if patterns is not None:
        return [row.key for row in select(rows, patterns)]
    scope, found = network.recognised.scope, network.recognised
    if found.variant is None:
        last = {row.shape[1]: row.key for row in rows
                if row.shape and len(row.shape) == 4 and row.shape[1] and row.shape[1] > 1}
        return list(last.values())
    names = [found.first_weights.removesuffix("/weights")] * found.root_block + [
        block.scope for block in found.blocks]
    wanted = {"/".join(filter(None, [scope, name])) for name in names}
    return [row.key for row in rows if row.key in wanted]
