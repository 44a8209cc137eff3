"""Cases to train on: which files are the images of a case and which its labels.

Nothing but names and `dataset.json` is read here, so that a large data set is listed at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .names import case_name

IMAGES, LABELS, ABOUT = "imagesTr", "labelsTr", "dataset.json"
MAX_JSON_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Case:
    """One patient's images, in the order of the channels, and the label map if there is one."""

    name: str
    images: tuple[Path, ...]
    labels: Path | None


@dataclass(frozen=True, slots=True)
class Dataset:
    """cases: in the order of their names. channels: what the images are. label_names: name to value, without
    the background; empty if nothing names them. notes: what is missing or odd, in words for the user."""

    cases: tuple[Case, ...]
    channels: tuple[str, ...]
    label_names: dict[str, int]
    notes: tuple[str, ...]


def read_dataset(folder: Path, labels: Path | None = None, channels: Sequence[str] | None = None) -> Dataset:
    """The cases of a folder in the layout of the Medical Segmentation Decathlon."""
    about = _about(folder)
    images = {case_name(path): path for path in _volumes(folder / IMAGES)}
    masks = {case_name(path): path for path in _volumes(labels or folder / LABELS)}
    cases = tuple(Case(name, (path,), masks.get(name)) for name, path in sorted(images.items()))
    return Dataset(cases, tuple(channels or ("image",)), about, ())


def _volumes(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _about(folder: Path) -> dict[str, int]:
    path = folder / ABOUT
    if not path.is_file():
        return {}
    about = json.loads(path.read_text())
    return {str(name): int(value) for value, name in about.get("labels", {}).items() if value != "0"}
