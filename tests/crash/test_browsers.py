"""Verdicts of two reviewers in two browsers, whose server is killed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from apps.store import Store
from benchmarks.review.runs import make_run
from crash import browsers
from crash.review import verdict_of
from tests.browser import chromium


@pytest.mark.slow
def test_no_verdict_is_lost_or_doubled(tmp_path: Path) -> None:
    chromium()
    counts = browsers.review(tmp_path, verdicts=12, seed=1, longest=25)
    assert counts.verdicts >= 12 and counts.kills >= 1 and counts.problems == []
    assert counts.confirmed >= 12 - 2 * counts.kills


@pytest.mark.parametrize(
    ("kept", "told", "problem"),  # the verdicts in the store, and what Ann's browser noted, on one item
    [
        (["Ann accept"], ["pressed accept", "confirmed accept"], None),
        (["Ann accept"], ["pressed accept"], None),
        ([], ["pressed accept"], None),
        (["Ann accept", "Ann unsure"], ["pressed accept", "pressed unsure", "confirmed unsure"], None),
        ([], ["pressed accept", "confirmed accept"], "lost or changed"),
        (["Ann unsure"], ["pressed accept", "confirmed accept"], "lost or changed"),
        (["Ann accept", "Ann unsure"], ["pressed accept", "confirmed accept"], "more than given"),
        ([" accept"], ["pressed accept"], "verdicts are kept of ''"),
        (["Bob accept"], ["pressed accept"], "more than given"),
        (["Ann accept", "Ann unsure"] * 2, ["pressed accept", "pressed unsure"] * 2, "no page had confirmed"),
    ],
)
def test_harm_is_seen(kept: list[str], told: list[str], problem: str | None, tmp_path: Path) -> None:
    run = make_run(tmp_path, 1)
    row = json.loads((run / "results.jsonl").read_text())
    store = Store(run)
    with store.open():
        pass  # a store without verdicts
    for reviewer, kind in map(str.split, kept) if " accept" not in kept else [("", "accept")]:
        about = replace(verdict_of(reviewer, 0), source=row["source"], map=str(row["map"]))
        label = about.prediction if kind == "accept" else ""
        store.add(replace(about, verdict="accept" if kind == "accept" else "unsure", label=label))
    lines = [json.dumps([what, "L0 01", kind]) for what, kind in map(str.split, told)]
    counts = browsers.Counts()
    browsers._check(run, {"Ann": lines, "Bob": []}, counts)
    assert counts.problems == [] if problem is None else problem in " ".join(counts.problems)
