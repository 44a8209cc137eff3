"""Verdicts of people on the items of a run: SQLite rows that are only ever added.

The latest verdict on an item counts; an undo is a row of its own, which takes back an earlier one. A verdict
may have a detail, such as the heads that were marked. Each row is on the disk before the call returns, so a
server that is killed loses nothing, and any number of processes on one machine may write at once.
`review.sqlite` lies in the run folder; replacing the run leaves it there.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.tables import Table

DATABASE, EXPORT = "review.sqlite", "reviewed.csv"
COLUMNS = (
    *(
        "source",
        "map",
        "item",
        "prediction",
        "novelty",
        "verdict",
        "label",
        "note",
        "reviewer",
        "time",
        "model",
    ),
)
MAX_LABEL, MAX_NOTE, MAX_REVIEWER = 60, 2_000, 100
SCHEMA_VERSION = 2  # 2: details and edits
WAIT_S = 30.0  # for another process that is writing
RETRY_S = 0.005

# name: ASCII JSON, since a file name that is not UTF-8 reaches us as lone surrogates, which SQLite refuses.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS verdicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    item TEXT NOT NULL,
    model TEXT NOT NULL,
    prediction TEXT NOT NULL,
    novelty REAL,
    verdict TEXT NOT NULL CHECK (verdict IN ('accept', 'relabel', 'unsure', 'undo')),
    label TEXT NOT NULL,
    note TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    time TEXT NOT NULL,
    undoes INTEGER UNIQUE REFERENCES verdicts (id),
    CHECK ((verdict = 'undo') = (undoes IS NOT NULL))
);
CREATE TRIGGER IF NOT EXISTS never_changed BEFORE UPDATE ON verdicts
    BEGIN SELECT RAISE(ABORT, 'verdicts are only added'); END;
CREATE TRIGGER IF NOT EXISTS never_removed BEFORE DELETE ON verdicts
    BEGIN SELECT RAISE(ABORT, 'verdicts are only added'); END;
CREATE TABLE IF NOT EXISTS details (
    verdict INTEGER PRIMARY KEY REFERENCES verdicts (id),
    detail TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS detail_never_changed BEFORE UPDATE ON details
    BEGIN SELECT RAISE(ABORT, 'verdicts are only added'); END;
CREATE TRIGGER IF NOT EXISTS detail_never_removed BEFORE DELETE ON details
    BEGIN SELECT RAISE(ABORT, 'verdicts are only added'); END;
CREATE TABLE IF NOT EXISTS edits (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    item TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    tab TEXT NOT NULL,
    number INTEGER NOT NULL,
    edit TEXT NOT NULL,
    time TEXT NOT NULL,
    UNIQUE (tab, number)
);
CREATE INDEX IF NOT EXISTS edits_of_items ON edits (name, item, reviewer);
"""
_STANDING = "verdict != 'undo' AND id NOT IN (SELECT undoes FROM verdicts WHERE undoes IS NOT NULL)"
_FIELDS = "name, item, model, prediction, novelty, verdict, label, note, reviewer, time"

VerdictKind = Literal["accept", "relabel", "unsure"]
ItemId = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person said of one item.

    source, map: what names the item in its run; item: the hash of its contents. The three identify it.
    prediction, novelty, model: what the model said when the verdict was given.
    label: the class after the review; the prediction if accepted, empty if unsure.
    time: ISO 8601, UTC; set when the verdict is added.
    """

    source: str
    map: str
    item: str
    model: str
    prediction: str
    novelty: float | None
    verdict: VerdictKind
    label: str
    note: str = ""
    reviewer: str = ""
    time: str = ""

    @property
    def id(self) -> ItemId:
        return self.source, self.map, self.item


def new_label(text: str) -> str:
    """The name of a class from what a person typed. Raises UserError unless it can be one."""
    name = " ".join(text.split())
    if not name:
        raise UserError("a class needs a name")
    if len(name) > MAX_LABEL:
        raise UserError(f"the name of a class has at most {MAX_LABEL} characters, not {len(name)}")
    if wrong := re.search(r"[^\w -]", name):
        raise UserError(
            f"the name of a class has letters, digits, spaces, _ and - only, and no {wrong[0]!r}: {name!r}"
        )
    return name


class Store:
    """The verdicts of one run folder. Each call opens the database anew, so threads may share a store."""

    def __init__(self, run: Path) -> None:
        """Open the database of the run folder `run`, or make it. Raises UserError if that cannot be done."""
        self.path = run / DATABASE
        with self.open() as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise UserError(
                    f"{self.path} was written by a newer version of the suite ({version}); update the suite"
                )
            _patiently(database, "PRAGMA journal_mode = WAL")
            if version < SCHEMA_VERSION:
                database.executescript(
                    f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                )

    def add(self, verdict: Verdict, detail: str = "") -> int:
        """Add a verdict, with the time of now; its number. It is on the disk when this returns.

        detail: what else is kept with it, as the task writes it, such as the heads that were marked.
        One that says what the latest on the item says already is not added again: a key that is hit twice
        must not take two undos.
        """
        _check(verdict)
        name = name_of(verdict.id)
        said = (
            verdict.item,
            verdict.model,
            verdict.prediction,
            verdict.novelty,
            verdict.verdict,
            verdict.label,
            verdict.note,
            verdict.reviewer,
        )
        with self.open() as database:
            database.execute("BEGIN IMMEDIATE")
            before = database.execute(
                f"SELECT id, {_FIELDS} FROM verdicts WHERE name = ? AND item = ? AND {_STANDING}"
                " ORDER BY id DESC LIMIT 1",
                (name, verdict.item),
            ).fetchone()
            if before is not None and before[2:-1] == said and _detail(database, before[0]) == detail:
                number = int(before[0])
            else:
                row = database.execute(
                    f"INSERT INTO verdicts ({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (name, *said, now()),
                )
                number = int(row.lastrowid or 0)
                if detail:
                    database.execute("INSERT INTO details (verdict, detail) VALUES (?, ?)", (number, detail))
            database.execute("COMMIT")
        return number

    def undo(self, reviewer: str) -> Verdict | None:
        """Take back the latest verdict of `reviewer` that stands, and return it; None if there is none."""
        with self.open() as database:
            database.execute("BEGIN IMMEDIATE")
            found = database.execute(
                f"SELECT id, {_FIELDS} FROM verdicts WHERE reviewer = ? AND {_STANDING}"
                " ORDER BY id DESC LIMIT 1",
                (reviewer,),
            ).fetchone()
            if found is not None:
                number, name, item, model, prediction, novelty = found[:6]
                database.execute(
                    f"INSERT INTO verdicts ({_FIELDS}, undoes)"
                    " VALUES (?, ?, ?, ?, ?, 'undo', '', '', ?, ?, ?)",
                    (name, item, model, prediction, novelty, reviewer, now(), number),
                )
            database.execute("COMMIT")
        return None if found is None else _verdict(found[1:])

    def last(self) -> int:
        """The number of the latest row, which grows with every verdict and undo; 0 if there is none."""
        with self.open() as database:
            return int(database.execute("SELECT coalesce(max(id), 0) FROM verdicts").fetchone()[0])

    def latest(self) -> dict[ItemId, Verdict]:
        """The verdict that counts on each item that has one, in the order in which they were given."""
        with self.open() as database:
            rows = database.execute(
                f"SELECT {_FIELDS} FROM verdicts WHERE {_STANDING} ORDER BY id"
            ).fetchall()
        found: dict[ItemId, Verdict] = {}
        for verdict in map(_verdict, rows):
            found.pop(verdict.id, None)
            found[verdict.id] = verdict
        return found

    def detail(self, item: ItemId) -> tuple[str, str]:
        """What is kept with the verdict that counts on an item, and its time; both empty without one.

        Details are read one by one: those of all items may not fit into memory.
        """
        with self.open() as database:
            found = database.execute(
                f"SELECT id, time FROM verdicts WHERE name = ? AND item = ? AND {_STANDING}"
                " ORDER BY id DESC LIMIT 1",
                (name_of(item), item[2]),
            ).fetchone()
            return ("", "") if found is None else (_detail(database, found[0]), found[1])

    def export(self, file: Path, among: Container[ItemId]) -> int:
        """Write the verdict that counts on each item to a CSV of COLUMNS, whole or not at all; their number.

        among: the items of the run. Verdicts on others are left out: what was seen is not there any more.
        """
        verdicts = [verdict for verdict in self.latest().values() if verdict.id in among]
        verdicts.sort(key=lambda one: (one.source, len(one.map), one.map))
        with replacing(file) as out:
            Table(out, COLUMNS).writerows({name: getattr(one, name) for name in COLUMNS} for one in verdicts)
        return len(verdicts)

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """A connection to the database. Raises UserError for whatever goes wrong with it."""
        try:
            database = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
            try:
                database.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut too
                yield database
            finally:
                database.close()
        except (sqlite3.Error, UnicodeError) as error:
            raise UserError(f"verdicts cannot be kept in {self.path}: {error}") from error


def name_of(item: ItemId) -> str:
    """Source and map of an item, as the database names it."""
    return json.dumps(item[:2])


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _patiently(database: sqlite3.Connection, statement: str) -> None:
    """Run a statement for which SQLite itself does not wait while another process holds the database."""
    limit = time.monotonic() + WAIT_S
    while True:
        try:
            database.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > limit:
                raise
            time.sleep(RETRY_S)


def _detail(database: sqlite3.Connection, number: int) -> str:
    found = database.execute("SELECT detail FROM details WHERE verdict = ?", (number,)).fetchone()
    return "" if found is None else str(found[0])


def _check(verdict: Verdict) -> None:
    for what, text, limit in (
        ("label", verdict.label, MAX_LABEL if verdict.verdict == "relabel" else None),
        ("note", verdict.note, MAX_NOTE),
        ("reviewer's name", verdict.reviewer, MAX_REVIEWER),
    ):
        if limit is not None and len(text) > limit:
            raise UserError(f"the {what} has at most {limit} characters, not {len(text)}")
    wanted = {"accept": verdict.label == verdict.prediction != "", "unsure": not verdict.label}
    if not wanted.get(verdict.verdict, bool(verdict.label.strip())):
        raise UserError(f"the label {verdict.label!r} does not go with the verdict {verdict.verdict}")


def _verdict(row: tuple[str, str, str, str, float | None, VerdictKind, str, str, str, str]) -> Verdict:
    source, place = json.loads(row[0])
    return Verdict(source, place, *row[1:])
