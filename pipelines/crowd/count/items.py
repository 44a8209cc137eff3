"""The images and videos of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.crowd.count.names import file_names
from pipelines.crowd.data.inputs import InputFile, Kind, SkippedFile, find_inputs


@dataclass(frozen=True, slots=True)
class Item:
    """An image or a video to count. name: of its files, unique in the run. problem: why it is known to
    fail, else empty."""

    source: Path
    name: str
    kind: Kind
    problem: str = ""

    @property
    def stored_bytes(self) -> int:
        """Of the file; a resumed run tells by it that a file has changed."""
        try:
            return self.source.stat().st_size
        except OSError:
            return 0


def list_items(paths: Sequence[Path]) -> tuple[list[Item], list[SkippedFile]]:
    """All images and videos among files and folders, and what in folders is none."""
    found: list[tuple[Path, Kind, str]] = []
    skipped = []
    for one in find_inputs(paths):
        if isinstance(one, InputFile):
            found.append((one.path, one.kind, ""))
        elif one.named and not one.path.is_dir():
            found.append((one.path, "image", one.reason))
        else:
            skipped.append(one)
    names = file_names([path for path, _, _ in found])
    items = [
        Item(path, name, kind, problem) for (path, kind, problem), name in zip(found, names, strict=True)
    ]
    return items, skipped
