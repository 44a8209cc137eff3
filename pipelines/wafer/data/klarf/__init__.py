"""KLARF, the result file of inspection tools: versions 1.1, 1.2 and 1.8.

Positions become mm from the wafer's centre, x right and y up, with the orientation mark down. What a file
leaves open is assumed where that is safe, and said in the notes of the map; what cannot be known fails with
a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..limits import DEFAULT, Limits
from ..record import FailedMap, WaferMap
from . import v1, v18
from .layout import Classified
from .writer import write

__all__ = ["looks_like", "read", "write", "Classified"]

BOM = b"\xef\xbb\xbf"
START_1 = re.compile(rb"(?i)\s*FileVersion\s+\d")
START_18 = re.compile(rb"(?i)\s*Record\s+FileRecord\b")


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with `head` is KLARF: `FileVersion 1 2;` or `Record FileRecord "1.8"`."""
    head = head.removeprefix(BOM)
    return bool(START_1.match(head) or START_18.match(head))


def read(data: bytes, source: Path, limits: Limits = DEFAULT) -> Iterator[WaferMap | FailedMap]:
    """The wafers of a KLARF file in their order.

    A wafer that cannot be read is a FailedMap, and the others go on. Text is UTF-8, else Latin-1.

    Raises:
        WaferFileError: the file holds no wafer at all.
    """
    data = data.removeprefix(BOM)
    yield from (v18 if START_18.match(data) else v1).read(data, source, limits)
