"""Three slices through a case with its labels drawn over them, as PNG.

As radiologists see them: the patient's right is on the left of the axial and the coronal picture, the front
on the left of the sagittal one. Pixels are square in mm whatever the voxels are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.files import new_folder, replacing_bytes
from pipelines.medical.colours import colour
from pipelines.medical.data.record import Volume
from pipelines.medical.geometry import Turn
from pipelines.medical.prepare import spacing_of

SIDE = 440  # pixels of the volume's longest side
MARGIN = 26  # for the letters and the scale
LEAST_WIDTH = 300  # of a picture with its margins
FILL = 0.28  # how much of a label's colour covers the image
INK, PAPER = 225, 0
TEXT = 0.6  # of the font's size: still legible where a page shows a picture at half its size
# Which axis is cut, and the letters left, right, above and below.
PLANES = {"axial": (2, "RLAP"), "coronal": (1, "RLSI"), "sagittal": (0, "APSI")}
# HU from black to white: soft tissue, and what suits a structure of lung or bone.
SOFT, LUNG, BONE = (-160.0, 240.0), (-1350.0, 150.0), (-450.0, 1050.0)
LUNG_BELOW, BONE_ABOVE = -300.0, 250.0
AIR = -900.0  # an image of unknown kind that goes below this is taken for CT
LINEAR_STEPS = (1, 2, 5)

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """png: by plane, in the order of PLANES, with width and height. labels: names of those that are seen.
    window: the numbers that are black and white."""

    png: dict[str, tuple[bytes, int, int]]
    labels: list[str]
    window: tuple[float, float]


def draw(volume: Volume, labels: NDArray[Any], names: Mapping[str, int], *, modality: str = "") -> Pictures:
    """The three slices through the middle of the largest structure, or of the volume if there is none.

    labels: (I, J, K), on the volume's stored grid.
    """
    turn = Turn.of(volume.affine, volume.shape)
    image, found = turn.to_canonical(volume.array), turn.to_canonical(labels)
    spacing = spacing_of(turn.affine(volume.affine))
    value = _largest(labels, names)
    place = _middle(found, value)
    cuts = {
        plane: (_slice(image, axis, place), _slice(found, axis, place)) for plane, (axis, _) in PLANES.items()
    }
    inside = [(seen == value) & (seen > 0) for _, seen in cuts.values()]
    window = _window([cut for cut, _ in cuts.values()], inside, modality)
    longest = max(side * step for side, step in zip(image.shape, spacing, strict=True))
    png, values = {}, set()
    for plane, (axis, letters) in PLANES.items():
        grey, seen = cuts[plane]
        across, down = (spacing[one] for one in range(3) if one != axis)
        picture = _picture(grey, seen, (across, down), SIDE / longest, window, names)
        picture = _framed(picture, letters, SIDE / longest)
        png[plane] = _encode(picture), picture.shape[1], picture.shape[0]
        values |= set(np.unique(seen).tolist())
    return Pictures(png, [name for name, one in names.items() if one in values], window)


def write_pictures(folder: Path, case: str, pictures: Pictures) -> dict[str, Any]:
    """Write the PNG files of a case into `folder`; what the report needs to know of them."""
    new_folder(folder)
    files = {}
    for plane, (content, width, height) in pictures.png.items():
        path = folder / f"{case}-{plane}.png"
        with replacing_bytes(path) as file:
            file.write(content)
        files[plane] = {"file": path.name, "width": width, "height": height, "bytes": len(content)}
    return {"planes": files, "labels": pictures.labels, "window": list(pictures.window)}


def _largest(labels: NDArray[Any], names: Mapping[str, int]) -> int:
    """The value of the label with the most voxels; 0 if there is none."""
    counts = np.zeros(1 + max(names.values()), np.int64)
    for number in range(labels.shape[2]):
        counts += np.bincount(labels[:, :, number].ravel(order="K"), minlength=len(counts))
    counts[0] = 0
    return int(counts.argmax())


def _middle(found: NDArray[Any], value: int) -> tuple[int, ...]:
    """The centroid of a label in voxels, moved to where the label is if it lies in a gap of it."""
    if not value:
        return tuple(side // 2 for side in found.shape)
    inside = found == value
    place = []
    for axis in range(3):
        counts = inside.sum(tuple(one for one in range(3) if one != axis))
        centre = (counts * np.arange(len(counts))).sum() / counts.sum()
        there = np.flatnonzero(counts)
        place.append(int(there[np.abs(there - centre).argmin()]))
    return tuple(place)


def _slice(array: NDArray[Any], axis: int, place: tuple[int, ...]) -> NDArray[Any]:
    """A slice (down, across) of a canonical array: both of its axes run against the page."""
    cut: NDArray[Any] = np.take(array, place[axis], axis)
    return cut.T[::-1, ::-1]


def _window(
    slices: list[NDArray[Any]], inside: list[NDArray[np.bool_]], modality: str
) -> tuple[float, float]:
    """HU that suit the structure for CT; else percentiles of what is not 0."""
    values = np.concatenate([one.ravel() for one in slices]).astype(np.float32)
    if modality == "CT" or (not modality and values.min() < AIR):
        chosen = [one[seen] for one, seen in zip(slices, inside, strict=True)]
        of_structure = np.concatenate(chosen) if any(len(one) for one in chosen) else np.zeros(1)
        mean = float(of_structure.mean())
        return LUNG if mean < LUNG_BELOW else BONE if mean > BONE_ABOVE else SOFT
    values = values[values != 0] if values.any() else values
    low, high = np.percentile(values, (1, 99.5)).tolist()
    return low, high if high > low else low + 1.0


def _picture(
    grey: NDArray[Any],
    seen: NDArray[Any],
    spacing: tuple[float, float],
    scale: float,
    window: tuple[float, float],
    names: Mapping[str, int],
) -> Image:
    """RGB: the slice with its labels. spacing: mm across and down. scale: pixels per mm."""
    low, high = window
    shown = ((np.clip(grey.astype(np.float32), low, high) - low) * (255 / (high - low))).astype(np.uint8)
    rows, columns = shown.shape
    size = (max(1, round(columns * spacing[0] * scale)), max(1, round(rows * spacing[1] * scale)))
    smaller = size[0] < columns or size[1] < rows
    shown = cv2.resize(
        np.ascontiguousarray(shown), size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    ).astype(np.uint8)
    marks = np.zeros(seen.shape, np.uint16)
    for number, value in enumerate(names.values(), start=1):
        marks[seen == value] = number
    marks = cv2.resize(marks, size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint16)
    table = np.array([(0, 0, 0), *(colour(number) for number in range(len(names)))], np.float32)
    coloured = table[marks]
    share = np.where(marks > 0, FILL, 0.0)
    share[_border(marks)] = 1.0
    mixed = shown[..., None] * (1 - share[..., None]) + coloured * share[..., None]
    picture: Image = mixed.round().astype(np.uint8)
    return picture


def _border(marks: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Pixels of a label beside another label or none."""
    edge = np.zeros(marks.shape, bool)
    for axis in range(2):
        ahead, behind = [slice(None)] * 2, [slice(None)] * 2
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        differs = marks[tuple(ahead)] != marks[tuple(behind)]
        edge[tuple(ahead)] |= differs
        edge[tuple(behind)] |= differs
    return edge & (marks > 0)


def _framed(picture: Image, letters: str, scale: float) -> Image:
    """The picture with a margin that holds the letters of the directions and a scale in mm."""
    sides = max(MARGIN, (LEAST_WIDTH - picture.shape[1]) // 2)  # room for the scale
    framed = cv2.copyMakeBorder(
        picture, MARGIN, MARGIN, sides, sides, cv2.BORDER_CONSTANT, value=(PAPER, PAPER, PAPER)
    )
    height, width = framed.shape[:2]
    edge, side = MARGIN // 2, sides - MARGIN // 2
    places = (side, height // 2), (width - side, height // 2), (width // 2, edge), (width // 2, height - edge)
    for letter, (x, y) in zip(letters, places, strict=True):
        _write_text(framed, letter, x, y)
    length = _round_length(picture.shape[1] / scale / 4)
    end, row = edge + max(1, round(length * scale)), height - edge
    cv2.line(framed, (edge, row), (end, row), (INK, INK, INK), 2)
    _write_text(framed, f"{length:g} mm", end + 6, row, middle=False)
    return np.asarray(framed, np.uint8)


def _write_text(picture: Any, text: str, x: int, y: int, *, middle: bool = True) -> None:
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, TEXT, 1)
    place = (x - width // 2 if middle else x, y + height // 2)
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, TEXT, (INK, INK, INK), 1, cv2.LINE_AA)


def _round_length(most: float) -> float:
    """The largest of 1, 2, 5, 10, 20 ... mm that is not above `most`."""
    power = 10.0 ** np.floor(np.log10(most))
    return float(max(step * power for step in LINEAR_STEPS if step * power <= most))


def _encode(picture: Image) -> bytes:
    done, content = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not done:
        raise ValueError("a picture could not be written as PNG")
    return content.tobytes()
