"""What is wrong with a cluster or a worker is one line, and a worker's own part of the work."""

import pickle
import re
import socket
import sys
import threading

import numpy as np
import pytest

from slim_resnet.cli import main
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import labelled_parts
from slim_resnet.images.settings import MAX_PIXELS, Preprocessing
from slim_resnet.inference import part_formats
from slim_resnet.inference.classification import classify
from slim_resnet.inference.on_ray import engine
from slim_resnet.inference.on_ray.worker import Job, Worker
from tests.helpers import checkpoints, pictures, ray_nodes


@pytest.fixture(scope="module")
def slim(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("slim") / "net.ckpt").path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(5):
        pictures.write_png(folder / f"{i}.png", i)
    (folder / "2.png").write_bytes(b"no image")
    return folder


def run(*words):
    return main([*map(str, words), "--image-size", "32"])


def error_of(capsys, *words):
    assert run(*words) == 2
    out, err = capsys.readouterr()
    line, = [line for line in err.splitlines() if ": error: " in line]
    assert out == "" and "Traceback" not in err
    return line


def test_without_ray(slim, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert error_of(capsys, "classify", slim, folder, "--output", tmp_path / "out", "--ray") == (
        "slim-resnet classify: error: --ray needs Ray, which cannot be imported (import of ray "
        "halted; None in sys.modules); pip install 'slim-resnet[cluster]'")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def not_ray():
    """The address of something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []
        threading.Thread(target=lambda: taken.append(server.accept()), daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@ray_nodes.needs_ray
def test_where_nothing_answers(slim, folder, tmp_path, capsys, monkeypatch, not_ray):
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 1)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    words = ["classify", slim, folder, "--output", tmp_path / "out"]
    for address in ("127.0.0.1:1", not_ray):
        assert f"--ray {address}: no Ray cluster answers there within 1 s" in error_of(
            capsys, *words, f"--ray={address}")
    assert "--ray anywhere: is no address; give HOST:PORT, auto, or nothing" in error_of(
        capsys, *words, "--ray=anywhere")

    def none_runs(**options):
        raise ConnectionError("Could not find any running Ray instance. Please specify\nmore")

    # Another program's may run here.
    monkeypatch.setattr("ray.init", none_runs)
    assert "--ray auto: Could not find any running Ray instance. Please specify" in error_of(
        capsys, *words, "--ray=auto")
    # The address that the environment has for a running one.
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert "--ray 127.0.0.1:1: no Ray cluster answers there" in error_of(
        capsys, *words, "--ray=auto")
    assert not (tmp_path / "out").exists()


def test_images_and_folders(slim, folder, tmp_path, capsys):
    words = ["classify", slim]
    assert "*.jpg: fits no file" in error_of(capsys, *words, folder / "*.jpg", "--output",
                                             tmp_path / "out", "--ray")
    assert "holds something else, and no manifest.json" in error_of(
        capsys, *words, folder, "--output", folder, "--ray")


@pytest.mark.parametrize("words, message", [
    (["end-points", "--save", "f", "--end-points", "block2", "--resume"],
     "--resume goes with --ray"),
    (["end-points", "--ray"], "--ray goes with --save"),
    (["evaluate", "--ray-cpus", "2"], "--ray-cpus goes with --ray")])
def test_options(slim, folder, capsys, words, message):
    command, *options = words
    images = ["--images", folder] if command == "end-points" else [folder]
    assert message in error_of(capsys, command, slim, *images, *options)


def test_versions():
    wanted = {"slim_resnet": "1.0", "TensorFlow": "2.21.0"}
    engine.check_versions("10.0.0.2", dict(wanted), wanted)
    with pytest.raises(SlimResnetError, match="^node 10.0.0.2 has TensorFlow 2.20.0, and the "
                                              "driver 2.21.0; install the same on all nodes$"):
        engine.check_versions("10.0.0.2", {**wanted, "TensorFlow": "2.20.0"}, wanted)
    with pytest.raises(SlimResnetError, match="has slim_resnet none, and the driver 1.0"):
        engine.check_versions("10.0.0.2", {**wanted, "slim_resnet": "none"}, wanted)


@pytest.fixture
def job(slim, monkeypatch):
    """Makes a `Job` whose store is a dict; there is no Ray."""
    monkeypatch.setitem(sys.modules, "ray", type(sys)("ray"))
    sys.modules["ray"].get = lambda files: files
    files = {}
    for end in ("index", "data-00000-of-00001"):
        with open(f"{slim}.{end}", "rb") as file:
            files[f"net.ckpt.{end}"] = file.read()

    def make(command="classify", **more):
        return Job(command, "net.ckpt", **{**dict(
            files=files, selection={}, use_moving_averages=False, image_size=32,
            preprocessing=Preprocessing(), batch_size=2, suffix=".jsonl", names=[None] * 10),
            **more})

    return make


def done(job, folder):
    source = labelled_parts.find([folder], MAX_PIXELS)
    worker = Worker(job)
    return [worker({"number": np.array([number]), "part": [pickle.dumps(part)]})
            for number, part in enumerate(source.parts(4))]


def test_a_worker_does_parts(job, slim, folder):
    first, second = done(job(), folder)
    assert (first["images"], first["unreadable"]) == ([4], [1])
    assert (second["images"], second["unreadable"]) == ([1], [0])
    rows = [row for part in (first, second)
            for row in part_formats.decode_rows(part["content"][0], ".jsonl")]
    expected = list(classify(slim, [folder], batch_size=2, image_size=32))
    assert [row["path"] for row in rows] == [result.path for result in expected]
    assert [tuple(row["probabilities"]) for row in rows] == [
        result.probabilities for result in expected]


def test_what_is_wrong_is_said_for_every_part(job, folder, monkeypatch):
    damaged = job().files | {"net.ckpt.index": b"nothing"}
    answers = done(job(files=damaged), folder)
    assert [answer["error"][0] for answer in answers] == [
        "net.ckpt: no readable checkpoint: net.ckpt.index is cut short, or no file of a "
        "checkpoint"] * 2
    assert [answer["content"] for answer in answers] == [[b""]] * 2

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("slim_resnet.inference.on_ray.worker.temporary_folder", full)
    answer, _ = done(job(), folder)
    assert re.fullmatch(r"net.ckpt: a worker on \S+ cannot read it: .*No space left on device",
                        answer["error"][0])
