"""Writers of sample files of defect coordinates and arrays. Each returns the bytes of one file.

Like those of sort maps in `sort_maps`, they share no code with the readers, so that each checks the other.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.generate.dies import DieMap
from pipelines.wafer.generate.shapes import Points

Notch = Literal["down", "left", "up", "right"]

# Quarter turns counter-clockwise that take a wafer with its notch down to one with its notch elsewhere.
TURNS: dict[Notch, int] = {"down": 0, "right": 1, "up": 2, "left": 3}


@dataclass(frozen=True, slots=True)
class Names:
    """What a file says of one wafer besides its map."""

    lot: str
    wafer: str
    slot: int
    step: str = "PROBE"
    device: str = "DEMO-A1"
    time: datetime = datetime(2024, 3, 14, 9, 26, 53)


def packed(data: bytes) -> bytes:
    """Gzipped, without a time or a name, so that the same data gives the same bytes."""
    return gzip.compress(data, mtime=0)


def klarf_1_1(wafers: Sequence[tuple[Names, Points, float]], notch: Notch = "down") -> bytes:
    """KLARF 1.1 with its traits: CRLF, years of two digits, exponents of three, a last `;` of its own.

    wafers: names, defects (N, 2) in mm with the notch down, and diameter in mm; all go into one file.
    notch: where the notch was in the tool; the coordinates are turned accordingly.
    """
    lines = ["FileVersion 1 1;", f"FileTimestamp {wafers[0][0].time:%m-%d-%y %H:%M:%S};"]
    for names, defects, diameter in wafers:
        lines += _klarf_wafer(names, _turned(defects, notch), diameter, notch)
    return "\r\n".join([*lines, "EndOfFile;", ""]).encode("ascii")


def _klarf_wafer(names: Names, defects: Points, diameter: float, notch: Notch) -> list[str]:
    pitch = np.array([8400.0, 11_250.0])
    centre = np.array([4200.0, 5625.0])
    um = np.round(defects * 1000, 3) + centre
    die = np.floor(um / pitch)
    relative = um - die * pitch
    # The plan holds every die that reaches onto the wafer.
    reach = int(diameter * 500 / pitch.min()) + 2
    plan = np.stack(np.meshgrid(np.arange(-reach, reach), np.arange(-reach, reach)), axis=-1).reshape(-1, 2)
    nearest = np.clip(centre, plan * pitch, (plan + 1) * pitch) - centre
    plan = plan[np.hypot(*nearest.T) < diameter * 500]
    density = len(um) / (np.pi * diameter**2 / 400)  # defects per square centimetre
    return [
        'InspectionStationID "DEMO" "IS2100" "TOOL03";',
        "SampleType WAFER;",
        f"ResultTimestamp {names.time:%m-%d-%y %H:%M:%S};",
        f'LotID "{names.lot}";',
        f"SampleSize 1 {diameter:g};",
        f'DeviceID "{names.device}";',
        f'SetupID "{names.device}_SETUP" {names.time:%m-%d-%y %H:%M:%S};',
        f'StepID "{names.step}";',
        "SampleOrientationMarkType NOTCH;",
        f"OrientationMarkLocation {notch.upper()};",
        f"DiePitch {_exponent(pitch[0])} {_exponent(pitch[1])};",
        "DieOrigin 0.000000e+000 0.000000e+000;",
        f'WaferID "{names.wafer}";',
        f"Slot {names.slot};",
        f"SampleCenterLocation {_exponent(centre[0])} {_exponent(centre[1])};",
        "ClassLookup 2",
        ' 0 "Unclassified"',
        ' 1 "Particle";',
        "InspectionTest 1;",
        f"SampleTestPlan {len(plan)}",
        *(f" {column} {row}" for column, row in plan.tolist()),
        ";",
        f"AreaPerTest {_exponent(len(plan) * pitch.prod())};",
        "DefectRecordSpec 9 DEFECTID XREL YREL XINDEX YINDEX XSIZE YSIZE CLASSNUMBER TEST ;",
        "DefectList",
        *(
            f" {i} {x:.3f} {y:.3f} {column:.0f} {row:.0f} 0.500 0.500 {i % 2} 1"
            for i, ((x, y), (column, row)) in enumerate(zip(relative, die, strict=True), 1)
        ),
        ";",
        "SummarySpec 5 TESTNO NDEFECT DEFDENSITY NDIE NDEFDIE ;",
        "SummaryList",
        f" 1 {len(um)} {density:.4f} {len(plan)} {len(np.unique(die, axis=0))};",
    ]


def csv_defects(wafers: Sequence[tuple[Names, Points, float]]) -> bytes:
    """A table of coordinates in um, one row a defect, all wafers one after the other."""
    lines = ["Lot,Wafer,Slot,DefectID,X_um,Y_um,Diameter_mm"]
    for names, defects, diameter in wafers:
        lines += [
            f"{names.lot},{names.wafer},{names.slot},{i},{x:.2f},{y:.2f},{diameter:g}"
            for i, (x, y) in enumerate(defects * 1000, 1)
        ]
    return "\n".join([*lines, ""]).encode("utf-8")


def csv_dies(names: Names, dies: DieMap) -> bytes:
    """A table of dies, one row each: column and row from the top left, and the hard bin (1 passes)."""
    row, column = np.nonzero(dies.status)
    lines = [
        f"{names.lot},{names.wafer},{c},{r},{bin}"
        for r, c, bin in zip(row.tolist(), column.tolist(), dies.status[row, column].tolist(), strict=True)
    ]
    return "\n".join(["lot,wafer,col,row,hard_bin", *lines, ""]).encode("utf-8")


def npy(array: NDArray[Any]) -> bytes:
    """A NumPy .npy file."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def npz(**arrays: NDArray[Any]) -> bytes:
    """A compressed NumPy .npz file; its members carry no time, so the same arrays give the same bytes."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def wm811k(maps: Sequence[DieMap], labels: Sequence[str]) -> bytes:
    """Several die maps, notch down, in the WM-811K layout: flat, offsets, shapes, label."""
    sizes = np.array([one.status.size for one in maps], dtype=np.int64)
    return npz(
        flat=np.concatenate([one.status.ravel() for one in maps]),
        offsets=np.cumsum(sizes) - sizes,
        shapes=np.array([one.status.shape for one in maps], dtype=np.int64),
        label=np.array(labels, dtype=np.str_),
    )


def coordinates(wafers: Sequence[tuple[Names, Points, float]]) -> bytes:
    """Several maps of defect coordinates in one .npz: defects, offsets, counts, diameter_mm, lot, wafer."""
    counts = np.array([len(defects) for _, defects, _ in wafers], dtype=np.int64)
    return npz(
        defects=np.concatenate([defects for _, defects, _ in wafers]).astype(np.float32),
        offsets=np.cumsum(counts) - counts,
        counts=counts,
        diameter_mm=np.array([diameter for _, _, diameter in wafers], dtype=np.float32),
        lot=np.array([names.lot for names, _, _ in wafers]),
        wafer=np.array([names.wafer for names, _, _ in wafers]),
    )


def _turned(points: Points, notch: Notch) -> Points:
    x, y = points.T
    turned = [(x, y), (-y, x), (-x, -y), (y, -x)][TURNS[notch]]
    return np.stack(turned, axis=1)


def _exponent(value: float) -> str:
    """As C libraries of old wrote it: 8.400000e+003."""
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{mantissa}e{exponent[0]}{int(exponent[1:]):03d}"
