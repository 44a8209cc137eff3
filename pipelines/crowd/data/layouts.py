"""How data sets of crowds are laid out on disk, told by the folders and files that are there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pipelines.common.media.documents import load_json
from pipelines.common.media.folders import Entries, entries_of, natural, some

from . import limits
from .images import is_image_name
from .lists import Listing, coco_cases, csv_cases, is_coco
from .record import Case, CrowdError

__all__ = ["LAYOUTS", "natural", "recognise", "split_of"]

CSV_NAME: Final = "heads.csv"
ANN: Final = "_ann"


@dataclass(frozen=True, slots=True)
class _Paired:
    """Images in one folder and a label file for each in another."""

    layout: str
    images: tuple[str, ...]
    labels: tuple[str, ...]
    ending: str
    format: str
    prefix: str = ""  # of the label files' names, before the name of the image


_PAIRED: Final = (
    _Paired("shanghaitech", ("images",), ("ground_truth", "ground-truth"), ".mat", "mat", "GT_"),
    _Paired("beijing-brt", ("frame", "frames"), ("ground_truth", "ground-truth"), ".mat", "mat"),
    _Paired("nwpu", ("images",), ("jsons",), ".json", "nwpu"),
    _Paired("nwpu", ("images",), ("mats",), ".mat", "mat"),
    _Paired("jhu-crowd++", ("images",), ("gt",), ".txt", "jhu"),
    _Paired("visdrone", ("images",), ("annotations",), ".txt", "visdrone"),
)
_SPLIT_LISTS: Final = {"train.txt": "train", "val.txt": "val", "test.txt": "test"}
_SPLITS: Final = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def recognise(folder: Path, root: Path, forced: str = "") -> tuple[str, Listing] | None:
    """The layout of one folder and its cases, or None if it is none that is known.

    root: the folder that the user named, below which images of lists are looked for.
    forced: the only layout to look for, one of LAYOUTS.
    """
    entries = entries_of(folder)
    for name, look in _LOOKS:
        if forced in ("", name) or (forced == "txt" and name == "unity"):
            found = look(entries, root)
            if found is not None:
                return (name, found) if forced != "txt" else ("txt", _from_the_top(found))
    return None


def split_of(path: Path) -> str:
    """`train`, `val` or `test` if a part of the path says so, such as `train_data` or `VisDrone-DET-val`."""
    for part in reversed(path.parts):
        for word in re.split(r"[\W_\d]+", part.lower()):
            if word in _SPLITS:
                return _SPLITS[word]
    return ""


def _from_csv(entries: Entries, root: Path) -> Listing | None:
    path = entries.folder / CSV_NAME
    return csv_cases(path) if path in entries.files else None


def _paired(rule: _Paired) -> Callable[[Entries, Path], Listing | None]:
    def look(entries: Entries, root: Path) -> Listing | None:
        places = [entries.folders[one] for one in rule.images if one in entries.folders]
        if rule.layout == "nwpu":  # it is handed out in parts, which need not be put together
            places = [
                path for name, path in entries.folders.items() if re.fullmatch(r"images(_part\d+)?", name)
            ]
        labels = next((entries.folders[one] for one in rule.labels if one in entries.folders), None)
        if not places or labels is None:
            return None
        files = {
            path.stem.removeprefix(rule.prefix): path
            for path in entries_of(labels).files
            if path.suffix.lower() == rule.ending
        }
        if not files:
            return None
        images = [path for place in places for path in entries_of(place).files]
        listing = _pair(images, files, rule.format)
        _split_by_lists(entries, listing)
        return listing

    return look


def _beside(entries: Entries, ending: str, suffix: str, format: str) -> Listing | None:
    """Label files beside their images, in the same folder."""
    images = [path for path in entries.files if is_image_name(path)]
    stems = {path.stem for path in images}
    files = {
        path.stem.removesuffix(suffix): path
        for path in entries.files
        if path.suffix.lower() == ending and path.stem.endswith(suffix)
    }
    if not stems & files.keys():
        return None
    if not suffix:  # other text files may lie about
        files = {stem: path for stem, path in files.items() if stem in stems}
    return _pair(images, files, format)


def _ucf(entries: Entries, root: Path) -> Listing | None:
    return _beside(entries, ".mat", ANN, "mat")


def _unity(entries: Entries, root: Path) -> Listing | None:
    listing = _beside(entries, ".txt", "", "unity")
    if listing is not None:
        listing.notes.append(
            "text files beside the images are read as the synthetic Unity set has them, with y from the lower"
            " edge; if y is from the top, name the layout: txt"
        )
    return listing


def _from_the_top(listing: Listing) -> Listing:
    cases = [replace(case, format="xy") if case.format == "unity" else case for case in listing.cases]
    return Listing(cases, [note for note in listing.notes if "Unity" not in note])


def _coco(entries: Entries, root: Path) -> Listing | None:
    places = [entries.folder, *([entries.folders["annotations"]] if "annotations" in entries.folders else [])]
    listing, seen, found = Listing(), set[Path](), False
    for path in (path for place in places for path in entries_of(place).files):
        if path.suffix.lower() != ".json":
            continue
        try:
            if not is_coco(load_json(path, limits.MAX_LIST_BYTES)):
                continue
            found = True
            one = coco_cases(path, entries.folder)
        except CrowdError as error:
            listing.notes.append(f"{path.name} is left out: {error}")
            continue
        split = split_of(Path(path.stem))
        fresh = [replace(case, split=split) for case in one.cases if case.image not in seen]
        if len(fresh) < len(one.cases):
            listing.notes.append(
                f"{len(one.cases) - len(fresh)} images of {path.name} are in an earlier list and taken once"
            )
        listing.cases += fresh
        listing.notes += one.notes
        seen |= {case.image for case in fresh}
    return listing if found else None


def _pair(images: list[Path], labels: dict[str, Path], format: str) -> Listing:
    listing, others, twice = Listing(), [], []
    stems: set[str] = set()
    for path in images:
        if not is_image_name(path):
            others.append(path.name)
        elif path.stem in stems:
            twice.append(path.name)
        else:
            stems.add(path.stem)
            listing.cases.append(Case(path.stem, path, labels.get(path.stem), format))
    orphans = [path.name for stem, path in labels.items() if stem not in stems]
    for names, what in (
        (orphans, "label files have no image"),
        (twice, "images have the name of another one and are left out"),
        (
            [name for name in others if not name.lower().endswith((".txt", ".mat", ".json"))],
            "files are no images",
        ),
    ):
        if names:
            listing.notes.append(some(names, what))
    return listing


def _split_by_lists(entries: Entries, listing: Listing) -> None:
    """Splits by NWPU's lists: the first word of a line is the name of an image."""
    splits: dict[str, str] = {}
    for path in entries.files:
        if path.name in _SPLIT_LISTS:
            try:
                text = limits.read_bytes(path, limits.MAX_LABEL_BYTES, may_be_empty=True).decode(
                    "utf-8-sig", "replace"
                )
            except CrowdError as error:
                listing.notes.append(f"{path.name} is left out: {error}")
                continue
            words = (line.split()[0] for line in text.splitlines() if line.strip())
            splits |= {Path(word.strip(",;")).stem: _SPLIT_LISTS[path.name] for word in words}
    if splits:
        listing.cases = [replace(case, split=splits.get(case.name, "")) for case in listing.cases]
        unknown = splits.keys() - {case.name for case in listing.cases}
        if unknown:
            listing.notes.append(
                some(sorted(unknown, key=natural), "names in the lists of splits have no image")
            )


def _looks() -> Iterator[tuple[str, Callable[[Entries, Path], Listing | None]]]:
    yield "csv", _from_csv
    for rule in _PAIRED:
        yield rule.layout, _paired(rule)
    yield "ucf", _ucf
    yield "coco", _coco
    yield "unity", _unity


_LOOKS: Final = tuple(_looks())
LAYOUTS: Final = (*dict.fromkeys(name for name, _ in _LOOKS), "txt")
