"""What an InferenceModel refuses: images, arguments and checkpoints, one clear error each."""

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.folded.model import InferenceModel
from tests.helpers import checkpoints

tf1 = tf.compat.v1


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return checkpoints.write(str(tmp_path_factory.mktemp("inference") / "slim.ckpt"))


@pytest.fixture(scope="module")
def model(made):
    with InferenceModel.from_checkpoint(made.path, "float32") as model:
        yield model


@pytest.mark.parametrize("batch, message", [
    (np.zeros([0, 32, 32, 3], np.float32), "the batch is empty"),
    (np.zeros([32, 32, 3], np.float32), r"images are \[N, H, W, 3\], not \[32, 32, 3\]"),
    (np.zeros([1, 32, 32, 4], np.float32), r"images are \[N, H, W, 3\], not \[1, 32, 32, 4\]"),
    (np.zeros([1, 0, 32, 3], np.float32), "images of 0 x 32 pixels are too small"),
    (np.zeros([1, 32, 32, 3], np.int64), "images are float or uint8, not int64"),
    (np.full([1, 32, 32, 3], np.nan, np.float32), "the images hold NaN or infinite")])
def test_bad_images(model, made, batch, message):
    with pytest.raises(SlimResnetError, match=message) as error:
        model(batch)
    assert str(error.value).startswith(made.path) and "\n" not in str(error.value)


def test_other_size_than_promised(made):
    with InferenceModel.from_checkpoint(made.path, "float32", image_size=32) as model:
        with pytest.raises(SlimResnetError, match="made for images of 32 x 32 pixels, not 33 x 32"):
            model(np.zeros([1, 33, 32, 3], np.float32))


def test_unknown_end_point(made):
    with pytest.raises(SlimResnetError, match="no end point 'conv9'; nearest: "):
        InferenceModel.from_checkpoint(made.path, "float32", ["conv9"])


UNIT = "resnet_v2_50/block1/unit_1/bottleneck_v2"


@pytest.mark.parametrize("name, change, message", [
    (f"{UNIT}/conv2/weights", lambda v: np.where(v == v.max(), np.nan, v), "NaN or infinite"),
    ("resnet_v2_50/logits/biases", lambda v: v + np.inf, "NaN or infinite"),
    (f"{UNIT}/conv1/BatchNorm/moving_variance", lambda v: v - 2, "holds negative values, down to"),
    ("resnet_v2_50/postnorm/moving_variance", lambda v: v - 2, "holds negative values, down to"),
    (f"{UNIT}/conv1/weights", lambda v: v.astype(np.float64), "of dtype float64; only float32"),
    (f"{UNIT}/conv1/weights", lambda v: v.astype(np.float16), "of dtype float16; only float32"),
    (f"{UNIT}/conv1/BatchNorm/gamma", lambda v: v * np.float32(3e38),
     "conv1/weights, folded, is beyond")])
def test_bad_values_in_a_checkpoint(made, tmp_path, name, change, message):
    values = dict(made.values)
    values[name] = change(values[name])
    if "beyond" in message:
        values[f"{UNIT}/conv1/weights"] = values[f"{UNIT}/conv1/weights"] * np.float32(1e6)
    path = str(tmp_path / "bad.ckpt")
    with tf.Graph().as_default(), tf1.Session() as session:
        session.run(tf.raw_ops.SaveV2(prefix=path, tensor_names=list(values),
                                      shape_and_slices=[""] * len(values),
                                      tensors=list(values.values())))
    with pytest.raises(SlimResnetError, match=message) as error:
        InferenceModel.from_checkpoint(path, "float32")
    assert name.split("/BatchNorm")[0].rsplit("/", 1)[0] in str(error.value)
    assert str(error.value).startswith(path) and "\n" not in str(error.value)


def test_blog_has_no_output_stride(made, tmp_path):
    blog = checkpoints.write(str(tmp_path / "blog.ckpt"), checkpoints.blog_builder())
    with pytest.raises(SlimResnetError, match="the blog's ResNet V2 has no output_stride"):
        InferenceModel.from_checkpoint(blog.path, output_stride=8)
    with pytest.raises(SlimResnetError, match="needs to be a multiple of 4"):
        InferenceModel.from_checkpoint(made.path, output_stride=6)
