"""What export writes comes home bit for bit; what cannot, and what is damaged, is one line."""

import json
import random
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.checkpoint import open_checkpoint
from slim_resnet.checkpoint.foreign import safetensors
from slim_resnet.cli import main
from slim_resnet.errors import SlimResnetError
from slim_resnet.export import export_checkpoint
from tests.helpers import checkpoints, keras_models
from tests.helpers.damage import mutated

tf1 = tf.compat.v1

EXTRA = {"global_step": np.int64(7),
         "resnet_v2_50/conv1/weights/Momentum": np.full([7, 7, 3, 64], 0.25, np.float32)}
NETWORK = ("frozen", "saved_model", "safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network with training's leftovers, and its exports, named after their formats."""
    folder = tmp_path_factory.mktemp("exported")
    written = checkpoints.write(folder / "net.ckpt", extra=EXTRA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slim_resnet.export.checking.check", lambda *arguments: {"unchecked": ""})
        for format in ("v1", "v2", "npz", *NETWORK):
            export_checkpoint(written.path, folder / format, format)
        for format in ("frozen", "saved_model"):
            export_checkpoint(written.path, folder / f"folded_{format}", format, optimize=True)
    return folder, written.values


def refusal(path):
    with pytest.raises(SlimResnetError) as caught, open_checkpoint(path):
        pass
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("format", ["v1", "v2", "npz", *NETWORK])
def test_every_format_comes_home(folder, tmp_path, capsys, format):
    folder, values = folder
    target = str(tmp_path / "home.ckpt")
    assert main(["checkpoint", "convert", str(folder / format), target]) == 0
    out, err = capsys.readouterr()
    expected = {name: value for name, value in values.items()
                if format not in NETWORK or name not in EXTRA}
    assert out.splitlines() == [
        f"{target}: v2 of slim's ResNet V2, 10 classes",
        f"checked by tensorflow {tf.__version__}: {len(expected)} variables, the same bit for bit"]
    assert err == ""
    # Without slim_resnet.
    with tf.Graph().as_default(), tf1.Session() as session:
        checkpoints.slim_builder()(tf1.placeholder(tf.float32, [1, 32, 32, 3]))
        variables = {v.op.name: v for v in tf1.global_variables()}
        for name in expected.keys() - variables.keys():
            variables[name] = tf1.get_variable(name, initializer=np.zeros_like(values[name]))
        tf1.train.Saver(variables).restore(session, target)
        for name, value in session.run(variables).items():
            np.testing.assert_array_equal(value, expected.pop(name), err_msg=name)
    assert not expected


def test_diff_reads_them(folder, capsys):
    folder, _ = folder
    assert main(["checkpoint", "diff", str(folder / "npz"), str(folder / "v1")]) == 0
    assert main(["checkpoint", "diff", str(folder / "safetensors"), str(folder / "frozen")]) == 0
    assert main(["checkpoint", "diff", str(folder / "safetensors"), str(folder / "npz")]) == 1


def test_what_folding_destroyed_is_refused_in_words(folder, tmp_path, capsys):
    folder, _ = folder
    assert ("an optimised graph: its batch norms were folded into the convolutions (--optimize), "
            "and what they were cannot be told any more") in refusal(folder / "folded_frozen")
    assert "a SavedModel without variables, as slim-resnet export --optimize writes them" in \
        refusal(folder / "folded_saved_model")
    (tmp_path / "net.onnx").write_bytes(b"\x08\x08\x12\x04")
    assert "an ONNX model, which slim-resnet export writes folded" in refusal(tmp_path / "net.onnx")
    assert main(["checkpoint", "convert", str(tmp_path / "net.onnx"), str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == ["net.onnx"]


def test_a_source_is_not_written_over(folder, tmp_path, capsys):
    content = (folder[0] / "npz").read_bytes()
    (tmp_path / "net").write_bytes(content)
    path = str(tmp_path / "net")
    assert main(["checkpoint", "convert", path, path, "--format", "v1"]) == 2
    assert "is what is to be converted; choose another TARGET" in capsys.readouterr().err
    assert (tmp_path / "net").read_bytes() == content


def test_npz_of_other_things(tmp_path):
    path = tmp_path / "net.npz"
    np.savez(path, a=np.array([{}], dtype=object))
    assert "a holds Python objects" in refusal(path)
    np.savez(path, a=np.array(["text"]))
    assert "a is of dtype <U4, no array of numbers" in refusal(path)
    np.savez(path, **{"a\nb": np.array([{}], dtype=object)})
    assert "a?b holds Python objects" in refusal(path)
    np.savez(path, **{"../a b": np.zeros(1)})
    assert "'../a b' is no name of a variable" in refusal(path)
    with zipfile.ZipFile(path, "w") as file:
        header = np.lib.format.header_data_from_array_1_0(np.zeros(1))
        with file.open("a.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, {**header, "shape": (1 << 40,)})
    assert "a says that it has the shape (1099511627776,)" in refusal(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "x")
    assert "a zip file that is neither .npz nor .keras" in refusal(path)


def safetensors_of(path, header, data=b"", length=None):
    packed = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(packed) if length is None else length
    path.write_bytes(length.to_bytes(8, "little") + packed + data)
    return path


def entry(shape=(2,), offsets=(0, 8), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize("header,data,length,says", [
    ({}, b"", 1 << 60, "its header would take 1152921504606846976 bytes"),
    ({}, b"", 3, "its header would take 3 bytes of 10"),
    (b"[]", b"", None, "it is no object"),
    (b"[" * 100_000, b"", None, "is damaged or no safetensors file"),
    (b'{"a": 1, "a": 2}', b"", None, "its header holds a name twice"),
    ({"a": entry()}, bytes(7), None, "its arrays take 8 bytes, and it holds 7"),
    ({"a": entry()}, bytes(9), None, "its arrays take 8 bytes, and it holds 9"),
    ({"a": entry(), "b": entry()}, bytes(8), None, "its arrays overlap or leave bytes over"),
    ({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20), None, "overlap or leave bytes over"),
    ({"a": entry(offsets=(8, 0))}, bytes(8), None, "a takes other bytes than its shape needs"),
    ({"a": entry([1 << 40, 1 << 40])}, bytes(8), None, "a takes other bytes than its shape needs"),
    ({"a\nb": entry([-1, -2])}, bytes(8), None, "a?b has no shape"),
    ({"a": entry([-1, -2])}, bytes(8), None, "a has no shape"),
    ({"a": entry([1] * 99, [0, 4])}, bytes(4), None, "a has no shape"),
    ({"a": entry([True, 2])}, bytes(8), None, "a/shape/0 is no whole number"),
    ({"a": entry(dtype="F8_E4M3")}, bytes(8), None, "a is of dtype F8_E4M3, which is not read"),
    ({"a": {"dtype": "F32"}}, bytes(8), None, "a/shape is missing"),
    ({"__metadata__": {"a": 1}}, b"", None, "__metadata__/0 is no text"),
    ({"a": entry()}, bytes(8), None, "that slim-resnet did not write"),
    ({"a": entry(), "__metadata__": {"slim_resnet_metadata": "{}"}}, bytes(8), None,
     "its slim_resnet_metadata is damaged: variables is missing"),
    ({"a": entry(), "__metadata__": {"slim_resnet_metadata": '{"variables": {"a": [1, 2]}}'}},
     bytes(8), None, "variables/a is no name and shape"),
    ({"a": entry(), "__metadata__": {"slim_resnet_metadata": '{"variables": {"b": ["b", [2]]}}'}},
     bytes(8), None, "half a file: it holds no b"),
    ({"a": entry(), "__metadata__": {"slim_resnet_metadata": '{"variables": {"a": ["b", [3]]}}'}},
     bytes(8), None, "a has the shape [2], and its slim_resnet_metadata says [3] of b"),
])
def test_hostile_safetensors(tmp_path, header, data, length, says):
    assert says in refusal(safetensors_of(tmp_path / "net.safetensors", header, data, length))


def test_safetensors_of_its_own_library(tmp_path):
    """What the format's own library writes is read, and what we write it reads."""
    library = pytest.importorskip("safetensors.numpy")
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(3),
              "c": np.zeros([0, 2], np.float16), "d": np.array(True)}
    library.save_file(arrays, tmp_path / "theirs", {"a text": "é"})
    found, texts = safetensors.read_arrays(str(tmp_path / "theirs"))
    assert texts == {"a text": "é"} and found.keys() == arrays.keys()
    with open(tmp_path / "ours", "wb") as file:
        safetensors.write(file, arrays, texts)
    for loaded in (found, library.load_file(tmp_path / "ours")):
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name], array)
            assert loaded[name].dtype == array.dtype


def opened_values(path):
    with open_checkpoint(path) as opened:
        return {name: opened.tensor(name) for name in opened.shapes}


def outcome(path, expected):
    """Returns whether a damaged file is ``refused`` in one line or ``read``."""
    try:
        values = opened_values(path)
    except SlimResnetError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return "refused"
    if expected is not None:
        assert values.keys() == expected.keys()
        for name, value in values.items():
            np.testing.assert_array_equal(value, expected[name], err_msg=name)
    return "read"


def fuzz(path, content, seeds, expected, head=None):
    """Damages a file, mostly its head, and returns how often it is refused."""
    outcomes = []
    for seed in range(seeds):
        rng = random.Random(f"{path.name} {seed}")
        at = head if head and rng.random() < 0.8 else len(content)
        path.write_bytes(mutated(content[:at], rng) + content[at:])
        outcomes.append(outcome(path, expected))
    return outcomes.count("refused")


def test_damaged_safetensors(folder, tmp_path):
    content = (folder[0] / "safetensors").read_bytes()
    head = int.from_bytes(content[:8], "little")
    # Values have no checksum there: what is read may be another network.
    assert fuzz(tmp_path / "net.safetensors", content, 300, None, head) > 100


def test_damaged_npz(folder, tmp_path):
    content = (folder[0] / "npz").read_bytes()
    assert fuzz(tmp_path / "net.npz", content, 60, opened_values(folder[0] / "npz")) > 30


@pytest.mark.slow
def test_damaged_keras_files(tmp_path):
    model = keras_models.resnet_v2(units=(1,))
    model.save(str(tmp_path / "good.h5"))
    content = (tmp_path / "good.h5").read_bytes()
    # Nor has HDF5 checksums. Each is read by a process of its own.
    assert fuzz(tmp_path / "net.h5", content, 25, None, 4096) > 5
    with zipfile.ZipFile(tmp_path / "good.keras", "w") as file:
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", content)
    content = (tmp_path / "good.keras").read_bytes()
    expected = opened_values(tmp_path / "good.keras")
    assert fuzz(tmp_path / "net.keras", content, 40, expected) > 20
