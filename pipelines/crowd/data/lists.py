"""Files that list the heads of many images: CSV and COCO's JSON."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from pipelines.common.files import replacing
from pipelines.common.media.documents import load_json
from pipelines.common.media.folders import inside, some

from . import limits
from .boxes import head_points
from .labels import numbers
from .record import Case, CrowdError, Marks, Points

CSV_COLUMNS: Final = ("image", "x", "y")
PEOPLE: Final = ("person", "people", "pedestrian", "human", "man", "woman", "child")
HEADS: Final = ("head", "face")
HEAD_KEYPOINTS: Final = ("head", "nose", "left_eye", "right_eye", "left_ear", "right_ear")


@dataclass(slots=True)
class Listing:
    """Cases that a layout or a list names, and what was odd."""

    cases: list[Case] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def csv_cases(path: Path) -> Listing:
    """Cases of a CSV file with the columns image, x and y; other columns are passed over.

    A row per head. A row without x and y says that the image is there and has no heads. Images lie where the
    file lies or below. Raises CrowdError, without the path, if the file is unusable as a whole.
    """
    try:
        text = limits.read_bytes(path, limits.MAX_LIST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CrowdError("it is no text in UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: dict[str, list[tuple[str, str]]] = defaultdict(list)
    listing = Listing()
    short: list[str] = []
    try:
        columns = _columns(next(reader, []))
        for row in reader:
            if not any(row):
                continue
            if len(row) <= max(columns):
                short.append(str(reader.line_num))
                continue
            image, x, y = (row[one].strip() for one in columns)
            rows[image].append((x, y))
    except csv.Error as error:
        raise CrowdError(f"line {reader.line_num} of the CSV cannot be read: {error}") from error
    if short:
        listing.notes.append(some(short, "lines are too short and were left out"))
    missing, outside = [], []
    for image, heads in rows.items():
        found = inside(path.parent, image)
        if found is None:
            outside.append(image or "(no name)")
        elif not found.is_file():
            missing.append(image)
        else:
            marks, bad = _heads(heads)
            notes = (f"{bad} rows of {image} hold no numbers and were left out",) if bad else ()
            one = Marks(marks, "upright", notes=notes)
            listing.cases.append(Case(str(Path(image).with_suffix("")), found, marks=one))
    if missing:
        listing.notes.append(some(missing, "images that the list names are missing"))
    if outside:
        listing.notes.append(some(outside, "names lead out of the folder of the list and were left out"))
    return listing


def write_csv(path: Path, heads: Mapping[str, ArrayLike]) -> None:
    """Write a list that `csv_cases` reads: name of each image, relative to the list's folder, to its heads.

    heads: (N, 2), x and y in px of the upright image; an image without heads gets a row without x and y. The
    list is whole or absent, and numbers come back as they are.
    """
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for image, points in heads.items():
            table = np.asarray(points, np.float64).reshape(-1, 2).tolist()
            writer.writerows([(image, x, y) for x, y in table] or [(image, "", "")])


def _columns(header: list[str]) -> tuple[int, ...]:
    names = [name.strip().lower() for name in header]
    lacking = [name for name in CSV_COLUMNS if name not in names]
    if lacking:
        raise CrowdError(
            f"the first line must name the columns image, x and y; it lacks {' and '.join(lacking)}"
        )
    return tuple(names.index(name) for name in CSV_COLUMNS)


def _heads(rows: list[tuple[str, str]]) -> tuple[Points, int]:
    points, bad = [], 0
    for x, y in rows:
        if not x and not y:
            continue
        try:
            points.append((float(x), float(y)))
        except ValueError:
            bad += 1
    return np.array(points, np.float64).reshape(-1, 2), bad


def coco_cases(path: Path, root: Path) -> Listing:
    """Cases of a COCO file: each annotation of a person, head or face is one head.

    The point is `point` if an annotation has it, else the mean of the labelled keypoints of the head, else
    one made of the box (see `boxes.head_points`). Annotations with `iscrowd` stand for an unknown number of
    people and are left out. Raises CrowdError, without the path, if the file is unusable as a whole.
    """
    found = load_json(path, limits.MAX_LIST_BYTES)
    if not is_coco(found):
        raise CrowdError("it is no COCO file: it has no lists of images and annotations")
    categories = _categories(found.get("categories"))
    heads: dict[Any, list[tuple[float, float]]] = defaultdict(list)
    crowds, useless = 0, 0
    for one in found["annotations"]:
        named = one.get("category_id") if isinstance(one, dict) else None
        category = categories.get(named) if _plain(named) else None
        if category is None:
            continue
        if one.get("iscrowd"):
            crowds += 1
            continue
        point = _coco_point(one, category)
        if point is None:
            useless += 1
        else:
            heads[one.get("image_id")].append(point)
    listing = Listing()
    if crowds:
        listing.notes.append(f"{crowds} regions of uncounted people (iscrowd) are left out")
    if useless:
        listing.notes.append(f"{useless} annotations have neither a point nor a box and are left out")
    _coco_images(found["images"], heads, path, root, listing)
    return listing


def is_coco(found: Any) -> bool:
    """Whether a JSON document has COCO's two lists."""
    return isinstance(found, dict) and all(
        isinstance(found.get(one), list) for one in ("images", "annotations")
    )


@dataclass(frozen=True, slots=True)
class _Category:
    of_heads: bool
    keypoints: tuple[int, ...]


def _categories(found: Any) -> dict[Any, _Category]:
    """The categories that are people or their heads; the only one, whatever it is called."""
    entries = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    names = {one.get("id"): str(one.get("name", "")).lower() for one in entries if _plain(one.get("id"))}
    # Where heads and bodies both have boxes, a person would count twice.
    for wanted in (HEADS, PEOPLE):
        chosen = [key for key, name in names.items() if any(word in name.split() for word in wanted)]
        if chosen:
            break
    else:
        chosen = list(names) if len(names) == 1 else []
    if not chosen:
        listed = ", ".join(names.values()) or "none"
        raise CrowdError(
            f"no category is one of people or heads ({', '.join(PEOPLE + HEADS)}); it has {listed}"
        )
    keypoints = {one.get("id"): one.get("keypoints") for one in entries if _plain(one.get("id"))}
    return {
        key: _Category(any(word in names[key].split() for word in HEADS), _of_heads(keypoints[key]))
        for key in chosen
    }


def _of_heads(keypoints: Any) -> tuple[int, ...]:
    """The numbers of a category's keypoints that lie on the head, from their names."""
    names = keypoints if isinstance(keypoints, list) else []
    return tuple(number for number, name in enumerate(names) if str(name).lower() in HEAD_KEYPOINTS)


def _plain(found: Any) -> bool:
    return isinstance(found, int | str)


def _coco_point(one: dict[str, Any], category: _Category) -> tuple[float, float] | None:
    if not _plain(one.get("image_id")):
        return None
    try:
        if one.get("point"):
            x, y = (float(value) for value in one["point"][:2])
            return x, y
        if category.keypoints and one.get("keypoints"):
            table = numbers(np.reshape(one["keypoints"], (-1, 3)), "keypoints", 3)
            chosen = table[[number for number in category.keypoints if number < len(table)]]
            seen = chosen[chosen[:, 2] > 0]
            if len(seen):
                return float(seen[:, 0].mean()), float(seen[:, 1].mean())
        box = np.asarray(one.get("bbox"), np.float64)
        if box.shape == (4,):
            x, y = head_points(box, of_heads=category.of_heads)[0].tolist()
            return x, y
    except (CrowdError, TypeError, ValueError):
        return None
    return None


def _coco_images(
    entries: list[Any],
    heads: dict[Any, list[tuple[float, float]]],
    path: Path,
    root: Path,
    listing: Listing,
) -> None:
    split = path.stem.rpartition("_")[2]
    tops = dict.fromkeys((path.parent, root, path.parent.parent if path.parent != root else root))
    places = [top / inner for top in tops for inner in ("", "images", split, f"images/{split}")]
    missing = []
    for entry in entries:
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not _plain(entry.get("id")):
            missing.append("(no name)")
            continue
        found = (one for place in places if (one := inside(place, name)) is not None and one.is_file())
        image = next(found, None)
        if image is None:
            missing.append(name)
            continue
        width, height = entry.get("width"), entry.get("height")
        stated = all(isinstance(side, int) and 0 < side <= limits.MAX_SIDE for side in (width, height))
        points = np.array(heads.get(entry["id"], []), np.float64).reshape(-1, 2)
        size = (width, height) if stated else None
        listing.cases.append(
            Case(str(Path(name).with_suffix("")), image, marks=Marks(points, "upright", size=size))
        )
    if missing:
        listing.notes.append(some(missing, "images that the list names are missing"))
