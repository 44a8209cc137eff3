"""Which files a pretraining learns from. Nothing is read here but folders and heads of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines.common.errors import UserError
from pipelines.medical.data.dataset import read_dataset
from pipelines.medical.data.files import VolumeFile, find_volumes
from pipelines.medical.data.names import unique_names

DECATHLON: Final = ("imagesTr", "imagesTs")


@dataclass(frozen=True, slots=True)
class Images:
    """The images of one case, in the order of the plan's channels."""

    name: str
    sources: tuple[VolumeFile | Path, ...]

    @property
    def paths(self) -> list[Path]:
        return [one.path if isinstance(one, VolumeFile) else one for one in self.sources]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is not learnt from, and why, in words for the user. failed: it was meant to be an image."""

    name: str
    reason: str
    failed: bool = True


def find_images(paths: Sequence[Path], channels: Sequence[str]) -> tuple[list[Images], list[LeftOut]]:
    """The cases in files and folders: every volume is one, or several that belong together.

    channels: what the images of a case are; with more than one, `paths` is one folder of cases. In a folder
    with `imagesTr`, only that and `imagesTs` are looked into, as label maps lie beside them.
    Raises UserError if there is nothing to learn from.
    """
    if len(channels) > 1:
        if len(paths) != 1 or not paths[0].is_dir():
            raise UserError("cases of several images are read from one folder; give that alone")
        data = read_dataset(paths[0], None, channels)
        return [Images(case.name, case.images) for case in data.cases], []
    found: list[VolumeFile] = []
    left_out: list[LeftOut] = []
    reason = ""
    for item in find_volumes([part for path in paths for part in _image_folders(path)]):
        if isinstance(item, VolumeFile):
            found.append(item)
        else:
            reason = reason or f": {item.path}: {item.reason}"
            if item.named:  # other files in a folder are not worth a word
                left_out.append(LeftOut(str(item.path), item.reason))
    if not found:
        raise UserError(f"there is no volume to learn from{reason}")
    names = unique_names([(one.name, one.path.parent) for one in found])
    return [Images(name, (one,)) for name, one in zip(names, found, strict=True)], left_out


def _image_folders(path: Path) -> list[Path]:
    parts = [path / name for name in DECATHLON if (path / name).is_dir()]
    return parts or [path]
