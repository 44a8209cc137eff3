"""Substrate maps in XML as SEMI E142 defines them, in all versions of its schema.

The rows of a map are a picture: the first BinCode is drawn on top, its first code on the left.
OriginLocation and AxisDirection say how the devices are counted in it, and are used where a map lists
devices by their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from . import bins
from .dies import MAX_SIDE, check_shape, die_map
from .limits import DEFAULT, Limits
from .record import FailedMap, WaferFileError, WaferMap
from .text import decode_head, number, timestamp, unit_mm
from .xml import attributes, descendants, local, parse

_ROOT: Final = re.compile(r"<(?:\w+:)?(?:MapData|SubstrateMaps?)[\s/>]")
_WAFERS: Final = frozenset({"", "wafer", "frame"})  # a frame holds a wafer


def looks_like(head: bytes) -> bool:
    return bool(_ROOT.search(decode_head(head)))


def read(data: bytes, source: Path, limits: Limits = DEFAULT) -> Iterator[WaferMap | FailedMap]:
    """Every SubstrateMap of the file."""
    root = parse(data, limits)
    for position, element in enumerate(descendants(root, "SubstrateMap")):
        try:
            yield _wafer(element, root, limits, source, position)
        except WaferFileError as error:
            yield FailedMap(source, position, str(error))


def _wafer(element: Element, root: Element, limits: Limits, source: Path, position: int) -> WaferMap:
    top = attributes(element)
    kind = top.get("substratetype", "")
    if kind.lower() not in _WAFERS:
        raise WaferFileError(f"this is the map of a {kind.lower()}, not of a wafer")
    maps = list(descendants(element, "BinCodeMap"))
    if not maps:
        raise WaferFileError("the element BinCodeMap is missing")
    codes = attributes(maps[0])
    definitions = list(descendants(maps[0], "BinDefinition"))
    table = bins.bin_table(codes.get("bintype", ""), codes.get("nullbin", ""), definitions)
    layouts = _layouts(root, top.get("layoutspecifier", ""))
    columns, rows = _pair(layouts[-1:], "Dimension") or (None, None)
    cells = list(descendants(maps[0], "BinCode"))
    if cells and "x" in attributes(cells[0]):
        status = _by_number(cells, table, top, columns, rows, limits.max_dies)
    else:
        status = bins.grid(
            [cell.text or "" for cell in cells], table, int(columns) if columns else None, limits.max_dies
        )
        if rows is not None and rows != len(status):
            raise WaferFileError(f"the layout has {rows:g} rows, but the map has {len(status)}")
    names = _substrate(root, top.get("substrateid", ""))
    return die_map(
        status,
        source=source,
        position=position,
        notch=bins.notch_from_degrees(top.get("orientation", "")),
        pitch_mm=_pair(layouts[-1:], "StepSize") or _pair(layouts[-1:], "DeviceSize"),
        diameter_mm=_diameter_mm(layouts),
        lot=names.get("lotid", ""),
        wafer=top.get("substrateid", ""),
        slot=top.get("slotnumber") or names.get("slotnumber", ""),
        device=names.get("productid", ""),
        timestamp=timestamp(names.get("createdate", "")),
        notes=table.notes + ((f"the first of {len(maps)} maps was read",) if len(maps) > 1 else ()),
    )


def _layouts(root: Element, specifier: str) -> list[Element]:
    """The layouts on the path `WaferLayout/Devices` of a map, from the wafer to the dies."""
    by_name = {attributes(layout).get("layoutid", ""): layout for layout in descendants(root, "Layout")}
    return [by_name[name] for name in specifier.split("/") if name in by_name]


def _pair(layouts: list[Element], name: str) -> tuple[float, float] | None:
    """X and Y of an element of the first layout, lengths in mm; None where they are missing or 0."""
    if not layouts or (element := next(descendants(layouts[0], name), None)) is None:
        return None
    values = attributes(element)
    if not (values.get("x") and values.get("y")):
        return None
    x, y = number(values["x"], f"{name} X"), number(values["y"], f"{name} Y")
    if name != "Dimension":
        text = values.get("units") or attributes(layouts[0]).get("defaultunits") or "mm"
        unit = unit_mm(text)
        if unit is None:
            raise WaferFileError(f"the unit of {name} must be one of length such as mm, not '{text}'")
        x, y = x * unit, y * unit
    return (x, y) if x and y else None


def _diameter_mm(layouts: list[Element]) -> float | None:
    """The size of the outermost layout, if that is the wafer: round, and above the layout of the dies."""
    size = _pair(layouts[:1], "DeviceSize") if len(layouts) > 1 else None
    return size[0] if size and size[0] == size[1] else None


def _substrate(root: Element, identifier: str) -> dict[str, str]:
    """LotId, SlotNumber and the like of the Substrate with this name."""
    for element in descendants(root, "Substrate"):
        values = attributes(element)
        if values.get("substrateid") == identifier:
            children = {local(child.tag).lower(): (child.text or "").strip() for child in element}
            return {**children, **values}
    return {}


def _by_number(
    cells: list[Element],
    table: bins.BinTable,
    top: dict[str, str],
    columns: float | None,
    rows: float | None,
    max_dies: int,
) -> NDArray[np.uint8]:
    """The grid of a map that lists devices with their X and Y, counted as AxisDirection says."""
    values = [attributes(cell) for cell in cells]
    x = np.array([number(v.get("x", ""), "X of a BinCode") for v in values])
    y = np.array([number(v.get("y", ""), "Y of a BinCode") for v in values])
    if max(np.abs(x).max(), np.abs(y).max()) > MAX_SIDE or (x % 1).any() or (y % 1).any():
        raise WaferFileError(f"X and Y of a BinCode must be whole numbers up to {MAX_SIDE:,}")
    x, y = x.astype(np.int64), y.astype(np.int64)
    width, height = int(columns or x.max() - x.min() + 1), int(rows or y.max() - y.min() + 1)
    check_shape(height, width, max_dies)
    # Counting may begin at 0, at 1 or, with the origin in the centre, below 0.
    x, y = (n - n.min() if n.min() < 0 or n.max() >= size else n for n, size in ((x, width), (y, height)))
    if x.max() >= width or y.max() >= height:
        raise WaferFileError(f"a device lies outside the {height} rows and {width} columns of the layout")
    status = np.zeros((height, width), dtype=np.uint8)
    status[y, x] = bins.grid([cell.text or "" for cell in cells], table, 1, max_dies)[:, 0]
    direction = (top.get("axisdirection") or "UpRight").lower()
    if direction not in {"upright", "upleft", "downright", "downleft"}:
        raise WaferFileError(
            f"AxisDirection must be UpRight, UpLeft, DownRight or DownLeft, not '{direction}'"
        )
    status = status[::-1] if direction.startswith("up") else status
    return status[:, ::-1] if direction.endswith("left") else status
