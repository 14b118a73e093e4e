"""Images shared by Ray: processes and nodes that are killed, and the same results."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from slim_resnet.cli import main
from slim_resnet.commands import on_ray
from slim_resnet.common.environment import child_environment
from tests.helpers import checkpoints, pictures, ray_nodes

pytestmark = [pytest.mark.slow, ray_nodes.needs_ray]
NUM_IMAGES, BROKEN, PART = 2000, 100, 64
SIZE = ["--image-size", "32"]
_DRIVER = ("import sys; from slim_resnet.commands import on_ray; on_ray.PART_IMAGES = {}; "
           "from slim_resnet.cli import main; sys.exit(main(sys.argv[1:]))")


@pytest.fixture(scope="module")
def slim(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("slim") / "net.ckpt").path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten class folders of 200 images each, of which two are broken: one in a hundred."""
    folder = tmp_path_factory.mktemp("pictures")
    first = pictures.write_png(folder / "class_0" / "0000.png", 0)
    some = [open(first, "rb").read()] + [
        open(pictures.write_png(folder / f"class_{i}" / f"{i:04}.png", i), "rb").read()
        for i in range(1, 10)]
    for i in range(NUM_IMAGES):
        (folder / f"class_{i % 10}" / f"{i:04}.png").write_bytes(
            b"no image" if i % BROKEN == 50 else some[(i // 10) % 10])
    return folder


@pytest.fixture(scope="module")
def nodes():
    with ray_nodes.two_nodes() as (cluster, second):
        yield cluster, second


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(on_ray, "PART_IMAGES", PART)


def run(*words):
    return main([*map(str, words), *SIZE])


def parts_of(path):
    return sorted(path.glob("part-*"))


def lines_of(paths):
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def wait_for(condition, what):
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, f"{what} took too long"
        time.sleep(0.02)


def test_what_is_killed_loses_nothing_and_counts_nothing_twice(slim, folder, nodes, tmp_path,
                                                              capfd, small_parts):
    cluster, second = nodes
    one, many = tmp_path / "one.jsonl", tmp_path / "many"
    assert run("classify", slim, folder, "--output", one) == 2
    words = ["classify", slim, folder, "--output", many, "--resume", *SIZE,
             f"--ray={cluster.address}"]
    driver = subprocess.Popen([sys.executable, "-c", _DRIVER.format(PART), *map(str, words)],
                              env=child_environment(), stderr=subprocess.PIPE)
    try:
        wait_for(lambda: parts_of(many) or driver.poll() is not None, "the first part")
        # A worker in the middle of its parts, and then the driver.
        os.kill(ray_nodes.workers(cluster)[0], signal.SIGKILL)
        there = len(parts_of(many))
        wait_for(lambda: len(parts_of(many)) > there or driver.poll() is not None, "more parts")
    finally:
        driver.kill()
        said = driver.communicate()[1].decode()
    before = {path.name: path.read_bytes() for path in parts_of(many)}
    total = -(-NUM_IMAGES // PART)
    assert 1 < len(before) < total, said
    capfd.readouterr()

    def kill_second():
        wait_for(lambda: len(parts_of(many)) > len(before) + 1, "parts of the second start")
        ray_nodes.kill_node(second)

    killer = threading.Thread(target=kill_second)
    killer.start()
    status = main(list(map(str, words)))
    killer.join()
    out, err = capfd.readouterr()
    assert status == 2 and out == ""
    assert f"20 of {NUM_IMAGES} images could not be read; {many} says why" in err
    # Ray's own lines are not among them.
    assert all(line.startswith("slim-resnet") for line in err.splitlines()), err
    got, expected = (lines_of(paths) for paths in (parts_of(many), [one]))
    # The last digit depends on the number of threads where oneDNN is off.
    probabilities = [np.array([line.pop("probabilities") or [np.nan] * 5 for line in lines])
                     for lines in (got, expected)]
    assert got == expected and len(got) == NUM_IMAGES
    np.testing.assert_allclose(*probabilities, rtol=1e-5)
    assert len(parts_of(many)) == total
    manifest = json.loads((many / "manifest.json").read_text())
    assert [manifest[name] for name in ("parts", "images", "unreadable")] == [
        total, NUM_IMAGES, 20]
    # Nothing is left to do, and no cluster is asked to do it.
    assert run("classify", slim, folder, "--output", many, "--resume", "--ray=nowhere:1") == 2
    err = capfd.readouterr().err
    assert "workers of" not in err and "20 of 2000 images could not be read" in err
    assert run("classify", slim, folder, "--output", many, "--resume", "--top", 3, "--ray") == 2
    assert "made with another top (5, now 3)" in capfd.readouterr().err


def test_evaluation_is_that_of_one_process(slim, folder, nodes, tmp_path, capsys):
    """Of class folders and of TFRecord files, the confusion matrix and all else."""
    paths = sorted(folder.glob("class_*/*"))[::40]
    records = [pictures.write_records(tmp_path / f"x-0000{k}-of-00002", [
        pictures.record(path.read_bytes(), int(path.parent.name[-1])) for path in some])
        for k, some in enumerate((paths[:20], paths[20:]))]
    assert run("evaluate", slim, *records, "--json") in (0, 2)
    expected = json.loads(capsys.readouterr().out)
    assert run("evaluate", slim, *records, "--json", f"--ray={nodes[0].address}") in (0, 2)
    assert json.loads(capsys.readouterr().out) == expected
    # A label that is no class is one line, as in one process.
    odd = pictures.write_records(tmp_path / "odd.tfrecord", [
        pictures.record(paths[1].read_bytes(), 77)])
    assert run("evaluate", slim, odd, f"--ray={nodes[0].address}") == 2
    err = capsys.readouterr().err
    assert "odd.tfrecord, record 0: has label 77, but the checkpoint's classes are 0 to 9" in err
    assert "Traceback" not in err


def test_another_engine_gives_what_one_process_does(slim, folder, nodes, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    words = ["classify", slim, *sorted((folder / "class_0").glob("*"))[:40], "--engine",
             "onnxruntime", "--no-cache", "--output"]
    assert run(*words, tmp_path / "one.jsonl") == run(
        *words, tmp_path / "many", f"--ray={nodes[0].address}") == 2
    one, many = map(lines_of, ([tmp_path / "one.jsonl"], parts_of(tmp_path / "many")))
    assert len(one) == 40 and one[0]["probabilities"][0] > 0
    for expected, got in zip(one, many, strict=True):
        if expected["cause"] is None:
            np.testing.assert_allclose(got.pop("probabilities"), expected.pop("probabilities"),
                                       rtol=1e-5)
        assert got == expected
    manifest = json.loads((tmp_path / "many" / "manifest.json").read_text())
    assert manifest["options"]["engine"] == f"ONNX Runtime {onnxruntime.__version__}"


def test_a_node_of_another_version_is_one_line(slim, folder, tmp_path, capsys):
    # Workers look for modules where the driver does, before those of their own node.
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "sitecustomize.py").write_text(
        "import sys, types\n"
        "sys.modules['slim_resnet'] = types.SimpleNamespace(__version__='0.0.1')\n")
    with ray_nodes.two_nodes(env_vars={"PYTHONPATH": str(tmp_path / "old")}) as (cluster, _):
        assert run("classify", slim, folder, "--output", tmp_path / "out",
                   f"--ray={cluster.address}") == 2
    err = capsys.readouterr().err
    from slim_resnet import __version__
    assert f"has slim_resnet 0.0.1, and the driver {__version__}; install the same" in err
    assert not (tmp_path / "out").exists()


def test_features_on_this_machine(slim, folder, tmp_path, capsys):
    """Ray is started here, and ends with the command."""
    words = ["end-points", slim, "--images", folder / "class_0", "--end-points", "global_pool",
             "block2"]
    assert run(*words, "--save", tmp_path / "one.npz") == 2
    assert run(*words, "--save", tmp_path / "many", "--batch-size", 16, "--ray") == 2
    assert ray_nodes.processes_of(f"slim_resnet-{os.getpid()}-") == []
    with contextlib.ExitStack() as stack:
        one, *many = [stack.enter_context(np.load(path)) for path in (
            tmp_path / "one.npz", *parts_of(tmp_path / "many"))]
        for name in set(one.files) - {"precision", "engine"}:
            np.testing.assert_array_equal(np.concatenate([part[name] for part in many]), one[name])
        assert len(many) == 1
        assert all(many[0][name] == one[name] for name in ("precision", "engine"))
