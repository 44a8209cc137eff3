"""No file, however damaged or hostile, ends a batch, takes more than 10 s or more than 1 GiB."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.wafer.data import builders
from tests.pipelines.wafer.data.hostile import CASES, Case

pytestmark = pytest.mark.slow

SECONDS = 30.0  # of the processor
BYTES = 2**30
ADDRESS_SPACE = 4 * BYTES  # what a process may reserve, as libraries do, without holding it
BAD, GOOD = "bad", "good.map"
ROOT = Path(__file__).resolve().parents[4]


def measured(folders: Sequence[Path], seconds: float, memory: int) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.pipelines.wafer.data.measure", str(seconds), str(memory)]
    done = subprocess.run(
        [*command, *map(str, folders)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {row["folder"]: row for row in map(json.loads, done.stdout.splitlines())}


def folder_of(path: Path, content: bytes) -> Path:
    path.mkdir()
    (path / BAD).write_bytes(content)
    (path / GOOD).write_bytes(builders.sinf())
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each case costs and says, in a folder beside a good file."""
    root = tmp_path_factory.mktemp("hostile")
    folders = [folder_of(root / str(number), case.make()) for number, case in enumerate(CASES)]
    return {CASES[int(number)].name: row for number, row in measured(folders, SECONDS, ADDRESS_SPACE).items()}


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_malformed(results: dict[str, dict[str, Any]], case: Case) -> None:
    row = results[case.name]
    assert row["ended"] == "exit 0", "the batch was ended"
    assert row["maps"].get(GOOD) == 1, "the good file beside it was not read"
    assert row["seconds"] < SECONDS
    assert row["bytes"] < BYTES
    if case.outcome == "harmless":
        assert row["maps"].get(BAD) == 1, row
        return
    reasons = row[case.outcome].get(BAD, [])
    assert any(case.words in reason for reason in reasons), row


def test_the_measurement_sees_memory_and_time(tmp_path: Path) -> None:
    small = folder_of(tmp_path / "small", builders.sinf())
    large = folder_of(tmp_path / "large", builders.npy(builders.UPRIGHT) + bytes(100 * 2**20))
    rows = measured([small, large], SECONDS, ADDRESS_SPACE)
    assert rows["large"]["bytes"] - rows["small"]["bytes"] > 90 * 2**20
    assert rows["large"]["maps"] == {BAD: 1, GOOD: 1}
    assert measured([large], 0.001, ADDRESS_SPACE)["large"]["ended"] in ("SIGPROF", "SIGALRM")
