"""What the two SEMI standards for maps in XML share: bin codes, their qualities, and orientation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from .dies import Notch, check_shape, status_grid
from .record import FAIL, NO_DIE, PASS, WaferFileError
from .text import whole_number
from .xml import attributes

MAX_ROW: Final = 200_000  # characters

# Orientation: where the flat or notch is, in degrees clockwise from the bottom.
_NOTCH: Final[dict[int, Notch]] = {0: "down", 90: "left", 180: "up", 270: "right"}
# Characters of a code where codes follow one another without a space.
_WIDTH: Final = {"ascii": 1, "decimal": 3, "hexadecimal": 2, "integer2": 4}
_PASS: Final = frozenset({"pass", "passed", "good", "p"})
_FAIL: Final = frozenset({"fail", "failed", "bad", "reject", "f"})


@dataclass(frozen=True, slots=True)
class BinTable:
    """How the codes of a map are written and what they mean.

    width: characters of a code; good: of passing dies; absent: of places without a tested die.
    """

    bin_type: str
    width: int
    good: frozenset[str]
    absent: frozenset[str]
    notes: tuple[str, ...]


def notch_from_degrees(text: str) -> Notch:
    """The place of the orientation mark from `Orientation`."""
    notch = _NOTCH.get(whole_number(text or "0", "Orientation") % 360)
    if notch is None:
        raise WaferFileError(f"Orientation must be 0, 90, 180 or 270, not {text}")
    return notch


def bin_table(bin_type: str, null_bin: str, definitions: list[Element]) -> BinTable:
    """The meaning of codes from BinType, NullBin and the elements with BinCode and BinQuality.

    Codes defined as neither pass nor fail (skip, reference, not tested) are places without a tested die;
    codes that are not defined fail. Where no quality is stated, bin 1 is the good one.
    """
    kind = bin_type.strip().lower() or "ascii"
    if kind not in _WIDTH:
        raise WaferFileError(f"BinType must be Ascii, Decimal, HexaDecimal or Integer2, not '{bin_type}'")
    good: set[str] = set()
    absent: set[str] = set()
    judged = False
    for definition in definitions:
        values = attributes(definition)
        code, quality = _code(values.get("bincode", ""), kind), values.get("binquality", "").strip().lower()
        judged = judged or quality in _PASS or quality in _FAIL
        if quality in _PASS:
            good.add(code)
        elif quality and quality not in _FAIL:
            absent.add(code)
    notes: tuple[str, ...] = ()
    if not judged:
        good, absent = {_code("1", kind)}, set()
        notes = ("no bin is said to pass or fail: bin 1 was taken as the good one",)
    if null_bin:
        absent.add(_code(null_bin, kind))
    return BinTable(kind, _WIDTH[kind], frozenset(good), frozenset(absent), notes)


def grid(rows: Iterable[str], table: BinTable, columns: int | None, max_dies: int) -> NDArray[np.uint8]:
    """The status of each die (rows, cols) from the text of each row."""
    cells: list[list[str]] = []
    for text in rows:
        if len(text) > MAX_ROW:
            raise WaferFileError(f"row {len(cells) + 1} has more than {MAX_ROW:,} characters")
        cells.append(_split(text, table, columns))
        columns = columns or len(cells[0])
        if len(cells[-1]) != columns:
            raise WaferFileError(f"row {len(cells)} has {len(cells[-1])} dies instead of {columns}")
        check_shape(len(cells), max(len(cells[-1]), 1), max_dies)
    if not cells:
        raise WaferFileError("the map has no rows")

    def status_of(text: str) -> int:
        code = _code(text, table.bin_type)
        return PASS if code in table.good else NO_DIE if code in table.absent else FAIL

    return status_grid(cells, status_of, max_dies)


def _split(row: str, table: BinTable, columns: int | None) -> list[str]:
    spaced = row.split()
    if columns is not None and len(spaced) == columns:
        return spaced
    if len(spaced) > 1 and table.bin_type != "ascii":
        return spaced
    # A blank may be the code of no die in ASCII, so blanks are kept where the row has the right length with
    # them.
    framed = row.strip("\r\n\t")
    packed = framed if table.bin_type == "ascii" and columns == len(framed) else row.strip()
    return [packed[start : start + table.width] for start in range(0, len(packed), table.width)]


def _code(text: str, kind: str) -> str:
    """A code in the one way in which it is compared: 1, 01 and 001 are the same number, FF and ff too."""
    text = text.strip() or text
    if kind == "ascii":
        return text
    return text.upper().lstrip("0") or "0"
