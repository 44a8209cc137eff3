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
    found, gone = find_maps(taken, review, None, 300.0)
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
    home = Path(rows[0]["source"]).parent
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
    found, gone = find_maps(taken, review, None, 300.0, Limits(max_bytes=size - 1))
    assert found == []
    assert "raise the limit (max_bytes)" in gone[0].reason
    assert len(find_maps(taken, review, None, 300.0)[0]) == 1
