from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.common.errors import UserError
from pipelines.common.runs import RunFolder, check_target

RECORD: dict[str, Any] = {
    "task": "wafer",
    "inputs": ["a", "b"],
    "folder": "/data",
    "model": {"name": "m"},
    "config": {"rate": 0.01, "diameter_mm": 300.0},
    "seed": 0,
}


def open_run(path: Path, *, resume: bool = False, overwrite: bool = False) -> RunFolder:
    return RunFolder(path, key=("source", "map"), companion="maps.jsonl", resume=resume, overwrite=overwrite)


def row(number: int) -> dict[str, Any]:
    return {"source": "a", "map": number, "item": f"hash{number}"}


def write(path: Path, count: int, **options: bool) -> None:
    with open_run(path, **options) as run:
        run.begin(RECORD)
        run.append([row(number) for number in range(count)], [f"map {number}" for number in range(count)])
        run.finish({"counts": {"maps": count}})


def read_record(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "run.json").read_text())
    return content


def test_a_run_says_what_it_was(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "run", 3)
    record = read_record(tmp_path / "deep" / "run")
    assert record["status"] == "finished"
    assert record["counts"] == {"maps": 3}
    assert record["schema_version"] == 1
    assert {"suite", "environment", "started", "ended", "seconds"} < record.keys()
    assert {name: record[name] for name in RECORD} == RECORD
    assert sorted(path.name for path in (tmp_path / "deep" / "run").iterdir()) == [
        "maps.jsonl",
        "results.jsonl",
        "run.json",
    ]


def test_rows_are_on_disk_before_the_run_ends(tmp_path: Path) -> None:
    with open_run(tmp_path / "run") as run:
        run.begin(RECORD)
        assert read_record(tmp_path / "run")["status"] == "running"
        run.append([row(0), row(1)], ["x", "y"])
        lines = (tmp_path / "run" / "results.jsonl").read_text().splitlines()
        assert [json.loads(line)["map"] for line in lines] == [0, 1]
        assert list(run.rows()) == [(row(0), "x"), (row(1), "y")]


def test_a_resumed_run_knows_what_is_finished(tmp_path: Path) -> None:
    write(tmp_path, 3)
    seconds = read_record(tmp_path)["seconds"]
    with open_run(tmp_path, resume=True) as run:
        run.begin(RECORD)
        assert run.finished == {("a", "0"): "hash0", ("a", "1"): "hash1", ("a", "2"): "hash2"}
        run.append([row(3)], ["map 3"])
        run.finish({})
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 4
    assert read_record(tmp_path)["seconds"] >= seconds


@pytest.mark.parametrize("torn", [b'{"source": "a", "ma', b"\0" * 40, b'{"source": "a", "map": 9}'])
def test_a_torn_last_row_is_dropped(tmp_path: Path, torn: bytes) -> None:
    write(tmp_path, 2)
    with (tmp_path / "results.jsonl").open("ab") as file:
        file.write(torn)
    with (tmp_path / "maps.jsonl").open("ab") as file:
        file.write(b"map 2\nmap 3\nhalf a m")
    with open_run(tmp_path, resume=True) as run:
        run.begin(RECORD)
        run.append([row(2)], ["map 2"])
        assert list(run.rows()) == [(row(number), f"map {number}") for number in range(3)]


def test_damage_in_the_middle_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 3)
    lines = (tmp_path / "results.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "results.jsonl").write_bytes(lines[0] + b"{]\n" + lines[2])
    with pytest.raises(UserError, match="damaged in line 2"), open_run(tmp_path, resume=True) as run:
        run.begin(RECORD)


def test_a_companion_that_is_too_short_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 3)
    (tmp_path / "maps.jsonl").write_text("map 0\n")
    with pytest.raises(UserError, match="1 lines for 3 rows"), open_run(tmp_path, resume=True) as run:
        run.begin(RECORD)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"inputs": ["a"]}, r'inputs was \["a", "b"\] and is now \["a"\]'),
        ({"model": {"name": "n"}}, 'model.name was "m" and is now "n"'),
        ({"config": {"rate": 0.02, "diameter_mm": 300.0}}, "config.rate was 0.01 and is now 0.02"),
        ({"seed": 1}, "seed was 0 and is now 1"),
        ({"folder": "/elsewhere"}, "folder was"),
    ],
)
def test_another_run_is_not_resumed(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    write(tmp_path, 2)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match=says), open_run(tmp_path, resume=True) as run:
        run.begin(RECORD | change)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_of_another_schema_is_not_resumed(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / "run.json").write_text(json.dumps(read_record(tmp_path) | {"schema_version": 99}))
    with pytest.raises(UserError, match="another version"), open_run(tmp_path, resume=True) as run:
        run.begin(RECORD)


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, 2)
    with pytest.raises(UserError, match=r"--resume.*--overwrite"):
        open_run(tmp_path)
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 2


def test_overwriting_replaces_the_run_and_keeps_what_is_not_its_own(tmp_path: Path) -> None:
    write(tmp_path, 5)
    (tmp_path / "verdicts.sqlite").write_text("a reviewer's work")
    (tmp_path / "report.html").write_text("old")
    write(tmp_path, 1, overwrite=True)
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 1
    assert (tmp_path / "verdicts.sqlite").read_text() == "a reviewer's work"
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
@pytest.mark.parametrize("name", ["thesis.txt", "run.json", "results.jsonl"])
def test_a_folder_of_something_else_is_never_touched(
    tmp_path: Path, name: str, options: dict[str, bool]
) -> None:
    (tmp_path / name).write_text('{"not": "ours"}')
    why = "its run.json is damaged" if name == "run.json" else "holds other files"
    with pytest.raises(UserError, match=f"{why}.*no r"):
        open_run(tmp_path, **options)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == '{"not": "ours"}'


def test_a_file_is_no_run_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(UserError, match="is a file"):
        open_run(tmp_path / "a")


def test_resuming_and_overwriting_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one of them"):
        check_target(tmp_path, resume=True, overwrite=True)


def test_a_run_that_was_killed_before_it_began_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("123")
    (tmp_path / ".run.json.new-123").write_text("{")
    write(tmp_path, 1)
    assert read_record(tmp_path)["status"] == "finished"
    assert not (tmp_path / ".run.json.new-123").exists()


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    write(tmp_path, 2)
    (tmp_path / "maps" / "film").mkdir(parents=True)
    half = [tmp_path / "maps" / ".a.npz.new-123", tmp_path / "maps" / "film" / ".000001.npz.new-123"]
    for path in (*half, tmp_path / "maps" / "a.npz"):
        path.write_text("half")
    write(tmp_path, 0, resume=True)
    assert [path.name for path in (tmp_path / "maps").rglob("*") if path.is_file()] == ["a.npz"]


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with open_run(tmp_path / "run") as run:
        run.begin(RECORD)
        with pytest.raises(UserError, match="another run"):
            open_run(tmp_path / "run", resume=True)
        with pytest.raises(UserError, match="another run"):
            open_run(tmp_path / "run", overwrite=True)
        for resume in (False, True):  # known before a model is loaded
            with pytest.raises(UserError, match=f"another run .process {os.getpid()}. is writing"):
                check_target(tmp_path / "run", resume=resume, overwrite=False)
        assert read_record(tmp_path / "run")["status"] == "running"


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed")])
def test_how_a_run_ended_is_on_record(tmp_path: Path, error: type[BaseException], status: str) -> None:
    with pytest.raises(error), open_run(tmp_path / "run") as run:
        run.begin(RECORD)
        run.append([row(0)], ["x"])
        raise error
    assert read_record(tmp_path / "run")["status"] == status
    write(tmp_path / "run", 0, resume=True)
    assert read_record(tmp_path / "run")["status"] == "finished"
    assert len((tmp_path / "run" / "results.jsonl").read_text().splitlines()) == 1


def test_a_discarded_run_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "new", tmp_path / "mine"):
        with open_run(folder) as run:
            run.begin(RECORD)
            run.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert list((tmp_path / "mine").iterdir()) == []


def test_rows_before_the_beginning_are_a_bug(tmp_path: Path) -> None:
    with open_run(tmp_path / "run") as run, pytest.raises(RuntimeError, match="begin"):
        run.append([row(0)], ["x"])
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = open_run(tmp_path / "run")
    with pytest.raises(OSError, match="No space"), run:
        run.begin(RECORD)
        monkeypatch.setattr(run, "_write_record", no_space)
        no_space()
    assert not (tmp_path / "run" / ".lock").exists()
    write(tmp_path / "run", 2, resume=True)
