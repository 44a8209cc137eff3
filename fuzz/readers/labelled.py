"""Labelled maps: a folder with labels.csv and its maps."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.wafer.data import read_labelled
from pipelines.wafer.data.record import WaferFileError
from pipelines.wafer.generate import files, sort_maps

from ..containers import pack
from ..reader import Reader
from ._folders import laid_out
from ._wafers import NAMES, dies


def _seeds() -> list[bytes]:
    rows = b"source,map,label\na.sinf,0,Donut\nb.npz,1,none\nb.npz,0,Donut\n"
    maps = {"a.sinf": sort_maps.sinf(NAMES, dies()), "b.npz": files.npz(W1=dies().status, W2=dies().status)}
    return [pack({"labels.csv": rows, **maps}), pack({"d.npz": files.wm811k([dies()], ["Donut"])})]


WORDS: Final = (
    *(b"source", b"map", b"label", b"a.sinf", b"b.npz", b"../a.sinf", b"/etc/passwd", b"\0", b'"'),
    *(b"a/" * 500,),
)


def _read(data: bytes, folder: Path) -> list[str]:
    with laid_out(data, folder) as names:
        path = folder / "d.npz" if "d.npz" in names else folder
        for wafer, label in read_labelled(path):
            assert wafer.locatable and isinstance(label, str)
    return []


READER: Final = Reader(_seeds, _read, (WaferFileError,), WORDS, folder=True)
