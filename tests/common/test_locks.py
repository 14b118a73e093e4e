"""Locks, and files and folders that are written under them: who is killed leaves nothing."""

import os
import subprocess
import sys

import pytest

from slim_resnet.common import locks
from slim_resnet.common.files import atomic_write
from slim_resnet.errors import SlimResnetError
from tests.helpers.command_line import ROOT


def test_one_at_a_time_and_nothing_is_left(tmp_path):
    path = tmp_path / "f"
    for _ in range(2):
        with locks.locked(path, "is at it"):
            with pytest.raises(locks.Busy, match=f"^{path}: another process is at it; wait for"):
                with locks.locked(path, "is at it"):
                    pass
            assert os.listdir(tmp_path) == [".f.lock"]
            with locks.locked(tmp_path / "g", "is at it"):
                pass
        assert os.listdir(tmp_path) == []


def test_an_error_frees_the_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), locks.locked(tmp_path / "f", "is at it"):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


def test_a_lock_that_was_removed_under_its_taker_is_taken_anew(tmp_path, monkeypatch):
    """Who opened the file before its holder removed it has a lock of nothing."""
    path, lock = str(tmp_path / "f"), str(tmp_path / ".f.lock")
    original, calls = locks._lock, []

    def removed_before(descriptor):
        calls.append(descriptor)
        if len(calls) == 1:
            os.unlink(lock)
        return original(descriptor)

    monkeypatch.setattr(locks, "_lock", removed_before)
    with locks.locked(path, "is at it"):
        assert len(calls) == 2
        assert os.path.samestat(os.stat(lock), os.fstat(calls[1]))


def test_a_trap_in_its_place_is_refused(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for make in (os.symlink, os.link):
        make(victim, tmp_path / ".f.part")
        with pytest.raises(SlimResnetError, match="f: cannot be written: "):
            with atomic_write(tmp_path / "f") as file:
                file.write("x")
        assert victim.read_text() == "precious"
        os.unlink(tmp_path / ".f.part")


def test_a_file_is_written_by_one_process(tmp_path):
    path = tmp_path / "f"
    with atomic_write(path) as file:
        file.write("first")
        with pytest.raises(locks.Busy, match="f: another process is writing it"):
            with atomic_write(path):
                pass
    assert path.read_text() == "first" and os.listdir(tmp_path) == ["f"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_a_killed_writer_left_is_taken(tmp_path):
    """Of a file, of a lock and of an export's folder."""
    path = tmp_path / "f"
    code = ("import os, signal, sys; from slim_resnet.common import files, locks\n"
            "with locks.locked(sys.argv[1], 'x'), files.atomic_write(sys.argv[1]) as file:\n"
            "    file.write('a long half of it'); file.flush()\n"
            "    os.kill(os.getpid(), signal.SIGKILL)")
    killed = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT)
    assert killed.returncode == -9 and sorted(os.listdir(tmp_path)) == [".f.lock", ".f.part"]
    with locks.locked(path, "x"), atomic_write(path) as file:
        file.write("whole")
    assert path.read_text() == "whole" and os.listdir(tmp_path) == ["f"]


def test_an_exports_folder_that_was_left_goes(tmp_path):
    from slim_resnet.export.shared import temporary_folder
    output = str(tmp_path / "out")
    left = tmp_path / ".out.parts"
    left.mkdir()
    (left / "large").write_bytes(b"x")
    with temporary_folder(output) as folder:
        assert folder == str(left) and os.listdir(folder) == []
        with pytest.raises(locks.Busy, match="out: another process is writing it"):
            with temporary_folder(output):
                pass
    assert os.listdir(tmp_path) == []
