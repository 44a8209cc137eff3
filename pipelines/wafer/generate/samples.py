"""Small sample files of every kind that is read, as a folder that tools might have written."""

from __future__ import annotations

import csv
import io
import struct
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np

from pipelines.wafer.data import klarf
from pipelines.wafer.data.record import WaferMap
from pipelines.wafer.generate import files, sort_maps
from pipelines.wafer.generate.bad import bad_files
from pipelines.wafer.generate.dies import DieMap, make_die_map
from pipelines.wafer.generate.files import Names, Notch
from pipelines.wafer.generate.patterns import make_map
from pipelines.wafer.generate.shapes import Points

Drawn = tuple[Names, Points, float]

# Samples are looked at and kept in version control: small, but with a pattern that shows.
MOST_DEFECTS = 2000
START = datetime(2024, 3, 11, 6, 40, 0)

KLARF_18 = ["basketball", "donut", "ring", "normal", "spiral", "zigzag"]
KLARF_12 = ["cluster_small", "fingerprints", "geometric_scratch", "normal", "checkerboard", "slice"]
KLARF_11: list[tuple[Notch, list[str]]] = [
    ("left", ["half_moon", "normal"]),
    ("up", ["cluster_big", "zigzag", "normal"]),
    ("right", ["grid"]),
]
SORTED: list[tuple[str, str, int, Notch]] = [
    ("sinf", "Center", 620, "down"),
    ("sinf", "Edge-Ring", 1150, "up"),
    ("sinf.gz", "Scratch", 2050, "right"),
    ("g85.xml", "Donut", 980, "down"),
    ("g85.xml", "Loc", 1480, "left"),
    ("e142.xml", "Edge-Loc", 860, "down"),
    ("e142.xml.gz", "None", 1720, "up"),
    ("csv", "Scratch", 760, "down"),
]


def write_samples(out: Path, seed: int = 0) -> list[Path]:
    """Write the sample folder and return its files, sorted; the same seed gives the same bytes.

    It has defect coordinates and die results in every format, of known patterns, of none and of three that no
    class is named for, two files that are no wafer map, and `labels.csv` with what each map shows.
    """
    sample = _Samples(np.random.default_rng([seed, 2]))
    _klarf(sample)
    _tables(sample)
    _sort_maps(sample)
    _arrays(sample)
    sample.files["LICENSE.txt"] = (
        b"These sample files are synthetic. No real product, lot or tool is behind them.\n"
        b"They may be used, changed and passed on by anyone for any purpose.\n"
    )
    sample.files["wafer-photo.png"] = _picture()
    sample.files["labels.csv"] = _labels(sample.labels)
    return _write(out, sample.files)


def write_bad_samples(out: Path, seed: int = 0) -> list[Path]:
    """Write malformed files, each of which a reader must refuse with a reason; return them, sorted."""
    return _write(out, bad_files(seed))


@dataclass(slots=True)
class _Samples:
    """Files by their relative names, and the label of each map by file and position."""

    rng: np.random.Generator
    files: dict[str, bytes] = field(default_factory=dict)
    labels: list[tuple[str, int, str]] = field(default_factory=list)
    wafers: int = 0

    def add(self, name: str, data: bytes, labels: Sequence[str]) -> None:
        self.files[name] = files.packed(data) if name.endswith(".gz") else data
        self.labels += [(name, position, label) for position, label in enumerate(labels)]

    def names(self, lot: str, slot: int, step: str) -> Names:
        self.wafers += 1
        time = START + self.wafers * timedelta(minutes=11, seconds=7)
        return Names(lot, f"W{slot:02d}", slot, step=step, device="DEMO-A1", time=time)

    def drawn(self, pattern: str, lot: str, slot: int, step: str, diameter_mm: float) -> Drawn:
        """A map of a pattern, drawn anew until it is small."""
        while True:
            defects = make_map(self.rng, pattern, diameter_mm)
            if len(defects) <= MOST_DEFECTS:
                return self.names(lot, slot, step), defects, diameter_mm


def _klarf(sample: _Samples) -> None:
    versions: list[tuple[str, list[str], Literal["1.2", "1.8"]]] = [
        ("K24081", KLARF_18, "1.8"),
        ("K24082", KLARF_12, "1.2"),
    ]
    for lot, patterns, version in versions:
        for slot, pattern in enumerate(patterns, 1):
            wafer = sample.drawn(pattern, lot, slot, "ETCH-2 ADI", 300.0)
            gz = ".gz" if slot == 3 else ""
            sample.add(f"{lot}/{lot}_W{slot:02d}.klarf{gz}", klarf_file([wafer], version), [pattern])
    slot = 0
    for part, (notch, patterns) in enumerate(KLARF_11, 1):
        wafers = []
        for pattern in patterns:
            slot += 1
            wafers.append(sample.drawn(pattern, "P11873", slot, "CMP-1", 200.0))
        sample.add(f"P11873/P11873.{part:03d}", files.klarf_1_1(wafers, notch), patterns)
    clean = (sample.names("P11873", 7, "CMP-1"), np.empty((0, 2)), 200.0)
    sample.add("P11873/P11873.004", files.klarf_1_1([clean]), ["normal"])
    pair = ["ring", "cluster_small"]
    wafers = [sample.drawn(name, "K24083", i, "CMP-1", 300.0) for i, name in enumerate(pair, 1)]
    sample.add("K24083/K24083.klarf", klarf_file(wafers, "1.8"), pair)


def klarf_file(wafers: Sequence[Drawn], version: Literal["1.2", "1.8"]) -> bytes:
    """A KLARF file of wafers with names, defects (N, 2) in mm and a diameter in mm, as bytes."""
    maps = [
        WaferMap(
            source=Path(),
            position=position,
            defects=defects,
            source_rows=np.arange(len(defects)),
            diameter_mm=diameter,
            die_level=False,
            die_pitch_mm=(8.4, 11.25),
            lot=names.lot,
            wafer=names.wafer,
            slot=str(names.slot),
            step=names.step,
            device=names.device,
            tool="DEMO KR7",
            timestamp=names.time,
        )
        for position, (names, defects, diameter) in enumerate(wafers)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.klarf"
        klarf.write(maps, path, version, now=wafers[0][0].time)
        return path.read_bytes()


def _tables(sample: _Samples) -> None:
    patterns = ["incomplete", "smiley", "normal"]
    wafers = [sample.drawn(name, "C5520", i, "", 300.0) for i, name in enumerate(patterns, 1)]
    sample.add("C5520/defects.csv", files.csv_defects(wafers), patterns)
    wafers = [sample.drawn("donut", "C5521", 4, "", 200.0)]
    sample.add("C5521/defects.csv.gz", files.csv_defects(wafers), ["donut"])


def _sort_maps(sample: _Samples) -> None:
    writers: dict[str, Callable[[Names, DieMap, Notch], bytes]] = {
        "sinf": sort_maps.sinf,
        "g85.xml": sort_maps.g85,
        "e142.xml": sort_maps.e142,
        "csv": lambda names, dies, notch: files.csv_dies(names, dies),
    }
    for slot, (kind, pattern, dies, notch) in enumerate(SORTED, 1):
        names = sample.names("S77120", slot, "PROBE")
        data = writers[kind.removesuffix(".gz")](names, make_die_map(sample.rng, pattern, dies), notch)
        sample.add(f"S77120/S77120_{slot:02d}.{kind}", data, [pattern])


def _arrays(sample: _Samples) -> None:
    random, full = (make_die_map(sample.rng, name, 900) for name in ("Random", "Near-full"))
    sample.add("arrays/random.npy", files.npy(random.status), ["Random"])
    sample.add("arrays/near-full.npz", files.npz(wafer_map=full.status), ["Near-full"])
    labels = ["Edge-Ring", "None", "Center", "Loc"]
    maps = [
        make_die_map(sample.rng, name, dies)
        for name, dies in zip(labels, (540, 1300, 2900, 700), strict=True)
    ]
    sample.add("arrays/wm811k.npz", files.wm811k(maps, labels), labels)
    patterns = ["half_moon", "geometric_scratch"]
    wafers = [sample.drawn(name, "A9001", i, "", 300.0) for i, name in enumerate(patterns, 1)]
    sample.add("arrays/coordinates.npz", files.coordinates(wafers), patterns)


def _labels(rows: Sequence[tuple[str, int, str]]) -> bytes:
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["source", "map", "label"])
    table.writerows(sorted(rows))
    return stream.getvalue().encode("utf-8")


def _picture(side: int = 64) -> bytes:
    """A small grey PNG (W3C PNG, third edition) of a round wafer."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    grey = np.where(np.hypot(x, y) < 0.46 * side, 150 + x + y, 20).astype(np.uint8)
    rows = np.concatenate([np.zeros((side, 1), np.uint8), grey], axis=1).tobytes()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _write(out: Path, contents: dict[str, bytes]) -> list[Path]:
    paths = []
    for name, data in sorted(contents.items()):
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    return paths
