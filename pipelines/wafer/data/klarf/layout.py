"""A wafer map split into dies again, as KLARF states positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..record import NO_DIE, WaferMap


class Classified(Protocol):
    """What was found on one wafer; a prediction is one."""

    @property
    def label(self) -> str: ...
    @property
    def decision(self) -> str: ...
    @property
    def probability(self) -> float: ...


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """One wafer in the units of its file.

    pitch, centre: float64 (2,), DiePitch and SampleCenterLocation.
    relative: float64 (N, 2), XREL and YREL. index: int64 (N, 2), XINDEX and YINDEX.
    plan: int64 (P, 2), the inspected dies, or None.
    class_number: in the class lookup of the file. unit: units of length a mm.
    """

    map: WaferMap
    pitch: NDArray[np.float64]
    centre: NDArray[np.float64]
    relative: NDArray[np.float64]
    index: NDArray[np.int64]
    plan: NDArray[np.int64] | None
    class_number: int
    found: Classified | None
    unit: float

    @property
    def area(self) -> float:
        """Inspected area, in the square of the file's unit of length."""
        if self.plan is not None and len(self.plan):
            return float(len(self.plan) * self.pitch.prod())
        return float(np.pi / 4 * (self.map.diameter_mm * self.unit) ** 2)

    @property
    def failing_dies(self) -> int:
        return len(np.unique(self.index, axis=0))


def layout(one: WaferMap, found: Classified | None, class_number: int, unit: float, *, whole: bool) -> Layout:
    """Split positions into dies, so that X = XINDEX * pitch + XREL - centre holds for the written numbers.

    Without a die pitch the wafer is one die as large as itself. Dies count from the one nearest the centre.

    Args:
        unit: units of length a mm.
        whole: whether the file holds whole numbers only.
    """
    pitch_mm = one.dies.pitch_mm if one.dies is not None else one.die_pitch_mm
    pitch = np.array(pitch_mm or (one.diameter_mm, one.diameter_mm)) * unit
    centre = np.zeros(2) if pitch_mm else pitch / 2
    plan = None
    if one.dies is not None:
        last = np.array(one.dies.status.shape[::-1]) - 1
        down = np.array([1.0, -1.0])
        anchor = np.clip(np.rint(-np.array(one.dies.origin_mm) / pitch_mm * down), 0, last)
        centre = pitch / 2 - (np.array(one.dies.origin_mm) * unit + anchor * down * pitch)
        line, column = np.nonzero(one.dies.status != NO_DIE)
        plan = np.stack([column - anchor[0], anchor[1] - line], axis=1).astype(np.int64)
    if whole:
        pitch, centre = np.rint(pitch), np.rint(centre)
    corner = (np.rint(one.defects * unit) if whole else one.defects * unit) + centre
    index = np.floor(corner / pitch) if pitch_mm else np.zeros_like(corner)
    return Layout(
        one, pitch, centre, corner - index * pitch, index.astype(np.int64), plan, class_number, found, unit
    )
