"""How data sets of polyps are laid out on disk, told by the folders and files that are there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pipelines.common.media.folders import Entries

from .clips import polyp_sense, polyp_size
from .listing import Listing
from .own import own
from .realcolon import real_colon
from .stills import kvasir, polypgen, voc
from .sun import sun, sun_seg

# The first that fits is taken: those with the more telling names come first.
_LOOKS: Final[dict[str, Callable[[Entries, Path], Listing | None]]] = {
    "csv": own,
    "real-colon": real_colon,
    "sun": sun,
    "sun-seg": sun_seg,
    "polypsense3d": polyp_sense,
    "voc": voc,
    "polypgen": polypgen,
    "kvasir-seg": kvasir,
    "polyp-size": polyp_size,
}
LAYOUTS: Final = tuple(_LOOKS)
_SPLITS: Final = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def recognise(entries: Entries, root: Path, forced: str = "") -> tuple[str, Listing] | None:
    """The layout of one folder and what it lists, or None if it is none that is known.

    root: the folder that the user named; tables may lie in it. forced: the only layout to look for.
    """
    for name, look in _LOOKS.items():
        if forced in ("", name):
            found = look(entries, root)
            if found is not None:
                return name, found
    return None


def split_of(path: Path) -> str:
    """`train`, `val` or `test` if a part of the path says so, such as `TrainDataset` or `test_easy`."""
    for part in reversed(path.parts):
        for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", part):
            if word.lower() in _SPLITS:
                return _SPLITS[word.lower()]
    return ""
