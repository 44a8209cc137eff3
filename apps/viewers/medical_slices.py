"""Slices of a case as PNG, one for the image and one for each layer over it. Free of Streamlit.

All pictures of a plane have the same extent; what lies over the image may be finer than it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.viewers.medical_case import Place
from pipelines.medical.colours import colour

Image = NDArray[np.uint8]
QUICK = [cv2.IMWRITE_PNG_COMPRESSION, 1]
OUTLINE_SIDE = 640  # pixels of the longer side of an outline, so that its line is thin
LINE, HALO = (255, 255, 255, 255), (0, 0, 0, 150)  # of the truth
OTHERS = 150  # alpha of the structures that are not judged now


@dataclass(frozen=True, slots=True)
class Plane:
    """cut, across, down: axes of (a, b, c). letters: at the left, the right, above and below."""

    name: str
    cut: int
    across: int
    down: int
    letters: str


PLANES = (
    Plane("axial", 2, 0, 1, "RLAP"),
    Plane("sagittal", 0, 1, 2, "APSI"),
    Plane("coronal", 1, 0, 2, "RLSI"),
)


def slice_of(array: NDArray[Any], plane: Plane, at: Place) -> NDArray[Any]:
    """The slice (down, across) of (A, B, C) through a place."""
    index: list[slice | int] = [slice(None)] * 3
    index[plane.cut] = at[plane.cut]
    return array[tuple(index)].T


def palette(values: Mapping[str, int], hidden: Collection[int], current: int, most: int) -> NDArray[np.uint8]:
    """Colours (most + 1, 4) as BGRA by the value of a label; 0, hidden and unknown ones are clear."""
    colours = np.zeros((most + 1, 4), np.uint8)
    for number, value in enumerate(values.values()):
        if value <= most and value not in hidden:
            colours[value] = (*colour(number)[::-1], 255 if value == current else OTHERS)
    return colours


def fill(labels: NDArray[Any], colours: NDArray[np.uint8]) -> Image:
    """A slice of labels in their colours, BGRA."""
    painted: Image = colours[labels]
    return painted


def outline(labels: NDArray[Any], colours: NDArray[np.uint8], spacing: Sequence[float]) -> Image:
    """The edges of a slice of labels in their colours, BGRA. spacing: mm across and down."""
    fine = _fine(labels, spacing)
    painted: Image = colours[fine]
    painted[_thick(_edges(fine)) == 0] = 0
    solid = painted[..., 3] > 0
    painted[solid, 3] = np.maximum(painted[solid, 3], 220)
    return painted


def white_outline(labels: NDArray[Any], shown: NDArray[np.bool_], spacing: Sequence[float]) -> Image:
    """The edges of the labels that are shown, white with a dark halo. shown: bool by value."""
    fine = _fine(np.where(shown[labels], labels, 0), spacing)
    edges = _thick(_edges(fine) & (fine > 0))
    painted = np.zeros((*fine.shape, 4), np.uint8)
    painted[_thick(edges) > 0] = HALO
    painted[edges > 0] = LINE
    return painted


def heat(doubt: NDArray[np.uint8]) -> Image:
    """A slice of uncertainty as red to yellow, BGRA; what is certain is clear."""
    return HEAT[doubt]


def png(image: Image) -> str:
    """An image, (H, W) grey or (H, W, 4) BGRA, as base64 of PNG."""
    done, content = cv2.imencode(".png", np.ascontiguousarray(image), QUICK)
    if not done:
        raise ValueError("a slice could not be drawn")
    return b64encode(content.tobytes()).decode("ascii")


def _fine(labels: NDArray[Any], spacing: Sequence[float]) -> NDArray[Any]:
    """Labels repeated to pixels that are about square and small."""
    rows, columns = labels.shape
    across, down = spacing
    pixel = max(columns * across, rows * down) / OUTLINE_SIDE
    return labels.repeat(max(1, round(down / pixel)), 0).repeat(max(1, round(across / pixel)), 1)


def _edges(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels with another label beside them."""
    padded = np.pad(labels, 1, mode="edge")
    inner = padded[1:-1, 1:-1]
    found: NDArray[np.bool_] = (
        (inner != padded[:-2, 1:-1])
        | (inner != padded[2:, 1:-1])
        | (inner != padded[1:-1, :-2])
        | (inner != padded[1:-1, 2:])
    )
    return found


def _thick(edges: NDArray[Any]) -> Image:
    """Edges that are a pixel wider on all sides."""
    return np.asarray(cv2.dilate(edges.astype(np.uint8), np.ones((3, 3), np.uint8)), np.uint8)


def _heat() -> NDArray[np.uint8]:
    share = np.linspace(0, 1, 256)
    strength = np.clip((share - 0.03) / 0.3, 0, 1)  # where two classes are as likely it is 0.5
    colours = np.zeros((256, 4))
    colours[:, 1] = 235 * np.clip(share / 0.5, 0, 1)
    colours[:, 2] = 255
    colours[:, 3] = 235 * strength
    return colours.astype(np.uint8)


HEAT = _heat()
