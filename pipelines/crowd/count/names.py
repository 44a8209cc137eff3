"""What the files of an item are called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

LONGEST: Final = 100  # characters; with an ending and a mark it stays below 255 bytes in any script
_UNSAFE: Final = re.compile(r"[^\w.-]+")


def safe(text: str) -> str:
    """The text as a name of a file on any system: letters, digits, `_`, `-` and dots, none of them first."""
    printable = text.encode("utf-8", "replace").decode("utf-8")
    name = _UNSAFE.sub("_", printable).strip("._")
    while len(name.encode()) > 2 * LONGEST or len(name) > LONGEST:
        name = name[:-1].rstrip("._")
    return name or "unnamed"


def file_names(paths: Sequence[Path]) -> list[str]:
    """A name for each file that differs from all others, large and small letters being one.

    That of the file without its ending, made safe. Where several files come to one, as many folders as tell
    them apart go before it, and a number where none do.
    """
    names = [safe(path.stem) for path in paths]
    deepest = max((len(path.parts) for path in paths), default=0)
    for depth in range(1, deepest):
        twice = _twice(names)
        if not twice:
            return names
        for number, path in enumerate(paths):
            if names[number].casefold() in twice:
                folders = path.parent.parts[-depth:]
                names[number] = safe("_".join([*folders, path.stem]))
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
