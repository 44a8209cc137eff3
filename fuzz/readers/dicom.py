"""A folder of DICOM slices: found, sorted into series, and read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.medical.data.files import VolumeFile, find_volumes, read_volume
from pipelines.medical.data.record import VolumeError
from pipelines.medical.generate import files

from ..containers import pack
from ..reader import Reader
from ._folders import laid_out
from ._volumes import AFFINE, ARRAY

WORDS: Final = (
    *(b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.4.50"),
    *(b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.1.99", b"OW", b"OB", b"SQ"),
    *(b"UN", b"DS", b"IS", b"US", b"UL", b"\\", b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xe0\x7f\x10\x00"),
    *(b"\x28\x00", b"\x28\x00\x10\x00", b"\x28\x00\x08\x00", b"\x20\x00\x32\x00", b"\x20\x00\x37\x00"),
    *(b"\xff\xff\xff\xff",),
)


def _seeds() -> list[bytes]:
    slices = files.dicom_series(ARRAY, AFFINE, 2, "small")
    return [pack({f"IM{number}": one for number, one in enumerate(slices)}), pack({"IM0": slices[0]})]


def _read(data: bytes, folder: Path) -> list[str]:
    said = []
    with laid_out(data, folder):
        for found in find_volumes([folder]):
            if not isinstance(found, VolumeFile):
                said.append(found.reason)
                continue
            try:
                assert read_volume(found).array.ndim == 3
            except VolumeError as error:
                said.append(str(error))
    return said


READER: Final = Reader(_seeds, _read, (), WORDS, folder=True)
