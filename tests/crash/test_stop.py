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

from crash.__main__ import main
from crash.child import Ended
from crash.compare import check_finished, check_stopped, is_torn
from crash.space import NOT_PERMITTED
from crash.stop import unclear
from crash.tasks import OUT, TASKS
from pipelines.common.runs import ROWS, RUN

ROOT = Path(__file__).resolve().parents[2]
WAFER = TASKS["wafer"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "times", "seed", "tasks"),
    # The first moment of 17 is a file operation amid the rows, on a machine however busy.
    [("kill", 5, 2, tuple(TASKS)), ("ctrl-c", 3, 17, ("crowd",))],
)
def test_runs_that_were_stopped_go_on_to_the_same_results(
    how: str, times: int, seed: int, tasks: tuple[str, ...], tmp_path: Path
) -> None:
    counts = harness(how, times, tasks, tmp_path / "counts.jsonl", seed)
    assert sum(one["between"] for one in counts) >= 1


def test_what_a_library_says_of_the_ctrl_c_that_it_kept_is_no_problem(tmp_path: Path) -> None:
    trace = "Traceback (most recent call last):\n  ...\nKeyboardInterrupt\n"
    end = "error: interrupted; the counts so far are saved: repeat the command with --resume to go on"
    assert unclear(Ended(130, f"Exception ignored in: <function>\n{trace}{end}", None), tmp_path, b"") == []
    assert len(unclear(Ended(130, trace + end, None), tmp_path, b"")) == 1
    assert len(unclear(Ended(1, end, None), tmp_path, b"")) == 1


@pytest.mark.slow
def test_runs_without_space_say_so_and_go_on_with_space(tmp_path: Path) -> None:
    harness("full", 1, tuple(TASKS), tmp_path / "counts.jsonl")


def harness(how: str, times: int, tasks: tuple[str, ...], file: Path, seed: int = 2) -> list[dict[str, Any]]:
    """What the harness counts, in a process of its own that has no threads yet."""
    words = [*tasks, "--how", how, "--times", str(times), "--seed", str(seed), "--json", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "crash", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if NOT_PERMITTED in done.stderr:
        pytest.skip(NOT_PERMITTED)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(one["task"], one["stopped"]) for one in counts] == [(task, times) for task in tasks]
    assert all(one["finished"] == one["begun"] >= 1 for one in counts)
    return counts


def test_without_the_right_to_mount_the_harness_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: object, **about: object) -> None:
        raise OSError(NOT_PERMITTED)

    monkeypatch.setattr("crash.space.fill", refused)
    monkeypatch.setattr("crash.__main__.one_thread", lambda: None)
    assert main(["wafer", "--how", "full"]) == 2
    assert "unshare -rm" in capsys.readouterr().err


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
