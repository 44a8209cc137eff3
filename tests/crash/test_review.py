"""Verdicts of two reviewers who are killed while they give them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from apps.store import Store
from crash import review
from crash.review import Counts, verdict_of

ROOT = Path(__file__).resolve().parents[2]


def test_no_verdict_is_lost_or_doubled(tmp_path: Path) -> None:
    words = ["--verdicts", "400", "--seed", "1", "--json", str(tmp_path / "counts.jsonl")]
    done = subprocess.run(
        [sys.executable, "-m", "crash.review", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads((tmp_path / "counts.jsonl").read_text())
    assert counts["verdicts"] == 400 and counts["kills"] >= 1 and counts["problems"] == []


@pytest.mark.parametrize(
    ("numbers", "confirmed"), [((0, 2), (0, 2)), ((0, 1, 1), (0, 1)), ((0, 1), (0, 1, 2))]
)
def test_harm_is_seen(numbers: tuple[int, ...], confirmed: tuple[int, ...], tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in review.REVIEWERS:
        for place, number in enumerate(numbers):
            store.add(replace(verdict_of(name, number), note=str(place)))
        (tmp_path / f"{name}.txt").write_text("".join(f"{number}\n" for number in confirmed))
    counts = Counts()
    review._check(tmp_path, 3, counts)
    assert counts.problems
