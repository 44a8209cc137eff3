"""The nested structure of a KLARF 1.8 file. Rows of lists are found here, and parsed where needed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..record import WaferFileError
from .lexer import decode, find_closing_brace, line_number

MAX_DEPTH = 32
MAX_RECORDS = 100_000
MAX_VALUES = 10_000
WORD = re.compile(rb'\s*("[^"\n]*"|[{};,]|[^\s{};,"]+|")')


@dataclass(frozen=True, slots=True)
class Table:
    """A `List`: its columns in upper case, and where in the file its rows start and end.

    declared, declared_columns: the counts that the file announces.
    closed: whether the rows end before the file does.
    """

    name: str
    columns: tuple[str, ...]
    declared: str
    declared_columns: str
    start: int
    end: int
    closed: bool


@dataclass(slots=True)
class Record:
    """A `Record kind "ident" { ... }`; names in lower case."""

    kind: str
    ident: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    closed: bool = False

    def tables_named(self, name: str) -> list[Table]:
        """Its lists of this name and those of the records in it, wafers left out."""
        found = [table for table in self.tables if table.name == name]
        for record in self.records:
            if record.kind != "waferrecord":
                found += record.tables_named(name)
        return found


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file could not be read to its end. `fatal`: more may follow that was not read."""

    text: str
    fatal: bool


class _Words:
    """The words of a file, one by one."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def next(self) -> bytes | None:
        match = WORD.match(self.data, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match.group(1)

    def must(self) -> bytes:
        word = self.next()
        if word is None:
            raise EOFError
        return word

    def expect(self, wanted: bytes) -> None:
        word = self.must()
        if word.lower() != wanted:
            raise self.wrong(word, decode(wanted))

    def wrong(self, word: bytes, wanted: str) -> WaferFileError:
        line = line_number(self.data, self.at)
        if word == b'"':
            return WaferFileError(f"line {line}: a quote is opened and not closed")
        return WaferFileError(f"line {line}: {decode(word[:40])!r} stands where {wanted} should")


def parse(data: bytes) -> tuple[Record, Problem | None]:
    """The records of a file, as far as they can be read, and why not further."""
    words = _Words(data)
    root = Record("", "")
    stack = [root]
    try:
        ended = _parse(words, stack)
    except WaferFileError as error:
        return root, Problem(str(error), fatal=True)
    except EOFError:
        return root, Problem("the file is cut short in the middle of a record", fatal=False)
    if len(stack) > 1:
        what = "a brace is missing" if ended else "the file is cut short"
        return root, Problem(f"{what}: the record {stack[-1].kind!r} is not closed", fatal=False)
    root.closed = True
    return root, None


def _parse(words: _Words, stack: list[Record]) -> bool:
    """Fill the root on the stack; return whether EndOfFile was met. EOFError: a statement is cut short."""
    number = 0
    while (word := words.next()) is not None:
        keyword = word.lower()
        if keyword == b"record":
            number += 1
            if len(stack) > MAX_DEPTH:
                raise WaferFileError(
                    f"records are nested more than {MAX_DEPTH} deep, which is the most that is read"
                )
            if number > MAX_RECORDS:
                raise WaferFileError(
                    f"the file has more than {MAX_RECORDS:,} records, which is the most that is read"
                )
            record = _open(words)
            stack[-1].records.append(record)
            stack.append(record)
        elif keyword == b"field":
            _take_field(words, stack[-1])
        elif keyword == b"list":
            _take_list(words, stack[-1])
        elif keyword == b"}" and len(stack) > 1:
            stack.pop().closed = True
        elif keyword == b"endoffile":
            return True
        elif keyword != b";":
            raise words.wrong(word, "Record, Field, List or }")
    return False


def _open(words: _Words) -> Record:
    kind, ident = words.must(), words.must()
    if ident != b"{":
        words.expect(b"{")
    return Record(decode(kind).lower(), "" if ident == b"{" else _text(ident))


def _take_field(words: _Words, record: Record) -> None:
    """`Field Name n {v, v}`; the values count, not their announced number."""
    name = decode(words.must()).lower()
    if words.must() != b"{":
        words.expect(b"{")
    values: list[str] = []
    while (word := words.must()) != b"}":
        if word in (b"{", b";", b'"'):
            raise words.wrong(word, "a value")
        if word != b",":
            values.append(_text(word))
        if len(values) > MAX_VALUES:
            raise WaferFileError(f"the field {name} has more than {MAX_VALUES:,} values")
    record.fields[name] = values


def _take_list(words: _Words, record: Record) -> None:
    """`List Name { Columns k { type NAME, ... } Data m { row; ... } }`."""
    name = decode(words.must()).lower()
    words.expect(b"{")
    words.expect(b"columns")
    declared_columns = words.must()
    if declared_columns != b"{":
        words.expect(b"{")
    columns: list[str] = []
    last = b""
    while (word := words.must()) not in (b"}", b"{", b";"):
        if word == b",":
            columns.append(decode(last).upper())
        last = word
        if len(columns) > MAX_VALUES:
            raise WaferFileError(f"the list {name} has more than {MAX_VALUES:,} columns")
    if word != b"}":
        raise words.wrong(word, "} after the columns")
    if last not in (b"", b","):
        columns.append(decode(last).upper())
    words.expect(b"data")
    declared = words.must()
    if declared != b"{":
        words.expect(b"{")
    start = words.at
    end = find_closing_brace(words.data, start)
    closed = end >= 0
    end = end if closed else len(words.data)
    record.tables.append(
        Table(name, tuple(columns), _count(declared), _count(declared_columns), start, end, closed)
    )
    words.at = end + 1 if closed else end
    if not closed:
        raise EOFError
    words.expect(b"}")


def _count(word: bytes) -> str:
    return "" if word == b"{" else decode(word)


def _text(word: bytes) -> str:
    return decode(word[1:-1] if len(word) > 1 and word[:1] == word[-1:] == b'"' else word)
