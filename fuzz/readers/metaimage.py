"""MetaImage, with its voxels in it or beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.medical.data.record import VolumeError
from pipelines.medical.generate import files

from ..containers import pack
from ..reader import Reader
from ._folders import laid_out
from ._volumes import AFFINE, ARRAY, looked_at

WORDS: Final = (
    *(b"ObjectType", b"NDims", b"DimSize", b"ElementType", b"ElementSpacing", b"TransformMatrix"),
    *(b"Offset", b"ElementDataFile", b"CompressedData", b"HeaderSize", b"BinaryData"),
    *(b"ElementNumberOfChannels", b"MET_SHORT", b"MET_DOUBLE", b"MET_UCHAR", b"LOCAL", b"LIST", b"True"),
    *(b"False", b"../a.raw", b"a.raw", b"= ", b"\r\n", b"/etc/passwd", b"BinaryDataByteOrderMSB"),
)


def _seeds() -> list[bytes]:
    packed = files.metaimage(ARRAY, AFFINE, "CT")
    head = packed[: packed.index(b"ElementDataFile")].replace(
        b"CompressedData = True", b"CompressedData = False"
    )
    raw = ARRAY.tobytes(order="F")
    beside = pack({"a.mhd": head + b"ElementDataFile = a.raw\n", "a.raw": raw})
    return [pack({"a.mha": packed}), beside, pack({"a.mha": head + b"ElementDataFile = LOCAL\n" + raw})]


def _read(data: bytes, folder: Path) -> list[str]:
    with laid_out(data, folder) as names:
        return looked_at(folder / ("a.mhd" if "a.mhd" in names else "a.mha"))


READER: Final = Reader(_seeds, _read, (VolumeError,), WORDS, folder=True)
