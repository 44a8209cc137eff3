"""The folder for what a benchmark keeps between runs: it says to git that nothing in it is to be tracked."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def cache_folder(name: str, root: Path | None = None) -> Path:
    """`.cache/benchmarks/<name>` in the checkout (or in `root`), made if it is not there."""
    top = (root or ROOT) / ".cache" / "benchmarks"
    folder = top / name
    folder.mkdir(parents=True, exist_ok=True)
    ignore = top / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return folder


def fingerprint(path: Path) -> str:
    """A short name for a file as it is now, by its place, size and time; for what is derived from it."""
    stat = path.stat()
    text = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    return blake2b(text.encode(), digest_size=6).hexdigest()


def contents(folder: Path) -> str:
    """A short name for what lies in a folder, by names and sizes: it outlives a copy, as hours of training
    should."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [f"{path.relative_to(folder).as_posix()} {path.stat().st_size}" for path in files]
    return blake2b("\n".join(rows).encode(), digest_size=6).hexdigest()


def replace_file(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it, so that a killed run leaves no half of one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
