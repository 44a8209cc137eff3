"""Calibrations of cameras: our own JSON, and the two Excel tables of PolypSense3D."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pipelines.common.media.documents import load_json

from .record import Camera, PolypError
from .tables import Row, read_table

NAME: Final = "calibration.json"
MAX_BYTES: Final = 2**20
MAX_SIDE: Final = 65_535
MAX_NUMBER: Final = 1e9


def read_camera(path: str | Path) -> Camera:
    """A camera from a JSON object with width, height, fx, fy, cx, cy and, if the lens bends lines, k1.

    In the file, as in OpenCV, cx and cy are measured from the middle of the first pixel; half a pixel is
    added. Raises PolypError with the path and the reason.
    """
    path = Path(path)
    try:
        found = load_json(path, MAX_BYTES)
        if not isinstance(found, dict):
            raise PolypError("a calibration is one JSON object")
        return made(found)
    except PolypError as error:
        raise PolypError(f"{path}: {error}") from error


def made(found: dict[str, Any]) -> Camera:
    """A camera from named numbers in the convention of `read_camera`. Raises PolypError without the path."""
    lacking = [name for name in ("width", "height", "fx", "fy", "cx", "cy") if name not in found]
    if lacking:
        raise PolypError(f"the calibration lacks {' and '.join(lacking)}")
    numbers = {}
    for name in ("width", "height", "fx", "fy", "cx", "cy", "k1"):
        value = found.get(name, 0.0)
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if not known or not abs(value) < MAX_NUMBER:  # NaN is not below anything
            raise PolypError(f"the calibration's {name} is no number")
        numbers[name] = float(value)
    width, height = int(numbers["width"]), int(numbers["height"])
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise PolypError(f"the calibration is for an image of {width} x {height} px")
    if min(numbers["fx"], numbers["fy"]) <= 0:
        raise PolypError("the calibration's focal lengths must be above 0")
    others = [name for name in ("k2", "k3", "p1", "p2") if found.get(name)]
    notes = (f"of the distortion k1 alone is used; {', '.join(others)} are left out",) if others else ()
    return Camera(
        width,
        height,
        numbers["fx"],
        numbers["fy"],
        numbers["cx"] + 0.5,
        numbers["cy"] + 0.5,
        numbers["k1"],
        notes,
    )


def read_sense_cameras(folder: Path) -> tuple[dict[str, Camera], list[str]]:
    """Cameras by sequence, from `camera` and `video_info` (.xlsx or .csv) of PolypSense3D, and notes.

    camera: an id, then fx, fy, cx, cy, width, height, k1 and on, in this order whatever the columns are
    called. video_info: number, sequence and camera's id. Never fails: what cannot be read is a note.
    """
    cameras: dict[str, Camera] = {}
    notes: list[str] = []
    tables = {}
    for name in ("camera", "video_info"):
        path = next((one for end in (".xlsx", ".csv") if (one := folder / f"{name}{end}").is_file()), None)
        if path is None:
            return {}, [f"{folder.name} has no {name}.xlsx, so no camera is known"]
        try:
            tables[name], more = read_table(path)
        except PolypError as error:
            return {}, [str(error)]
        notes += more
    by_id: dict[str, Camera] = {}
    for row in tables["camera"]:
        try:
            key, camera = _sense_camera(row)
            by_id[key] = camera
        except (PolypError, ValueError) as error:
            notes.append(f"a camera is left out: {error}")
    for row in tables["video_info"]:
        cells = list(row.values())
        key = _whole(cells[2]) if len(cells) > 2 else ""
        if key in by_id:
            cameras[cells[1]] = by_id[key]
    return cameras, notes


def _sense_camera(row: Row) -> tuple[str, Camera]:
    cells = list(row.values())
    if len(cells) < 8:
        raise PolypError("its line has fewer than 8 cells")
    names = ("fx", "fy", "cx", "cy", "width", "height", "k1", "k2", "k3", "p1", "p2")
    numbers = {name: float(cell) for name, cell in zip(names, cells[1:], strict=False) if cell}
    return _whole(cells[0]), made(numbers)


def _whole(text: str) -> str:
    """`3` of `3` and of `3.0`, as Excel stores numbers."""
    return text.removesuffix(".0")
