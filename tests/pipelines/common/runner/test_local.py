"""Reading in this process and ahead of it: order, bounds, errors, and processes that die."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.common.errors import UserError
from pipelines.common.runner import IN_PROCESS, Runner, Work, run
from pipelines.common.runner.ahead import WINDOW
from pipelines.common.runner.reading import MOST_BYTES
from tests.pipelines.common.runner import toys
from tests.pipelines.common.runner.toys import HAS_A_BUG, KILLS, REFUSES, STOPS_HALFWAY, Doubling, work

ITEMS = [3, 0, 1, 5, 2, 2, 4, 1, 0, 7]
EXPECTED = [(item, 2 * part) for item in ITEMS for part in range(item)]


def results(items: list[int], runner: Runner) -> list[tuple[int, int, int]]:
    return list(run(work(), items, Doubling(), runner))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    found = results(ITEMS, Runner(workers=workers))
    assert [one[:2] for one in found] == EXPECTED
    processes = {process for _, _, process in found}
    assert len(processes) == max(1, workers)
    assert (os.getpid() in processes) == (workers == 0)


def test_few_items_are_read_in_this_process_and_many_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("pipelines.common.runner.run")
    monkeypatch.setattr(module, "usable_cores", lambda: 3)
    assert {one[2] for one in results([1] * 33, Runner())} == {os.getpid()}
    monkeypatch.setattr(module, "usable_cores", lambda: 4)
    assert {one[2] for one in results([1] * 32, Runner())} == {os.getpid()}
    assert os.getpid() not in {one[2] for one in results([1] * 33, Runner())}


def test_no_item_gives_nothing() -> None:
    assert results([], Runner(workers=2)) == results([], IN_PROCESS) == []


def test_items_are_taken_up_only_as_far_as_is_read_ahead() -> None:
    taken = 0

    def many() -> Iterator[int]:
        nonlocal taken
        for _ in range(10_000):
            taken += 1
            yield 1

    with closing(run(work(), many(), Doubling(), Runner(workers=2))) as found:
        next(found)
        assert taken <= 2 * WINDOW


def small(item: int) -> Iterator[int]:
    """One part, and a file that counts the items."""
    with Path(os.environ["COUNTED"]).open("a") as file:
        file.write("x")
    yield item


def test_reading_goes_on_while_the_model_is_busy_with_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTED", str(tmp_path / "counted"))
    one = Work(small, toys.lost, toys.load)
    with closing(run(one, range(2_000), _Passing(), Runner(workers=1))) as found:
        next(found)
        until = time.monotonic() + 60
        while (tmp_path / "counted").stat().st_size < 300 and time.monotonic() < until:
            time.sleep(0.05)
        assert (tmp_path / "counted").stat().st_size >= 300


def large(item: int) -> Iterator[np.ndarray]:
    """Parts that take half of what may wait, and a file that counts them."""
    for _ in range(item):
        with Path(os.environ["COUNTED"]).open("a") as file:
            file.write("x")
        yield np.zeros(MOST_BYTES // 2, np.uint8)


def test_what_was_read_and_not_taken_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTED", str(tmp_path / "counted"))
    one = Work(large, toys.lost, toys.load)
    with closing(run(one, [20], _Passing(), Runner(workers=1))) as found:
        next(found)
        time.sleep(1.0)
        assert (tmp_path / "counted").stat().st_size <= 5  # one taken, two waiting, one sent, one made


class _Passing:
    def do(self, parts: Iterator[Any], /) -> Iterator[Any]:
        yield from parts


@pytest.mark.parametrize("workers", [1, 2])
def test_an_item_that_kills_its_process_is_lost_alone(workers: int) -> None:
    items = [2, 1, KILLS, 2, KILLS, KILLS, 1, 3]
    found = results(items, Runner(workers=workers))
    expected = [(i, 2 * p) for i in items for p in (range(i) if i > 0 else [0])]
    assert [one[:2] for one in found] == expected
    assert [one[0] for one in found if one[2] == 0] == [KILLS] * 3


def test_parts_that_came_before_a_process_died_come_once() -> None:
    found = results([1, STOPS_HALFWAY, 2], Runner(workers=1))
    assert [one[:2] for one in found] == [
        (1, 0),
        *((STOPS_HALFWAY, 2 * part) for part in (0, 1, 2)),
        *((2, 2 * part) for part in (0, 1)),
    ]
    assert [one[2] == 0 for one in found] == [False, False, False, True, False, False]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_for_the_user_arrives_as_it_is(workers: int) -> None:
    found = run(work(), [1, REFUSES, 1], Doubling(), Runner(workers=workers))
    assert next(found)[:2] == (1, 0)
    with pytest.raises(UserError, match=r"^this item has changed$"):
        next(found)


def test_a_bug_in_a_process_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="there is a bug"):
        results([1, HAS_A_BUG], Runner(workers=1))


def test_closing_ends_the_processes() -> None:
    found = run(work(pause=0.01), [5] * 1000, Doubling(), Runner(workers=2))
    next(found)
    assert len(multiprocessing.active_children()) >= 2
    found.close()
    assert not [one for one in multiprocessing.active_children() if one.name == "reader"]


def _python(code: str, folder: Path, *, start_new_session: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        start_new_session=start_new_session,
    )


def test_processes_end_with_the_one_that_started_them(project_root: Path) -> None:
    code = (
        "import os, signal; from pipelines.common.runner import Runner, run\n"
        "from tests.pipelines.common.runner.toys import Doubling, work\n"
        "found = run(work(pause=0.05), [1000] * 4, Doubling(), Runner(workers=1))\n"
        "print(next(found)[2], flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = _python(code, project_root)
    process, until = int(done.stdout), time.monotonic() + 120
    while _is_there(process):
        assert time.monotonic() < until, "the process that reads outlived the run"
        time.sleep(0.05)


def _is_there(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_ctrl_c_ends_no_process_that_is_still_starting(project_root: Path) -> None:
    code = (
        "import os, signal, threading, time; from pipelines.common.runner import Runner, run\n"
        "from tests.pipelines.common.runner.toys import Doubling, work\n"
        "signal.signal(signal.SIGINT, lambda *arguments: None)\n"
        "def press():\n"
        "    while True: time.sleep(0.01); os.killpg(0, signal.SIGINT)\n"
        "threading.Thread(target=press, daemon=True).start()\n"
        "print(len(list(run(work(), [1, 2], Doubling(), Runner(workers=2)))))"
    )
    done = _python(code, project_root, start_new_session=True)
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_a_reader_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    told = Work(threads, toys.lost, toys.load)
    assert list(run(told, [0], _Passing(), Runner(workers=1))) == ["1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"


def threads(item: int) -> Iterator[str]:
    yield os.environ["OMP_NUM_THREADS"]
