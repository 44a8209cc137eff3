"""What the harness found: inputs that once ended without a clear reason, or were refused for no good one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fuzz.containers import pack
from fuzz.readers import load
from pipelines.wafer.generate.files import npy, npz

COORDINATES = {
    "defects": npy(np.zeros((2, 2), np.float32)),
    "offsets": npy(np.zeros(1, np.int64)),
    "counts": npy(np.array([2])),
    "diameter_mm": npy(np.array([300.0], np.float32)),
}
UTF_16 = "lot,x_mm,y_mm\nA,1,2\n".encode("utf-16")
STDF = b"\x02\x00\x00\x0a\x02\x04" + b"\x0a\x00\x02\x0a" + b"\x01\xff\x00\x00\x00\x00\x03\xff\xff\xff"


def zipped(**members: bytes) -> bytes:
    return pack({f"{name}.npy": content for name, content in members.items()})


def of_zip_version_99() -> bytes:
    whole = bytearray(npz(a=np.ones((2, 2), np.uint8)))
    entry = whole.index(b"PK\x01\x02")
    whole[entry + 6 : entry + 8] = (99).to_bytes(2, "little")
    return bytes(whole)


def with_true_in_its_shape() -> bytes:
    return zipped(**{**COORDINATES, "diameter_mm": COORDINATES["diameter_mm"].replace(b"(1,)", b"(True,)")})


FOUND = [
    ("table", UTF_16[:-1], "UTF-16"),
    ("table", b"x_mm,y_mm\n1e300,0\n", "from the wafer's centre"),
    ("npz", zipped(**{**COORDINATES, "defects": npy(np.full((2, 2), 1e30))}), "from the wafer's centre"),
    ("npz", of_zip_version_99(), "damaged"),
    (
        "sinf",
        b"ROWCT:1\nCOLCT:1\nBCEQU:01\nXDIES:1e300\nYDIES:1\nRowData:01\n",
        "more than the largest wafer",
    ),
    ("stdf", STDF, "no UTF-8"),
    ("labelled", pack({"labels.csv": b"source,map,label\na\0b,0,none\n"}), "no name of a file"),
]


@pytest.mark.parametrize(("reader", "data", "words"), FOUND, ids=[f"{n} {w}" for n, _, w in FOUND])
def test_it_is_refused_with_a_reason(reader: str, data: bytes, words: str, tmp_path: Path) -> None:
    found = load(reader)
    try:
        said = list(found.read(data, tmp_path))
    except found.errors as error:
        said = [str(error)]
    assert any(words in one for one in said), said


@pytest.mark.parametrize(
    ("reader", "data"),
    [
        ("sinf", b"ROWCT:1\nCOLCT:1\nBCEQU:01\nLOT:\xce\nRowData:01\n\xce"),  # the last sign is half of one
        ("npz", with_true_in_its_shape()),
        ("npy", npy(np.ones((2, 2), np.uint8)).replace(b"(2, 2)", b"(2L,2)")),  # as Python 2 wrote it
    ],
)
def test_it_is_read(reader: str, data: bytes, tmp_path: Path) -> None:
    assert list(load(reader).read(data, tmp_path)) == []
