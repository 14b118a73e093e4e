"""What TF1 scripts do first, ``tf.disable_v2_behavior()``, must not break what follows."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers import checkpoints

SCRIPT = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
from slim_resnet.checkpoint import build_from_checkpoint, restore
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference import Network
import tf_slim as slim
from slim_resnet import resnet_v2

path, images, out = sys.argv[1:]
images = np.load(images)
with tf.Session() as session:
    x = tf.placeholder(tf.float32, [None, 32, 32, 3])
    net, end_points = build_from_checkpoint(path, x)
    np.savez(out, **session.run(end_points, {x: images}))
with Network(path, 32) as network:
    print(network.num_classes, network.probabilities(images).shape)
with tf.Graph().as_default(), tf.Session() as session:
    blocks = [resnet_v2.resnet_v2_block("block1", 1, 2, 2),
              resnet_v2.resnet_v2_block("block2", 2, 1, 1)]
    with slim.arg_scope(resnet_v2.resnet_arg_scope()):
        resnet_v2.resnet_v2(tf.zeros([1, 32, 32, 3]), blocks, 1000, False, scope="resnet_v2_50")
    try:
        restore(session, path)
    except SlimResnetError as error:
        print("the file has 1001 classes and the graph 1000" in str(error))
"""


@pytest.mark.slow
@pytest.mark.oldest
def test_restoring_and_its_refusal(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt", checkpoints.slim_builder(num_classes=1001))
    np.save(tmp_path / "images.npy", written.images)
    out = subprocess.run(
        [sys.executable, "-c", SCRIPT, written.path, str(tmp_path / "images.npy"),
         str(tmp_path / "out.npz")], capture_output=True, text=True, check=True,
        cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))).stdout
    assert out.splitlines() == ["1001 (1, 1001)", "True"]
    with np.load(tmp_path / "out.npz") as file:
        assert set(file.files) == set(written.end_points)
        for key, value in written.end_points.items():
            np.testing.assert_allclose(file[key], value, rtol=1e-5, atol=1e-6, err_msg=key)
