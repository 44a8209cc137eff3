"""Data sets of polyps: our own tables, and REAL-Colon's and PolypSense's files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.polyp.data import read_dataset
from pipelines.polyp.data.record import PolypError

from ..containers import pack
from ..reader import Reader
from ._folders import laid_out
from .images import png
from .voc import SEED
from .voc import WORDS as VOC_WORDS

WORDS: Final = (
    *(b"polyp", b"patient", b"image", b"video", b"frame", b"x0", b"y1", b"mask", b"depth", b"size_mm"),
    *(b"p1", b"fx", b"fy", b"cx", b"k1", b"width", b"a.png", b"../a.png", b"/etc/passwd"),
    *(b"unique_object_id", b"null"),
    *VOC_WORDS,
)


def _seeds() -> list[bytes]:
    image = png()
    own = {
        "polyps.csv": b"polyp,patient,size_mm,censored\np1,7,5,\np2,7,20,yes\n",
        "frames.csv": b"polyp,image,x0,y0,x1,y1,mask\np1,a.png,1,2,5,6,\np1,b.png,,,,,b.png\np2,a.png,,,,,\n",
        "calibration.json": b'{"width": 8, "height": 6, "fx": 7.5, "fy": 7.5, "cx": 4, "cy": 3, "k1": -0.1}',
        "a.png": image,
        "b.png": image,
    }
    real = {
        "lesion_info.csv": b"unique_object_id,unique_video_name,size [mm],site\n001-001_1,001-001,4,CO\n",
        "video_info.csv": b"unique_video_name,age,sex,fps\n001-001,60,M,30\n",
        "001-001_frames/001-001_1.png": image,
        "001-001_annotations/001-001_1.xml": SEED,
    }
    return [pack(own), pack(real)]


def _read(data: bytes, folder: Path) -> list[str]:
    with laid_out(data, folder):
        return list(read_dataset(folder).notes)


READER: Final = Reader(_seeds, _read, (PolypError,), WORDS, folder=True)
