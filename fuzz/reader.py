"""What a reader is to the harness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEMORY: Final = 512 * 2**20
MAX_BYTES: Final = 64 * 2**10  # of an input


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader, and how to feed it.

    seeds: small files that it reads, made by the project's own generators.
    read: reads the bytes, in an empty folder of its own that it may write them to. Returns why parts were
        refused, such as the failed wafers of a file; nothing if all of it was read.
    errors: what it raises to refuse a file as a whole. Anything else is a finding.
    words: what means something to it, for the changes.
    memory: bytes that the process may grow by, in all.
    folder: whether an input stands for several files: it is a zip of `containers.pack`, of which only the
        files are changed.
    """

    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[bytes, Path], Sequence[str]]
    errors: tuple[type[Exception], ...]
    words: tuple[bytes, ...] = ()
    memory: int = MEMORY
    folder: bool = False
