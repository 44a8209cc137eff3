"""Writers of die-level sort maps: SINF, SEMI G85 and SEMI E142. Each returns the bytes of one file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.generate.dies import FAIL, NO_DIE, DieMap
from pipelines.wafer.generate.files import TURNS, Names, Notch


def sinf(names: Names, dies: DieMap, notch: Notch = "down") -> bytes:
    """SINF with two-digit bins: 01 passes, 02 to 04 fail, __ is no die."""
    stored = _stored(dies.status, notch)
    width, height = _pitch(dies, notch)
    cells = _bins(stored, good="01", fail=("02", "03", "04"), none="__")
    location = {"up": 0, "right": 90, "down": 180, "left": 270}[notch]
    rows, cols = stored.shape
    lines = [
        f"DEVICE:{names.device}",
        f"LOT:{names.lot}",
        f"WAFER:{names.wafer}",
        f"FNLOC:{location}",
        f"ROWCT:{rows}",
        f"COLCT:{cols}",
        "BCEQU:01",
        f"REFPX:{cols // 2}",
        f"REFPY:{rows // 2}",
        "DUTMS:mm",
        f"XDIES:{width:.3f}",
        f"YDIES:{height:.3f}",
        *("RowData:" + " ".join(row) for row in cells),
    ]
    return "\n".join([*lines, ""]).encode("ascii")


def g85(names: Names, dies: DieMap, notch: Notch = "down") -> bytes:
    """SEMI G85-0703 with one ASCII character a die: 1 passes, 2 to 4 fail, a full stop is no die."""
    stored = _stored(dies.status, notch)
    width, height = _pitch(dies, notch)
    cells = _bins(stored, good="1", fail=("2", "3", "4"), none=".")
    rows, cols = stored.shape
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<Maps xmlns:semi="http://www.semi.org">',
        f' <Map SubstrateType="Wafer" WaferId="{names.wafer}" FormatRevision="SEMI G85-0703">',
        f'  <Device ProductId="{names.device}" LotId="{names.lot}" Orientation="{_degrees(notch)}"'
        f' WaferSize="{dies.diameter_mm:g}"'
        f' DeviceSizeX="{1000 * width:.0f}" DeviceSizeY="{1000 * height:.0f}"'
        f' Rows="{rows}" Columns="{cols}" BinType="Ascii" NullBin="." OriginLocation="2"'
        f' SlotNumber="{names.slot}" CreateDate="{names.time:%Y%m%d%H%M%S}">',
        *_bin_elements("Bin", "   ", {"1": "Pass", "2": "Fail", "3": "Fail", "4": "Fail"}, cells),
        '   <Data MapName="Sort" MapVersion="1">',
        *(f"    <Row><![CDATA[{''.join(row)}]]></Row>" for row in cells),
        "   </Data>",
        "  </Device>",
        " </Map>",
        "</Maps>",
        "",
    ]
    return "\n".join(lines).encode("utf-8")


def e142(names: Names, dies: DieMap, notch: Notch = "down") -> bytes:
    """SEMI E142 with hexadecimal bins: 01 passes, 0A to 0C fail, FF is no die."""
    stored = _stored(dies.status, notch)
    width, height = _pitch(dies, notch)
    cells = _bins(stored, good="01", fail=("0A", "0B", "0C"), none="FF")
    rows, cols = stored.shape
    diameter = dies.diameter_mm
    qualities = {"01": "Pass", "0A": "Fail", "0B": "Fail", "0C": "Fail"}
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<MapData xmlns="urn:semi-org:xsd.E142-1.V0211.SubstrateMap">',
        " <Layouts>",
        '  <Layout LayoutId="WaferLayout" DefaultUnits="mm" TopLevel="true">',
        '   <Dimension X="1" Y="1"/>',
        f'   <DeviceSize X="{diameter:g}" Y="{diameter:g}"/>',
        '   <ChildLayouts><ChildLayout LayoutId="Devices"/></ChildLayouts>',
        "  </Layout>",
        '  <Layout LayoutId="Devices" DefaultUnits="micron">',
        f'   <Dimension X="{cols}" Y="{rows}"/>',
        f'   <DeviceSize X="{1000 * width:.0f}" Y="{1000 * height:.0f}"/>',
        f'   <StepSize X="{1000 * width:.0f}" Y="{1000 * height:.0f}"/>',
        f"   <ProductId>{names.device}</ProductId>",
        "  </Layout>",
        " </Layouts>",
        " <Substrates>",
        f'  <Substrate SubstrateType="Wafer" SubstrateId="{names.wafer}">',
        f"   <LotId>{names.lot}</LotId>",
        f"   <SlotNumber>{names.slot}</SlotNumber>",
        "  </Substrate>",
        " </Substrates>",
        " <SubstrateMaps>",
        f'  <SubstrateMap SubstrateType="Wafer" SubstrateId="{names.wafer}"'
        ' LayoutSpecifier="WaferLayout/Devices"'
        f' SubstrateSide="TopSide" Orientation="{_degrees(notch)}" OriginLocation="UpperLeft"'
        ' AxisDirection="DownRight">',
        '   <Overlay MapName="SortGrade" MapVersion="1">',
        '    <BinCodeMap BinType="HexaDecimal" NullBin="FF">',
        "     <BinDefinitions>",
        *_bin_elements("BinDefinition", "      ", qualities, cells),
        "     </BinDefinitions>",
        *(f"     <BinCode>{''.join(row)}</BinCode>" for row in cells),
        "    </BinCodeMap>",
        "   </Overlay>",
        "  </SubstrateMap>",
        " </SubstrateMaps>",
        "</MapData>",
        "",
    ]
    return "\n".join(lines).encode("utf-8")


def _stored(status: NDArray[np.uint8], notch: Notch) -> NDArray[np.uint8]:
    return np.rot90(status, TURNS[notch])


def _pitch(dies: DieMap, notch: Notch) -> tuple[float, float]:
    width, height = dies.pitch_mm
    return (height, width) if TURNS[notch] % 2 else (width, height)


def _degrees(notch: Notch) -> int:
    """Clockwise from the bottom, as SEMI E5, G85 and E142 count."""
    return {"down": 0, "left": 90, "up": 180, "right": 270}[notch]


def _bins(status: NDArray[np.uint8], good: str, fail: tuple[str, ...], none: str) -> list[list[str]]:
    """Bin codes; the failing bins differ in runs, as when one test fails in a part of the wafer."""
    cells = np.full(status.shape, good, dtype=f"<U{len(good)}")
    cells[status == NO_DIE] = none
    failing = np.flatnonzero(status == FAIL)
    cells.flat[failing] = np.array(fail)[np.arange(len(failing)) // 5 % len(fail)]
    rows: list[list[str]] = cells.tolist()
    return rows


def _bin_elements(tag: str, indent: str, qualities: dict[str, str], cells: list[list[str]]) -> list[str]:
    counts = {code: sum(row.count(code) for row in cells) for code in qualities}
    return [
        f'{indent}<{tag} BinCode="{code}" BinCount="{counts[code]}" BinQuality="{quality}"'
        f' BinDescription="{quality.lower()}"/>'
        for code, quality in qualities.items()
    ]
