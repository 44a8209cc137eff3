"""Small files of each format, written by hand, for the tests of the readers."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.uint8]

# One wafer without any symmetry, as it is drawn with the notch in each of the four places.
UPRIGHT: Grid = np.array([[0, 1, 1, 0], [1, 2, 1, 1], [1, 1, 1, 2], [2, 1, 1, 1], [0, 1, 1, 0]], np.uint8)
DRAWN: dict[str, Grid] = {
    "down": UPRIGHT,
    "left": np.array([[0, 2, 1, 1, 0], [1, 1, 1, 2, 1], [1, 1, 1, 1, 1], [0, 1, 2, 1, 0]], np.uint8),
    "up": np.array([[0, 1, 1, 0], [1, 1, 1, 2], [2, 1, 1, 1], [1, 1, 2, 1], [0, 1, 1, 0]], np.uint8),
    "right": np.array([[0, 1, 2, 1, 0], [1, 1, 1, 1, 1], [1, 2, 1, 1, 1], [0, 1, 1, 2, 0]], np.uint8),
}
# Dies of 40 x 30 mm on the upright wafer, and its failing ones in the order of rows.
PITCH_MM = (40.0, 30.0)
DEFECTS_MM = [(-20.0, 30.0), (60.0, 0.0), (-60.0, -30.0)]


def size_as_drawn(notch: str) -> tuple[float, float]:
    """Width and height of a die in the drawing with the notch there."""
    return PITCH_MM if notch in ("down", "up") else (PITCH_MM[1], PITCH_MM[0])


def sinf(notch: str = "down", /, **header: str | None) -> bytes:
    drawn = DRAWN[notch]
    x, y = size_as_drawn(notch)
    fields: dict[str, str | None] = {
        "DEVICE": "chip",
        "LOT": "L1",
        "WAFER": "7",
        "FNLOC": {"up": "0", "right": "90", "down": "180", "left": "270"}[notch],
        "ROWCT": str(len(drawn)),
        "COLCT": str(len(drawn[0])),
        "BCEQU": "01",
        "REFPX": "0",
        "REFPY": "0",
        "DUTMS": "mm",
        "XDIES": str(x),
        "YDIES": str(y),
        **header,
    }
    lines = [f"{name}:{value}" for name, value in fields.items() if value is not None]
    lines += ["RowData:" + " ".join(("__", "01", "0C")[die] for die in row) for row in drawn]
    return "\n".join(lines).encode() + b"\n"


def g85(notch: str = "down", **device: str) -> bytes:
    drawn = DRAWN[notch]
    x, y = size_as_drawn(notch)
    attributes = {
        "ProductId": "chip",
        "LotId": "L1",
        "CreateDate": "2007091020514700",
        "WaferSize": "300",
        "DeviceSizeX": str(x * 1000),
        "DeviceSizeY": str(y * 1000),
        "Rows": str(len(drawn)),
        "Columns": str(len(drawn[0])),
        "Orientation": {"down": "0", "left": "90", "up": "180", "right": "270"}[notch],
        "OriginLocation": "2",
        "BinType": "Decimal",
        "NullBin": "255",
        **device,
    }
    head = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    rows = "\n".join(
        f"<Row><![CDATA[{' '.join(('255', '001', '012')[die] for die in row)} ]]></Row>" for row in drawn
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<Maps>
 <Map xmlns:semi="http://www.semi.org" WaferId="L1-07" FormatRevision="G85-1101">
  <Device {head}>
   <Bin BinCode="1" BinCount="11" BinQuality="Pass" BinDescription="good"/>
   <Bin BinCode="12" BinCount="3" BinQuality="Fail" BinDescription="open"/>
   <Data MapName="Map" MapVersion="6">
{rows}
   </Data>
  </Device>
 </Map>
</Maps>
""".encode()


def e142(
    notch: str = "down", namespace: str = "urn:semi-org:xsd.E142-1.V1005.SubstrateMap", **top: str
) -> bytes:
    drawn = DRAWN[notch]
    x, y = size_as_drawn(notch)
    attributes = {
        "SubstrateType": "Wafer",
        "SubstrateId": "L1-07",
        "Orientation": {"down": "0", "left": "90", "up": "180", "right": "270"}[notch],
        "OriginLocation": "UpperLeft",
        "AxisDirection": "DownRight",
        "LayoutSpecifier": "WaferLayout/Devices",
        **top,
    }
    head = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    rows = "\n".join(f"<BinCode>{''.join(('FF', '01', '0C')[die] for die in row)}</BinCode>" for row in drawn)
    return f"""<?xml version="1.0" encoding="utf-8"?>
<MapData xmlns="{namespace}">
 <Layouts>
  <Layout LayoutId="WaferLayout" DefaultUnits="mm" TopLevel="true">
   <Dimension X="1" Y="1"/><DeviceSize X="300" Y="300"/>
   <ChildLayouts><ChildLayout LayoutId="Devices"/></ChildLayouts>
  </Layout>
  <Layout LayoutId="Devices" DefaultUnits="micron">
   <Dimension X="{len(drawn[0])}" Y="{len(drawn)}"/><StepSize X="{x * 1000}" Y="{y * 1000}"/>
  </Layout>
 </Layouts>
 <Substrates>
  <Substrate SubstrateType="Wafer" SubstrateId="L1-07"><LotId>L1</LotId><SlotNumber>7</SlotNumber></Substrate>
 </Substrates>
 <SubstrateMaps>
  <SubstrateMap {head}>
   <Overlay MapName="SortGrade" MapVersion="1">
    <BinCodeMap BinType="HexaDecimal" NullBin="FF">
     <BinDefinitions>
      <BinDefinition BinCode="01" BinQuality="Pass"/><BinDefinition BinCode="0C" BinQuality="Fail"/>
     </BinDefinitions>
{rows}
    </BinCodeMap>
   </Overlay>
  </SubstrateMap>
 </SubstrateMaps>
</MapData>
""".encode()


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=True, **arrays)
    return stream.getvalue()


def wm811k(grids: Sequence[Grid] = (UPRIGHT, UPRIGHT[:, ::-1]), **arrays: Any) -> bytes:
    sizes = np.array([grid.size for grid in grids], np.int64)
    layout = {
        "flat": np.concatenate([grid.reshape(-1) for grid in grids]),
        "offsets": np.concatenate([[0], np.cumsum(sizes)]),
        "shapes": np.array([grid.shape for grid in grids], np.int32),
        "label": np.array(["Loc", "None"] * len(grids))[: len(grids)],
    }
    return npz(**{**layout, **arrays})


def coordinates(**arrays: Any) -> bytes:
    layout = {
        "defects": np.array([[0, 1], [2, 3], [-40, 5.5]], np.float32),
        "offsets": np.array([0, 2, 2], np.int64),
        "counts": np.array([2, 0, 1], np.int64),
        "diameter_mm": np.array([300, 300, 200], np.float32),
        "label": np.array(["ring", "normal", "zigzag"]),
    }
    return npz(**{**layout, **arrays})


def stdf_record(kind: tuple[int, int], body: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HBB", len(body), *kind) + body


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def stdf_part(x: int, y: int, *, fails: bool, hard_bin: int = 1, flags: int | None = None) -> bytes:
    flag = (0x08 if fails else 0) if flags is None else flags
    return stdf_record((5, 20), struct.pack("<BBBHHHhhI", 1, 1, flag, 5, hard_bin, 1, x, y, 10) + _text("id"))


def stdf(*parts: bytes, notch: str = "down", version: int = 4, wafer: str = "07") -> bytes:
    """The upright wafer, or these parts, as one wafer of a lot; y counts upwards."""
    drawn = DRAWN[notch]
    x, y = size_as_drawn(notch)
    parts = parts or tuple(
        stdf_part(col - 1, 2 - row, fails=bool(die == 2))
        for row, dies in enumerate(drawn)
        for col, die in enumerate(dies)
        if die
    )
    master = struct.pack("<IIB", 0, 0, 1) + b"P  " + struct.pack("<H", 0) + b" " + _text("L1") + _text("chip")
    flat = {"down": b"D", "left": b"L", "up": b"U", "right": b"R"}[notch]
    layout = struct.pack("<fffB", 300.0, y, x, 3) + flat + struct.pack("<hh", 0, 0) + b"RU"
    return b"".join(
        [
            stdf_record((0, 10), bytes([2, version])),
            stdf_record((1, 10), master + _text("tester")),
            stdf_record((2, 10), struct.pack("<BBI", 1, 255, 1_200_000_000) + _text(wafer)),
            *parts,
            stdf_record((2, 20), struct.pack("<BBIIIIII", 1, 255, 0, len(parts), 0, 0, 0, 0) + _text(wafer)),
            stdf_record((2, 30), layout),
        ]
    )
