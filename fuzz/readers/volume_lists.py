"""Data sets of volumes: `cases.csv`, `cases.json`, and `dataset.json` beside nnU-Net's folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pipelines.medical.data.dataset import read_dataset
from pipelines.medical.data.record import VolumeError

from ..containers import pack
from ..reader import Reader
from ._folders import laid_out

WORDS: Final = (
    *(b"name", b"image", b"image2", b"label", b"images", b"a.nii", b"../a.nii", b"/etc/passwd"),
    *(b"\\u0000", b"channel_names", b"modality", b"labels", b"background", b"null", b"[]", b"{}"),
    *(b"[[[[", b"\0", b"CT"),
)


def _seeds() -> list[bytes]:
    volumes = {"a.nii": b"", "b.nii": b"", "m.nii": b""}
    rows = [{"name": "one", "image": "a.nii", "label": "m.nii"}, {"name": "two", "images": ["b.nii"]}]
    about = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "organ": 1, "both": [1, 2]}}
    nnunet = {"imagesTr/a_0000.nii": b"", "labelsTr/a.nii": b"", "dataset.json": json.dumps(about).encode()}
    return [
        pack({"cases.csv": b"name,image,label\none,a.nii,m.nii\ntwo,b.nii,\n", **volumes}),
        pack({"cases.json": json.dumps(rows).encode(), **volumes}),
        pack(nnunet),
    ]


def _read(data: bytes, folder: Path) -> list[str]:
    with laid_out(data, folder):
        found = read_dataset(folder)
        root = folder.resolve()
        for case in found.cases:
            assert all(path.resolve().is_relative_to(root) for path in case.images)
        return [note for note in found.notes if "left out" in note]


READER: Final = Reader(_seeds, _read, (VolumeError,), WORDS, folder=True)
