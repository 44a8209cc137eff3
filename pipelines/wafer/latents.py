"""Latents beside the rows of a run, for what is asked of a run later: clusters, and what is alike.

`latents.jsonl` holds one JSON object per line and classified map:

    source, map   the key of the map's row in `results.jsonl`
    item          the row's hash of what was read
    latent        base64 of little-endian float32 (D,): the principal components of the novelty mixture,
                  scaled so that the spread within the mixture's components is 1 along every axis

So the Euclidean distance between two maps of one model is a Mahalanobis distance, and no model is needed to
read it. Latents of different models do not compare. A map of 32 components takes about 250 bytes.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.common.files import sync_folder

LATENTS: Final = "latents.jsonl"
MAX_DIMENSION: Final = 4_096

Key = tuple[str, int]
Vector = NDArray[np.float32]


class LatentFile:
    """The file of one run, to which batches are added; a context manager.

    Its lines go to the disk before the rows they belong to, so after a kill it may hold lines too many, and
    one that is torn. The torn one is cut off here; of two lines with one key, the reader takes the later.
    Nothing is written, not even an empty file, as long as no map has a latent.
    """

    def __init__(self, run: Path, *, resume: bool) -> None:
        self.path = run / LATENTS
        self._file: IO[str] | None = None
        if not resume:
            self.path.unlink(missing_ok=True)
        elif self.path.exists():
            _cut_torn_line(self.path)

    def append(self, pairs: Iterable[tuple[Mapping[str, Any], Vector | None]]) -> None:
        """Add the latents of these rows; a row whose latent is None gets no line."""
        lines = [_line(row, latent) for row, latent in pairs if latent is not None]
        if not lines:
            return
        if self._file is None:
            self._file = self.path.open("a", encoding="utf-8")
            sync_folder(self.path.parent)
        self._file.write("".join(lines))
        self._file.flush()
        os.fsync(self._file.fileno())

    def discard(self) -> None:
        """Remove the file."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> LatentFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def read_latents(run: Path) -> dict[Key, tuple[str, Vector]]:
    """The item hash and the latent float32 (D,) of each map, by source and map; empty if there is no file.

    A line that is torn or damaged counts as missing: a latent can be had again by classifying the map again.
    """
    found: dict[Key, tuple[str, Vector]] = {}
    try:
        lines = (run / LATENTS).open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return found
    with lines:
        for line in lines:
            try:
                parts = json.loads(line)
                key, item = (str(parts["source"]), int(parts["map"])), str(parts["item"])
                vector = np.frombuffer(b64decode(parts["latent"], validate=True), "<f4")
            except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
                continue
            if 0 < len(vector) <= MAX_DIMENSION and np.isfinite(vector).all():
                found[key] = (item, vector)
    return found


def _line(row: Mapping[str, Any], latent: Vector) -> str:
    parts = {name: row[name] for name in ("source", "map", "item")}
    parts["latent"] = b64encode(np.ascontiguousarray(latent, "<f4").tobytes()).decode()
    return json.dumps(parts, separators=(",", ":")) + "\n"


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        end = kept = file.seek(0, os.SEEK_END)
        while kept:
            start = max(0, kept - 65_536)
            file.seek(start)
            newline = file.read(kept - start).rfind(b"\n")
            if newline >= 0:
                kept = start + newline + 1
                break
            kept = start
        if kept < end:
            file.truncate(kept)
