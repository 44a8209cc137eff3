from __future__ import annotations

import csv
import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from apps.store import COLUMNS, DATABASE, MAX_NOTE, Store, Verdict, new_label
from pipelines.common.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
FIRST = Verdict("a.csv", "0", "h0", "tiny", "ring", 1.5, "accept", "ring", "as it is", "Ann")
SECOND = Verdict("a.csv", "1", "h1", "tiny", "ring", None, "relabel", "half ring", "", "Bob")


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_the_latest_verdict_counts_and_each_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    again = replace(FIRST, verdict="unsure", label="")
    assert store.last() == 0
    assert [store.add(one) for one in (FIRST, SECOND, again)] == [1, 2, 3]
    latest = store.latest()
    assert list(latest) == [SECOND.id, FIRST.id]
    assert latest[FIRST.id] == replace(again, time=latest[FIRST.id].time)
    with sqlite3.connect(tmp_path / DATABASE) as database:
        assert database.execute("SELECT count(*) FROM verdicts").fetchone() == (3,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_an_item_whose_contents_changed_has_no_verdict(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(FIRST)
    assert ("a.csv", "0", "another") not in store.latest()


def test_undo_takes_back_ones_own_verdicts_one_by_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    again = replace(FIRST, verdict="relabel", label="grid")
    for one in (FIRST, SECOND, again):
        store.add(one)
    undone = store.undo("Ann")
    assert undone is not None and undone.label == "grid"
    assert store.latest()[FIRST.id].label == "ring"
    undone = store.undo("Ann")
    assert undone is not None and undone.label == "ring"
    assert list(store.latest()) == [SECOND.id]
    assert store.undo("Ann") is None
    assert store.last() == 5
    store.add(FIRST)
    assert store.latest()[FIRST.id].label == "ring"


def test_a_verdict_that_stands_already_is_not_added_twice(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.add(FIRST) == store.add(FIRST) == 1
    assert store.add(replace(FIRST, reviewer="Bob")) == 2  # of another person it is news
    assert store.add(FIRST) == 3
    assert store.add(replace(FIRST, note="so")) == 4
    store.undo(FIRST.reviewer)
    assert store.add(replace(FIRST, note="so")) == 6  # what was taken back does not stand


@pytest.mark.parametrize("statement", ["UPDATE verdicts SET label = 'x'", "DELETE FROM verdicts"])
def test_verdicts_are_only_added(tmp_path: Path, statement: str) -> None:
    store = Store(tmp_path)
    store.add(FIRST)
    database = sqlite3.connect(store.path)
    with pytest.raises(sqlite3.IntegrityError, match="only added"):
        database.execute(statement)
    database.close()


WRITER = """
import sys
from pathlib import Path
from apps.store import Store, Verdict
name, count = sys.argv[2], int(sys.argv[3])
sys.stdin.readline()
store = Store(Path(sys.argv[1]))
for number in range(count):
    store.add(Verdict(f"{name}.csv", str(number), "h", "m", "ring", 0.0, "accept", "ring", "", name))
    print(number, flush=True)
"""


def start(run: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(run), name, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_processes_that_begin_and_write_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = [start(tmp_path, name, 40) for name in ("Ann", "Bob", "Eve")]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    latest = Store(tmp_path).latest()
    assert {verdict.id[:2] for verdict in latest.values()} == {
        (f"{name}.csv", str(number)) for name in ("Ann", "Bob", "Eve") for number in range(40)
    }


def test_who_opens_the_store_while_another_does_waits(tmp_path: Path) -> None:
    with (
        closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as other,
        ThreadPoolExecutor() as pool,
    ):
        other.execute("BEGIN IMMEDIATE")
        opening = pool.submit(Store, tmp_path)
        with pytest.raises(TimeoutError):
            opening.result(0.2)
        other.execute("COMMIT")
        assert opening.result(60).add(FIRST) == 1


def test_a_kill_loses_no_verdict_that_was_given(tmp_path: Path) -> None:
    writer = start(tmp_path, "Ann", 100_000)
    assert writer.stdin is not None and writer.stdout is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()
    given = [int(writer.stdout.readline()) for _ in range(25)]
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    store = Store(tmp_path)
    assert {("Ann.csv", str(number)) for number in given} <= {one[:2] for one in store.latest()}
    database = sqlite3.connect(store.path)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_the_export_has_one_row_per_item_of_the_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    hostile = replace(SECOND, source="a,\udce4.csv", note='=1, "so"\nand so', label="half ring")
    for one in (
        FIRST,
        SECOND,
        hostile,
        replace(FIRST, item="gone"),
        replace(FIRST, verdict="unsure", label=""),
    ):
        store.add(one)
    file = tmp_path / "reviewed.csv"
    file.write_text("before")
    assert store.export(file, {FIRST.id, SECOND.id, hostile.id}) == 3
    rows = read(file)
    assert tuple(rows[0]) == COLUMNS
    assert [(one["source"], one["verdict"], one["label"]) for one in rows] == [
        ("a,\\udce4.csv", "relabel", "half ring"),
        ("a.csv", "unsure", ""),
        ("a.csv", "relabel", "half ring"),
    ]
    assert rows[0]["note"] == '\'=1, "so"\nand so'  # a text, for a spreadsheet
    assert (rows[1]["novelty"], rows[2]["novelty"]) == ("1.5", "")
    assert rows[1]["time"].endswith("+00:00")
    assert sorted(path.name for path in tmp_path.glob("*review*.csv*")) == ["reviewed.csv"]


def test_an_export_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.add(FIRST)
    file = tmp_path / "reviewed.csv"
    file.write_text("before")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.common.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.export(file, {FIRST.id})
    assert file.read_text() == "before"
    assert not list(tmp_path.glob("*new*"))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (replace(FIRST, label="grid"), "does not go with the verdict accept"),
        (replace(FIRST, prediction="", label=""), "does not go with the verdict accept"),
        (replace(FIRST, verdict="unsure"), "does not go with the verdict unsure"),
        (replace(FIRST, verdict="relabel", label=" "), "does not go with the verdict relabel"),
        (replace(FIRST, verdict="relabel", label="x" * 61), "label has at most 60 characters, not 61"),
        (replace(FIRST, note="x" * (MAX_NOTE + 1)), "note has at most"),
    ],
)
def test_a_verdict_that_makes_no_sense_is_refused(tmp_path: Path, wrong: Verdict, match: str) -> None:
    store = Store(tmp_path)
    with pytest.raises(UserError, match=match):
        store.add(wrong)
    assert store.latest() == {}


def test_a_file_that_is_no_database_or_newer_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"no database at all, but long enough" * 50)
    with pytest.raises(UserError, match=r"cannot be kept in .*review\.sqlite"):
        Store(tmp_path)
    (tmp_path / DATABASE).unlink()
    Store(tmp_path)
    with sqlite3.connect(tmp_path / DATABASE) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(UserError, match="newer version of the suite"):
        Store(tmp_path)


@pytest.mark.parametrize(("typed", "name"), [(" half  ring ", "half ring"), ("Ölfleck_2-b", "Ölfleck_2-b")])
def test_a_new_name_is_taken(typed: str, name: str) -> None:
    assert new_label(typed) == name


@pytest.mark.parametrize(
    ("typed", "match"), [(" ", "needs a name"), ("a" * 61, "at most 60"), ("a/b", "no '/'"), ("=1", "no '='")]
)
def test_a_new_name_that_would_harm_is_refused(typed: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        new_label(typed)
