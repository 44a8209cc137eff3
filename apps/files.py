"""Files that an export puts beside its list: whole or absent, and the originals as they were."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def link_file(source: Path, target: Path) -> None:
    """A second name for the same bytes, or a copy of them on another disk."""
    if target.exists() and target.samefile(source):
        return
    temporary = temporary_beside(target)
    try:
        os.link(source, temporary)
        temporary.replace(target)
    except OSError:
        copy_file(source, target)
    finally:
        temporary.unlink(missing_ok=True)


def copy_file(source: Path, target: Path) -> None:
    """A copy of its own."""
    temporary = temporary_beside(target)
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_beside(target: Path) -> Path:
    """The name under which a file is written before it takes the place of `target`."""
    return target.with_name(f".{target.name}.new-{os.getpid()}")
