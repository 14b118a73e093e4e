"""State files, files from other machines, and which checkpoint is meant."""

import io
import os
import pathlib
import shutil
import tarfile

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.checkpoint import location, open_checkpoint, recognise
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints

tf1 = tf.compat.v1


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A tiny network in both formats, and another of the same shapes: by name."""
    folder = tmp_path_factory.mktemp("written")
    def negated(values):
        values.update({name: -value for name, value in values.items()})

    return {**{name: checkpoints.write(folder / name / "net.ckpt", version=version)
               for name, version in checkpoints.FORMATS.items()},
            **{f"other {name}": checkpoints.write(folder / f"other {name}" / "net.ckpt",
                                                  version=version, change=negated)
               for name, version in checkpoints.FORMATS.items()}}


@pytest.fixture(autouse=True)
def said(caplog):
    """The lines said on stderr; each is said once a process, and anew in each test."""
    location._say_once.cache_clear()
    return lambda: [record.getMessage() for record in caplog.records
                    if record.name == "slim_resnet"]


def copied(written, folder):
    shutil.copytree(os.path.dirname(written.path), folder, dirs_exist_ok=True)
    return pathlib.Path(folder)


def assert_opens(path, written):
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.shapes.keys() == written.values.keys()
        for name, value in written.values.items():
            np.testing.assert_array_equal(checkpoint.tensor(name), value, err_msg=name)


def refusal(path):
    with pytest.raises(SlimResnetError) as caught, open_checkpoint(path):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def state_file(folder, names):
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "{}"\n'.format(str(names).replace("\\", "\\\\")))


def tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def contents(folder, start=""):
    return {start + str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()}


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_a_state_file_prefers_what_is_beside_it(written, tmp_path, said, caplog, format):
    run = copied(written[format], tmp_path / "run")
    elsewhere = copied(written[f"other {format}"], tmp_path / "elsewhere")
    for named in (elsewhere / "net.ckpt", "../elsewhere/net.ckpt"):
        state_file(run, named)
        assert_opens(run, written[format])
        line, = said()
        assert line.startswith(f"{run}: its file 'checkpoint' names ") and \
            line.endswith("; taken was net.ckpt beside it")
        assert_opens(run, written[format])
        assert len(said()) == 1
        location._say_once.cache_clear()
        caplog.clear()
    state_file(run, "/gone/net.ckpt")
    assert_opens(run, written[format])
    assert said() == []


def test_a_state_file_that_leads_out_says_so(written, tmp_path, said):
    elsewhere = copied(written["V2"], tmp_path / "elsewhere")
    (tmp_path / "run").mkdir()
    state_file(tmp_path / "run", elsewhere / "net.ckpt")
    assert_opens(tmp_path / "run", written["V2"])
    assert said() == [f"{tmp_path / 'run'}: its file 'checkpoint' leads out of the folder, to "
                      f"{elsewhere / 'net.ckpt'}"]


def test_a_state_file_within_the_folder_is_taken_at_its_word(written, tmp_path, said):
    copied(written["V2"], tmp_path)
    copied(written["other V2"], tmp_path / "sub")
    for named in ("sub/net.ckpt", tmp_path / "sub" / "net.ckpt"):
        state_file(tmp_path, named)
        assert_opens(tmp_path, written["other V2"])
    assert said() == []


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_a_state_file_of_windows(written, tmp_path, said, format):
    copied(written[format], tmp_path)
    for named in (r"C:\Users\me\run 1\net.ckpt", r"run\net.ckpt", r"\\server\share\net.ckpt",
                  "C:/Users/me/net.ckpt"):
        state_file(tmp_path, named)
        assert_opens(tmp_path, written[format])
    assert said() == []


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_a_state_file_does_not_lead_out_of_an_archive(written, tmp_path, said, format):
    elsewhere = copied(written[f"other {format}"], tmp_path / "elsewhere")
    path = tmp_path / "net.tar"
    files = contents(os.path.dirname(written[format].path), "run/")
    up = "../" * 20
    for named in (elsewhere / "net.ckpt", f"{up}{elsewhere}/net.ckpt", r"C:\run\net.ckpt"):
        state = 'model_checkpoint_path: "{}"'.format(str(named).replace("\\", "\\\\"))
        assert_opens(tar(path, {**files, "run/checkpoint": state.encode()}), written[format])
        alone = tar(tmp_path / "alone.tar", {"checkpoint": state.encode(), "a.txt": b"a"})
        message = refusal(alone)
        assert message.startswith(f"{alone}: its file 'checkpoint' names net.ckpt, which") or \
            "C:" in message
    assert said() == []


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_files_of_macos_are_ignored(written, tmp_path, format):
    run = copied(written[format], tmp_path / "run")
    for name in os.listdir(run):
        (run / f"._{name}").write_bytes((run / name).read_bytes())
    assert_opens(run, written[format])
    files = contents(run, "run/")
    assert_opens(tar(tmp_path / "net.tar", {**files, "other/._net.ckpt": b"Mac OS X"}),
                 written[format])


def test_a_file_and_shards_of_one_name(written, tmp_path):
    folder = copied(written["V1"], tmp_path)
    shutil.copy(folder / "net.ckpt", folder / "net.ckpt-00000-of-00001")
    for named in (folder / "net.ckpt", folder / "net.ckpt-00000-of-00001", folder):
        assert "both a file net.ckpt and net.ckpt-00000-of-00001" in refusal(named)


def test_shards_of_v1(tmp_path, said):
    def build(images):
        with tf.device("/cpu:0"):
            tf1.get_variable("a/first", [3])
        with tf.device("/job:localhost/cpu:0"):
            tf1.get_variable("a/second", [2])
        return tf.zeros([]), {}

    path = tmp_path / "net.ckpt"
    written = checkpoints.write(path, build, checkpoints.V1, sharded=True)
    assert_opens(path, written)
    assert said() == [f"{path}: taken to be of one network: its 2 shards, as nothing in V1 files "
                      "tells whether they belong together"]
    first, second = sorted(tmp_path.iterdir())
    shutil.copy(first, second)
    assert ": is there more than once" in refusal(path)


def test_data_that_is_something_else(written, tmp_path):
    folder = copied(written["V2"], tmp_path)
    data = folder / "net.ckpt.data-00000-of-00001"
    for content, kind in ((b"", "is empty"), (b"<!DOCTYPE html>", "an HTML or XML text"),
                          (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull")):
        data.write_bytes(content)
        message = refusal(folder)
        assert message.startswith(f"{folder}: no readable checkpoint: {data.name} is ")
        assert kind in message
    os.remove(data)
    os.mkfifo(data)
    assert refusal(folder) == f"{data}: is no plain file"


def saved_model(written, folder):
    """Writes a TensorFlow 1 SavedModel of the network."""
    with tf.Graph().as_default(), tf1.Session() as session:
        checkpoints.slim_builder()(tf1.placeholder(tf.float32, [1, 32, 32, 3]))
        session.run([v.initializer for v in tf1.global_variables()],
                    {v.initializer.inputs[1]: written.values[v.op.name]
                     for v in tf1.global_variables()})
        builder = tf1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING])
        builder.save()


def test_a_tar_of_a_saved_model(written, tmp_path):
    saved_model(written["V2"], tmp_path / "saved")
    files = contents(tmp_path / "saved", "saved/")
    path = tar(tmp_path / "net.tar", files)
    assert_opens(path, written["V2"])
    assert_opens(tmp_path / "saved", written["V2"])
    assert_opens(tmp_path / "saved" / "saved_model.pb", written["V2"])
    path = tar(path, {name: content for name, content in files.items() if "variables" not in name})
    assert "archive of a SavedModel without variables" in refusal(path)


def frozen(written):
    with tf.Graph().as_default() as graph, tf1.Session() as session:
        images = tf1.placeholder(tf.float32, [1, 32, 32, 3])
        net, _ = checkpoints.slim_builder()(images)
        session.run([v.initializer for v in tf1.global_variables()],
                    {v.initializer.inputs[1]: written.values[v.op.name]
                     for v in tf1.global_variables()})
        return tf1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [net.op.name])


def test_a_frozen_graph(written, tmp_path):
    graph = frozen(written["V2"])
    path = tmp_path / "net.pb"
    path.write_bytes(graph.SerializeToString())
    assert_opens(path, written["V2"])
    assert_opens(tmp_path, written["V2"])
    assert_opens(tar(tmp_path / "net.tar", {"a/net.pb": path.read_bytes()}), written["V2"])
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.format == "GraphDef" and checkpoint.files == [str(path)]
        found = recognise(checkpoint)
        assert found.scope == "resnet_v2_50" and found.num_classes == 10


def test_frozen_graphs_that_are_none_of_ours(written, tmp_path):
    path = tmp_path / "net.pb"
    with tf.Graph().as_default() as graph:
        tf.constant(1.0, name="something")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    assert "a frozen graph without constants under slim's names" in refusal(path)
    path.write_bytes(b"\nno graph at all")
    assert "cut short, or no file of a checkpoint" in refusal(path)
    graph = frozen(written["V2"])
    node = next(node for node in graph.node if node.name.endswith("conv1/weights"))
    for sizes in ([1 << 62, 4], [-1, 4], [1 << 30, 1 << 30, 1 << 30], [7]):
        del node.attr["value"].tensor.tensor_shape.dim[:]
        for size in sizes:
            node.attr["value"].tensor.tensor_shape.dim.add().size = size
        path.write_bytes(graph.SerializeToString())
        assert f"no readable frozen graph: '{node.name}'" in refusal(path)
    # One number stands for all.
    tensor = node.attr["value"].tensor
    tensor.CopyFrom(tf.make_tensor_proto(1.0))
    tensor.tensor_shape.dim.add().size = 1 << 28
    path.write_bytes(graph.SerializeToString())
    assert "its shape is [268435456]" in refusal(path)
