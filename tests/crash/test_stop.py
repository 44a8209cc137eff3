"""A few kills and interruptions of each task; the harness itself sees what is lost, doubled and left over."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crash.compare import check_finished, check_stopped, is_torn
from crash.tasks import OUT, TASKS
from pipelines.common.runs import ROWS, RUN

ROOT = Path(__file__).resolve().parents[2]
WAFER = TASKS["wafer"]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_runs_that_were_killed_go_on_to_the_same_results(task: str, tmp_path: Path) -> None:
    counts = stopped(task, "kill", 5, tmp_path / "counts.jsonl")
    assert counts["between"] >= 1 and counts["torn"] >= 1


@pytest.mark.slow
def test_an_interrupted_run_says_so_and_goes_on(tmp_path: Path) -> None:
    stopped("crowd", "ctrl-c", 3, tmp_path / "counts.jsonl")


def stopped(task: str, how: str, times: int, file: Path) -> dict[str, Any]:
    """What the harness counts, in a process of its own that has no threads yet."""
    words = [task, "--how", how, "--times", str(times), "--seed", "2", "--json", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "crash", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts: dict[str, Any] = json.loads(file.read_text())
    assert (counts["task"], counts["how"], counts["stopped"]) == (task, how, times)
    assert counts["finished"] == counts["begun"] >= 1
    return counts


def row(number: int, **changes: object) -> dict[str, object]:
    return {"source": "a", "map": number, "status": "ok", "novelty": 1.5, "seconds": 0.1, **changes}


def write(folder: Path, rows: list[dict[str, object]], lines: int | None = None) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / ROWS).write_text("".join(json.dumps(one) + "\n" for one in rows))
    (folder / WAFER.companion).write_text("{}\n" * (len(rows) if lines is None else lines))
    (folder / RUN).write_text(json.dumps({"status": "finished", "started": len(rows)}))
    return folder


def lost(run: Path) -> None:
    write(run, [row(0), row(2)])


def doubled(run: Path) -> None:
    write(run, [row(0), row(1), row(1)])


def changed(run: Path) -> None:
    write(run, [row(0), row(1, status="failed"), row(2)])


def left_over(run: Path) -> None:
    (run / ".lock").write_text("1")


def unfinished(run: Path) -> None:
    (run / RUN).write_text('{"status": "running"}')


@pytest.mark.parametrize("harm", [lost, doubled, changed, left_over, unfinished])
def test_harm_is_seen(harm: Callable[[Path], None], tmp_path: Path) -> None:
    whole = write(tmp_path / "undisturbed", [row(number) for number in range(3)])
    run = write(tmp_path / OUT, [row(number, seconds=9.0, novelty=1.50001) for number in range(3)])
    assert check_finished(run, whole, WAFER) == []
    harm(run)
    assert check_finished(run, whole, WAFER) != []


def test_a_stopped_run_holds_finished_rows_once_and_keeps_them(tmp_path: Path) -> None:
    whole = write(tmp_path / "undisturbed", [row(number) for number in range(3)])
    run = write(tmp_path / OUT, [row(0), row(1)])
    before = (run / ROWS).read_bytes().splitlines(keepends=True)
    assert check_stopped(run, whole, WAFER, before) == [] and not is_torn(run, WAFER)
    with (run / ROWS).open("a") as file:
        file.write('{"source": "a", "ma')
    assert check_stopped(run, whole, WAFER, before) == [] and is_torn(run, WAFER)
    assert "gone or have changed" in check_stopped(write(run, [row(0)]), whole, WAFER, before)[0]
    assert "two rows" in check_stopped(write(run, [row(0), row(0)]), whole, WAFER, [])[0]
    assert "fewer lines" in check_stopped(write(run, [row(0)], 0), whole, WAFER, [])[0]


def test_files_that_rows_name_must_be_there(tmp_path: Path) -> None:
    medical = TASKS["medical"]
    one = {"source": "a", "case": "a", "status": "ok"}
    folders = [tmp_path / "undisturbed", tmp_path / OUT]
    for folder in folders:
        write(folder, [one])
        (folder / medical.companion).write_text("{}\n")
        for name in medical.files(one):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("whole")
    assert check_stopped(folders[1], folders[0], medical, []) == []
    (folders[1] / "masks" / "a.nii.gz").write_text("half")
    assert "differs" in check_stopped(folders[1], folders[0], medical, [])[0]
    (folders[1] / "masks" / "a.nii.gz").unlink()
    assert "is not there" in check_stopped(folders[1], folders[0], medical, [])[0]
