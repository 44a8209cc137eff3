"""Text of KLARF files: quotes, words, and where lists end. Every scan is linear in the length of the text.

A quoted string lies within one line. A quote that its line does not close is taken as a plain character, so
that one stray quote cannot swallow the rest of a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

QUOTED_OR_SEMICOLON = re.compile(rb'"[^"\n]*"|;')
QUOTED_OR_BRACE = re.compile(rb'"[^"\n]*"|[{}]')
QUOTED = re.compile(rb'"[^"\n]*"')
WORD = re.compile(rb'"([^"\n]*)"|("?[^\s;"][^\s;]*|")')
KEYWORD = re.compile(rb"[\s;]*([^\s;]+)")
# A list may close each of its rows with ";": only a ";" before a name, or at the end, closes the list itself.
LIST_END = re.compile(rb";(?=\s*(?:[A-Za-z_]|\Z))")
QUOTED_OR_LIST_END = re.compile(rb'"[^"\n]*"|;(?=\s*(?:[A-Za-z_]|\Z))')
# A list whose ";" is missing runs into one of these.
AFTER_A_LIST = re.compile(
    rb"(?mi)^[ \t]*(?:"
    rb"SummarySpec|SummaryList|WaferStatus|LotStatus|WaferID|LotID|FileVersion|DefectList|EndOfFile)\b"
)
NUMBER_START = b"0123456789+-."


@dataclass(frozen=True, slots=True)
class Statement:
    """One record of KLARF 1.x: `Name body;`.

    name: in lower case; empty where rows go on after a ";" without naming their list again.
    closed: whether its ";" was found.
    runs_over: of a list without a ";", whether another record begins after it.
    """

    name: str
    body: bytes
    closed: bool
    runs_over: bool = False


def decode(text: bytes) -> str:
    """UTF-8, else Latin-1, which every byte string is."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def words(body: bytes) -> list[str]:
    """The words of a record, quoted strings as one word without their quotes."""
    found = []
    for match in WORD.finditer(body):
        quoted, plain = match.groups()
        found.append(decode(quoted if quoted is not None else plain.strip(b'"')))
    return found


def line_number(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def find_semicolon(data: bytes, start: int) -> int:
    """Offset of the next ";" outside quotes, or -1."""
    end = data.find(b";", start)
    if end < 0 or data.find(b'"', start, end) < 0:
        return end
    for match in QUOTED_OR_SEMICOLON.finditer(data, start):
        if match.group() == b";":
            return match.start()
    return -1


def find_list_end(data: bytes, start: int) -> int:
    """Offset of the ";" that closes a list whose rows may each end with ";", or -1."""
    match = LIST_END.search(data, start)
    if match is None or data.find(b'"', start, match.start()) < 0:
        return -1 if match is None else match.start()
    for match in QUOTED_OR_LIST_END.finditer(data, start):
        if match.group() == b";":
            return match.start()
    return -1


def find_closing_brace(data: bytes, start: int) -> int:
    """Offset of the "}" that closes the block whose content starts at `start`, or -1."""
    end = data.find(b"}", start)
    if end < 0 or (data.find(b"{", start, end) < 0 and data.find(b'"', start, end) < 0):
        return end
    depth = 1
    for match in QUOTED_OR_BRACE.finditer(data, start):
        if match.group() == b"{":
            depth += 1
        elif match.group() == b"}":
            depth -= 1
            if depth == 0:
                return match.start()
    return -1


def statements(data: bytes) -> Iterator[Statement]:
    """The records of a KLARF 1.x file, in order."""
    at = 0
    while match := KEYWORD.match(data, at):
        keyword = match.group(1)
        name = "" if keyword[0] in NUMBER_START else decode(keyword).lower()
        body_at = match.end(1) if name else match.start(1)
        is_list = name in ("", "defectlist")
        end = find_list_end(data, body_at) if is_list else find_semicolon(data, body_at)
        body = data[body_at : end if end >= 0 else len(data)]
        next_record = AFTER_A_LIST.search(body) if is_list else None
        if next_record is not None:
            yield Statement(name, body[: next_record.start()], closed=False, runs_over=True)
            at = body_at + next_record.start()
        else:
            yield Statement(name, body, closed=end >= 0)
            at = body_at + len(body) + 1
