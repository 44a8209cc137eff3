"""Steps of corrections, and what is kept with a verdict."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from apps.edits import Edits, Step
from apps.store import DATABASE, SCHEMA_VERSION, Store, Verdict

ROOT = Path(__file__).resolve().parents[2]
VERDICT = Verdict("a.png", "", "h0", "tiny", "7", None, "relabel", "9", "", "Ann")


def test_a_detail_is_kept_with_its_verdict(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.detail(VERDICT.id) == ("", "")
    first = store.add(VERDICT, "two heads")
    assert store.add(VERDICT, "two heads") == first
    assert store.add(VERDICT, "other heads") == first + 1  # as many, and elsewhere
    assert store.detail(VERDICT.id) == ("other heads", store.latest()[VERDICT.id].time)
    store.undo("Ann")
    assert store.detail(VERDICT.id)[0] == "two heads"
    store.add(replace(VERDICT, verdict="accept", label="7"))
    assert store.detail(VERDICT.id)[0] == ""  # the verdict that counts has none


@pytest.mark.parametrize("statement", ["UPDATE details SET detail = 'x'", "DELETE FROM details"])
def test_details_are_only_added(tmp_path: Path, statement: str) -> None:
    store = Store(tmp_path)
    store.add(VERDICT, "heads")
    database = sqlite3.connect(store.path)
    with pytest.raises(sqlite3.IntegrityError, match="only added"):
        database.execute(statement)
    database.close()


def test_a_store_of_the_first_version_gets_details(tmp_path: Path) -> None:
    Store(tmp_path).add(VERDICT)
    database = sqlite3.connect(tmp_path / DATABASE)
    database.executescript("DROP TABLE details; DROP TABLE edits; PRAGMA user_version = 1;")
    database.close()
    store = Store(tmp_path)
    store.add(VERDICT, "heads")
    Edits(store).add(VERDICT.id, "Ann", [Step("t", 0, "[]")])
    assert store.detail(VERDICT.id)[0] == "heads" and len(store.latest()) == 1
    database = sqlite3.connect(tmp_path / DATABASE)
    assert database.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    database.close()


def test_steps_are_kept_in_order_for_each_reviewer_and_item(tmp_path: Path) -> None:
    edits = Edits(Store(tmp_path))
    edits.add(VERDICT.id, "Ann", [Step("t", 0, "a"), Step("t", 1, "b")])
    edits.add(VERDICT.id, "Ann", [Step("t", 1, "again"), Step("t", 2, "c"), Step("u", 0, "d")])
    edits.add(VERDICT.id, "Bob", [Step("v", 0, "x")])
    edits.add(("b.png", "", "h1"), "Ann", [Step("t", 3, "y")])
    steps, since = edits.of(VERDICT.id, "Ann")
    assert steps == ["a", "b", "c", "d"] and since
    assert edits.of(VERDICT.id, "Eve") == ([], "")
    assert (edits.last("t"), edits.last("u"), edits.last("w")) == (3, 0, -1)
    edits.add(VERDICT.id, "Ann", [])


WRITER = """
import sys
from pathlib import Path
from apps.edits import Edits, Step
from apps.store import Store
edits = Edits(Store(Path(sys.argv[1])))
for number in range(100_000):
    edits.add(("a.png", "", "h0"), "Ann", [Step("t", number, str(number))])
    print(number, flush=True)
"""


def test_a_kill_loses_no_step_that_was_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(20):
        last = int(writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    rest = writer.communicate()[0].split()
    last = int(rest[-1]) if rest else last
    steps, _ = Edits(Store(tmp_path)).of(VERDICT.id, "Ann")
    assert steps[: last + 1] == [str(number) for number in range(last + 1)]
