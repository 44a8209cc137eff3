"""How much a file may ask for, so that a damaged or hostile one takes no memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_BYTES: Final = 256 * 2**20
MAX_DEFECTS: Final = 5_000_000  # reading so many takes about 1 GB


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that is read.

    max_bytes: of a file, as stored and as unpacked, and of all arrays of an .npz together.
    max_defects: of a wafer in a KLARF file, and rows of a table.
    """

    max_bytes: int = MAX_BYTES
    max_defects: int = MAX_DEFECTS


DEFAULT: Final = Limits()


def raise_it(name: str) -> str:
    """What to do about a file above the limit of this name."""
    return f"raise the limit ({name}) if there is memory for it"
