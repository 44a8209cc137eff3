"""Lists of the heads of many images: CSV and COCO."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pipelines.crowd.data import read_dataset, read_heads
from pipelines.crowd.data.record import CrowdError

from ..containers import pack
from ..reader import Reader
from ._folders import laid_out

WORDS: Final = (
    *(b"image", b"x", b"y", b"a.png", b"../a.png", b"/etc/passwd", b"nan", b"\\u0000", b"null", b"[]"),
    *(b"{}", b"images", b"annotations", b"categories", b"id", b"file_name", b"bbox", b"point"),
    *(b"keypoints", b"person", b"iscrowd", b"image_id", b"category_id", b"true", b"1e400", b"[[1]]"),
    *(b'"1"', b"head", b"[" * 2000),
)
_COCO: Final = {
    "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}, {"id": 2, "file_name": "b.png"}],
    "categories": [{"id": 1, "name": "person", "keypoints": ["nose", "left_ear"]}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "point": [1, 2]},
        {"id": 3, "image_id": 2, "category_id": 1, "keypoints": [1, 2, 2, 0, 0, 0]},
    ],
}


def _seeds() -> list[bytes]:
    images = {"a.png": b"", "b.png": b""}
    rows = b"image,x,y\na.png,1.5,2\na.png,3,4\nb.png,,\n"
    return [pack({"heads.csv": rows, **images}), pack({"coco.json": json.dumps(_COCO).encode(), **images})]


def _read(data: bytes, folder: Path) -> list[str]:
    said: list[str] = []
    with laid_out(data, folder) as names:
        found = read_dataset(folder / ("coco.json" if "coco.json" in names else "heads.csv"))
        said += found.notes
        for case in found.cases:
            assert case.image.resolve().is_relative_to(folder.resolve())
            try:
                heads = read_heads(case, full_size=(8, 6))
                said += heads.notes if heads else ()
            except CrowdError as error:
                said.append(str(error))
    return said


READER: Final = Reader(_seeds, _read, (CrowdError,), WORDS, folder=True)
