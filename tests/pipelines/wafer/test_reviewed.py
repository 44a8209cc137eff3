"""Reading what a review says, and the maps that it speaks of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.wafer.data import Limits
from pipelines.wafer.reviewed import find_maps, read_review
from tests.pipelines.wafer.conftest import Trained
from tests.pipelines.wafer.reviews import run_of, verdict, write_half_defects, write_review


@pytest.fixture(scope="module")
def rows(tiny_coordinates: Trained, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A run of 15 maps of an unknown pattern."""
    folder = tmp_path_factory.mktemp("reviewed")
    return run_of(tiny_coordinates.folder, write_half_defects(folder / "half.npz", 15), folder / "run")


def home_of(rows: list[dict[str, Any]]) -> Path:
    return Path(rows[0]["source"]).parent


def test_rows_that_cannot_be_used_are_listed_and_unsure_ones_left_out(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    told = [verdict(row) for row in rows[:8]]
    told += [verdict(rows[0], "Other")]  # conflicts with the first
    told += [verdict(rows[8], "", "unsure")]
    told += [verdict({**rows[9], "item": "0" * 24})]
    told += [verdict({**rows[10], "map": 99}), verdict({**rows[11], "source": "gone.npz"})]
    told += [verdict(rows[12], "a/b"), verdict(rows[13], "Half", "accept"), verdict(rows[14], "x", "maybe")]
    review = write_review(tmp_path / "review.csv", told)
    taken, left_out, unsure = read_review(review)
    found, gone = find_maps(taken, review, home_of(rows), 300.0)
    assert [one.map for _, one in found] == list(range(1, 8))
    assert unsure == 1
    reasons = [one.reason for one in (*left_out, *gone)]
    for part in (
        "unlike 'a/b'",
        "is accepted, but the label is 'Half'",
        "not 'maybe'",
        "conflicts: it is labelled Half and Other",
        "the file has changed since",
        "the file has no such map",
        "there is no file",
    ):
        assert sum(part in reason for reason in reasons) >= 1, part
    assert len(reasons) == 8


def test_sources_are_found_from_the_folder_of_the_run(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    home = home_of(rows)
    relative = [verdict({**row, "source": "half.npz"}) for row in rows[:3]]
    away = write_review(tmp_path / "review.csv", relative)
    taken = read_review(away)[0]
    assert find_maps(taken, away, None, 300.0)[0] == []
    assert len(find_maps(taken, away, home, 300.0)[0]) == 3
    beside = tmp_path / "run"
    beside.mkdir()
    (beside / "run.json").write_text(json.dumps({"folder": str(home)}))
    assert len(find_maps(taken, write_review(beside / "r.csv", relative), None, 300.0)[0]) == 3


def test_maps_are_read_again_within_the_limits(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    review = write_review(tmp_path / "review.csv", [verdict(rows[0])])
    taken = read_review(review)[0]
    size = Path(rows[0]["source"]).stat().st_size
    found, gone = find_maps(taken, review, home_of(rows), 300.0, Limits(max_bytes=size - 1))
    assert found == []
    assert "raise the limit with --set max_bytes=N" in gone[0].reason
    assert len(find_maps(taken, review, home_of(rows), 300.0)[0]) == 1


def reviewed_beside(run: Path, record: dict[str, Any], *told: dict[str, Any]) -> tuple[int, list[str]]:
    """How many maps a review in a run folder with this record gives, and why the others do not."""
    run.mkdir(exist_ok=True)
    (run / "run.json").write_text(json.dumps(record))
    review = write_review(run / "reviewed.csv", told)
    found, gone = find_maps(read_review(review)[0], review, None, 300.0)
    return len(found), [one.reason for one in gone]


@pytest.mark.parametrize("source", ["/etc/passwd", "../half.npz", "in/../../half.npz", "in/link.npz"])
def test_a_source_outside_of_the_inputs_is_left_out_unread(
    source: str, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home" / "in"
    folder.mkdir(parents=True)
    for copy in (tmp_path / "half.npz", folder / "good.npz"):
        copy.write_bytes(Path(rows[0]["source"]).read_bytes())
    (folder / "link.npz").symlink_to(tmp_path / "half.npz")
    monkeypatch.chdir(folder.parent)
    told = [verdict({**rows[0], "source": source}), verdict({**rows[1], "source": "in/good.npz"})]
    outside = ["lies outside the inputs of the run; see --root"]
    record = {"folder": str(folder.parent), "inputs": ["in"]}
    assert reviewed_beside(tmp_path / "run", record, *told) == (1, outside)
    away = write_review(folder / "away.csv", told)
    taken = read_review(away)[0]
    for root in (None, folder.parent):
        found, gone = find_maps(taken, away, root, 300.0)
        assert len(found) == 1
        assert [one.reason.startswith("lies outside ") for one in gone] == [True]


def test_files_that_were_named_to_the_run_are_read_wherever_they_lie(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = Path(rows[0]["source"])
    link = tmp_path / "link.npz"
    link.symlink_to(file)
    run = tmp_path / "run"
    for given, source in ((file, file), (file.parent, file), (link, link)):
        told = verdict({**rows[0], "source": str(source)})
        assert reviewed_beside(run, {"folder": "", "inputs": [str(given)]}, told) == (1, [])
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    told = verdict({**rows[0], "source": "../../link.npz"})
    assert reviewed_beside(run, {"folder": str(below), "inputs": ["../../link.npz"]}, told) == (1, [])


@pytest.mark.parametrize("source", ["x" * 10_000, "a\0b", "in/" * 3_000 + "x"])
def test_a_source_that_is_no_name_of_a_file_costs_its_row_alone(
    source: str, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    told = [verdict({**rows[0], "source": source}), verdict(rows[1])]
    record = {"folder": str(home_of(rows)), "inputs": ["half.npz", ".", "\0", 7]}
    count, reasons = reviewed_beside(tmp_path / "run", record, *told)
    assert count == 1 and len(reasons) == 1
    assert reasons[0].startswith("cannot be looked for: ")


@pytest.mark.parametrize("text", ["[]", "{", '{"folder": 1, "inputs": 2}', "[" * 100_000])
def test_a_damaged_record_allows_the_folder_we_are_in(
    text: str, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.json").write_text(text)
    review = write_review(tmp_path / "reviewed.csv", [verdict(rows[0])])
    taken = read_review(review)[0]
    assert len(find_maps(taken, review, None, 300.0)[0]) == 0
    monkeypatch.chdir(home_of(rows))
    assert len(find_maps(taken, review, None, 300.0)[0]) == 1
