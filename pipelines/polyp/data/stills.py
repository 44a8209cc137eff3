"""Still pictures with masks or boxes and without sizes: PolypGen, Kvasir-SEG, and folders with VOC boxes.

Nothing says which pictures show the same polyp, so each is one of its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from pipelines.common.media.documents import load_json
from pipelines.common.media.folders import Entries, entries_of, natural, some
from pipelines.common.media.images import is_image_name
from pipelines.common.media.limits import MAX_LIST_BYTES

from .labelled import TextStill, VocStill, with_boxes
from .listing import Listing
from .record import Box, FrameRef, Listed, Polyp, PolypError

KVASIR: Final = ("kavsir_bboxes.json", "kvasir_bboxes.json")  # the first is how it is handed out
_VOC_IMAGES: Final = ("jpegimages", "images", "trainvalimages")


def polypgen(entries: Entries, root: Path) -> Listing | None:
    """PolypGen (Ali et al., 2023): `images_C1`, `masks_C1` and, if there, `bbox_C1`, for each centre.

    Also `images` and `masks` where masks are called `{image}_mask`.
    """
    listing = Listing()
    found = False
    for name, images in entries.folders.items():
        match = re.fullmatch(r"images(?:_(c\d+))?", name)
        if match is None:
            continue
        suffix = f"_{match[1]}" if match[1] else ""
        masks, boxes = entries.folders.get(f"masks{suffix}"), entries.folders.get(f"bbox{suffix}")
        if masks is None:
            continue
        by_stem = _files(masks, listing)
        if not suffix and not any(one.endswith("_mask") for one in by_stem):
            continue
        found = True
        texts = _files(boxes, listing, ".txt") if boxes else {}
        bare = []
        for path in _images(images, listing):
            mask = by_stem.get(f"{path.stem}_mask") or by_stem.get(path.stem)
            if mask is None:
                bare.append(path.stem)
            text = texts.get(path.stem) or texts.get(f"{path.stem}_mask")
            frame = FrameRef(path.stem, path, mask=mask)
            source = TextStill(frame, text) if text else Listed((frame,))
            prefix = f"{match[1].upper()}/" if match[1] else ""
            listing.polyps.append(Polyp(prefix + path.stem, source))
        if bare:
            listing.notes.append(some(bare, f"images of {images.name} have no mask"))
    return listing if found else None


def kvasir(entries: Entries, root: Path) -> Listing | None:
    """Kvasir-SEG (Jha et al., 2020): `images` and `masks` of the same names, and a JSON of boxes."""
    images, masks = entries.folders.get("images"), entries.folders.get("masks")
    boxes = next((path for path in entries.files if path.name in KVASIR), None)
    if images is None or masks is None:
        return None
    listing = Listing()
    known = _kvasir_boxes(boxes, listing) if boxes else {}
    by_stem = _files(masks, listing)
    bare = []
    for path in _images(images, listing):
        size, found = known.get(path.stem, (None, []))
        mask = by_stem.get(path.stem)
        if mask is None:
            bare.append(path.stem)
        frame = with_boxes(FrameRef(path.stem, path, mask=mask, label_size=size), found)
        listing.polyps.append(Polyp(path.stem, Listed((frame,))))
    if bare:
        listing.notes.append(some(bare, "images have no mask"))
    return listing


def voc(entries: Entries, root: Path) -> Listing | None:
    """Pascal VOC: `Annotations`, and `JPEGImages`, `images` or `TrainValImages`."""
    labels = entries.folders.get("annotations")
    images = next((entries.folders[one] for one in _VOC_IMAGES if one in entries.folders), None)
    if labels is None or images is None:
        return None
    listing = Listing()
    by_stem = _files(labels, listing, ".xml")
    if not by_stem:
        return None
    bare = []
    for path in _images(images, listing):
        label = by_stem.pop(path.stem, None)
        if label is None:
            bare.append(path.stem)
        else:
            listing.polyps.append(Polyp(path.stem, VocStill(path, label)))
    if bare:
        listing.notes.append(some(bare, "images have no annotation, and are left out"))
    if by_stem:
        listing.notes.append(some(sorted(by_stem, key=natural), "annotations have no image"))
    return listing


def _images(folder: Path, listing: Listing) -> list[Path]:
    """Images of a folder; of two with one stem the first."""
    found: dict[str, Path] = {}
    twice = []
    try:
        for path in entries_of(folder).files:
            if not is_image_name(path):
                continue
            if path.stem in found:
                twice.append(path.name)
            found.setdefault(path.stem, path)
    except PolypError as error:
        listing.notes.append(str(error))
    if twice:
        listing.notes.append(some(twice, "images have the name of another one, and are left out"))
    return list(found.values())


def _files(folder: Path, listing: Listing, ending: str = "") -> dict[str, Path]:
    """Files by stem: those with an ending, or images."""
    try:
        files = entries_of(folder).files
    except PolypError as error:
        listing.notes.append(str(error))
        return {}
    return {
        path.stem: path
        for path in files
        if (path.suffix.lower() == ending if ending else is_image_name(path))
    }


def _kvasir_boxes(path: Path, listing: Listing) -> dict[str, tuple[tuple[int, int] | None, list[Box]]]:
    """Sizes of images and boxes by image.

    xmin and ymin are those of the pixel before the first one, except at the edge: with 0 as the first pixel,
    the masks begin one pixel later than the boxes say and end where they say.
    """
    try:
        found = load_json(path, MAX_LIST_BYTES)
        if not isinstance(found, dict):
            raise PolypError("it is no JSON object")
    except PolypError as error:
        listing.notes.append(f"{path.name} is left out: {error}")
        return {}
    known: dict[str, tuple[tuple[int, int] | None, list[Box]]] = {}
    wrong = []
    for name, entry in found.items():
        try:
            boxes = [_kvasir_box(one) for one in entry["bbox"]]
            known[name] = ((int(entry["width"]), int(entry["height"])), boxes)
        except (KeyError, TypeError, ValueError):
            wrong.append(name)
    if wrong:
        listing.notes.append(f"{path.name}: {some(wrong, 'entries hold no boxes, and are left out')}")
    return known


def _kvasir_box(one: Any) -> Box:
    x0, y0, x1, y1 = (float(one[corner]) for corner in ("xmin", "ymin", "xmax", "ymax"))
    return (x0 + 1 if x0 > 0 else 0.0, y0 + 1 if y0 > 0 else 0.0, x1, y1)
