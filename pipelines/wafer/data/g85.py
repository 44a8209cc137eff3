"""Wafer maps in XML as SEMI G85 defines them (revisions 1101, 0302, 0703): Map, Device, Bin, Data, Row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from . import bins
from .dies import die_map
from .limits import DEFAULT, Limits
from .record import FailedMap, WaferFileError, WaferMap
from .text import decode_head, diameter_mm, number, timestamp, whole_number
from .xml import attributes, descendants, parse

_MAP: Final = re.compile(r"<(?:\w+:)?Maps?[\s/>]")
_DEVICE: Final = re.compile(r"<(?:\w+:)?Device[\s/>]|G85|semi\.org")


def looks_like(head: bytes) -> bool:
    text = decode_head(head)
    return bool(_MAP.search(text) and _DEVICE.search(text))


def read(data: bytes, source: Path, limits: Limits = DEFAULT) -> Iterator[WaferMap | FailedMap]:
    """Every Map of the file."""
    for position, element in enumerate(descendants(parse(data, limits), "Map")):
        try:
            yield _wafer(element, limits, source, position)
        except WaferFileError as error:
            yield FailedMap(source, position, str(error))


def _wafer(element: Element, limits: Limits, source: Path, position: int) -> WaferMap:
    element_device = next(descendants(element, "Device"), None)
    if element_device is None:
        raise WaferFileError("the element Device is missing")
    top, device = attributes(element), attributes(element_device)
    table = bins.bin_table(
        device.get("bintype", ""), device.get("nullbin", ""), list(descendants(element, "Bin"))
    )
    maps = list(descendants(element, "Data"))
    if not maps:
        raise WaferFileError("the element Data is missing")
    rows = ["".join(row.itertext()) for row in descendants(maps[0], "Row")]
    columns = whole_number(device["columns"], "Columns") if device.get("columns") else None
    if device.get("rows") and whole_number(device["rows"], "Rows") != len(rows):
        raise WaferFileError(f"Rows is {device['rows']}, but the file has {len(rows)}")
    status = bins.grid(rows, table, columns, limits.max_dies)
    diameter, notes = diameter_mm(device.get("wafersize", ""), "WaferSize")
    if len(maps) > 1:
        notes += (f"the first of {len(maps)} maps of this wafer was read",)
    return die_map(
        status,
        source=source,
        position=position,
        notch=bins.notch_from_degrees(device.get("orientation", "")),
        pitch_mm=_pitch_mm(device, max(status.shape), diameter),
        diameter_mm=diameter,
        lot=device.get("lotid", ""),
        wafer=top.get("waferid") or top.get("substrateid", ""),
        slot=device.get("slotnumber") or device.get("substratenumber", ""),
        device=device.get("productid") or device.get("deviceid", ""),
        timestamp=timestamp(device.get("createdate", "")),
        notes=table.notes + notes,
    )


def _pitch_mm(device: dict[str, str], longest: int, diameter: float | None) -> tuple[float, float] | None:
    """DeviceSizeX and Y. The standard has um; tools that write mm are told by the span of all dies."""
    if not (device.get("devicesizex") and device.get("devicesizey")):
        return None
    x, y = (number(device[f"devicesize{axis}"], f"DeviceSize{axis.upper()}") for axis in "xy")
    if x == 0 or y == 0:
        return None  # some tools write 0 for a size that they do not know
    in_mm = longest * max(x, y) <= 1.5 * (diameter or 450.0)
    return (x, y) if in_mm else (x * 1e-3, y * 1e-3)
