"""Files that are whole or absent, and a lock that dies with its holder."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pipelines.common.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text file to write, under a temporary name until the block ends well; then it takes `path`'s place.

    File names that are not UTF-8 reach us as lone surrogates; they are written as backslash escapes.
    """
    with _replacing(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        yield file


@contextmanager
def replacing_bytes(path: Path) -> Iterator[IO[bytes]]:
    """A file of bytes, as `replacing` writes text."""
    with _replacing(path, "wb") as file:
        yield file


@contextmanager
def _replacing(path: Path, mode: str, **options: str) -> Iterator[IO[Any]]:
    temporary = path.with_name(f".{path.name}.new-{os.getpid()}")
    try:
        with open(temporary, mode, **options) as file:  # type: ignore[call-overload]  # noqa: PTH123
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, so that a power cut takes back no file that took its place."""
    if sys.platform == "win32":  # which opens no folders, and writes names in their order
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # it may be written to, but not listed
        return
    try:
        os.fsync(handle)
    except OSError as error:
        # Those that do this for files alone say so in many ways.
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise
    finally:
        os.close(handle)


def new_folder(folder: Path) -> None:
    """Make a folder and those above it, so that a power cut takes none of them back."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync_folder(one.parent)


def check_unlocked(folder: Path, name: str = ".lock") -> None:
    """Raise UserError if another process holds the `FolderLock` of a folder; takes and makes nothing."""
    try:
        handle = os.open(folder / name, os.O_RDWR)
    except OSError:
        return  # no lock, or one that is not ours to take, which shows when it is to be taken
    try:
        if not _try_lock(handle):
            raise _refusal(handle, folder)
    finally:
        os.close(handle)


def _refusal(handle: int, folder: Path) -> UserError:
    holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
    return UserError(
        f"another run (process {holder}) is writing to {folder}; wait for it, or name another folder"
    )


class FolderLock:
    """The right to write into a folder: a locked file with the holder's process id in it.

    The system drops the lock when the holder ends, however it ends, so nothing stale is left to clear.
    Raises UserError if another process holds it.
    """

    def __init__(self, folder: Path, name: str = ".lock") -> None:
        self.path = folder / name
        self._file = self._acquire()

    def _acquire(self) -> int:
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            if not _try_lock(handle):
                refusal = _refusal(handle, self.path.parent)
                os.close(handle)
                raise refusal
            if self._is_still_at_path(handle):
                os.truncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
                return handle
            os.close(handle)  # the last holder removed the file between our opening and locking it

    def _is_still_at_path(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Remove the lock file and let go; does nothing the second time."""
        if self._file < 0:
            return
        if sys.platform != "win32":  # Windows removes no open file, and a lock file left behind does no harm
            self.path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        os.lseek(handle, 1 << 20, os.SEEK_SET)  # Windows locks bytes against reading too: not those of the id
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True
else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
