"""Inputs that stand for a folder of files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..containers import unpack


@contextmanager
def laid_out(data: bytes, folder: Path) -> Iterator[list[str]]:
    """The files of an input in a folder, which is emptied afterwards; gives their names."""
    files = unpack(data)
    try:
        for name, content in files.items():
            path = folder / name
            if path.parent != folder:
                path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield list(files)
    finally:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
