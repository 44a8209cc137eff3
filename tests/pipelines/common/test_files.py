from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.common.errors import UserError
from pipelines.common.files import FolderLock, check_unlocked, replacing


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows opens no folders")
def test_the_name_is_forced_to_the_disk_where_the_disk_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, refused = [], [errno.ENOTSUP]

    def fsync(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        synced.append((is_folder, (tmp_path / "a.txt").exists()))
        if is_folder:
            raise OSError(refused[0], os.strerror(refused[0]))

    monkeypatch.setattr(os, "fsync", fsync)
    with replacing(tmp_path / "a.txt") as file:
        file.write("new")
    assert synced == [(False, False), (True, True)]
    refused[0] = errno.EIO
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), replacing(tmp_path / "a.txt") as file:
        file.write("newer")


def test_names_that_are_not_utf8_can_be_written(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.txt") as file:
        file.write(os.fsdecode(b"lot\xff"))
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "lot\\udcff"


def test_a_folder_has_one_holder_at_a_time(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(UserError, match=f"process {os.getpid()}"):
        FolderLock(tmp_path)
    with pytest.raises(UserError, match=f"process {os.getpid()}"):
        check_unlocked(tmp_path)
    lock.release()
    lock.release()
    check_unlocked(tmp_path)
    assert list(tmp_path.iterdir()) == []
    FolderLock(tmp_path).release()


def test_a_killed_holder_leaves_the_folder_free(tmp_path: Path, project_root: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from pipelines.common.files import FolderLock;"
        "lock = FolderLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=project_root, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=f"process {holder.pid}"):
            FolderLock(tmp_path)
        holder.send_signal(signal.SIGKILL)
    FolderLock(tmp_path).release()
