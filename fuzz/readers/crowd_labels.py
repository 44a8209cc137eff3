"""Label files of single images: text tables, NWPU's JSON, and MATLAB files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
from scipy.io import savemat

from pipelines.crowd.data.labels import FORMATS, read_labels
from pipelines.crowd.data.record import CrowdError

from ..containers import pack
from ..reader import Reader
from ._folders import laid_out

WORDS: Final = (
    *(b"points", b"human_num", b"boxes", b"nan", b"inf", b",", b"\t", b"image_info", b"location"),
    *(b"number", b"annPoints", b"loc", b"\x0e\x00\x00\x00", b"\x0f\x00\x00\x00", b"\x01\x00\x00\x00"),
    *(b"IM", b"MI", b"#"),
)
_TABLES: Final = {
    "jhu": b"10 20 5 6 1 0\n30 40 7 8 2 1\n",
    "visdrone": b"1,2,30,40,1,1,0,0\n5,6,7,8,1,2,0,0\n9,9,9,9,1,0,0,0\n",
    "xy": b"1.5 2.5\n3,4\n",
    "unity": b"1 2\n3 4\n",
    "nwpu": b'{"img_id": "1.jpg", "human_num": 2, "points": [[1.5, 2.5], [3, 4]]}',
}


def _mat(**content: object) -> bytes:
    stream = io.BytesIO()
    savemat(stream, content, do_compression=bool(content.get("loc") is not None))
    return stream.getvalue()


def _seeds() -> list[bytes]:
    points = np.array([[1.5, 2.5], [3.0, 4.0]])
    cell = np.empty((1, 1), object)
    cell[0, 0] = {"location": points, "number": 2}
    files = [
        *_TABLES.items(),
        ("mat", _mat(annPoints=points)),
        ("mat", _mat(image_info=cell)),
        ("mat", _mat(loc=points)),
    ]
    return [pack({name: content}) for name, content in files]


def _read(data: bytes, folder: Path) -> list[str]:
    said: list[str] = []
    with laid_out(data, folder) as names:
        for name in set(names) & set(FORMATS):
            marks = read_labels(folder / name, name)
            assert marks.points.ndim == 2 and marks.points.shape[1] == 2
            said += marks.notes
    return said


READER: Final = Reader(_seeds, _read, (CrowdError,), WORDS, folder=True)
