"""Steps of a correction that is not finished: rows that are only ever added, in the verdicts' database.

A correction by hand may take a hundred clicks before there is a verdict. Each is kept at once, so that
neither a killed server nor a closed window loses one. What a step means is for the task to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.store import ItemId, Store, name_of, now

MAX_TAB = 64


@dataclass(frozen=True, slots=True)
class Step:
    """One step. number: counted up in one window, whose name is `tab`. edit: as the task writes it."""

    tab: str
    number: int
    edit: str


class Edits:
    """The steps on items of one run, for each reviewer apart: two who work at once are in nobody's way."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, item: ItemId, reviewer: str, steps: Sequence[Step]) -> None:
        """Keep steps in their order; they are on the disk when this returns.

        A step that was kept already is passed over, so a window may send again what it is not sure of.
        Raises UserError if they cannot be kept.
        """
        rows = [
            (name_of(item), item[2], reviewer, one.tab[:MAX_TAB], one.number, one.edit, now())
            for one in steps
        ]
        if not rows:
            return
        with self._store.open() as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(
                "INSERT OR IGNORE INTO edits (name, item, reviewer, tab, number, edit, time)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            database.execute("COMMIT")

    def of(self, item: ItemId, reviewer: str) -> tuple[list[str], str]:
        """The steps of a reviewer on an item, from the first to the last, and the time of the last one."""
        with self._store.open() as database:
            rows = database.execute(
                "SELECT edit, time FROM edits WHERE name = ? AND item = ? AND reviewer = ? ORDER BY id",
                (name_of(item), item[2], reviewer),
            ).fetchall()
        return [row[0] for row in rows], rows[-1][1] if rows else ""

    def last(self, tab: str) -> int:
        """The highest number of a window's steps; -1 if none is kept."""
        with self._store.open() as database:
            found = database.execute(
                "SELECT max(number) FROM edits WHERE tab = ?", (tab[:MAX_TAB],)
            ).fetchone()[0]
        return -1 if found is None else int(found)
