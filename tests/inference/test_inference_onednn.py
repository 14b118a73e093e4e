"""The optimised network on oneDNN's kernels, in a process of its own that turns them on."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from slim_resnet.common.environment import FASTEST, child_environment
from tests.helpers import checkpoints

pytestmark = [pytest.mark.slow, pytest.mark.oldest]

THREADS = 40
IMAGES = 4
SCRIPT = """
import json
import os
import sys
import numpy as np
from slim_resnet import compat
from slim_resnet.inference import InferenceModel

report = {"onednn": compat.onednn_enabled()}
for name, path in json.loads(sys.argv[1]).items():
    images = np.load(path + ".images.npy")
    with InferenceModel.from_checkpoint(path, "float32", ["global_pool"]) as model:
        outputs = model(images)
        report[name + " streams"] = model._loaded.streams.number(len(images))
        one_by_one = [model(images[i:i + 1]).logits for i in range(len(images))]
        graph = model.end_points["global_pool"].graph
        report["threads"] = len(os.listdir("/proc/self/task"))
    report[name] = [op.type for op in graph.get_operations()]
    report[name + " constant"] = [op.get_attr("is_filter_const") for op in graph.get_operations()
                                  if op.type.startswith("_Mkl")]
    np.savez(path + ".npz", logits=outputs.logits, one_by_one=np.concatenate(one_by_one))
print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Returns checkpoints by name; beside each its images, of which the first is its own."""
    folder = tmp_path_factory.mktemp("onednn")
    made = {name: checkpoints.write(str(folder / f"{name}.ckpt"), build) for name, build in {
        "slim": checkpoints.slim_builder(base_depth=16),
        "blog": checkpoints.blog_builder()}.items()}
    for one in made.values():
        np.save(one.path + ".images.npy", np.concatenate([one.images * scale for scale in
                                                          np.linspace(1, 0.5, IMAGES)]))
    return made


def run(made, **variables):
    """Returns what the process reported."""
    return json.loads(subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps({name: one.path for name, one in made.items()})],
        capture_output=True, text=True, check=True,
        env=child_environment(**{**FASTEST, **variables})).stdout)


@pytest.fixture(scope="module")
def ran(made):
    """Returns what the process reported, and ``{name: (checkpoint, its outputs)}``."""
    report = run(made, TF_NUM_INTRAOP_THREADS="2")
    return report, {name: (one, np.load(one.path + ".npz")) for name, one in made.items()}


def test_outputs_are_the_unfolded_networks(ran):
    report, networks = ran
    if not report["onednn"]:
        pytest.skip("this TensorFlow has no oneDNN")
    for name, (made, outputs) in networks.items():
        assert report[name + " streams"] == 2
        expected = made.net[:, 0, 0]
        for logits in (outputs["logits"], outputs["one_by_one"]):
            assert logits.shape == (IMAGES, *expected.shape[1:])
            assert np.abs(logits[:1] - expected).max() < 2e-5 * np.abs(expected).max()
        split, alone = outputs["logits"], outputs["one_by_one"]
        assert np.abs(split - alone).max() < 2e-5 * np.abs(alone).max()
        assert np.abs(np.diff(alone, axis=0)).max() > 1e-3 * np.abs(alone).max()


def test_layers_run_as_onednns_fused_ops(ran):
    report, _ = ran
    if not report["onednn"]:
        pytest.skip("this TensorFlow has no oneDNN")
    # conv1, logits, block2's shortcut, three a unit; every preact and the postnorm.
    assert report["slim"].count("_MklNativeFusedConv2D") == 3 + 3 * 3
    assert report["slim"].count("_MklNativeFusedDepthwiseConv2dNative") == 3 + 1
    for name in ("slim", "blog"):
        assert not {"Conv2D", "BiasAdd", "Relu"} & set(report[name])
        assert all(report[name + " constant"])


@pytest.mark.parametrize("own_threads", ["0", "1"])
def test_the_number_of_threads_is_the_users(made, own_threads):
    """The graph's optimiser must not be the first to have TensorFlow make its threads."""
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("needs Linux's /proc")
    report = run({"slim": made["slim"]}, TF_NUM_INTRAOP_THREADS=str(THREADS),
                 TF_OVERRIDE_GLOBAL_THREADPOOL=own_threads)
    assert report["threads"] > THREADS
