"""The runs that the benchmark makes, and the whole of it on next to nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.items import Run
from apps.viewers import wafer
from benchmarks.review.__main__ import main
from benchmarks.review.browser import find_browser
from benchmarks.review.runs import LABELS, make_run


def test_a_run_holds_what_the_page_shows(tmp_path: Path) -> None:
    run = Run(make_run(tmp_path, 40), wafer)
    assert len(run.items) == 40 and not run.damaged
    assert [len(lines) for lines in run.groups.values()] == [25, 15]
    row = run.row(3)
    assert set(row["probabilities"]) <= set(LABELS)
    assert row["class"] == next(iter(row["probabilities"]))
    assert {item.decision for item in run.items} <= {"known", "normal", "novel"}
    assert len((run.path / "latents.jsonl").read_text().splitlines()) == 40


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="there is no Chromium")
def test_the_whole_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "figures.json"
    main(["--quick", "--maps", "120", "--repeats", "1", "--json", str(target)])
    figures = json.loads(target.read_text())
    steps = {row["step"] for row in figures["rows"] if row["section"] == "many"}
    assert steps == {"first open", "open", "next", "verdict", "undo", "relabel", "page", "find"}
    assert figures["summary"]["verdict_ratio"] > 0
    assert all(row["server_cpu_s"] >= 0 and row["page_cpu_s"] > 0 for row in figures["rows"])


def test_wrong_use_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--json", str(tmp_path / "f.json"), "--maps", "7"])
