"""What a case is called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

ENDINGS: Final = (".nii", ".hdr", ".img", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".dicom")


def case_name(path: Path) -> str:
    """The name of a file without the endings of its format, `.gz` before them."""
    name = path.name
    bare = name[:-3] if name.lower().endswith(".gz") else name
    for ending in ENDINGS:
        if bare.lower().endswith(ending) and len(bare) > len(ending):
            return bare[: -len(ending)]
    return name


def unique_names(paths: Sequence[Path]) -> list[str]:
    """A name for each path: its case name, with as many folders before it as it takes to tell them apart.

    Paths that are equal get a number.
    """
    names = [case_name(path) for path in paths]
    for depth in range(1, max((len(path.parts) for path in paths), default=0)):
        twice = {name for name in names if names.count(name) > 1}
        if not twice:
            break
        for number, path in enumerate(paths):
            folders = path.parent.parts[-depth:]
            if names[number] in twice and len(path.parent.parts) >= depth:
                names[number] = "_".join([*(part.strip("/\\:") for part in folders), case_name(path)])
    return names
