"""What a case is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ENDINGS: Final = (".nii", ".hdr", ".img", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".dicom")


def case_name(path: Path) -> str:
    """The name of a file without the endings of its format, `.gz` among them."""
    name = path.name
    bare = name[:-3] if name.lower().endswith(".gz") else name
    for ending in ENDINGS:
        if bare.lower().endswith(ending) and len(bare) > len(ending):
            return bare[: -len(ending)]
    return name


def unique_names(named: Sequence[tuple[str, Path]]) -> list[str]:
    """Names that differ, for cases of these names that lie in these folders.

    A name that is there once stays. Others get as many folders before them as it takes to tell them apart,
    joined by `_`, and a number if no folder does. Large and small letters count as one, since files are
    named after the cases and not every disk tells them apart.
    """
    names = [name for name, _ in named]
    deepest = max((len(folder.parts) for _, folder in named), default=0)
    for depth in range(1, deepest + 1):
        twice = _twice(names)
        if not twice:
            return names
        for number, (name, folder) in enumerate(named):
            if names[number].casefold() in twice:
                parts = [part for part in folder.parts[-depth:] if part != folder.anchor]
                names[number] = "_".join([*parts, name])
    taken: set[str] = set()
    for number, name in enumerate(names):
        again = 2
        while names[number].casefold() in taken:
            names[number] = f"{name}_{again}"
            again += 1
        taken.add(names[number].casefold())
    return names


def _twice(names: Sequence[str]) -> set[str]:
    counts = Counter(name.casefold() for name in names)
    return {name for name, count in counts.items() if count > 1}
