"""From the numbers of a file to a WaferMap: mm from the wafer's centre, mark down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..dies import ASSUMED_DIAMETER_MM
from ..record import FAIL, PASS, DieGrid, WaferFileError, WaferMap
from .cells import DefectTable
from .header import Header, Units

EDGE_TOLERANCE = 0.02
ABSURD_RADII = 3.0
# Quarter turns, counterclockwise, that bring the mark down.
QUARTER_TURNS = {"down": 0, "left": 1, "up": 2, "right": 3}
TURNS = {0: ((1, 0), (0, 1)), 1: ((0, -1), (1, 0)), 2: ((-1, 0), (0, -1)), 3: ((0, 1), (-1, 0))}

Points = NDArray[np.float64]
DieIndices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class RawWafer:
    """One wafer as its file states it.

    plan: int64 (P, 2), XINDEX and YINDEX of the inspected dies, if the file names them.
    declared: how many defects its summary counts, if it has one.
    """

    header: Header
    table: DefectTable
    columns: tuple[str, ...]
    plan: DieIndices | None
    declared: float | None
    notes: tuple[str, ...]


def wafer_map(raw: RawWafer, units: Units, source: Path, position: int, max_dies: int) -> WaferMap:
    """Place the defects and dies: X = XINDEX * pitch + XREL - centre, then turn the mark down.

    Raises WaferFileError where positions cannot be derived, or lie nowhere near the wafer.
    """
    head = raw.header
    notes = [*raw.notes, *head.notes]
    if raw.declared is not None and raw.declared != raw.table.rows:
        notes.append(f"the file's summary counts {raw.declared:g} defects, its list holds {raw.table.rows}")
    diameter = head.diameter
    if diameter is None:
        diameter = ASSUMED_DIAMETER_MM
        notes.append(f"the file states no diameter; {diameter:g} mm was assumed")
    placed = _positions(raw, units, notes)
    rows = np.flatnonzero(np.isfinite(placed).all(axis=1))
    if len(rows) < len(placed):
        notes.append(f"defects without a position, left out: {len(placed) - len(rows)}")
    points = placed[rows]
    _check_extent(points, diameter / 2, notes)

    # A die as large as the wafer is how a file says that the wafer has no pattern.
    pitch = None if head.pitch is None or min(head.pitch) >= diameter else head.pitch
    dies = None
    if pitch is not None and raw.plan is not None and len(raw.plan):
        dies = _dies(raw, pitch, rows, notes, max_dies)
    turn = QUARTER_TURNS[head.mark]
    frame = _frame(turn, head.mirrored)
    return WaferMap(
        source=source,
        position=position,
        defects=points @ frame.T,
        source_rows=rows.astype(np.int64),
        diameter_mm=diameter,
        die_level=False,
        diameter_assumed=head.diameter is None,
        notch=head.mark,
        dies=None if dies is None else _turned(dies, turn, head.mirrored),
        die_pitch_mm=pitch if pitch is None or turn % 2 == 0 else (pitch[1], pitch[0]),
        lot=head.lot,
        wafer=head.wafer,
        slot=head.slot,
        step=head.step,
        device=head.device,
        tool=head.tool,
        timestamp=head.timestamp,
        # A summary of defects over an empty list: they are there, and left out of the file.
        unplaced=len(placed) - len(rows) if len(placed) else int(raw.declared or 0),
        notes=tuple(dict.fromkeys(notes)),
    )


def _positions(raw: RawWafer, units: Units, notes: list[str]) -> Points:
    """Positions (rows, 2) in mm in the frame of the file, NaN where a cell is NA."""
    head, columns, rows = raw.header, raw.table.columns, raw.table.rows
    if not rows:
        return np.zeros((0, 2))
    relative, index, direct = (
        _pair(columns, *names) for names in (("XREL", "YREL"), ("XINDEX", "YINDEX"), ("X", "Y"))
    )
    # Without any die index but 0, the pitch does not matter.
    needs_pitch = index is not None and bool(np.nan_to_num(index).any())
    complete = head.centre is not None and (head.pitch is not None or not needs_pitch)
    if relative is None or (direct is not None and not complete):
        if direct is None:
            names = " ".join(raw.columns[:12])
            notes.append(
                f"the file lists {rows} defects but not where they are: "
                f"it has neither the columns XREL and YREL nor X and Y, only {names}"
            )
            return np.full((rows, 2), np.nan)
        notes.append("positions were taken from the columns X and Y, as from the wafer's centre")
        return direct * units.length
    if needs_pitch and head.pitch is None:
        raise WaferFileError(
            "the defects name their dies, but DiePitch is missing or zero, so they cannot be placed"
        )
    points = relative * units.length
    if index is None:
        notes.append("the defects name no dies; XREL and YREL were taken as from the origin of die (0, 0)")
    elif head.pitch is not None:
        points = points + index * np.array(head.pitch)
    if head.centre is None:
        notes.append("SampleCenterLocation is not stated and was taken as 0 0")
        return points
    placed: Points = points - np.array(head.centre)
    return placed


def _pair(columns: dict[str, NDArray[np.float64]], x: str, y: str) -> Points | None:
    return np.stack([columns[x], columns[y]], axis=1) if x in columns and y in columns else None


def _check_extent(points: Points, radius: float, notes: list[str]) -> None:
    distance = np.hypot(points[:, 0], points[:, 1])
    if not len(distance):
        return
    farthest = float(distance.max())
    if farthest > ABSURD_RADII * radius:
        raise WaferFileError(
            f"a defect lies {farthest:g} mm from the centre of a wafer of {2 * radius:g} mm: its geometry "
            "(DiePitch, SampleCenterLocation, SampleSize) or its units cannot be right"
        )
    outside = int((distance > radius * (1 + EDGE_TOLERANCE)).sum())
    if outside:
        notes.append(
            f"{outside} of {len(points)} defects lie outside the wafer's edge, "
            f"up to {farthest:.1f} mm from its centre"
        )


def _dies(
    raw: RawWafer, pitch: tuple[float, float], rows: NDArray[np.intp], notes: list[str], max_dies: int
) -> DieGrid | None:
    """The inspected dies in the frame of the file; dies with a defect fail."""
    assert raw.plan is not None
    index = _pair(raw.table.columns, "XINDEX", "YINDEX")
    failing = np.zeros((0, 2), dtype=np.int64)
    if index is not None:
        known = index[rows]
        failing = known[np.isfinite(known).all(axis=1)].astype(np.int64)
    every = np.concatenate([raw.plan, failing])
    if not len(every):
        return None
    low, high = every.min(axis=0), every.max(axis=0)
    columns, lines = (high - low + 1).tolist()
    if columns * lines > max_dies:
        notes.append(
            f"the test plan spans {columns} x {lines} dies, more than the limit (max_dies) of {max_dies:,}; "
            "it was left out"
        )
        return None
    status = np.zeros((lines, columns), dtype=np.uint8)
    status[high[1] - raw.plan[:, 1], raw.plan[:, 0] - low[0]] = PASS
    at = (high[1] - failing[:, 1], failing[:, 0] - low[0])
    outside = len(np.unique(failing[status[at] != PASS], axis=0))
    if outside:
        notes.append(f"dies with defects that are not in the test plan, added as inspected: {outside}")
    status[at] = FAIL
    head = raw.header
    centre = head.centre or (0.0, 0.0)
    # Positions count from the die's origin, which lies DieOrigin away from its lower left corner.
    shift = head.origin
    if any(abs(part) >= size for part, size in zip(shift, pitch, strict=True)):
        notes.append("DieOrigin lies outside its die and was left out")
        shift = (0.0, 0.0)
    origin = (
        float((low[0] + 0.5) * pitch[0] - centre[0] - shift[0]),
        float((high[1] + 0.5) * pitch[1] - centre[1] - shift[1]),
    )
    return DieGrid(status, pitch, origin)


def _frame(turn: int, mirrored: bool) -> NDArray[np.float64]:
    """The matrix from the file's frame to the record's: turn the mark down, then undo a mirror image."""
    frame = np.array(TURNS[turn], dtype=np.float64)
    return np.array([[-1.0, 0.0], [0.0, 1.0]]) @ frame if mirrored else frame


def _turned(grid: DieGrid, turn: int, mirrored: bool) -> DieGrid:
    lines, columns = grid.status.shape
    corners = np.array([0, columns - 1, (lines - 1) * columns, lines * columns - 1])
    centres = grid.positions_mm(corners) @ _frame(turn, mirrored).T
    status = np.rot90(grid.status, turn)
    pitch = grid.pitch_mm if turn % 2 == 0 else (grid.pitch_mm[1], grid.pitch_mm[0])
    return DieGrid(
        np.ascontiguousarray(np.fliplr(status) if mirrored else status),
        pitch,
        (float(centres[:, 0].min()), float(centres[:, 1].max())),
    )
