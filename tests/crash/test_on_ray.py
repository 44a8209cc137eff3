"""One kill of a run on a Ray cluster, which goes on to the rows and maps of a run without one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crash.on_ray import CROWD, differs, main
from pipelines.common.runs import ROWS


@pytest.mark.slow
def test_a_run_on_ray_goes_on(tmp_path: Path) -> None:
    if not os.environ.get("CI"):  # which must have Ray
        pytest.importorskip("ray")
    assert main(["--times", "1", "--images", "8", "--json", str(tmp_path / "counts.jsonl")]) == 0
    counts = json.loads((tmp_path / "counts.jsonl").read_text())
    assert counts["kills"] == 1 and counts["problems"] == []


def test_what_is_lost_doubled_or_changed_is_seen(tmp_path: Path) -> None:
    rows = [
        json.dumps({"source": f"{number}.jpg", "frame": None, "status": "failed", "seconds": 0.1}) + "\n"
        for number in range(3)
    ]
    whole, out = tmp_path / "whole", tmp_path / "out"
    for folder in (whole, out):
        (folder / "maps").mkdir(parents=True)
        (folder / ROWS).write_text("".join(rows))
        (folder / CROWD.companion).write_text("{}\n" * 4)
        (folder / "maps" / "0.npz").write_bytes(b"map")
    kept = [line.encode() for line in rows[:2]]

    def told(text: str, code: int = 0) -> list[str]:
        (out / ROWS).write_text(text)
        return differs(out, whole, kept, code)

    changed = "differs from that of an undisturbed run"
    assert told("".join(rows)) == []
    assert told("".join(rows).replace("0.1", "0.2")) == [
        "of 2 rows that were finished, some are gone or have changed"
    ], "a finished row was computed again"
    assert told("".join(rows[:2])) == [f"{ROWS} {changed}"]
    assert told("".join([*rows, rows[2]])) == ["('2.jpg', 'None') has two rows", f"{ROWS} {changed}"]
    assert told("".join(rows), 2) == ["going on, it ended with 2"]
    (out / "maps" / "0.npz").write_bytes(b"half")
    assert told("".join(rows)) == [f"maps/0.npz {changed}"]
