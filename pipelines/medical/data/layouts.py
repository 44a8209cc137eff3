"""How data sets are laid out on disk, each as a list of cases."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from pipelines.common.whole import whole_number

from .cases import Case, Listing, name_apart
from .channels import NUMBERED, group_files, plain_name
from .files import is_volume_name
from .lists import read_json
from .names import case_name
from .record import VolumeError
from .walk import walk

IMAGES: Final = "imagesTr"
LABELS: Final = "labelsTr"
ABOUT: Final = "dataset.json"


def paired(images: Path, labels: Path, channels: tuple[str, ...]) -> Listing:
    """Images in one folder and label maps of the same names in another, with an optional `dataset.json`.

    Several channels of a case are files that end in `_0000`, `_0001` and so on, whose label map has the name
    without the number, as nnU-Net has it.
    """
    about, notes = _about(images.parent / ABOUT)
    masks = {case_name(path): path for path in volume_paths(labels)} if labels.is_dir() else {}
    paths = volume_paths(images)
    cases, numbers = _numbered(paths, masks)
    names = channels or _channel_names(about)
    if numbers:
        count = len(names) if len(names) > 1 else max(numbers.values())
        names = names if len(names) == count else tuple(f"channel {one}" for one in range(count))
        incomplete = [case for case in cases if len(case.images) != count]
        notes += [
            f"{case.name} is left out: it has {len(case.images)} images and {count} are needed"
            for case in incomplete
        ]
        cases = [case for case in cases if len(case.images) == count]
    elif len(names) != 1:
        names = ("image",)
    have = {case.name for case in cases} | set(numbers)
    notes += [f"the label map {path.name} has no image" for name, path in masks.items() if name not in have]
    label_names, odd = _label_names(about)
    return Listing(cases, tuple(map(plain_name, names)), label_names, notes + odd)


def one_folder_each(folder: Path, labels: Path | str | None, channels: tuple[str, ...]) -> Listing:
    """One folder per case. labels: pattern of the label map's name in it, or a folder of label maps with the
    names of the cases."""
    pattern = labels if isinstance(labels, str) else None
    if not channels:
        raise VolumeError(
            f"{folder} has no {IMAGES} and no cases.csv. If it has one folder per case, name the images of a"
            " case with --channel and its label map with --labels. To try a training,"
            " suite sample medical --cases 24 --out cases makes a set"
        )
    masks = {case_name(path): path for path in volume_paths(labels)} if isinstance(labels, Path) else {}
    paths = [
        path for place, _, _ in walk(folder) if place != labels for path in volume_paths(place, folders=False)
    ]
    patterns = [*channels, *([pattern] if pattern else [])]
    groups = group_files(
        [(path.parent, case_name(path)) for path in paths], patterns, len(patterns) - len(channels)
    )
    listing = Listing([], tuple(map(plain_name, channels)))
    for group in groups:
        if group.problem:
            listing.notes.append(f"{group.name} is left out: {group.problem}")
            continue
        members = [None if number is None else paths[number] for number in group.members]
        images = tuple(path for path in members[: len(channels)] if path is not None)
        mask = members[-1] if pattern else masks.get(group.name)
        listing.cases.append(Case(group.name, images, mask))
    name_apart(listing)
    return listing


def volume_paths(folder: Path, *, folders: bool = True) -> list[Path]:
    """Files of a folder whose names are those of volumes, sorted, and folders, which may hold DICOM."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise VolumeError(f"{folder} cannot be read: {error.strerror}") from error
    return [
        path
        for path in entries
        if not path.name.startswith(".") and ((folders and path.is_dir()) or is_volume_name(path))
    ]


def _numbered(paths: list[Path], masks: dict[str, Path]) -> tuple[list[Case], dict[str, int]]:
    """Cases, and for nnU-Net's names how many images each has, else nothing.

    A number of four digits may also be part of a case's own name; then a label map has it too.
    """
    names = {case_name(path): path for path in paths}
    parts = {name: NUMBERED.fullmatch(name) for name in names}
    if not names or not all(parts.values()) or any(name in masks for name in names):
        return [Case(name, (path,), masks.get(name)) for name, path in names.items()], {}
    images: dict[str, dict[int, Path]] = defaultdict(dict)
    for name, path in names.items():
        found = parts[name]
        assert found is not None
        images[found[1]][int(found[2])] = path
    cases = [
        Case(name, tuple(path for _, path in sorted(some.items())), masks.get(name))
        for name, some in images.items()
    ]
    return cases, {case.name: len(case.images) for case in cases}


def _about(path: Path) -> tuple[dict[str, Any], list[str]]:
    if not path.is_file():
        return {}, []
    about = read_json(path)
    return (
        (about, []) if isinstance(about, dict) else ({}, [f"{path.name} is no JSON object and was not used"])
    )


def _channel_names(about: dict[str, Any]) -> tuple[str, ...]:
    """From nnU-Net's `channel_names` or the Decathlon's `modality`: number to name."""
    found = about.get("channel_names") or about.get("modality") or {}
    if not isinstance(found, dict):
        return ()
    numbers = {number: str(found[key]) for key in found if (number := whole_number(key)) is not None}
    return tuple(numbers[number] for number in sorted(numbers)) if len(numbers) == len(found) else ()


def _label_names(about: dict[str, Any]) -> tuple[dict[str, int], list[str]]:
    """nnU-Net has name to value, the Decathlon value to name."""
    names: dict[str, int] = {}
    notes = []
    labels = about.get("labels")
    for key, value in labels.items() if isinstance(labels, dict) else ():
        by_number = whole_number(key) is not None and isinstance(value, str)
        stated, name = (key, value) if by_number else (value, key)
        number = whole_number(stated)
        if isinstance(stated, list):
            notes.append(f"{ABOUT} makes the label {name!r} of several values, which is not read")
        elif number is None:
            notes.append(f"{ABOUT} gives the label {name!r} no whole number")
        elif number:
            names[str(name)] = number
    return names, notes
