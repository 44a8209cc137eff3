"""Cases that a CSV or JSON file lists."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

from .cases import Case, Listing, name_apart
from .channels import plain_name
from .record import VolumeError

LISTS: Final = ("cases.csv", "cases.json")
MAX_LIST_BYTES: Final = 64 * 2**20
_Row = tuple[str, list[str], str]


def listed(path: Path, channels: tuple[str, ...]) -> Listing:
    """A list of cases: CSV with the columns name, image, image2, ... and label; or JSON, a list of objects
    with `name`, `image` or `images`, and `label`. Paths count from the list's folder and stay within it."""
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
    root = path.parent
    counts = Counter(len(images) for _, images, _ in rows)
    count = len(channels) or (counts.most_common(1)[0][0] if counts else 1)
    names = channels or (("image",) if count == 1 else tuple(f"image {one + 1}" for one in range(count)))
    listing = Listing([], tuple(map(plain_name, names)))
    for name, images, label in rows:
        try:
            if len(images) != count:
                raise VolumeError(f"it has {len(images)} images and {count} are needed")
            found = tuple(_within(root, image) for image in images)
            listing.cases.append(Case(name, found, _within(root, label) if label else None))
        except VolumeError as error:
            listing.notes.append(f"{name} is left out: {error}")
    name_apart(listing)
    return listing


def _csv_rows(path: Path) -> list[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream)
            columns = [name for name in table.fieldnames or () if name.startswith("image")]
            if not columns or "name" not in (table.fieldnames or ()):
                raise VolumeError(f"{path}: the columns name, image and label are needed")
            return [
                (row["name"] or "", [row[name] for name in columns if row[name]], row.get("label") or "")
                for row in table
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise VolumeError(f"{path} cannot be read: {error}") from error


def _json_rows(path: Path) -> list[_Row]:
    content = read_json(path)
    rows = [_json_row(row) for row in (content if isinstance(content, list) else [None])]
    good = [row for row in rows if row is not None]
    if len(good) < len(rows):
        raise VolumeError(f"{path}: a list of objects with name, image (or images) and label is needed")
    return good


def _json_row(row: Any) -> _Row | None:
    if not isinstance(row, dict):
        return None
    name, label, images = row.get("name"), row.get("label") or "", row.get("images", [row.get("image")])
    if not (isinstance(name, str) and isinstance(label, str) and isinstance(images, list)):
        return None
    return (name, images, label) if all(isinstance(image, str) for image in images) else None


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises VolumeError if it is too long, or no JSON."""
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise VolumeError(f"{path} has more than {MAX_LIST_BYTES:,} bytes")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise VolumeError(f"{path} cannot be read: {error}") from error


def _within(root: Path, name: str) -> Path:
    path = root / name
    try:
        inside, there = path.resolve().is_relative_to(root.resolve()), path.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise VolumeError(f"{name!r} cannot be opened") from error
    if not inside:
        raise VolumeError(f"{name!r} lies outside the folder of the list")
    if not there:
        raise VolumeError(f"there is no {name!r}")
    return path
