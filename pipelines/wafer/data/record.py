"""The one record that every reader produces: a wafer map."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NO_DIE, PASS, FAIL = 0, 1, 2
MAX_DIAMETER_MM = 1_000.0
# Of a defect from the centre: junk beside the wafer is kept and noted, nonsense is not.
MAX_REACH_MM = 10_000.0


class WaferFileError(ValueError):
    """A file, or one wafer in it, cannot be read as a wafer map. The message is meant for the user."""


@dataclass(frozen=True, slots=True, eq=False)
class DieGrid:
    """Dies on the wafer, notch down.

    status: uint8 (rows, cols); row 0 is the top of the wafer (largest y), column 0 its left;
        0 no die, 1 pass (or inspected), 2 fail.
    pitch_mm: width and height of a die in mm.
    origin_mm: (x, y) in mm of the centre of the die at row 0, column 0, from the wafer's centre.
    """

    status: NDArray[np.uint8]
    pitch_mm: tuple[float, float]
    origin_mm: tuple[float, float]

    @classmethod
    def centred(cls, status: NDArray[np.uint8], diameter_mm: float) -> DieGrid:
        """A grid whose bounding box is taken to span the wafer; for maps that state no die pitch."""
        rows, cols = status.shape
        pitch = (diameter_mm / cols, diameter_mm / rows)
        origin = (-(cols - 1) / 2 * pitch[0], (rows - 1) / 2 * pitch[1])
        return cls(status, pitch, origin)

    def positions_mm(self, flat: NDArray[np.int64]) -> NDArray[np.float64]:
        """Centres (N, 2) in mm of the dies at the row-major indices `flat` (N,)."""
        row, col = np.divmod(flat, self.status.shape[1])
        positions = np.empty((len(flat), 2))
        positions[:, 0] = self.origin_mm[0] + col * self.pitch_mm[0]
        positions[:, 1] = self.origin_mm[1] - row * self.pitch_mm[1]
        return positions


@dataclass(frozen=True, slots=True, eq=False)
class WaferMap:
    """One wafer as an inspection or sort tool saw it.

    defects: float64 (N, 2), x right and y up in mm from the wafer's centre, with the notch (or flat) down.
        For a map of dies these are the centres of the failing dies.
    source_rows: int64 (N,), where each defect stands in its source: the 0-based row of the wafer's
        defect list, or the row-major index of the die in the grid as it was stored.
    position: 0-based number of this wafer in its source file.
    die_level: whether the source holds die results only, and no defect coordinates.
    diameter_assumed: whether the file does not state the diameter and a nominal one was taken.
    notch: where the orientation mark was in the source, before it was turned down.
    dies: the dies that were inspected, if the source names them.
    unplaced: how many more defects the source lists or counts without saying where they are.
    """

    source: Path
    position: int
    defects: NDArray[np.float64]
    source_rows: NDArray[np.int64]
    diameter_mm: float
    die_level: bool
    diameter_assumed: bool = False
    notch: str = "down"
    dies: DieGrid | None = None
    die_pitch_mm: tuple[float, float] | None = None
    lot: str = ""
    wafer: str = ""
    slot: str = ""
    step: str = ""
    device: str = ""
    tool: str = ""
    timestamp: datetime | None = None
    unplaced: int = 0
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.defects.ndim != 2 or self.defects.shape[1] != 2:
            raise WaferFileError(f"defects must have the shape (N, 2), not {self.defects.shape}")
        if len(self.source_rows) != len(self.defects):
            raise WaferFileError(f"{len(self.source_rows)} source rows for {len(self.defects)} defects")
        reach = float(np.abs(self.defects).max(initial=0.0))
        if not np.isfinite(reach):
            raise WaferFileError("a defect position is not a finite number")
        if reach > MAX_REACH_MM:
            raise WaferFileError(
                f"a defect lies {reach:g} mm from the wafer's centre: its position or unit cannot be right"
            )
        if not 0 < self.diameter_mm <= MAX_DIAMETER_MM:
            raise WaferFileError(
                f"the wafer's diameter must lie between 0 and {MAX_DIAMETER_MM:g} mm, not {self.diameter_mm}"
            )

    @property
    def locatable(self) -> bool:
        """Whether the map can be classified: False if it has defects and none has a position."""
        return bool(len(self.defects)) or not self.unplaced

    @property
    def name(self) -> str:
        """What a person calls this wafer: its lot and wafer, else its file and position."""
        known = "/".join(part for part in (self.lot, self.wafer) if part)
        return known or f"{self.source.name}#{self.position}"


@dataclass(frozen=True, slots=True)
class FailedMap:
    """A wafer that could not be read, with the reason in words for the user."""

    source: Path
    position: int
    error: str


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file found in a folder that is no wafer map."""

    source: Path
    reason: str
