"""Malformed files, as broken transfers, broken tools and hostile senders leave them."""

from __future__ import annotations

import numpy as np

from pipelines.wafer.generate import files, sort_maps
from pipelines.wafer.generate.dies import make_die_map
from pipelines.wafer.generate.files import Names
from pipelines.wafer.generate.patterns import make_map

# Enough to make each kind of damage show; the files stay small.
DEFECTS = 40

KLARF_18 = """Record FileRecord "1.8"
{
  Record LotRecord "BAD"
  {
    Record WaferRecord "W02"
    {
      Field SampleSize 2 {300000000, 0}
      Field DiePitch 2 {8400000, 11250000}
      Field SampleCenterLocation 2 {4200000, 5625000}
      Field OrientationMarkLocation 1 {0}
      List DefectList
      {
        Columns 5 { int32 DEFECTID, int32 XREL, int32 YREL, int32 XINDEX, int32 YINDEX }
        Data 40
        {
          1 1250000 3400000 2 -3 ;
          2 5250400 4800000 0 4 ;
          3 6120000 88"""

SINF_WITHOUT_DIES = """DEVICE:DEMO-A1
LOT:BAD
WAFER:W09
FNLOC:180
ROWCT:0
COLCT:0
BCEQU:01
DUTMS:mm
XDIES:0
YDIES:0
"""

# A real bomb nests ten levels; four show whether any of them is expanded.
ENTITY_BOMB = """<?xml version="1.0"?>
<!DOCTYPE Maps [
  <!ENTITY a "1111111111">
  <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
  <!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
  <!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">
]>
<Maps><Map WaferId="W05"><Device BinType="Ascii" NullBin="." Orientation="0">
<Bin BinCode="1" BinQuality="Pass"/>
<Data><Row>&d;</Row><Row>&d;</Row></Data>
</Device></Map></Maps>
"""


def bad_files(seed: int = 0) -> dict[str, bytes]:
    """Malformed files by name; none of them holds a wafer map that can be trusted."""
    rng = np.random.default_rng([seed, 3])
    names = Names("BAD", "W01", 1)
    defects = make_map(rng, "normal", 300.0)
    while len(defects) < DEFECTS:
        defects = np.concatenate([defects, make_map(rng, "normal", 300.0)])
    klarf = files.klarf_1_1([(names, defects[:DEFECTS], 300.0)])
    dies = make_die_map(rng, "Donut", 600)
    sinf, g85 = sort_maps.sinf(names, dies), sort_maps.g85(names, dies)
    within_list = klarf.index(b"DefectList") + 600
    noise = rng.integers(0, 256, 4096, dtype=np.uint8).tobytes()
    csv = b"wafer,x_mm,y_mm\nW06,nan,12.5\nW06,inf,-40.25\nW06,3.5,NaN\n"
    zero = files.coordinates([(Names("BAD", "W08", 8), defects[:5], 0.0)])
    return {
        "cut-off.klarf": klarf[:within_list],
        "cut-off-1.8.klarf": KLARF_18.encode("ascii"),
        "cut-off.klarf.gz": files.packed(klarf)[:-200],
        "cut-off.sinf": sinf[: len(sinf) // 2],
        "cut-off.g85.xml": g85[: len(g85) // 2],
        "empty.klarf": b"",
        "entity-bomb.xml": ENTITY_BOMB.encode("ascii"),
        "no-dies.sinf": SINF_WITHOUT_DIES.encode("ascii"),
        "noise.klarf": noise,
        "not-a-number.csv": csv,
        "not-really.klarf.gz": b"\x1f\x8b\x08\x00" + noise[:512],
        "objects.npy": _npy_of_objects(),
        "wrong-columns.klarf": klarf.replace(b"DefectRecordSpec 9 DEFECTID", b"DefectRecordSpec 8"),
        "zero-size.npz": zero,
    }


def _npy_of_objects() -> bytes:
    """An .npy file (format 1.0) whose header announces Python objects, with bytes that no reader may load."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (20, 20), }"
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"not to be loaded"
