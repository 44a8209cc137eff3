"""SEMI E142."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.wafer.data import e142
from pipelines.wafer.data.record import WaferFileError
from pipelines.wafer.generate import sort_maps

from ..reader import Reader
from . import _xml
from ._wafers import NAMES, dies, refused

WORDS: Final = (
    *(b"MapData", b"SubstrateMap", b"Layout", b"Layouts", b"LayoutId", b"Dimension", b"DeviceSize"),
    *(b"StepSize", b"BinCodeMap", b"BinCode", b"BinDefinition", b"BinType", b"NullBin", b"BinQuality"),
    *(b"Orientation", b"AxisDirection", b"OriginLocation", b"UpRight", b"DownLeft", b"Substrate"),
    *(b"LotId", b"SubstrateId", b"SubstrateType", b"X", b"Y", b"Units", b"micron", b"Integer2"),
    *_xml.WORDS,
)
LISTED: Final = b"""<?xml version="1.0"?>
<MapData xmlns="urn:semi-org:xsd.E142-1.V1005.SubstrateMap"><Layouts>
<Layout LayoutId="Devices" DefaultUnits="mm"><Dimension X="3" Y="2"/><DeviceSize X="20" Y="30"/>
</Layout></Layouts>
<Substrates><Substrate SubstrateType="Wafer" SubstrateId="W1"><LotId>L1</LotId></Substrate></Substrates>
<SubstrateMaps><SubstrateMap SubstrateType="Wafer" SubstrateId="W1" LayoutSpecifier="Devices" Orientation="0"
 AxisDirection="UpRight"><Overlay><BinCodeMap BinType="HexaDecimal" NullBin="FF"><BinDefinitions>
<BinDefinition BinCode="01" BinQuality="Pass"/></BinDefinitions>
<BinCode X="0" Y="0">01</BinCode><BinCode X="2" Y="1">02</BinCode><BinCode X="1" Y="1">FF</BinCode>
</BinCodeMap></Overlay></SubstrateMap></SubstrateMaps></MapData>
"""


def _seeds() -> list[bytes]:
    return [sort_maps.e142(NAMES, dies()), sort_maps.e142(NAMES, dies(), "up"), LISTED]


def _read(data: bytes, folder: Path) -> list[str]:
    return refused(e142.read(data, folder / "a.xml"))


READER: Final = Reader(_seeds, _read, (WaferFileError,), WORDS)
