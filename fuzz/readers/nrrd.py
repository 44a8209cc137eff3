"""NRRD, with its voxels in it or beside it."""

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
    *(b"type:", b"dimension:", b"space:", b"sizes:", b"space directions:", b"kinds:", b"endian:"),
    *(b"encoding:", b"space origin:", b"spacings:", b"data file:", b"line skip:", b"byte skip:"),
    *(b"space units:", b"none", b"raw", b"gzip", b"bzip2", b"hex", b"ascii", b"short", b"double"),
    *(b"block", b"(1,0,0)", b"../a.raw", b"LIST", b"a%d.raw 1 9 1", b":=", b"space dimension: 3"),
    *(b"labels:", b'"mm" "mm" "mm"', b"/etc/passwd"),
)


def _seeds() -> list[bytes]:
    attached = files.nrrd(ARRAY, AFFINE)
    head, _, _ = attached.partition(b"\n\n")
    head = head.replace(b"encoding: gzip", b"encoding: raw") + b"\n"
    beside = pack({"a.nhdr": head + b"data file: a.raw\n", "a.raw": ARRAY.tobytes(order="F")})
    raw = pack({"a.nrrd": head + b"\n" + ARRAY.tobytes(order="F")})
    return [pack({"a.nrrd": attached}), beside, raw]


def _read(data: bytes, folder: Path) -> list[str]:
    with laid_out(data, folder) as names:
        return looked_at(folder / ("a.nhdr" if "a.nhdr" in names else "a.nrrd"))


READER: Final = Reader(_seeds, _read, (VolumeError,), WORDS, folder=True)
