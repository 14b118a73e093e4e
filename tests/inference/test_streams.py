"""Batches that are split among streams: which, their order, their values, what fails."""

import threading

import numpy as np
import pytest

from slim_resnet.common import environment
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.engines import table
from slim_resnet.inference.engines.streams import LEAST, Streams
from slim_resnet.inference.folded.model import InferenceModel
from tests.helpers import checkpoints


@pytest.mark.parametrize("threads, precision, images, number", [
    (1, "float32", 32, 1), (2, "float32", 32, 2), (2, "float32", 2, 2), (2, "float32", 1, 1),
    (2, "float32", 7, 1), (2, "float32", 9, 2), (6, "float32", 32, 6), (6, "float32", 31, 1),
    (64, "float32", 32, 1), (2, "int8", 2, 2), (2, "bfloat16", 14, 1), (2, "bfloat16", 16, 2),
    (2, "bfloat16", 17, 2), (4, "bfloat16", 16, 1)])
def test_which_batches_are_split(threads, precision, images, number):
    assert Streams(threads, precision).number(images) == number
    even = number if images % threads == 0 else 1
    assert Streams(threads, precision, uneven=False).number(images) == even
    assert set(LEAST) == set(table.FASTEST)


def test_parts_run_side_by_side_and_come_back_in_order():
    streams, together, asked = Streams(4, "float32"), threading.Barrier(4), []

    def ready(number, shape):
        asked.append((number, shape))

        def one(part):
            if number > 1:
                together.wait(60)
            return [part + 1, part.sum(axis=1)]
        return streams.on_threads(one)

    for images in (8, 3, 15):
        images = np.arange(2.0 * images).reshape(images, 2)
        added, sums = streams.run(ready, images)
        np.testing.assert_array_equal(added, images + 1)
        np.testing.assert_array_equal(sums, images.sum(axis=1))
    streams.close()
    assert asked == [(4, (2, 2)), (1, (3, 2)), (4, (4, 2))]


def test_what_fails_in_one_waits_for_the_others_and_the_next_batch_runs():
    streams, ended = Streams(2, "float32"), []

    def ready(fails):
        def one(part):
            if fails and not part.any():
                raise ValueError("bad")
            ended.append(part[0, 0])
            return [part]
        return lambda number, shape: streams.on_threads(one)

    with pytest.raises(ValueError, match="bad"):
        streams.run(ready(True), np.arange(2.0).reshape(2, 1))
    assert ended == [1]
    assert len(streams.run(ready(False), np.zeros([2, 1]))[0]) == 2
    streams.close()


@pytest.mark.parametrize("given, threads", [("3", 3), ("0", 7), ("", 7), ("many", 7)])
def test_threads_are_those_that_tensorflow_is_told(monkeypatch, given, threads):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", given)
    monkeypatch.setattr(environment, "cpu", lambda: {"cores": 7})
    assert environment.threads() == threads


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(str(tmp_path_factory.mktemp("streams") / "slim.ckpt"),
                             checkpoints.slim_builder())


@pytest.mark.parametrize("engine", table.ENGINES)
def test_values_are_those_of_the_batch_as_one(written, monkeypatch, engine):
    if table.ENGINES[engine].missing("float32"):
        pytest.skip(f"{engine} is not installed")
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    pixels = np.random.RandomState(1).randint(0, 256, [6, 32, 32, 3], np.uint8)
    outputs, streams = {}, {}
    for own_threads in ("0", "1"):
        monkeypatch.setenv("TF_OVERRIDE_GLOBAL_THREADPOOL", own_threads)
        with InferenceModel.from_checkpoint(written.path, end_points="block1", image_size=32,
                                            engine=engine) as model:
            number = model._loaded.streams.number
            for size in (1, 6, 3, 1):
                outputs[own_threads, size] = model(pixels[:size])
                streams[own_threads, size] = number(size)
    split = {("1", 6): 3, ("1", 3): 3, ("1", 1): 1, ("0", 6): 3, ("0", 3): 3, ("0", 1): 1}
    if engine == table.TENSORFLOW:
        split.update({("0", 6): 1, ("0", 3): 1})
    assert streams == split
    with InferenceModel.from_checkpoint(written.path, end_points="block1") as model:
        expected = [model(pixels[number:number + 1]) for number in range(6)]
    for (_, size), got in outputs.items():
        for number in range(size):
            alone = expected[number]
            for value, wanted in ((got.logits, alone.logits),
                                  *zip(got.end_points.values(), alone.end_points.values())):
                assert value.shape == (size, *wanted.shape[1:])
                assert np.abs(value[number] - wanted[0]).max() < 2e-5 * np.abs(wanted).max()


def test_openvino_pins_no_thread_to_a_core(written):
    """Two processes of one thread each, both on the first core, would take twice as long."""
    pytest.importorskip("openvino", reason="openvino is not installed")
    with InferenceModel.from_checkpoint(written.path, engine="openvino") as model:
        for size in (1, 32):
            model(np.zeros([size, 32, 32, 3], np.float32))
        requests = [one for some in model._loaded._requests.values() for one in some]
        assert [one.get_compiled_model().get_property("ENABLE_CPU_PINNING")
                for one in requests] == [False] * len(requests) and len(requests) > 1


@pytest.fixture
def with_variables(tmp_path):
    """A model whose weights are large enough for variables."""
    made = checkpoints.write(str(tmp_path / "slim.ckpt"), checkpoints.slim_builder(base_depth=16))
    with InferenceModel.from_checkpoint(made.path) as model:
        assert len(model._loaded._assigns) > 3
        yield model


def test_ctrl_c_while_weights_are_handed_over_loses_none(with_variables, monkeypatch):
    loaded, images = with_variables._loaded, np.ones([1, 32, 32, 3], np.float32)

    def interrupted():
        yield assigns[0]
        raise KeyboardInterrupt

    assigns = loaded._assigns
    monkeypatch.setattr(loaded, "_assigns", interrupted())
    with pytest.raises(KeyboardInterrupt):
        with_variables(images)
    monkeypatch.setattr(loaded, "_assigns", assigns)
    got = with_variables.logits(images)
    with InferenceModel.from_checkpoint(with_variables.path) as model:
        np.testing.assert_array_equal(got, model.logits(images))


def test_sessions_have_their_weights_in_the_same_memory(with_variables):
    """What changes there, changes for all: TensorFlow has made no copy."""
    loaded, seen = with_variables._loaded, []
    sessions = [loaded._made(streams).session for streams in (1, 2)]
    for assign, feed in loaded._assigns:
        value, = feed.values()
        value.flat[0] = 7
        name = assign.inputs[0].op.name.removesuffix("/handle")
        seen += [session.run(f"{name}:0").flat[0] for session in sessions]
    assert seen == [7] * 2 * len(loaded._assigns)


def test_a_model_without_a_cache_keeps_its_files_until_it_is_closed(written, monkeypatch):
    if table.ENGINES["onnxruntime"].missing("float32"):
        pytest.skip("onnxruntime is not installed")
    model = InferenceModel.from_checkpoint(written.path, engine="onnxruntime")
    path = model._loaded._path
    with open(path, "rb") as file:
        assert file.read(1)
    model.close()
    with pytest.raises(FileNotFoundError):
        open(path, "rb")
    with pytest.raises(SlimResnetError, match="the model is closed"):
        model(np.zeros([1, 32, 32, 3], np.float32))
