"""The PyTorch engine against tf_slim.nets and the blog's network, where torch is installed."""

import numpy as np
import pytest

from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints
from tests.helpers.family import v1_builder

for package in ("onnx", "torch"):
    pytest.importorskip(package, reason=f"{package} is not installed")


def loaded(path, image_size, precision, folder):
    from scripts.peers import engines, makers
    files = makers.make_files(str(folder), path, image_size, None)
    files["onnx"] = makers.make_onnx(str(folder), files)
    return engines.LOADERS["torch"](files, precision, 1), engines.images_for(2, image_size), files


# Their pads are even and uneven.
@pytest.mark.parametrize("build, image_size", [
    (checkpoints.slim_builder((2, 2)), 32), (checkpoints.blog_builder((2, 2)), 32),
    (v1_builder(), 33)], ids=["slim", "blog", "v1"])
def test_logits_are_the_network_s(tmp_path, build, image_size):
    from scripts.peers import engines
    written = checkpoints.write(tmp_path / "net.ckpt", build)
    for precision, tolerance in (("float32", 1e-4), ("bfloat16", 0.1)):
        run, images, files = loaded(written.path, image_size, precision, tmp_path)
        before = images.copy()
        logits = run(images)
        # Nothing is left behind in what it writes over.
        np.testing.assert_array_equal(run(images), logits)
        np.testing.assert_array_equal(images, before)
        expected = engines.LOADERS["session"](files, "float32", 1)(images)
        assert logits.dtype == np.float32 and np.ptp(expected) > 0
        np.testing.assert_allclose(logits, expected, rtol=0,
                                   atol=tolerance * np.abs(expected).max())
        if image_size == 32:
            np.testing.assert_allclose(run(written.images), written.net[:, 0, 0], rtol=0,
                                       atol=tolerance * np.abs(written.net).max())


def written(path, *nodes):
    """Writes ``(kind, inputs, output, attributes)``: from ``a``, behind a convolution ``c``."""
    import onnx
    rng = np.random.RandomState(0)
    values = [onnx.helper.make_tensor_value_info(name, 1, None) for name in "az"]
    weights = [onnx.numpy_helper.from_array(rng.randn(*shape).astype(np.float32), name)
               for name, shape in (("w", (4, 3, 1, 1)), ("b", (4,)))]
    everywhere = {"kernel_shape": [1, 1], "strides": [1, 1], "dilations": [1, 1], "group": 1,
                  "pads": [0, 0, 0, 0]}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Transpose", ["a"], ["n"], perm=[0, 3, 1, 2]),
         onnx.helper.make_node("Conv", ["n", "w", "b"], ["c"], **everywhere),
         *(onnx.helper.make_node(kind, inputs, [output], **attributes)
           for kind, inputs, output, attributes in nodes)], "g", values[:1], values[1:], weights)
    onnx.save_model(onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), str(path))
    return str(path)


def test_pools_and_joins(tmp_path):
    """Inception's layers; what is used twice is not written over."""
    from scripts.peers import pytorch
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    path = written(
        tmp_path / "m.onnx",
        ("Relu", ["c"], "r", {}),
        ("AveragePool", ["c"], "mean", {"kernel_shape": [3, 3], "strides": [1, 1],
                                        "pads": [1, 1, 1, 1]}),
        ("MaxPool", ["r"], "max", {"kernel_shape": [3, 3], "strides": [1, 1],
                                   "pads": [1, 1, 1, 1]}),
        ("Add", ["mean", "max"], "sum", {}),
        ("MaxPool", ["c"], "uneven", {"kernel_shape": [2, 2], "strides": [1, 1],
                                      "pads": [0, 0, 1, 1]}),
        ("Concat", ["c", "sum", "uneven"], "z", {"axis": 1}))
    images = np.random.RandomState(1).randn(2, 5, 6, 3).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected, = session.run(None, {"a": images})
    assert expected.shape == (2, 12, 5, 6)
    np.testing.assert_allclose(pytorch.load(path, "float32", 1)(images), expected, atol=1e-5)


@pytest.mark.parametrize("kind, attributes, message", [
    ("Tanh", {}, "Tanh is not known to scripts/peers/pytorch.py"),
    ("AveragePool", {"kernel_shape": [2, 2], "strides": [1, 1], "pads": [0, 0, 1, 1]},
     "PyTorch's average pool has no uneven pads")])
def test_what_it_lacks_is_said(tmp_path, kind, attributes, message):
    from scripts.peers import pytorch
    path = written(tmp_path / "m.onnx", (kind, ["c"], "z", attributes))
    with pytest.raises(SlimResnetError, match=message):
        pytorch.load(path, "float32", 1)
