"""`suite wafer classify`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.wafer.data import WaferMap, iter_maps
from tests.pipelines.wafer.test_classify import HEADER, read_rows, write_maps, write_unplaced
from tests.suite.wafer.conftest import classify


def test_a_run_prints_one_row_per_wafer_and_the_report(good: Path, tmp_path: Path) -> None:
    result = classify(good, "--out", "run")
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        "lot",
        "wafer",
        "slot",
        "defects",
        "class",
        "probability",
        "novelty",
        "threshold",
        "decision",
    ]
    assert lines[2].split() == ["L1", "W1", "17", "scratch", "0.250", "17.00", "20.50", "novel"]
    assert lines[-3] == "3 maps: 1 normal, 1 novel, 1 known"
    assert lines[-2:] == ["Report: run/report.html", "Review: suite review run"]
    assert (tmp_path / "run" / "results.csv").read_text().splitlines()[0] == HEADER


def test_json_has_the_counts_and_the_rows(good: Path, broken: Path) -> None:
    result = classify(good.parent, "--out", "run", "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert document["out"] == "run"
    assert document["report"] == "run/report.html"
    assert document["counts"]["failed"] == 1
    assert document["seconds"] >= 0
    assert [row["status"] for row in document["results"]] == ["ok", "ok", "ok", "failed"]
    assert set(HEADER.split(",")) <= document["results"][0].keys()


def test_without_out_the_run_goes_to_a_new_folder(good: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert classify(good).exit_code == 0
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all(folder.name.startswith("wafer-2") for folder in folders)


def test_some_failed_ends_with_3_and_says_why(good: Path, broken: Path) -> None:
    result = classify(good.parent, "--out", "run")
    assert result.exit_code == 3
    assert "Failed:\n  " in result.stdout
    assert str(broken) in result.stdout
    assert "1 failed" in result.stdout


def test_what_failed_is_done_again_when_asked_for(good: Path, broken: Path, tmp_path: Path) -> None:
    assert classify(good.parent, "--out", "run").exit_code == 3
    broken.write_bytes(good.read_bytes())
    assert classify(good.parent, "--out", "run", "--resume").exit_code == 3
    result = classify(good.parent, "--out", "run", "--resume", "--retry-failed")
    assert result.exit_code == 0
    assert "1 failed before and is done again" in result.stderr
    assert [row["status"] for row in read_rows(tmp_path / "run")] == ["ok"] * 6
    assert classify(good.parent, "--out", "other", "--retry-failed").exit_code == 2
    assert classify(good.parent, "--out", "other", "--retry-failed", "--resume").exit_code == 2


def test_a_named_file_that_is_no_map_is_a_failed_row(tmp_path: Path, good: Path) -> None:
    (tmp_path / "LICENSE").write_text("You may read this.")
    result = classify("LICENSE", good, "--out", "run")
    assert result.exit_code == 3
    assert [row["status"] for row in read_rows(tmp_path / "run")] == ["failed", "ok", "ok", "ok"]
    assert classify("LICENSE", "--out", "alone").exit_code == 2
    (row,) = read_rows(tmp_path / "alone")
    assert row["status"] == "failed"


def test_a_folder_with_nothing_usable_ends_with_2(tmp_path: Path, good: Path, broken: Path) -> None:
    good.unlink()
    result = classify(broken.parent, "--out", "run")
    assert result.exit_code == 2
    assert "none of the wafer maps could be used" in result.stderr
    assert len(read_rows(tmp_path / "run")) == 1
    (tmp_path / "empty").mkdir()
    result = classify("empty", "--out", "other")
    assert result.exit_code == 2
    assert "there is no wafer map in empty" in result.stderr
    assert not (tmp_path / "other").exists()


def test_a_map_without_positions_is_shown_and_no_failure(good: Path, tmp_path: Path) -> None:
    write_unplaced(good.parent / "b.klarf", 1_234)
    result = classify(good.parent, "--out", "run", "--alarm-on", "scratch", "--write-klarf", "back.klarf")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[4].split() == ["L9", "W9", "1234", "unplaced"]
    assert "4 maps: 1 normal, 1 novel, 1 known, 1 read but without positions" in lines
    assert "Failed" not in result.stdout
    maps = list(iter_maps([tmp_path / "back.klarf"]))
    assert [len(one.defects) for one in maps if isinstance(one, WaferMap)] == [3, 17, 25]
    document = json.loads(classify(good.parent, "--out", "again", "--json").stdout)
    assert document["counts"]["unplaced"] == 1
    assert "1234 defects" in document["results"][3]["error"]


def test_only_maps_without_positions(tmp_path: Path) -> None:
    write_unplaced(tmp_path / "lots" / "b.klarf", 5)
    result = classify("lots", "--out", "run")
    assert result.exit_code == 0
    assert "1 map: 1 read but without positions" in result.stdout
    refused = classify("lots", "--out", "again", "--write-klarf", "back.klarf")
    assert refused.exit_code == 2
    assert "no map was classified" in refused.stderr
    assert "1 map: 1 read but without positions" in refused.stdout


@pytest.mark.parametrize(("name", "code"), [("novel", 4), ("ring", 4), ("RING", 4), ("scratch", 0)])
def test_alarms_end_with_4(good: Path, name: str, code: int) -> None:
    result = classify(good, "--out", "run", "--alarm-on", name)
    assert result.exit_code == code
    assert ("Alarm: 1 of them" in result.stdout) == (code == 4)


def test_an_alarm_weighs_more_than_a_failure(good: Path, broken: Path) -> None:
    result = classify(good.parent, "--out", "run", "--alarm-on", "scratch", "--alarm-on", "novel")
    assert result.exit_code == 4
    assert "1 failed" in result.stdout


def test_an_alarm_that_can_never_be_raised_is_refused(good: Path, tmp_path: Path) -> None:
    result = classify(good, "--out", "run", "--alarm-on", "scrach")
    assert result.exit_code == 2
    assert "did you mean scratch? allowed are novel, none, ring, scratch" in result.stderr
    assert not (tmp_path / "run").exists()


def test_control_characters_in_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    write_maps(tmp_path / "lots" / "a\x1b[31m.npz", [3], "LOT\x1b[2J\x07")
    (tmp_path / "lots" / "b\x1b]0;x\x07.npz").write_bytes(
        (tmp_path / "lots" / "a\x1b[31m.npz").read_bytes()[:300]
    )
    result = classify("lots", "--out", "run")
    assert result.exit_code == 3
    assert "LOT\\x1b[2J\\x07" in result.stdout
    assert not {"\x1b", "\x07"} & set(result.stdout + result.stderr)
    assert not {"\x1b", "\x07"} & set(classify("lots", "--out", "again", "--json").stdout)
