"""Labelled maps, as training and evaluation read them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from . import coordinates, wm811k
from .limits import DEFAULT, Limits, raise_it
from .npz import ZIP_MAGIC, Npz
from .reading import READ_ERRORS, read_file, reason
from .record import FailedMap, WaferFileError, WaferMap

LABELS_FILE: Final = "labels.csv"
_COLUMNS: Final = ("source", "map", "label")


def read_labelled(path: str | Path, *, limits: Limits = DEFAULT) -> Iterator[tuple[WaferMap, str]]:
    """The maps of a data set with their labels, lazily and in its order.

    Args:
        path: an .npz file in the WM-811K layout (`wm811k`) or of coordinates (`coordinates`), with `label`;
            or a folder with `labels.csv` of the columns source (path of a map's file, relative to the
            folder), map (0-based position in that file) and label.
        limits: the most that is read of an .npz file, and of each file of a folder.

    Raises:
        WaferFileError: no such data set, no labels, or a map of it cannot be read: to leave out part of the
            data silently would change what a model learns and what a figure means.
    """
    path = Path(path)
    if path.is_dir():
        return _from_folder(path, limits)
    if path.name == LABELS_FILE:
        return _from_folder(path.parent, limits)
    return _from_npz(path, limits)


class _Layout(Protocol):
    def count(self, npz: Npz) -> int: ...
    def read_maps(self, npz: Npz, source: Path, limits: Limits) -> Iterator[WaferMap | FailedMap]: ...


def _from_npz(path: Path, limits: Limits) -> Iterator[tuple[WaferMap, str]]:
    try:
        with path.open("rb") as stream:
            if stream.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
                raise WaferFileError("a data set is an .npz file, or a folder with labels.csv")
            stream.seek(0)
            npz = Npz(stream, limits.max_dataset_bytes, advice=raise_it("max_dataset_bytes"))
            layout = _layout(frozenset(npz.names))
            labels = npz.texts("label", layout.count(npz))
            for item, label in zip(layout.read_maps(npz, path, limits), labels, strict=True):
                yield _good(item), label
    except READ_ERRORS as error:
        raise WaferFileError(f"{path}: {reason(error)}") from error


def _layout(names: frozenset[str]) -> _Layout:
    layout: _Layout
    for layout, needed in ((wm811k, wm811k.NAMES), (coordinates, coordinates.NAMES)):
        if needed <= names:
            if "label" not in names:
                raise WaferFileError("the data set has no labels: the array 'label' is missing")
            return layout
    raise WaferFileError(
        f"the arrays {', '.join(sorted(names)) or '(none)'} are no data set: it has flat, offsets, shapes "
        "and label (WM-811K layout), or defects, offsets, counts, diameter_mm and label (coordinates)"
    )


def _from_folder(folder: Path, limits: Limits) -> Iterator[tuple[WaferMap, str]]:
    rows = _label_rows(folder / LABELS_FILE)
    wanted: dict[str, dict[int, str]] = {}
    for source, position, label in rows:
        if position in wanted.setdefault(source, {}):
            raise WaferFileError(f"{folder / LABELS_FILE}: {source} map {position} is listed twice")
        wanted[source][position] = label
    root = folder.resolve()
    for source, labels in wanted.items():
        path = folder / source
        try:
            inside = path.resolve().is_relative_to(root)
        except (OSError, ValueError, RuntimeError) as error:  # a NUL in the name, or a link to itself
            raise WaferFileError(f"{folder / LABELS_FILE}: {source!r} is no name of a file") from error
        if not inside:
            raise WaferFileError(f"{folder / LABELS_FILE}: {source} lies outside the folder")
        for item in read_file(path, limits=limits):
            if item.position in labels:
                yield _good(item), labels.pop(item.position)
            elif isinstance(item, FailedMap) and labels:
                _good(item)
        if labels:
            raise WaferFileError(f"{path} has no map {min(labels)}, which {LABELS_FILE} names")


def _label_rows(path: Path) -> list[tuple[str, int, str]]:
    rows = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream)
            if not set(_COLUMNS) <= set(table.fieldnames or ()):
                raise WaferFileError(f"the columns {', '.join(_COLUMNS)} are needed, not {table.fieldnames}")
            for row in table:
                source, position, label = (row[name] for name in _COLUMNS)
                if not source or not label or not (position or "").isdecimal():
                    raise WaferFileError(f"line {table.line_num} needs a source, a map number and a label")
                rows.append((source, int(position), label))
    except FileNotFoundError as error:
        raise WaferFileError(f"{path.parent} is no data set: it has no {path.name}") from error
    except (*READ_ERRORS, csv.Error) as error:
        raise WaferFileError(f"{path}: {reason(error)}") from error
    if not rows:
        raise WaferFileError(f"{path} lists no map")
    return rows


def _good(item: WaferMap | FailedMap) -> WaferMap:
    if isinstance(item, FailedMap):
        raise WaferFileError(f"{item.source} map {item.position}: {item.error}")
    if not item.locatable:
        raise WaferFileError(f"{item.source} map {item.position}: its defects have no positions")
    return item
