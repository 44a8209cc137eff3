"""How much a file may ask for, so that a damaged or hostile one takes no memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_BYTES: Final = 256 * 2**20
MAX_DATASET_BYTES: Final = 8 * 2**30  # a data set is named by its user and held in memory as a whole
MAX_DEFECTS: Final = 5_000_000  # reading so many takes about 1 GB
MAX_DIES: Final = 4_000_000  # 2,000 x 2,000: more than most products have
MAX_XML_BYTES: Final = 16 * 2**20
MAX_XML_ELEMENTS: Final = 500_000
MAX_XML_DEPTH: Final = 32


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that is read.

    max_bytes: of a file, as stored and as unpacked, and of all arrays of an .npz together.
    max_dataset_bytes: of all arrays of a labelled data set in one .npz.
    max_defects: of a wafer in a KLARF file, rows of a table, and results of dies in an STDF file.
    max_dies: places of a wafer's grid of dies.
    max_xml_bytes, max_xml_elements, max_xml_depth: of a SEMI G85 or E142 file; depth is how deep elements
        lie in one another.
    """

    max_bytes: int = MAX_BYTES
    max_dataset_bytes: int = MAX_DATASET_BYTES
    max_defects: int = MAX_DEFECTS
    max_dies: int = MAX_DIES
    max_xml_bytes: int = MAX_XML_BYTES
    max_xml_elements: int = MAX_XML_ELEMENTS
    max_xml_depth: int = MAX_XML_DEPTH


DEFAULT: Final = Limits()


def raise_it(name: str) -> str:
    """What to do about a file above the limit of this name."""
    return f"raise the limit with --set {name}=N if there is memory for it"
