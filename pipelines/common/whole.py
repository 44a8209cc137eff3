"""Whole numbers as files and people write them."""

from __future__ import annotations

from typing import Final

MAX_DIGITS: Final = 9


def whole_number(value: object) -> int | None:
    """The number from 0 to 999,999,999 that the value's text is, or None.

    Numbers of maps, frames, channels and labels are never longer, and Python refuses to read thousands of
    digits.
    """
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None
