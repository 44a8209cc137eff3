"""Cases to train on: which files are the images of a case and which its labels.

Names and lists are read here and no volumes, so that a large data set is listed at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import layouts, lists
from .cases import Case, Listing
from .record import VolumeError

__all__ = ["Case", "Dataset", "read_dataset"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Cases in the order of their names.

    channels: what the images of each case are. label_names: name to value, without the background; empty if
    nothing names them. notes: what is missing, left out or odd, in words for the user.
    """

    cases: tuple[Case, ...]
    channels: tuple[str, ...]
    label_names: dict[str, int]
    notes: tuple[str, ...]


def read_dataset(
    folder: str | Path, labels: str | Path | None = None, channels: Sequence[str] | None = None
) -> Dataset:
    """The cases of a folder, in one of these layouts, tried in this order:

    - `cases.csv` or `cases.json` in it, or named itself: a list (see `lists.listed`);
    - `imagesTr` and `labelsTr`, as the Medical Segmentation Decathlon and nnU-Net have them;
    - images in the folder and label maps of the same names in the folder `labels`;
    - one folder per case, with files that `channels` and `labels` name.

    Args:
        labels: a folder of label maps, or the name or pattern of the label map in each case's folder, such as
            `seg` or `OTMultiClass*`.
        channels: names or patterns of the images of a case, in order, such as `Flair*` and `T1c*`; see
            `channels.matches`.

    A case that lacks an image is left out and noted; one without labels is kept and noted. What is wrong
    inside the files is found when they are read. Raises VolumeError if there is no case at all.
    """
    folder = Path(folder)
    listing = _listing(folder, labels, tuple(channels or ()))
    cases, notes = sorted(listing.cases, key=lambda case: case.name), list(listing.notes)
    if not cases:
        reasons = f": {notes[0]}" if notes else ""
        raise VolumeError(f"{folder} holds no case that can be used{reasons}")
    unlabelled = [case.name for case in cases if case.labels is None]
    if unlabelled:
        more = ", ..." if len(unlabelled) > 5 else ""
        notes.append(
            f"{len(unlabelled)} of {len(cases)} cases have no labels: {', '.join(unlabelled[:5])}{more}"
        )
    return Dataset(tuple(cases), listing.channels, listing.label_names, tuple(notes))


def _listing(folder: Path, labels: str | Path | None, channels: tuple[str, ...]) -> Listing:
    if not folder.exists():
        raise VolumeError(f"there is no {folder}")
    if folder.is_file():
        return lists.listed(folder, channels)
    for name in lists.LISTS:
        if (folder / name).is_file():
            return lists.listed(folder / name, channels)
    label_folder = Path(labels) if labels is not None and Path(labels).is_dir() else None
    if (folder / layouts.IMAGES).is_dir():
        return layouts.paired(folder / layouts.IMAGES, label_folder or folder / layouts.LABELS, channels)
    if label_folder is not None and layouts.volume_paths(folder, folders=False):
        return layouts.paired(folder, label_folder, channels)
    return layouts.one_folder_each(folder, label_folder or (str(labels) if labels else None), channels)
