"""Boxes in Pascal VOC's XML, as REAL-Colon and others write them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from pipelines.common.media.limits import read_bytes

from .record import Box, PolypError

MAX_BYTES: Final = 2**20  # an annotation of a frame has some hundred bytes
MAX_OBJECTS: Final = 1_000
_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class Lesion:
    """One object. id: `unique_id`, or empty."""

    id: str
    name: str
    box: Box


@dataclass(frozen=True, slots=True)
class Annotation:
    """Of one frame. size: (width, height) in px that the file states, or None. No lesions: a negative."""

    lesions: tuple[Lesion, ...]
    size: tuple[int, int] | None
    notes: tuple[str, ...] = ()


def read_voc(path: Path) -> Annotation:
    """The lesions of an annotation file. Corners are found by name, in whatever order they stand.

    In the file, corners are numbers of pixels, counted from 0, the last one within; so one is added to xmax
    and ymax. Files differ in this by a pixel, and do not say so; what only reaches one pixel beyond the frame
    for that reason is not taken for beyond it.

    Entities, document types and files of more than a megabyte are refused. An object without four numbers is
    left out with a note. Raises PolypError with the path and the reason.
    """
    try:
        return _annotation(_root(path))
    except PolypError as error:
        raise PolypError(f"{path}: {error}") from error


def _root(path: Path) -> Element:
    content = read_bytes(path, MAX_BYTES)
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise PolypError("its XML has a document type or entities, which are not read") from error
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that is none
        raise PolypError(f"it is no XML: {error}") from error
    if root.tag != "annotation":
        raise PolypError(f"its XML is <{root.tag[:40]}>, not a VOC <annotation>")
    return root


def _annotation(root: Element) -> Annotation:
    objects = root.findall("object")
    if len(objects) > MAX_OBJECTS:
        raise PolypError(f"it lists {len(objects):,} objects; at most {MAX_OBJECTS:,} are read")
    lesions, notes = [], []
    size = _size(root)
    for one in objects:
        box = _box(one, size)
        name = (one.findtext("name") or "").strip()
        if box is None:
            notes.append(
                f"an object ({name or 'without a name'}) has no box of four numbers, and is left out"
            )
        else:
            lesions.append(Lesion((one.findtext("unique_id") or "").strip(), name, box))
    return Annotation(tuple(lesions), size, tuple(notes))


def _box(one: Element, size: tuple[int, int] | None) -> Box | None:
    try:
        x0, y0, x1, y1 = (float(one.findtext(f"bndbox/{corner}") or "") for corner in _CORNERS)
    except ValueError:
        return None
    if size is not None and x1 == size[0]:
        x1 -= 1
    if size is not None and y1 == size[1]:
        y1 -= 1
    return x0, y0, x1 + 1, y1 + 1


def _size(root: Element) -> tuple[int, int] | None:
    try:
        width, height = (int(root.findtext(f"size/{one}") or "") for one in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if min(width, height) > 0 else None
