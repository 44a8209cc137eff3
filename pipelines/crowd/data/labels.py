"""Label files of one image each, to marks."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.common.media.documents import load_json

from . import limits
from .boxes import head_points
from .mat import as_points, read_mat
from .record import CrowdError, Marks

MAT_NAMES: Final = ("image_info", "annPoints", "loc")  # ShanghaiTech; UCF-QNRF, UCF_CC_50, NWPU; Beijing-BRT
VISDRONE_IGNORED: Final = 0
VISDRONE_PEOPLE: Final = (1, 2)  # pedestrian, and people who sit, ride or lie


def read_labels(path: Path, format: str) -> Marks:
    """The heads of one label file; `format` is one of FORMATS. Raises CrowdError with path and reason."""
    try:
        marks = FORMATS[format](path)
        if len(marks.points) > limits.MAX_POINTS:
            raise CrowdError(f"it lists {len(marks.points):,} heads; at most {limits.MAX_POINTS:,} are read")
        return marks
    except CrowdError as error:
        raise CrowdError(f"{path}: {error}") from error


def numbers(found: Any, what: str, columns: int) -> NDArray[np.float64]:
    """A list of rows of numbers as float64 (N, >= columns); an empty list gives (0, columns)."""
    try:
        table = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise CrowdError(f"{what} must be rows of {columns} numbers") from error
    if table.size == 0:
        return np.empty((0, columns))
    if table.ndim != 2 or table.shape[1] < columns:
        raise CrowdError(f"{what} must be rows of {columns} numbers, not of the shape {table.shape}")
    return table


def _mat(path: Path) -> Marks:
    """`image_info` (a cell with a structure that has `location` and `number`), `annPoints` or `loc`."""
    name, found = next(iter(read_mat(path, *MAT_NAMES).items()))
    if name != "image_info":
        return Marks(as_points(found, name))
    location, number = _location(found)
    points = as_points(location, "image_info's location")
    stated = np.asarray(number).ravel()
    notes: tuple[str, ...] = ()
    if stated.size == 1 and stated.dtype.kind in "uif" and stated[0] != len(points):
        notes = (f"the label file states {stated[0]:g} heads and lists {len(points)}",)
    return Marks(points, notes=notes)


def _location(found: Any) -> tuple[Any, Any]:
    """Location and number of ShanghaiTech's nesting of cells and structures, however deep it is."""
    for _ in range(8):
        names = getattr(getattr(found, "dtype", None), "names", None)
        if names and "location" in names:
            inner = found["location"], found["number"] if "number" in names else ()
            return _unwrapped(inner[0]), _unwrapped(inner[1])
        if not (isinstance(found, np.ndarray) and found.dtype == object and found.size == 1):
            break
        found = found.item()
    raise CrowdError("image_info holds no location")


def _unwrapped(found: Any) -> Any:
    while isinstance(found, np.ndarray) and found.dtype == object and found.size == 1:
        found = found.item()
    return found


def _nwpu(path: Path) -> Marks:
    """NWPU-Crowd: a JSON object with `points`."""
    found = load_json(path)
    if not isinstance(found, dict) or "points" not in found:
        raise CrowdError("the JSON holds no object with points")
    points = numbers(found["points"], "points", 2)[:, :2]
    stated = found.get("human_num")
    differs = isinstance(stated, int) and stated != len(points)
    notes = (f"the label file states {stated} heads and lists {len(points)}",) if differs else ()
    return Marks(points, notes=notes)


def _jhu(path: Path) -> Marks:
    """JHU-CROWD++: x, y of the head's centre, its width and height, occlusion and blur. May be empty."""
    return Marks(_table(path, 2)[:, :2])


def _visdrone(path: Path) -> Marks:
    """VisDrone-DET: left, top, width, height, score, category, truncation, occlusion."""
    rows = _table(path, 6)
    ignored = int(np.count_nonzero(rows[:, 5] == VISDRONE_IGNORED))
    people = rows[np.isin(rows[:, 5], VISDRONE_PEOPLE) & (rows[:, 4] != 0)]
    some = "region that is to be ignored is" if ignored == 1 else "regions that are to be ignored are"
    notes = (f"{ignored} {some} not masked",) if ignored else ()
    return Marks(head_points(people[:, :4]), notes=notes)


def _xy(path: Path) -> Marks:
    return Marks(_table(path, 2)[:, :2])


def _unity(path: Path) -> Marks:
    """Whole numbers of pixels from the lower left corner, as Unity counts them."""
    # A whole number is the pixel's own; 0.5 more is its middle.
    return Marks(_table(path, 2)[:, :2] + 0.5, from_bottom=True)


def _table(path: Path, columns: int) -> NDArray[np.float64]:
    """Lines of numbers apart by blanks or commas, as float64 (N, >= columns); empty files are legal."""
    content = limits.read_bytes(path, limits.MAX_LABEL_BYTES, may_be_empty=True)
    try:
        text = content.decode("utf-8-sig").replace(",", " ")
    except UnicodeDecodeError as error:
        raise CrowdError("it is no text") from error
    if not text.strip():
        return np.empty((0, columns))
    try:
        table = np.loadtxt(io.StringIO(text), dtype=np.float64, ndmin=2, comments=None)
    except (ValueError, OverflowError) as error:
        raise CrowdError(f"it is no table of numbers: {error}") from error
    if table.shape[1] < columns:
        raise CrowdError(f"its lines hold {table.shape[1]} numbers; at least {columns} are needed")
    return table


FORMATS: Final[dict[str, Callable[[Path], Marks]]] = {
    "mat": _mat,
    "nwpu": _nwpu,
    "jhu": _jhu,
    "visdrone": _visdrone,
    "xy": _xy,
    "unity": _unity,
}
