"""The files of one video in the layout of REAL-Colon, with depth, masks and calibration beside them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray

DEPTH_PER_MM = 100
VIDEO_COLUMNS = (
    "unique_video_name",
    "age",
    "sex",
    "endoscope_brand",
    "fps",
    "num_frames",
    "num_lesions",
    "BBPS",
)
LESION_COLUMNS = (
    "unique_object_id",
    "unique_video_name",
    "size [mm]",
    "site",
    "histology_extended",
    "histology_class",
    "shape",
    "style",
)

Box = tuple[int, int, int, int]


def video_name(number: int) -> str:
    """SSS-VVV of the video, counted from 0."""
    return f"{1 + number // 999:03d}-{1 + number % 999:03d}"


def box_of(mask: NDArray[np.bool_]) -> Box | None:
    """xmin, xmax, ymin, ymax in px, counted from 0 and both ends within; None for an empty mask (height,
    width)."""
    if not mask.any():
        return None
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(columns[-1]), int(rows[0]), int(rows[-1])


def annotation(video: str, name: str, shape: tuple[int, int], box: Box | None) -> str:
    """The VOC file of a frame of (height, width); without a box it has no object."""
    height, width = shape
    found = ""
    if box is not None:
        sides = "".join(
            f"<{side}>{value}</{side}>"
            for side, value in zip(("xmin", "xmax", "ymin", "ymax"), box, strict=True)
        )
        cut = int(box[0] == 0 or box[2] == 0 or box[1] == width - 1 or box[3] == height - 1)
        found = (
            f"  <object>\n    <name>lesion</name>\n    <unique_id>{escape(video)}_1</unique_id>\n"
            f"    <box_id>1</box_id>\n    <truncated>{cut}</truncated>\n"
            f"    <bndbox>{sides}</bndbox>\n  </object>\n"
        )
    return (
        f"<annotation>\n  <folder>{escape(video)}_frames</folder>\n  <filename>{escape(name)}</filename>\n"
        f"  <source><database>rendered</database></source>\n"
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
        f"{found}</annotation>\n"
    )


def write_frame(
    folder: Path,
    video: str,
    number: int,
    image: NDArray[np.uint8],
    depth: NDArray[np.float32],
    mask: NDArray[np.bool_],
    quality: int,
) -> Box | None:
    """Write the picture (height, width, 3), red first, the depth in mm, the mask and the annotation; returns
    the box."""
    box = box_of(mask)
    name = f"{video}_{number}"
    stored = np.clip(np.rint(depth * DEPTH_PER_MM), 0, 65535).astype(np.uint16)
    quality_of_jpeg = [cv2.IMWRITE_JPEG_QUALITY, quality]
    parts = {
        f"{video}_frames/{name}.jpg": _encoded(".jpg", image[..., ::-1], quality_of_jpeg),
        f"{video}_depth/{name}.png": _encoded(".png", stored, []),
        f"{video}_masks/{name}.png": _encoded(".png", mask.astype(np.uint8) * 255, []),
        f"{video}_annotations/{name}.xml": annotation(video, f"{name}.jpg", mask.shape, box).encode(),
    }
    for path, data in parts.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
    return box


def json_text(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """A CSV file with these columns; a value that a row lacks stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _encoded(ending: str, image: NDArray[Any], options: list[int]) -> bytes:
    done, data = cv2.imencode(ending, np.ascontiguousarray(image), options)
    if not done:
        raise RuntimeError(f"OpenCV could not write a {ending} file")
    return data.tobytes()
