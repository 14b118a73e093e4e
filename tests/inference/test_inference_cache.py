"""The cache of folded networks: hits, misses, damage, writers at once, folders not to write."""

import concurrent.futures
import os

import numpy as np
import pytest

from slim_resnet import compat
from slim_resnet.checkpoint.reader import files_of
from slim_resnet.inference.folded import cache as inference_cache
from slim_resnet.inference.folded import graph as inference_graph
from slim_resnet.inference.folded.model import InferenceModel
from tests.helpers import checkpoints


@pytest.fixture
def made(tmp_path, monkeypatch):
    # The tiny networks' weights would all be constants of the graph.
    monkeypatch.setattr(inference_graph, "_MIN_VARIABLE_BYTES", 64)
    return checkpoints.write(str(tmp_path / "net.ckpt"))


def run(made, **options):
    folder = inference_cache.folder_beside(files_of(made.path))
    with InferenceModel.from_checkpoint(made.path, "float32", cache_dir=folder,
                                        **options) as model:
        assert model.cache_problem is None
        return model.cached, model(made.images)


def entries(made):
    return sorted(os.listdir(made.path + ".slim_resnet_cache"))


def test_the_second_model_comes_from_the_cache_and_gives_the_same(made):
    cached, first = run(made)
    assert not cached and len(entries(made)) == 1
    cached, second = run(made)
    assert cached
    np.testing.assert_array_equal(first.logits, second.logits)
    assert np.abs(second.logits - made.net[:, 0, 0]).max() < 1e-5


def test_what_it_was_folded_for_is_part_of_the_key(made, monkeypatch):
    run(made)
    key = "resnet_v2_50/block1"
    for options in ({"end_points": [key]}, {"output_stride": 4}, {"image_size": 32}):
        assert not run(made, **options)[0]
        cached, outputs = run(made, **options)
        assert cached and list(outputs.end_points) == options.get("end_points", [])
    monkeypatch.setattr(inference_cache, "cpu", lambda: {"model": "another", "flags": []})
    assert not run(made)[0]
    assert len(entries(made)) == 5


@pytest.mark.parametrize("what", ["content", "TensorFlow"])
def test_entries_of_other_content_or_version_are_not_used_and_go(made, what, monkeypatch):
    run(made)
    before = entries(made)
    if what == "content":
        def change(values):
            values["resnet_v2_50/logits/biases"] += 1
        changed = checkpoints.write(made.path, change=change)
    else:
        monkeypatch.setattr(inference_cache.tf, "__version__", "9.9")
        changed = made
    cached, outputs = run(changed)
    assert not cached
    assert np.abs(outputs.logits - changed.net[:, 0, 0]).max() < 1e-5
    assert len(entries(made)) == 1 and entries(made) != before


@pytest.mark.parametrize("part", ["entry.data-00000-of-00001", "entry.index"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damage_is_noticed_and_made_good(made, part, damage):
    _, first = run(made)
    file = os.path.join(made.path + ".slim_resnet_cache", entries(made)[0], part)
    contents = bytearray(open(file, "rb").read())
    if damage == "flip":
        contents[len(contents) // 3] ^= 4
    if damage == "gone":
        os.unlink(file)
    else:
        with open(file, "wb") as opened:
            opened.write(contents[:-20] if damage == "cut" else contents)
    cached, second = run(made)
    assert not cached
    np.testing.assert_array_equal(first.logits, second.logits)
    assert run(made)[0]


def test_no_flipped_byte_of_the_weights_passes(made):
    """Each is an error of the reader; none is a wrong number."""
    run(made)
    folder = os.path.join(made.path + ".slim_resnet_cache", entries(made)[0])
    entry = inference_cache.Entry(folder)
    assert "resnet_v2_50/logits/weights" in entry.names
    file = os.path.join(folder, "entry.data-00000-of-00001")
    contents = open(file, "rb").read()
    for at in range(0, len(contents), len(contents) // 40):
        with open(file, "wb") as opened:
            opened.write(contents[:at] + bytes([contents[at] ^ 1]) + contents[at + 1:])
        with pytest.raises(Exception, match="(?i)checksum|data loss|corrupt|unable to parse"):
            damaged = inference_cache.Entry(folder)
            for name in damaged.names:
                damaged.tensor(name)


def test_several_writers_at_once(made):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        results = [future.result() for future in [pool.submit(run, made) for _ in range(3)]]
    for _, outputs in results:
        np.testing.assert_array_equal(outputs.logits, results[0][1].logits)
    assert len(entries(made)) == 1 and run(made)[0]


def test_a_folder_that_cannot_be_written_is_done_without(made, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with InferenceModel.from_checkpoint(made.path, "float32",
                                        cache_dir=str(tmp_path / "file")) as model:
        assert model.cache_problem == "File exists" and not model.cached
        assert np.abs(model(made.images).logits - made.net[:, 0, 0]).max() < 1e-5


def test_an_interrupt_while_writing_frees_the_network(made, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    closed = []
    monkeypatch.setattr(inference_cache, "write", interrupted)
    monkeypatch.setattr(InferenceModel, "close", lambda model: closed.append(model))
    with pytest.raises(KeyboardInterrupt):
        run(made)
    assert len(closed) == 1


def test_no_cache_unless_asked_for(made, tmp_path):
    with InferenceModel.from_checkpoint(made.path, "float32"):
        pass
    assert not [name for name in os.listdir(tmp_path) if "cache" in name]


def test_onednn_is_part_of_the_key(made, monkeypatch):
    key = inference_cache.key_of(files_of(made.path), [])
    on = compat.onednn_enabled()
    monkeypatch.setattr(compat, "onednn_enabled", lambda: not on)
    assert inference_cache.key_of(files_of(made.path), []) != key
