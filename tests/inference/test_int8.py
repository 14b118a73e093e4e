"""int8 by each engine's own quantiser, on networks small enough to be calibrated in a test."""

import importlib.util

import numpy as np
import pytest

from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.engines import judged, table
from slim_resnet.inference.folded.model import InferenceModel
from tests.helpers import checkpoints


def _engine(name):
    row = table.ENGINES[name]
    missing = [one for one in (*row.packages, *row.needs.values())
               if importlib.util.find_spec(one) is None]
    return pytest.param(name, marks=pytest.mark.skipif(
        bool(missing), reason=f"{', '.join(missing)} is not installed"))


ENGINES = [_engine("onnxruntime"), _engine("openvino")]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("int8") / "net.ckpt",
                             checkpoints.slim_builder((1, 1), base_depth=8))


@pytest.fixture(scope="module")
def images():
    return np.random.RandomState(0).uniform(-1, 1, [64, 32, 32, 3]).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_int8_is_judged_on_images_that_it_was_not_calibrated_with(written, images, engine):
    with InferenceModel.from_checkpoint(
            written.path, "int8", "block1", image_size=32, engine=engine, calibration=images,
            accept=True) as model, InferenceModel.from_checkpoint(written.path) as reference:
        found, expected = model.quantised, reference.logits(images[3::4])
        logits = model.logits(images[3::4])
        block = model(images[:2]).end_points["resnet_v2_50/block1"]
        assert model.precision == "int8" and block.shape[0] == 2
    errors = np.abs(logits - expected).max(1) / np.abs(expected).max(1)
    # Rounded to 8 bits, and not to nothing.
    assert 1e-4 < errors.max() < 0.25
    assert found["logits"]["largest"] == pytest.approx(errors.max(), rel=1e-2)
    agree = (logits.argmax(1) == expected.argmax(1)).mean()
    assert found["top_1_agreement_percent"] == pytest.approx(100 * agree)
    assert (found["calibration_images"], found["judged_images"]) == (48, 16)
    assert found["quantiser"].startswith(
        {"onnxruntime": "onnxruntime.quantization ", "openvino": "nncf "}[engine])


@pytest.mark.parametrize("engine", ENGINES[:1])
def test_too_little_agreement_is_refused_unless_accepted(written, images, engine, monkeypatch):
    monkeypatch.setattr(judged, "LEAST_AGREEMENT", 1.01)
    with pytest.raises(SlimResnetError, match="int8 by .* less than 101 % in top-1 is taken only "
                                              "with --accept") as error:
        InferenceModel.from_checkpoint(written.path, "int8", image_size=32, engine=engine,
                                       calibration=images)
    assert "\n" not in str(error.value) and str(error.value).startswith(written.path)
    with InferenceModel.from_checkpoint(written.path, "int8", image_size=32, engine=engine,
                                        calibration=images, accept=True) as model:
        assert model.quantised["accepted"] is True


@pytest.mark.parametrize("engine", ENGINES[:1])
def test_too_few_images_and_no_logits(written, images, tmp_path, engine):
    for calibration, message in ((images[:63], "63 images are too few to calibrate int8 with"),
                                 (None, "precision int8 and images to calibrate it with go")):
        with pytest.raises(SlimResnetError, match=message):
            InferenceModel.from_checkpoint(written.path, "int8", image_size=32, engine=engine,
                                           calibration=calibration)
    features = checkpoints.write(tmp_path / "f.ckpt", checkpoints.slim_builder(num_classes=None))
    with pytest.raises(SlimResnetError, match="has no logits, by which int8 is judged"):
        InferenceModel.from_checkpoint(features.path, "int8", engine=engine, calibration=images)


def test_images_are_taken_from_all_over():
    few, many = list(range(64)), list(range(4000))
    assert judged.chosen(few, "f") == few
    taken = judged.chosen(many, "f")
    assert (len(taken), taken[0], taken[-1]) == (400, 0, 3999)
