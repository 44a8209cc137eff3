"""Changes of bytes, as accidents and attackers make them: from one bit to pieces of another file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

NUMBERS: Final = (
    *(b"0", b"-1", b"1", b"2", b"3", b"255", b"256", b"65535", b"-32768", b"2147483647", b"2147483648"),
    *(b"4294967296", b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808"),
    *(
        b"1e308",
        b"1e309",
        b"-1e999",
        b"1e-320",
        b"nan",
        b"NaN",
        b"inf",
        b"-inf",
        b"Infinity",
        b"0x10",
        b"1_0",
    ),
    *(b"007", b"+5", b".5", b"5.", b"1e", b"1,5", b"--1", b"1e5", b"\xd9\xa3", b"\xc2\xb2", b"9" * 400),
    *(b"9" * 5000, b"0." + b"0" * 400 + b"1", b"True", b"None", b"null"),
)
INTEGERS: Final = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    31,
    32,
    64,
    100,
    127,
    128,
    255,
    256,
    511,
    512,
    1000,
    1024,
    4096,
)
EDGES: Final = (
    2**15 - 1,
    2**15,
    2**16 - 1,
    2**16,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63,
    2**64 - 1,
)
_NUMBER: Final = re.compile(rb"[-+]?\d[\d.]*(?:[eE][-+]?\d+)?")
_WORD: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
_SIGNS: Final = b"\0\t\n\r \"'#,;:=<>&()[]{}/\\.-+%@|\x7f\x80\xfe\xff"
_MOST_CHANGES: Final = 6

Change = Callable[[Random, bytearray, Sequence[bytes], Sequence[bytes]], None]


def mutated(rng: Random, data: bytes, words: Sequence[bytes], others: Sequence[bytes], most: int) -> bytes:
    """`data` after one to some changes, at most `most` bytes.

    words: what means something in these files. others: further files, of which pieces may be taken.
    """
    found = bytearray(data)
    for _ in range(1 + int(rng.random() ** 2 * _MOST_CHANGES)):
        rng.choice(_CHANGES)(rng, found, words, others)
    return bytes(found[:most])


def _place(rng: Random, data: bytearray) -> int:
    return rng.randrange(len(data) + 1)


def _span(rng: Random, data: bytearray) -> tuple[int, int]:
    """A piece, more often a short one."""
    start = _place(rng, data)
    length = rng.choice((1, 2, 4, 8, 16, 64, 256, len(data)))
    return start, min(len(data), start + rng.randint(1, max(1, length)))


def _flip(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _byte(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _sign(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    place = _place(rng, data)
    data[place : place + rng.randrange(2)] = bytes([rng.choice(_SIGNS)])


def _integer(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    """A whole number of one to eight bytes, in either order."""
    size = rng.choice((1, 2, 2, 4, 4, 8))
    value = rng.choice(INTEGERS if rng.random() < 0.5 else EDGES) * rng.choice((1, 1, -1))
    changed = (value % 2 ** (8 * size)).to_bytes(size, "little")
    place = _place(rng, data)
    if place + size <= len(data):
        data[place : place + size] = changed if rng.random() < 0.5 else changed[::-1]


def _remove(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    start, end = _span(rng, data)
    del data[start:end]


def _repeat(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    start, end = _span(rng, data)
    times = rng.choice((1, 1, 1, 2, 10, 100))
    data[end:end] = data[start:end][: 2**14 // times + 1] * times


def _move(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    start, end = _span(rng, data)
    piece = data[start:end]
    del data[start:end]
    place = _place(rng, data)
    data[place:place] = piece


def _cut(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    del data[_place(rng, data) :]


def _splice(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    if others:
        other = bytearray(rng.choice(others))
        start, end = _span(rng, other)
        place = _place(rng, data)
        data[place : place + rng.choice((0, end - start))] = other[start:end]


def _number(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    found = _NUMBER.search(data, _place(rng, data)) or _NUMBER.search(data)
    if found:
        data[found.start() : found.end()] = rng.choice(NUMBERS)


def _word(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    """A word of the format, in the place of another or between them."""
    if not words:
        return
    found = _WORD.search(data, _place(rng, data)) if rng.random() < 0.6 else None
    start, end = found.span() if found else (_place(rng, data),) * 2
    data[start:end] = rng.choice(words)


def _line(rng: Random, data: bytearray, words: Sequence[bytes], others: Sequence[bytes]) -> None:
    """Take out, double or move a line."""
    place = _place(rng, data)
    start = data.rfind(b"\n", 0, place) + 1
    end = data.find(b"\n", place) + 1 or len(data)
    piece = data[start:end]
    action = rng.randrange(3)
    if action != 1:
        del data[start:end]
    if action:
        other = data.find(b"\n", _place(rng, data)) + 1
        data[other:other] = piece


_CHANGES: Final[tuple[Change, ...]] = (
    *(_flip, _byte, _byte, _sign, _sign, _integer, _integer, _remove, _repeat, _move, _cut),
    *(_splice, _splice, _number, _number, _number, _word, _word, _line, _line),
)
