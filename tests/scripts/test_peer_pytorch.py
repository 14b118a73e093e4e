"""The PyTorch engine against tf_slim.nets and the blog's network, where torch is installed."""

import numpy as np
import pytest

from tests.helpers import checkpoints

pytest.importorskip("torch", reason="torch is not installed")


@pytest.mark.parametrize("build", [
    checkpoints.slim_builder((2, 2)), checkpoints.blog_builder((2, 2))], ids=["slim", "blog"])
@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-5), ("bfloat16", 0.1)])
def test_logits_are_the_network_s(tmp_path, build, precision, tolerance):
    from scripts.peers import pytorch
    written = checkpoints.write(tmp_path / "net.ckpt", build)
    logits = pytorch.load(written.path, precision, 1)(written.images)
    expected = written.net[:, 0, 0]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=tolerance * np.abs(expected).max())
