"""slim-resnet end-points prepares images as it is told."""

import json

import pytest

from slim_resnet.cli import main
from tests.helpers import checkpoints, pictures


@pytest.mark.slow
def test_preprocessing_has_its_effect(tmp_path, capsys):
    path, image = checkpoints.write(tmp_path / "net.ckpt").path, tmp_path / "a.png"
    pictures.write_png(image, 0)
    stds = []
    for more in ([], ["--preprocessing", "none"]):
        assert main(["end-points", path, "--images", str(image), "--image-size", "32",
                     "--end-points", "resnet_v2_50/conv1", "--json", *more]) == 0
        stds.append(json.loads(capsys.readouterr().out)["end_points"][0]["std"])
    assert stds[1] > 20 * stds[0]
