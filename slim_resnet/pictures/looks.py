"""What a checkpoint's network makes of photos: top classes, evidence and maps, one at a time.

From Python, everything that a picture is drawn from::

    from slim_resnet.pictures import evidence, looks, sheets
    from slim_resnet.pictures.class_evidence import placement
    from slim_resnet.inference import Network
    from slim_resnet.images.photos import read_photos

    with Network("resnet_v2_50.ckpt") as network:
        for look in looks.look(network, read_photos(["photo.jpg"], 299), ["resnet_v2_50/block2"]):
            evidence_picture.draw(look, placement(network)).savefig("evidence.png")
            for key, values in look.maps.items():
                sheets.feature_maps(values, key).savefig("maps.png")
"""

import typing

import numpy as np

from slim_resnet.end_points.keys import check_end_points
from slim_resnet.end_points.table import select, summary
from slim_resnet.images.labels import class_names
from slim_resnet.inference.classification import Result, top_classes
from slim_resnet.pictures import class_evidence


class Look(typing.NamedTuple):
    """What a network makes of one photo.

    Attributes:
      photo: A `photos.Photo`; if it is unreadable, nothing else is there.
      result: Its top classes, a `classify.Result`; None if they were not asked for.
      contributions: ``[height, width]``: what each place adds to the first class's
        logit, see `class_evidence.contributions`; None without ``result``.
      logit: The first class's logit.
      bias: Its bias.
      maps: Maps keys to the values of end points, ``[height, width, channels]``.
    """

    photo: tuple
    result: Result | None = None
    contributions: np.ndarray | None = None
    logit: float | None = None
    bias: float | None = None
    maps: dict = {}


def look(network, photos, keys=(), names=None, *, top=5, evidence=True):
    """Runs photos through a network, each alone.

    Args:
      network: A `network.Network`.
      photos: Yields `photos.Photo` of its image size.
      keys: End points whose values are wanted, NaN and infinite ones too.
      names: Of the classes, see `classify.class_names`; None takes what is known.
      top: Classes a photo.
      evidence: Whether classes and evidence are wanted; False for a network without
        logits.

    Yields:
      A `Look` for every photo, in order.

    Raises:
      SlimResnetError: There is no such end point, the network has no logits, or what it
        gives is NaN or infinite.
    """
    check_end_points(keys, network.end_points)
    fetched = {key: network.end_points[key] for key in keys}
    if evidence:
        weights, biases = class_evidence.logit_parameters(network)
        names = names or class_names(network.num_classes)
    for photo in photos:
        if photo.cause:
            yield Look(photo)
            continue
        images = photo.prepared[np.newaxis]
        maps = {key: value[0] for key, value in network.run(fetched, images).items()}
        if not evidence:
            yield Look(photo, maps=maps)
            continue
        last_maps, logits, probabilities = network.evidence_inputs(images)
        (classes,), (best,) = top_classes(probabilities, top)
        first = classes[0]
        yield Look(
            photo, Result(photo.path, tuple(classes.tolist()), tuple(names[k] for k in classes),
                          tuple(best.tolist())),
            class_evidence.contributions(last_maps[0], weights, [first])[0],
            float(logits[0, first]), float(biases[first]), maps)


def chosen_keys(network, patterns=None):
    """Returns keys of end points that have maps, in graph order.

    Args:
      network: A `network.Network`.
      patterns: Keys and `fnmatch` patterns of keys; None chooses the root convolution
        and the blocks.

    Raises:
      SlimResnetError: A pattern fits no key.
    """
    rows = summary(network.end_points)
    if patterns is not None:
        return [row.key for row in select(rows, patterns)]
    scope = network.recognised.scope
    names = ["conv1"] * network.recognised.root_block + [
        block.scope for block in network.recognised.blocks]
    wanted = {"/".join(filter(None, [scope, name])) for name in names}
    return [row.key for row in rows if row.key in wanted]
