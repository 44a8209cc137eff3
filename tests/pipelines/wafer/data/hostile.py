"""Files that are damaged, absurd or hostile, each with what the reader is to say about it."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.pipelines.wafer.data import builders
from tests.pipelines.wafer.data.builders import coordinates, e142, g85, npy, npz, sinf, stdf, wm811k

MIB = 2**20
NOISE = np.random.default_rng(0).bytes(100_000)
KLARF = (
    b'FileVersion 1 2;\nSampleSize 1 300;\nLotID "L";\nWaferID "1";\nDiePitch 4000 4000;\n'
    b"SampleCenterLocation 0 0;\nOrientationMarkLocation DOWN;\n"
    b"DefectRecordSpec 5 DEFECTID XREL YREL XINDEX YINDEX;\nDefectList\n%s;\nEndOfFile;\n"
)
KLARF_ROWS = b"\n".join(b" %d 10.5 20.5 %d 3" % (number, number % 9) for number in range(50))
KLARF_18 = b"""Record FileRecord "1.8" { Record LotRecord "L" { Record WaferRecord "1" {
 Field SampleSize 2 {300000000, 0}
 Field DiePitch 2 {4000000, 4000000}
 List DefectList { Columns 3 { int32 DEFECTID, int32 XREL, int32 YREL } Data 2 { 1 2 3 ; 4 5 6 ; } }
}}} EndOfFile;
"""


@dataclass(frozen=True)
class Case:
    """A file and what comes out: a map that `failed`, a file that is `skipped` as no map, each with words
    of the
    reason, or a `harmless` one, which is read in spite of its oddity."""

    name: str
    make: Callable[[], bytes]
    words: str
    outcome: str = "failed"


def gzip_bomb(head: bytes, size: int, filler: bytes = b" ") -> bytes:
    """`head` and then blanks up to `size` bytes, in about a thousandth of that."""
    part = 10 * MIB
    return gzip.compress(head) + gzip.compress(filler * (part // len(filler))) * (size // part)


def npy_header(text: str, version: bytes = b"\x01\x00") -> bytes:
    """An .npy file with this header and 100 bytes of data."""
    packed = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(packed)) + packed + bytes(100)


def npz_member(name: str, chunks: Iterator[bytes], **info: Any) -> bytes:
    """A zip file with one member, whose entries in the directory may be changed afterwards."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w", force_zip64=True) as member:
            for chunk in chunks:
                member.write(chunk)
        for field, value in info.items():
            setattr(archive.infolist()[0], field, value)
    return stream.getvalue()


def zip_bomb() -> bytes:
    header = npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': (1000, {600 * 1000}), }}")[:-100]
    return npz_member("grid.npy", iter([header, *([bytes(MIB)] * 600)]))


def many_members() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(5000):
            archive.writestr(f"a{number}.npy", b"")
    return stream.getvalue()


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30))
    return (
        f'<!DOCTYPE Maps [<!ENTITY a0 "ha">{entities}]>'.encode()
        + b"<Maps><Map><Device>&a29;</Device></Map></Maps>"
    )


def quadratic() -> bytes:
    text = "a" * 10_000
    body = "&a;" * 100_000
    return f'<!DOCTYPE Maps [<!ENTITY a "{text}">]><Maps><Map><Device>{body}</Device></Map></Maps>'.encode()


def g85_with_attributes(count: int) -> bytes:
    names = b" ".join(b'a%d=""' % number for number in range(count))
    return g85().replace(b"<Device ", b"<Device " + names + b" ")[:-9]


def external(system: str) -> bytes:
    doctype = f'<!DOCTYPE MapData [<!ENTITY x SYSTEM "{system}">]>'.encode()
    return doctype + e142().split(b"?>", 1)[1].replace(b"<LotId>L1", b"<LotId>&x;")


def csv_of(cell: str, count: int) -> bytes:
    return ("x_mm,y_mm,lot\n" + f"{cell}\n" * count).encode()


def half(make: Callable[[], bytes]) -> Callable[[], bytes]:
    return lambda: make()[: len(make()) // 2]


HALF: dict[str, tuple[Callable[[], bytes], str]] = {
    "sinf": (sinf, "there are no rows"),
    "g85": (g85, "cut short or damaged"),
    "e142": (e142, "cut short or damaged"),
    "npy": (lambda: npy(np.ones((300, 300), np.uint8)), "more than the file holds"),
    "wm811k": (wm811k, "cut short or damaged"),
    "coordinates": (coordinates, "cut short or damaged"),
    "gzip": (lambda: gzip.compress(sinf() + NOISE.hex().encode()), "the gzip data is cut short"),
    "klarf 1.2": (lambda: KLARF % KLARF_ROWS, ""),
    "klarf 1.8": (lambda: KLARF_18, ""),
}

CASES = [
    *(Case(f"half of {name}", half(make), words) for name, (make, words) in HALF.items()),
    Case("half of a csv row", lambda: b"x_mm,y_mm,lot\n1,2,A\n3", "row 2 has 1 cells; 3 are needed"),
    Case("half of stdf", lambda: stdf()[:-30], ""),
    # Nothing, noise, and the beginnings of formats before noise.
    Case("empty", lambda: b"", "the file is empty", "skipped"),
    Case("empty gzip", lambda: gzip.compress(b""), "the file is empty", "skipped"),
    Case("noise", lambda: NOISE, "no wafer map", "skipped"),
    Case("noise after npy", lambda: b"\x93NUMPY\x01\x00" + NOISE, "the header of the array is damaged"),
    Case("noise after npz", lambda: wm811k()[:60] + NOISE, "cut short or damaged"),
    Case("noise after stdf", lambda: stdf()[:6] + NOISE, ""),
    Case("noise after gzip", lambda: b"\x1f\x8b\x08\x00" + NOISE, "the gzip data is damaged"),
    Case("noise after klarf", lambda: b"FileVersion 1 2;\n" + NOISE, ""),
    Case(
        "noise after sinf",
        lambda: b"ROWCT:3\nCOLCT:3\nBCEQU:01\nRowData:" + NOISE.replace(b"\0", b""),
        "ROWCT is 3",
    ),
    Case("noise in e142", lambda: e142()[:200] + NOISE, "no wafer map", "skipped"),
    Case("another zip", lambda: npz_member("word/document.xml", iter([b"<a/>"])), "no wafer map", "skipped"),
    # SINF.
    Case("sinf of no rows", lambda: sinf()[: sinf().index(b"RowData")], "there are no rows"),
    Case("sinf of no size", lambda: b"ROWCT:0\nCOLCT:0\nBCEQU:01\nRowData:\n", "ROWCT is 0"),
    Case("sinf of no columns", lambda: b"ROWCT:1\nCOLCT:0\nBCEQU:01\nRowData:\n", "at least 1"),
    Case("sinf of no dies", lambda: b"ROWCT:1\nCOLCT:2\nBCEQU:01\nRowData:__ __\n", "holds no die"),
    Case("sinf with a ragged row", lambda: sinf() + b"RowData:01\n", "ROWCT is 5, but the file has 6"),
    Case("sinf with a huge count", lambda: sinf(ROWCT="9" * 400), "ROWCT must be a finite number"),
    Case("sinf with dies of nan", lambda: sinf(XDIES="nan"), "XDIES must be a finite number"),
    Case("sinf with endless dies", lambda: sinf(XDIES="1e300"), "more than the largest wafer"),
    Case("sinf of a million headers", lambda: sinf() + b"LOT:1\n" * 300_000, "there are no rows"),
    Case(
        "sinf with a row of millions",
        lambda: b"ROWCT:1\nBCEQU:01\nRowData:" + b"01 " * 300_000,
        "at most 20,000 are read on a side",
    ),
    # XML.
    Case("billion laughs", laughs, "defines entities"),
    Case("quadratic blow-up", quadratic, "defines entities"),
    Case("external entity", lambda: external("file:///etc/passwd"), "refers to other files"),
    Case("entity from the net", lambda: external("http://127.0.0.1:9/x"), "refers to other files"),
    Case(
        "external subset",
        lambda: b'<!DOCTYPE Maps [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>' + g85().split(b"?>", 1)[1],
        "refers to other files",
    ),
    Case("deep nesting", lambda: b"<Maps><Map><Device>" + b"<a>" * 3_000_000, "nested more than 32 deep"),
    Case(
        "endless elements", lambda: b"<Maps><Map><Device>" + b"<a/>" * 3_000_000, "more than 500,000 elements"
    ),
    Case("endless attributes", lambda: g85_with_attributes(800_000), "cut short or damaged"),
    Case("endless lines", lambda: g85()[:-9] + b"\n" * 10_000_000, "cut short or damaged"),
    Case(
        "endless row",
        lambda: g85().replace(b"<Row>", b"<Row>" + b"1" * 10_000_000, 1),
        "more than 200,000 char",
    ),
    Case("unknown encoding", lambda: g85().replace(b'"utf-8"', b'"klingon"'), "encoding"),
    Case("xml that is not utf-8", lambda: g85().replace(b'LotId="L1"', b'LotId="\xff\xfe"'), "damaged"),
    Case(
        "g85 without a device", lambda: b"<Maps><Map FormatRevision='G85-1101'/></Maps>", "Device is missing"
    ),
    Case("g85 without a map", lambda: b"<Maps><Device/></Maps>", "the file holds no wafer"),
    Case("g85 with wrong rows", lambda: g85(Rows="50"), "Rows is 50, but the file has 5"),
    Case("g85 with columns of nan", lambda: g85(Columns="nan"), "Columns must be a finite number"),
    Case("g85 with infinite dies", lambda: g85(DeviceSizeX="inf"), "DeviceSizeX must be a finite number"),
    Case(
        "g85 that is all null", lambda: g85().replace(b"001", b"255").replace(b"012", b"255"), "holds no die"
    ),
    Case("e142 with wrong rows", lambda: e142().replace(b'Y="5"', b'Y="6"'), "the layout has 6 rows"),
    Case(
        "e142 with a device far away",
        lambda: e142().replace(b"<BinCode>", b'<BinCode X="9999999999999999999" Y="0">', 1),
        "X of a BinCode",
    ),
    # Tables.
    Case("a million columns", lambda: b"x_mm,y_mm" + b",c" * 1_000_000 + b"\n1,2\n", "a line has more than"),
    Case("csv of words", lambda: csv_of("1,two,A", 3), "must be a number, not 'two'"),
    Case("csv with infinity", lambda: csv_of("1,-inf,A", 3), "not a finite number"),
    Case("csv with a huge number", lambda: csv_of("1,1e999,A", 3), "not a finite number"),
    Case("csv with a header only", lambda: b"x_mm,y_mm\n", "a header but no rows"),
    Case("csv with an open quote", lambda: b'x_mm,y_mm\n1,"' + b"2\n" * MIB, "cannot be read"),
    Case("csv with a huge cell", lambda: csv_of("1,2," + "A" * 200_000, 3), "cannot be read"),
    Case("csv of nul bytes", lambda: csv_of("1,2,A", 30_000) + bytes(1000), "row 30001 has 1 cells"),
    Case("csv that is not utf-8", lambda: b"x_mm,y_mm,lot\n\xff,2,\xe9\n", "must be a number"),
    Case(
        "csv of too many wafers",
        lambda: b"x_mm,y_mm,lot\n" + b"\n".join(b"1,2,%d" % n for n in range(20_000)),
        "more than 10,000 wafers",
    ),
    Case("csv of dies far apart", lambda: b"die_x,die_y,bin\n0,0,1\n1000000,1000000,1\n", "at most 20,000"),
    # .npy and .npz.
    Case(
        "npy that promises a lot",
        lambda: npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000), }"),
        "more than the file holds",
    ),
    Case(
        "npy of negative size",
        lambda: npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 10), }"),
        "",
    ),
    Case(
        "npy of values without size",
        lambda: npy_header("{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000, 5), }"),
        "only numbers, booleans and text",
    ),
    Case(
        "npy with code for a header",
        lambda: npy_header("__import__('os').abort()"),
        "header of the array is damaged",
    ),
    Case("npy with brackets for a header", lambda: npy_header("[" * 5000), "header of the array is damaged"),
    Case("npy of a later version", lambda: npy_header("{}", b"\x09\x00"), "version (9, 0)"),
    Case("npy that is pickled", lambda: npy(np.array([{"a": 1}], object)), "only numbers, booleans and text"),
    Case("npy of no size", lambda: npy(np.zeros((0, 5), np.uint8)), "at least 1"),
    Case("npy of no dies", lambda: npy(np.zeros((5, 5), np.uint8)), "holds no die"),
    Case("npy of other values", lambda: npy(np.full((5, 5), 9)), "goes from 9 to 9"),
    Case("npy of nan", lambda: npy(np.full((5, 5), np.nan)), "integers or booleans"),
    Case("npy in 3D", lambda: npy(np.ones((5, 5, 3), np.uint8)), "2D grid"),
    Case(
        "npz that is pickled",
        lambda: npz(grid=np.array([[{"a": 1}]], object)),
        "only numbers, booleans and text",
    ),
    Case(
        "npz with pickled labels",
        lambda: wm811k(flat=np.array([{}], object)),
        "only numbers, booleans and text",
    ),
    Case("zip bomb", zip_bomb, "bytes when unpacked"),
    Case("zip of many members", many_members, "5000 members"),
    Case(
        "encrypted npz", lambda: npz_member("a.npy", iter([npy(builders.UPRIGHT)]), flag_bits=1), "encrypted"
    ),
    Case(
        "npz with a wrong size",
        lambda: npz_member("a.npy", iter([npy(builders.UPRIGHT)]), file_size=50, CRC=0),
        "cut short or damaged",
    ),
    Case("npz without maps", lambda: npz(), "no wafer map", "skipped"),
    Case("wm811k with too few offsets", lambda: wm811k(offsets=np.array([0])), "1 offsets for 2 maps"),
    Case("wm811k with a huge shape", lambda: wm811k(shapes=np.full((2, 2), 2**31 - 1)), "at most 20,000"),
    Case("wm811k of no size", lambda: wm811k(shapes=np.zeros((2, 2), int)), "at least 1"),
    Case("wm811k with fractions", lambda: wm811k(offsets=np.array([0.5, 1, 2])), "must hold integers"),
    Case("wm811k with other values", lambda: wm811k(flat=np.full(40, 3, np.uint8)), "values other than 0"),
    Case("coordinates with nan", lambda: coordinates(defects=np.full((3, 2), np.nan)), "not a finite number"),
    Case("coordinates in 3D", lambda: coordinates(defects=np.zeros((3, 3))), "must have the shape (n, 2)"),
    Case("coordinates out of range", lambda: coordinates(offsets=np.array([2**62] * 3)), "needs the rows"),
    Case(
        "coordinates on no wafer", lambda: coordinates(diameter_mm=np.zeros(3)), "diameter must lie between"
    ),
    Case(
        "coordinates without counts",
        lambda: npz(defects=np.zeros((1, 2)), offsets=[0]),
        "grid of dies must hold",
    ),
    # gzip.
    Case("gzip bomb", lambda: gzip_bomb(sinf(), 300 * MIB), "more than 268,435,456 bytes when unpacked"),
    Case("gzip bomb of a table", lambda: gzip_bomb(b"x_mm,y_mm\n1,2\n", 250 * MIB), "a line has more than"),
    Case("gzip bomb of sinf", lambda: gzip_bomb(sinf() + b"RowData:", 250 * MIB), "a line has more than"),
    Case(
        "gzip bomb of codes",
        lambda: gzip_bomb(sinf() + b"RowData:", 250 * MIB, b" 01"),
        "a line has more than",
    ),
    Case(
        "gzip bomb of rows", lambda: gzip_bomb(sinf(), 250 * MIB, b"RowData:01 01\n"), "more than 20,000 rows"
    ),
    Case(
        "gzip bomb of empty lines", lambda: gzip_bomb(sinf(), 250 * MIB, b"\n"), "more than 3,000,000 lines"
    ),
    Case(
        "gzip bomb of empty rows", lambda: gzip_bomb(b"x,y\n", 250 * MIB, b"\n"), "more than 8,000,000 lines"
    ),
    Case("gzip bomb of pairs", lambda: gzip_bomb(b"x,y\n", 250 * MIB, b"1,2\n"), "more than 5,000,000 rows"),
    Case("gzip bomb of records", lambda: gzip_bomb(stdf()[:6], 250 * MIB, bytes([0, 0, 0, 10])), ""),
    Case("gzip bomb of wafers", lambda: gzip_bomb(stdf()[:6], 250 * MIB, bytes([0, 0, 2, 10])), ""),
    Case(
        "gzip bomb of parts",
        lambda: gzip_bomb(stdf()[:-30], 250 * MIB, builders.stdf_part(1, 2, fails=True)),
        "",
    ),
    Case("gzip bomb of an array", lambda: gzip_bomb(npy(builders.UPRIGHT), 250 * MIB), "", "harmless"),
    Case("gzip bomb of klarf", lambda: gzip_bomb(KLARF % KLARF_ROWS, 250 * MIB), "", "harmless"),
    Case("gzip bomb of xml", lambda: gzip_bomb(g85()[:-8], 250 * MIB), "bytes; at most 16,777,216 are read"),
    Case("gzip bomb of no map", lambda: gzip_bomb(b"", 300 * MIB), "no wafer map", "skipped"),
    Case(
        "gzip of endless parts", lambda: gzip.compress(sinf()) + gzip.compress(b"") * 200_000, "10,000 parts"
    ),
    Case("gzip in gzip", lambda: gzip.compress(gzip.compress(sinf())), "no wafer map", "skipped"),
    Case(
        "gzip with a wrong checksum",
        lambda: gzip.compress(sinf())[:-8] + bytes(8),
        "the gzip data is damaged",
    ),
    # STDF. Its reason is the missing package where that is not installed.
    Case("stdf version 3", lambda: stdf(version=3), ""),
    Case("stdf of packaged parts", lambda: stdf()[:6] + builders.stdf_part(1, 1, fails=True), ""),
    Case("stdf with a short part", lambda: stdf(builders.stdf_record((5, 20), b"\x01\x01\x00\x05")), ""),
    Case(
        "stdf of dies far apart",
        lambda: stdf(*(builders.stdf_part(n, n, fails=True) for n in (-30000, 30000))),
        "",
    ),
    # KLARF, of which the tests of its reader have many more.
    Case("klarf with too few columns", lambda: KLARF % b" 1 2 3\n", ""),
    Case("klarf with words", lambda: KLARF % b" 1 two 3 4 5\n", ""),
    Case("klarf with nan", lambda: KLARF % b" 1 nan 3 4 5\n", ""),
    Case("klarf 1.8 with open brackets", lambda: b'Record FileRecord "1.8" ' + b"{ Record A " * 100_000, ""),
]
