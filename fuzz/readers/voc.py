"""Boxes in Pascal VOC's XML."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.polyp.data.record import PolypError
from pipelines.polyp.data.voc import read_voc

from ..reader import Reader
from . import _xml

WORDS: Final = (
    *(b"annotation", b"object", b"bndbox", b"xmin", b"ymin", b"xmax", b"ymax", b"size", b"width"),
    *(b"height", b"unique_id", b"name"),
    *_xml.WORDS,
)
SEED: Final = b"""<annotation><folder>f</folder><filename>1.jpg</filename>
<size><width>320</width><height>240</height><depth>3</depth></size>
<object><name>lesion</name><unique_id>001-001_1</unique_id>
<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>110.5</xmax><ymax>240</ymax></bndbox></object>
<object><name>lesion</name><bndbox><ymax>5</ymax><xmax>9</xmax><xmin>1</xmin><ymin>2</ymin></bndbox></object>
</annotation>
"""


def _read(data: bytes, folder: Path) -> list[str]:
    path = folder / "a.xml"
    path.write_bytes(data)
    return list(read_voc(path).notes)


READER: Final = Reader(lambda: [SEED, b"<annotation/>"], _read, (PolypError,), WORDS)
