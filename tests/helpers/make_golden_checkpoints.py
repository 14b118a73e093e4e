"""Writes the checkpoints of tests/data/, whose names say which TensorFlow wrote them.

Run once with each TensorFlow that is to have golden files, from the top folder::

    python -m tests.helpers.make_golden_checkpoints
"""

import pathlib

import numpy as np
import tensorflow as tf

from tests.helpers import checkpoints

DATA = pathlib.Path(__file__).parents[1] / "data"


def leftovers():
    """Returns what training leaves beside the network, in several dtypes."""
    return {"global_step": np.int64(2 ** 40 + 1),
            "mean_rgb": np.float32([123.68, 116.78, 103.94]),
            "resnet_v2_50/postnorm/beta/Momentum": np.float64([1 / 3] * 8),
            "resnet_v2_50/conv1/biases/ExponentialMovingAverage":
                np.arange(64, dtype=np.float32) / 8}


def main():
    for format, version in checkpoints.FORMATS.items():
        path = DATA / f"tf-{tf.__version__}-{format}.ckpt"
        checkpoints.write(path, checkpoints.slim_builder(num_classes=1001), version,
                          extra=leftovers())
        print(path)


if __name__ == "__main__":
    main()
