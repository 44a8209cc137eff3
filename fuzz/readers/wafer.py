"""Any wafer map file, told by its content, gzipped or not."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.wafer.data import read_file
from pipelines.wafer.generate.bad import bad_files
from pipelines.wafer.generate.files import packed

from ..reader import Reader
from . import _arrays, _xml, e142, g85, klarf, npy, npz, sinf, stdf, table
from ._wafers import refused

_ALL: Final = (klarf, sinf, g85, e142, stdf, table, npy, npz)


def _seeds() -> list[bytes]:
    plain = [seed for module in _ALL for seed in module.READER.seeds()]
    bad = [content for content in bad_files().values() if len(content) < 8_000]
    return [*plain, *map(packed, plain[:4]), *bad]


def _read(data: bytes, folder: Path) -> list[str]:
    path = folder / "input"
    path.write_bytes(data)
    return refused(read_file(path))


READER: Final = Reader(_seeds, _read, (), (*klarf.WORDS, *sinf.WORDS, *_xml.WORDS, *_arrays.WORDS))
