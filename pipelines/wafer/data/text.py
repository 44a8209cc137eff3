"""What the readers of text formats share: decoding, numbers, lengths, dates."""

from __future__ import annotations

import codecs
import io
import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from .record import WaferFileError

MM_PER: Final = {
    "mm": 1.0,
    "millimeter": 1.0,
    "cm": 10.0,
    "um": 1e-3,
    "micron": 1e-3,
    "micrometer": 1e-3,
    "nm": 1e-6,
    "nanometer": 1e-6,
    "mil": 0.0254,
    "in": 25.4,
    "inch": 25.4,
    "m": 1000.0,
}
MAX_LINES: Final = 3_000_000
MAX_LINE: Final = 2**20
_PIECE: Final = 2**20
_BOM_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_DATE_FORMATS: Final = ("%Y%m%d%H%M%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%m-%d-%Y %H:%M:%S")


def lines(data: bytes, most: int = MAX_LINES) -> Iterator[str]:
    """The lines of a text with their ends, decoded as they are asked for.

    The text is in UTF-8 (with or without a mark), in UTF-16 with a mark, or else in Latin-1, which reads
    any byte.

    Raises:
        WaferFileError: more than `most` lines, or longer ones than any map has.
    """
    stream = io.TextIOWrapper(io.BytesIO(data), _encoding(data), newline="")
    for _ in range(most):
        try:
            line = stream.readline(MAX_LINE)
        except UnicodeDecodeError as error:  # of UTF-16 alone; what is no UTF-8 is read as Latin-1
            raise WaferFileError("the text says that it is in UTF-16, and is not: it is damaged") from error
        if not line:
            return
        if len(line) == MAX_LINE:
            raise WaferFileError(f"a line has more than {MAX_LINE:,} characters")
        yield line
    raise WaferFileError(f"the text has more than {most:,} lines")


def _encoding(data: bytes) -> str:
    if data.startswith(_BOM_UTF16):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _PIECE):
            decoder.decode(data[start : start + _PIECE], final=start + _PIECE >= len(data))
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def decode_head(head: bytes) -> str:
    """The first bytes of a file as text; the empty text for what is no text."""
    if head.startswith(_BOM_UTF16):
        return head[: len(head) // 2 * 2].decode("utf-16", errors="replace")
    if b"\0" in head:
        return ""
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError:
        return head.decode("latin-1")  # the head may also end within a character


def number(text: str, what: str) -> float:
    """A finite number. Raises WaferFileError that names `what`."""
    try:
        value = float(text)
    except ValueError:
        raise WaferFileError(f"{what} must be a number, not '{text[:40]}'") from None
    if not math.isfinite(value):
        raise WaferFileError(f"{what} must be a finite number, not '{text[:40]}'")
    return value


def whole_number(text: str, what: str) -> int:
    """A whole number. Raises WaferFileError that names `what`."""
    value = number(text, what)
    if value != int(value):
        raise WaferFileError(f"{what} must be a whole number, not '{text[:40]}'")
    return int(value)


def unit_mm(text: str) -> float | None:
    """Millimetres in a unit such as um, µm, mil or inches; None for a word that is no unit."""
    unit = text.strip().lower().replace("µ", "u").replace("μ", "u").replace("metre", "meter")
    return MM_PER.get(unit) or MM_PER.get(unit.removesuffix("s")) or MM_PER.get(unit.removesuffix("es"))


def diameter_mm(text: str, what: str) -> tuple[float | None, tuple[str, ...]]:
    """A wafer's diameter whose unit is not stated, and a note if it was not mm.

    No wafer is 20 mm or less, so such a number is in inches; none has more than 1,000 mm, so then it is in
    um.
    """
    if not text.strip():
        return None, ()
    value = number(text, what)
    if value <= 0:
        return None, (f"{what} {text} is no diameter and was left aside",)
    if value <= 20:
        nominal = {4.0: 100.0, 5.0: 125.0, 6.0: 150.0, 8.0: 200.0, 12.0: 300.0, 18.0: 450.0}
        return nominal.get(value, value * 25.4), (f"{what} {text} was read as inches",)
    if value > 1000:
        return value * 1e-3, (f"{what} {text} was read as um",)
    return value, ()


def timestamp(text: str) -> datetime | None:
    """A date and time in one of the usual ways of writing it, or None, to the second."""
    text = text.strip().replace("T", " ")
    if re.fullmatch(r"\d{14,}", text):
        text = text[:14]
    text = re.sub(r"(:\d\d:\d\d)[.,Z+].*$", r"\1", text)
    for layout in _DATE_FORMATS:
        try:
            return datetime.strptime(text, layout)
        except ValueError:
            continue
    return None
