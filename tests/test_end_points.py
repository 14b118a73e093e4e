"""The table of end points, against counts worked by hand from the table of blocks."""

import pytest
import tensorflow as tf

from slim_resnet import end_points as ep
from slim_resnet import models, resnet_v2

tf1 = tf.compat.v1

UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}


def by_hand(depth, num_classes, size=224, conv3_norm=False):
    """Works a network out on paper: ``(parameters, multiply-adds)`` by name of its parts.

    Args:
      depth: Of Table 1.
      num_classes: Number of logits.
      size: Of the images, in pixels; a multiple of 32.
      conv3_norm: Whether conv3 has a batch norm for its biases, as the blog's has.
    """
    parts = {"conv1": (7 * 7 * 3 * 64 + 64, 7 * 7 * 3 * 64 * (size // 2) ** 2)}
    side, channels = size // 4, 64
    for block, (count, width) in enumerate(zip(UNITS[depth], (64, 128, 256, 512)), 1):
        for unit in range(1, count + 1):
            after = side // 2 if unit == count and block < 4 else side
            out = 4 * width
            convolutions = [(channels * width, side), (9 * width * width, after),
                            (width * out, after)]
            norms = [channels, width, width]
            biases = 0 if conv3_norm else out
            if conv3_norm:
                norms.append(out)
            if channels != out:
                convolutions.append((channels * out, after))
                biases += out
            parts[f"block{block}/unit_{unit}/bottleneck_v2"] = (
                sum(weights for weights, _ in convolutions) + 4 * sum(norms) + biases,
                sum(weights * pixels ** 2 for weights, pixels in convolutions))
            side, channels = after, out
    parts["logits"] = (4 * channels + channels * num_classes + num_classes,
                       channels * num_classes)
    parts["predictions"] = (0, 0)
    return parts


@pytest.fixture(scope="module", params=[50, 101, 152, 200, "blog"])
def counted(request):
    """Rows of a network at 224 x 224, and the parts by hand."""
    name = f"resnet_v2_{request.param}" if request.param != "blog" else "blog_resnet_v2_152"
    depth = 152 if request.param == "blog" else request.param
    with tf.Graph().as_default():
        images = tf1.placeholder(tf.float32, [None, 224, 224, 3])
        _, end_points = models.find_model(name).build(images, 1001, False)
        rows = ep.summary(end_points)
    return rows, by_hand(depth, 1001, conv3_norm=request.param == "blog"), f"resnet_v2_{depth}/"


def test_every_unit_has_the_counts_worked_by_hand(counted):
    rows, parts, scope = counted
    assert {row.key.removeprefix(scope): (row.parameters, row.multiply_adds) for row in rows
            if row.level == "unit" or row.parent is None and row.level == "layer"} == parts
