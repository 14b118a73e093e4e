"""Archives that cost more than they hold, and the folders that they are unpacked to."""

import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile

import pytest

from slim_resnet.common import archives
from slim_resnet.common.environment import child_environment
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError


def refusal(tmp_path, content):
    path = tmp_path / "net.tar"
    path.write_bytes(content)
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    with pytest.raises(SlimResnetError) as caught:
        archives.extract(str(path), str(folder))
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    return str(caught.value)


def header(name="a", kind=tarfile.REGTYPE, size=0):
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def test_many_empty_members(tmp_path):
    members = b"".join(header(f"f{i}") for i in range(1001))
    assert "more than 1,000 members" in refusal(tmp_path, gzip.compress(members))
    assert len(os.listdir(tmp_path / "folder")) == 1000
    folders = header("folder", tarfile.DIRTYPE) * 60000
    assert "more than 1,000 members" in refusal(tmp_path, gzip.compress(folders))


def test_a_thousand_members_are_unpacked(tmp_path):
    path = tmp_path / "net.tar"
    path.write_bytes(b"".join(header(f"f{i}") for i in range(1000)) + bytes(1024))
    (tmp_path / "folder").mkdir()
    archives.extract(str(path), str(tmp_path / "folder"))
    assert len(os.listdir(tmp_path / "folder")) == 1000


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_long_headers(tmp_path, kind):
    size = archives._MOST_HEADER_BYTES + 512
    content = header("long", kind, size) + b"1" * size + header() + bytes(1024)
    assert "headers beyond reason" in refusal(tmp_path, content)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME,
                                  tarfile.GNUTYPE_LONGLINK])
def test_chains_of_headers(tmp_path, kind):
    record = b"20 comment=comment!\n".ljust(512, b"\0")
    content = (header("chain", kind, 20) + record) * 2000 + header() + bytes(1024)
    assert "headers beyond reason" in refusal(tmp_path, content)


def test_sparse_members(tmp_path):
    content = header("sparse", tarfile.GNUTYPE_SPARSE, 10) + bytes(2048)
    assert "is no plain file" in refusal(tmp_path, content)


def test_time_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_FREE_SECONDS", -1)
    assert "not unpacked after" in refusal(tmp_path, header() + bytes(1024))


def test_unprintable_names(tmp_path):
    path = tmp_path / "net.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("a\x1b[31m\nb"), io.BytesIO())
    (tmp_path / "folder").mkdir()
    archives.extract(str(path), str(tmp_path / "folder"))
    assert os.listdir(tmp_path / "folder") == ["a_[31m_b"]


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_the_folder_of_a_killed_process_is_removed_by_the_next(tmp_path, monkeypatch, sent):
    code = ("import sys, time; from slim_resnet.common.temporary import temporary_folder\n"
            "with temporary_folder() as folder:\n"
            "    open(folder + '/big', 'w').close(); print(folder, flush=True); time.sleep(600)")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "slim_resnet-somebody").mkdir()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                          env=dict(child_environment(), TMPDIR=str(tmp_path))) as child:
        left = child.stdout.readline().strip()
        with temporary_folder():
            assert os.listdir(left) == ["big"]  # its process lives
        child.send_signal(sent)
        child.wait()
    assert os.path.isdir(left)
    with temporary_folder() as folder:
        assert not os.path.exists(left)
    assert not os.path.exists(folder)
    assert os.listdir(tmp_path) == ["slim_resnet-somebody"]
