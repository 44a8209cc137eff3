"""A folder to cases, and cases to images with their heads.

To list cases opens no image and no label file of a single image, so that a large data set is listed at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pipelines.common.media.folders import entries_of, natural, some

from . import limits
from .images import image_size, read_image
from .labels import read_labels
from .layouts import LAYOUTS, recognise, split_of
from .lists import Listing, coco_cases, csv_cases
from .placing import place
from .record import Case, CrowdError, Dataset, FailedCase, Heads, LabelledImage

MAX_DEPTH: Final = 5
MAX_FOLDERS: Final = 10_000
_PERSPECTIVE: Final = ("pmapn.mat", "perspective_map.mat", "pmap.mat")


def read_dataset(folder: str | Path, *, layout: str = "") -> Dataset:
    """The cases of a data set: a folder in one of the known layouts, or a CSV or COCO file itself.

    A folder that is none is searched with the folders in it, so that both `part_A` and `part_A/train_data`
    may be named. Images without labels are kept, as unlabelled cases, and noted; labels without an image are
    noted. Nothing in a single file can make this fail. layout: the only one to look for, one of LAYOUTS.
    Raises CrowdError if there is no case at all.
    """
    folder = Path(folder)
    if layout and layout not in LAYOUTS:
        raise CrowdError(f"there is no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    if not folder.exists():
        raise CrowdError(f"there is no {folder}")
    if folder.is_file():
        found = [(Path(), *_list_file(folder))]
        perspectives: list[Path] = []
        notes: list[str] = []
    else:
        found, perspectives, notes = _search(folder, layout)
    cases, names = [], set()
    for inner, name, listing in found:
        prefix = f"{inner.as_posix()}/" if len(found) > 1 and inner.parts else ""
        names.add(name)
        notes += [f"{prefix}: {note}" if prefix else note for note in listing.notes]
        split = split_of(inner) or (split_of(Path(folder.resolve().name)) if not inner.parts else "")
        cases += [replace(case, name=prefix + case.name, split=case.split or split) for case in listing.cases]
    if not cases:
        more = f" ({notes[0]})" if notes else ""
        raise CrowdError(f"{folder} holds no data set in a known layout ({', '.join(LAYOUTS)}){more}")
    cases.sort(key=lambda case: natural(case.name))
    bare = [case.name for case in cases if not case.labelled]
    if bare:
        notes.append(some(bare, "images have no labels"))
    perspective = perspectives[0] if len(perspectives) == 1 else None
    return Dataset(tuple(cases), ", ".join(sorted(names)), tuple(notes), perspective)


def read_heads(
    case: Case, *, full_size: tuple[int, int], orientation: int = 1, scale: tuple[float, float] = (1.0, 1.0)
) -> Heads | None:
    """The heads of a case whose image has this upright size in px and EXIF orientation; None if unlabelled.

    scale: from px of the full image to px of the image as it was read. Raises CrowdError.
    """
    marks = case.marks
    if marks is None:
        if case.labels is None:
            return None
        marks = read_labels(case.labels, case.format)
    return place(marks, full_size, orientation, scale)


def read_case(case: Case, *, max_pixels: int = limits.MAX_PIXELS) -> LabelledImage:
    """The image of a case with its heads. Raises CrowdError with the path of the file and the reason."""
    picture = read_image(case.image, max_pixels=max_pixels)
    heads = read_heads(
        case, full_size=picture.full_size, orientation=picture.orientation, scale=picture.scale
    )
    return LabelledImage(case, picture, heads)


def read_cases(
    cases: Iterable[Case], *, max_pixels: int = limits.MAX_PIXELS
) -> Iterator[LabelledImage | FailedCase]:
    """Each case in its turn, one image in memory at a time; one that cannot be read gives its reason."""
    for case in cases:
        try:
            yield read_case(case, max_pixels=max_pixels)
        except CrowdError as error:
            yield FailedCase(case, str(error))


@dataclass(frozen=True, slots=True)
class Survey:
    """What the labels of a data set hold, without its pixels.

    cases, labelled: how many cases, and how many of them have labels that can be read.
    empty: labelled cases without a head. heads: in frame. out_of_frame: points that are left out, in
    `cases_out_of_frame` cases. notes: name of a case and what is odd about it.
    """

    cases: int
    labelled: int
    empty: int
    heads: int
    out_of_frame: int
    cases_out_of_frame: int
    failed: tuple[FailedCase, ...]
    notes: tuple[tuple[str, str], ...]

    def sentence(self) -> str:
        """The counts in words for the user."""
        text = f"{self.heads:,} heads in {self.labelled:,} images ({self.empty:,} of them empty)"
        if self.cases > self.labelled + len(self.failed):
            text += f", {self.cases - self.labelled - len(self.failed):,} images without labels"
        if self.out_of_frame:
            text += (
                f", {self.out_of_frame:,} points out of frame in {self.cases_out_of_frame:,} images left out"
            )
        return text + (f", {len(self.failed):,} cases that cannot be read" if self.failed else "")


def survey(dataset: Dataset) -> Survey:
    """Count heads and find what is odd, from label files and the headers of images."""
    labelled = empty = heads = outside = with_outside = 0
    failed, notes = [], []
    for case in dataset.cases:
        try:
            width, height, orientation = image_size(case.image)
            found = read_heads(case, full_size=(width, height), orientation=orientation)
        except CrowdError as error:
            failed.append(FailedCase(case, str(error)))
            continue
        if found is None:
            continue
        labelled += 1
        empty += not len(found.points)
        heads += len(found.points)
        outside += found.out_of_frame
        with_outside += found.out_of_frame > 0
        notes += [(case.name, note) for note in found.notes]
    return Survey(
        len(dataset.cases), labelled, empty, heads, outside, with_outside, tuple(failed), tuple(notes)
    )


def _list_file(path: Path) -> tuple[str, Listing]:
    try:
        if path.suffix.lower() == ".csv":
            return "csv", csv_cases(path)
        if path.suffix.lower() == ".json":
            return "coco", coco_cases(path, path.parent)
    except CrowdError as error:
        raise CrowdError(f"{path}: {error}") from error
    raise CrowdError(f"{path}: a data set is a folder, a .csv file or a COCO file (.json)")


def _search(top: Path, layout: str) -> tuple[list[tuple[Path, str, Listing]], list[Path], list[str]]:
    """The data sets in a folder, each with its place below it; perspective maps; what could not be read."""
    found: list[tuple[Path, str, Listing]] = []
    perspectives: list[Path] = []
    notes: list[str] = []
    waiting, seen = [(top, 0)], 0
    while waiting:
        folder, depth = waiting.pop()
        seen += 1
        if seen > MAX_FOLDERS:
            notes.append(f"it holds more than {MAX_FOLDERS:,} folders, and the rest were not looked at")
            break
        try:
            one = recognise(folder, top, layout)
            entries = entries_of(folder)
        except CrowdError as error:
            notes.append(str(error))
            continue
        if one is not None:
            found.append((folder.relative_to(top), *one))
            perspectives += [path for path in entries.files if path.name.lower() in _PERSPECTIVE]
        elif depth < MAX_DEPTH:
            inner = sorted(entries.folders.values(), key=lambda path: natural(path.name), reverse=True)
            waiting += [(path, depth + 1) for path in inner]
    return found, perspectives, notes
