"""Opening: the names people have for a checkpoint, and what is none."""

import contextlib
import gzip
import io
import os
import pathlib
import shutil
import tarfile
import tempfile

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.checkpoint import open_checkpoint
from slim_resnet.common import archives
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints

tf1 = tf.compat.v1


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A tiny network in both formats: ``{"V1": Written, "V2": Written}``."""
    folder = tmp_path_factory.mktemp("written")
    return {name: checkpoints.write(folder / name / "net.ckpt", version=version)
            for name, version in checkpoints.FORMATS.items()}


@pytest.fixture
def own_tmp(tmp_path, monkeypatch):
    """A folder for temporary files that must be empty again at the end."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert os.listdir(folder) == []


def copied(written, folder):
    """Returns the path of a copy in ``folder`` that may be spoilt."""
    shutil.copytree(os.path.dirname(written.path), folder, dirs_exist_ok=True)
    return str(folder / "net.ckpt")


def assert_opens(path, written):
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.path == str(path)
        assert checkpoint.shapes == {n: v.shape for n, v in written.values.items()}
        assert set(checkpoint.dtypes.values()) == {"float32"}
        for name, value in written.values.items():
            np.testing.assert_array_equal(checkpoint.tensor(name), value, err_msg=name)


def refusal(path):
    """Returns the one line that opening and reading everything ends with."""
    with pytest.raises(SlimResnetError) as caught, open_checkpoint(path) as checkpoint:
        for name in checkpoint.shapes:
            checkpoint.tensor(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_opens_the_prefix_with_exact_values(written, format):
    assert_opens(written[format].path, written[format])
    with open_checkpoint(pathlib.Path(written[format].path)) as checkpoint:
        assert checkpoint.format == format
        assert checkpoint.file_bytes == sum(
            p.stat().st_size for p in pathlib.Path(written[format].path).parent.iterdir())
        with open_checkpoint(checkpoint) as again:
            assert again.path == checkpoint.path and again.shapes is checkpoint.shapes
        # Who opened it closes it.
        name = next(iter(checkpoint.shapes))
        np.testing.assert_array_equal(checkpoint.tensor(name), written[format].values[name])


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001", ".meta"])
def test_opens_the_name_of_a_part(written, tmp_path, suffix):
    path = copied(written["V2"], tmp_path)
    (tmp_path / "net.ckpt.meta").write_bytes(b"graph")
    assert_opens(path + suffix, written["V2"])


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_opens_a_folder_without_a_state_file(written, tmp_path, format):
    copied(written[format], tmp_path)
    (tmp_path / "train.graph").write_bytes(b"no checkpoint")
    assert_opens(tmp_path, written[format])


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_state_file_says_which(written, tmp_path, format):
    other = checkpoints.write(tmp_path / "other.ckpt", version=checkpoints.FORMATS[format],
                              change=lambda values: values.update(
                                  {n: -v for n, v in values.items()}))
    copied(written[format], tmp_path)
    assert "holds 2 checkpoints" in refusal(tmp_path) and "other.ckpt" in refusal(tmp_path)
    for named in ("other.ckpt", "/where/it/was/trained/other.ckpt"):
        (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{named}"\n')
        assert_opens(tmp_path, other)
        assert_opens(tmp_path / "checkpoint", other)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "gone.ckpt"\n')
    assert "gone.ckpt, which does not exist" in refusal(tmp_path)
    (tmp_path / "checkpoint").write_text("model_checkpoint_path: gone")
    assert "'checkpoint' cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_names_that_tensorflow_takes_for_patterns(written, tmp_path, own_tmp, format):
    folder = tmp_path / "a[1] *b?"
    assert_opens(copied(written[format], folder), written[format])
    decoy = tmp_path / "a1 xb!"
    decoy.mkdir()
    (decoy / "net.ckpt").write_bytes(b"decoy")
    assert_opens(folder / "net.ckpt", written[format])


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_shards(tmp_path, format):
    def build(images):
        with tf.device("/cpu:0"):
            first = tf1.get_variable("a/first", [3])
        with tf.device("/job:localhost/cpu:0"):
            second = tf1.get_variable("a/second", [2])
        return tf.reduce_sum(first) + tf.reduce_sum(second), {}

    path = tmp_path / "net.ckpt"
    written = checkpoints.write(path, build, checkpoints.FORMATS[format], sharded=True)
    files = sorted(f for f in os.listdir(tmp_path) if "-of-00002" in f)
    assert len(files) == 2
    assert_opens(path, written)
    assert_opens(tmp_path, written)
    assert_opens(tmp_path / files[1], written)
    (tmp_path / files[0]).unlink()
    assert "half a checkpoint: 1 of 2 shards" in refusal(path)


def tar(path, members, mode="w:gz"):
    """Writes an archive of ``(TarInfo or name, bytes)``."""
    with tarfile.open(path, mode) as archive:
        for info, data in members:
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def members_of(written, folder=""):
    source = pathlib.Path(written.path).parent
    return [(folder + p.name, p.read_bytes()) for p in source.iterdir()]


@pytest.mark.parametrize("format", ["V1", "V2"])
@pytest.mark.parametrize("folder,mode", [("", "w:gz"), ("./resnet_v2_50/", "w")])
def test_opens_an_archive_and_leaves_nothing(written, tmp_path, own_tmp, format, folder, mode):
    extra = [(folder + "train.graph", b"no checkpoint"), (folder + "eval.graph", b"")]
    path = tar(tmp_path / "released.tar.gz", members_of(written[format], folder) + extra, mode)
    assert_opens(path, written[format])


def special(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b""


@pytest.mark.parametrize("member,said", [
    (("../escaped", b"x"), "leads out"),
    (("/escaped", b"x"), "leads out"),
    (("a/../../escaped", b"x"), "leads out"),
    (special("net.ckpt", tarfile.SYMTYPE, "/etc/passwd"), "no plain file"),
    (special("net.ckpt", tarfile.LNKTYPE, "/etc/passwd"), "no plain file"),
    (special("null", tarfile.CHRTYPE), "no plain file"),
    (special("pipe", tarfile.FIFOTYPE), "no plain file"),
    (("elsewhere/net.ckpt", b"x"), "two files named"),
])
def test_refuses_archives_that_reach_out(written, tmp_path, own_tmp, member, said):
    path = tar(tmp_path / "evil.tar.gz", [*members_of(written["V1"]), member])
    message = refusal(path)
    assert said in message and str(path) in message
    assert not list(tmp_path.rglob("escaped")) and not os.path.exists("/escaped")


def test_refuses_bombs_before_they_go_off(tmp_path, own_tmp, monkeypatch):
    monkeypatch.setattr(archives, "_FREE_BYTES", 1 << 16)
    path = tar(tmp_path / "bomb.tar.gz", [("net.ckpt", bytes(1 << 24))])
    assert "unpacks to more than 20 times its size" in refusal(path)
    header = tarfile.TarInfo("net.ckpt")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40  # tarfile reads such a header whole
    path.write_bytes(gzip.compress(header.tobuf() + bytes(1 << 20)))
    assert str(path) in refusal(path)


def test_damaged_archives(written, tmp_path, own_tmp):
    good = tar(tmp_path / "good.tar.gz", members_of(written["V2"])).read_bytes()
    path = tmp_path / "bad.tar.gz"
    for bad in (good[:len(good) // 2], good[:-8], good[:-6] + b"\0" + good[-5:],
                gzip.compress(b"no tar"), gzip.compress(b"")):
        path.write_bytes(bad)
        assert "damaged archive" in refusal(path)
    tar(path, [("readme.txt", b"nothing here")])
    assert "holds no checkpoint" in refusal(path)


def test_the_checksum_of_gzip_comes_last(written, tmp_path, own_tmp, monkeypatch):
    monkeypatch.setattr(archives, "_CHUNK", 512)
    plain = tar(tmp_path / "plain.tar", members_of(written["V1"]), "w").read_bytes()
    zipped = gzip.compress(plain + bytes(1 << 20))  # tar itself ends before the padding
    path = tmp_path / "net.tar.gz"
    path.write_bytes(zipped)
    assert_opens(path, written["V1"])
    path.write_bytes(zipped[:-8] + bytes([zipped[-8] ^ 1]) + zipped[-7:])
    assert "damaged archive" in refusal(path)


@pytest.mark.parametrize("content,said", [
    (b"", "is empty"),
    (b"\xff\xd8\xff\xe0" + bytes(500), "is a JPEG image"),
    (b"<!DOCTYPE html><title>Not found</title>", "failed download"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    (bytes(range(256)) * 8, "cut short, or no file of a checkpoint"),
])
def test_other_files(tmp_path, content, said):
    path = tmp_path / "net.ckpt"
    path.write_bytes(content)
    message = refusal(path)
    assert said in message and message.startswith(str(path))


def test_missing(written, tmp_path):
    assert refusal(tmp_path / "none.ckpt") == f"{tmp_path / 'none.ckpt'}: no such checkpoint"
    assert "no such checkpoint" in refusal(tmp_path / "no" / "folder")
    assert "no such checkpoint" in refusal(written["V1"].path + "/inside")
    assert "holds no checkpoint" in refusal(tmp_path)
    assert "is empty" in refusal("")
    assert "cannot be read" in refusal("a\0b")
    assert "cannot be read" in refusal("a" * 5000)


def test_half_a_checkpoint(written, tmp_path):
    path = copied(written["V2"], tmp_path)
    os.rename(path + ".index", tmp_path / "aside")
    for name in (path, path + ".data-00000-of-00001"):
        assert "half a checkpoint: there is no net.ckpt.index" in refusal(name)
    os.rename(tmp_path / "aside", path + ".index")
    os.remove(path + ".data-00000-of-00001")
    for name in (path, path + ".index", tmp_path):
        assert "half a checkpoint: net.ckpt.index is there, and no" in refusal(name)


def test_truncated_and_flipped(written, tmp_path):
    for format, file in (("V1", ""), ("V2", ".index"), ("V2", ".data-00000-of-00001")):
        folder = tmp_path / (format + file)
        path = copied(written[format], folder)
        good = pathlib.Path(path + file).read_bytes()
        flipped = bytearray(good)
        flipped[len(good) // 2] ^= 1
        for bad in (b"", good[:-1], good[:len(good) // 2], bytes(flipped)):
            pathlib.Path(path + file).write_bytes(bad)
            assert refusal(path).startswith(path)


def test_data_too_short_for_the_variables_is_found_before_it_is_read(written, tmp_path):
    path = copied(written["V2"], tmp_path)
    os.truncate(path + ".data-00000-of-00001", 1000)
    with pytest.raises(SlimResnetError, match=r"preact/moving_mean: its values end at byte "
                       r"1,124 of net\.ckpt\.data-00000-of-00001, which has 1,000: cut short$"):
        with open_checkpoint(path):
            pass


def test_both_formats_under_one_name(written, tmp_path):
    copied(written["V1"], tmp_path)
    path = copied(written["V2"], tmp_path)
    assert "both a file net.ckpt and net.ckpt.index" in refusal(path)


def test_tf2_checkpoints_are_named_as_such(tmp_path):
    module = tf.Module()
    module.weights = tf.Variable([1.0, 2.0])
    module.call = tf.function(lambda: module.weights, input_signature=[])
    path = tf.train.Checkpoint(module=module).write(str(tmp_path / "objects"))
    assert "TF2 object-based checkpoint" in refusal(path)
    tf.saved_model.save(module, str(tmp_path / "saved"))
    assert "TF2 object-based checkpoint" in refusal(tmp_path / "saved")


@contextlib.contextmanager
def without_root():
    """Within it the process has no rights but those of everybody."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("format,file", [("V1", ""), ("V2", ".index"),
                                         ("V2", ".data-00000-of-00001"), ("V1", "folder")])
def test_no_permission(written, format, file):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        path = copied(written[format], folder)
        folder.chmod(0o755)
        closed = folder if file == "folder" else pathlib.Path(path + file)
        closed.chmod(0)
        with without_root():
            for given in (path, folder):
                message = refusal(given)
                assert "cannot be read: " in message and "ermission denied" in message
                assert name in message
        folder.chmod(0o755)


def test_a_variable_that_is_not_there(written):
    with open_checkpoint(written["V1"].path) as checkpoint:
        with pytest.raises(SlimResnetError, match="holds no variable nothing"):
            checkpoint.tensor("nothing")
