"""`suite wafer classify` with limits on what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.wafer.data import WaferMap, iter_maps
from tests.pipelines.wafer.test_classify import read_rows
from tests.suite.wafer.conftest import classify


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A wafer of twelve defects."""
    path = tmp_path / "defects.csv"
    path.write_text("x_mm,y_mm\n" + "".join(f"{number},{-number}\n" for number in range(12)))
    return path


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("name", ["max_bytes", "max_defects"])
def test_a_file_above_a_limit_fails_and_a_higher_limit_reads_it(
    table: Path, tmp_path: Path, name: str, workers: str
) -> None:
    most = {"max_bytes": table.stat().st_size, "max_defects": 12}[name]
    small = classify(table, "--out", "small", "--workers", workers, "--set", f"{name}={most - 1}")
    assert small.exit_code == 2
    assert f"raise the limit with --set {name}=N" in small.stdout
    assert [row["status"] for row in read_rows(tmp_path / "small")] == ["failed"]
    large = classify(table, "--out", "large", "--workers", workers, "--set", f"{name}={most}")
    assert large.exit_code == 0
    assert [row["defects"] for row in read_rows(tmp_path / "large")] == [12]


def test_a_dry_run_keeps_to_the_limits(table: Path, good: Path) -> None:
    plans = [
        json.loads(classify(table, good, "--dry-run", "--json", "--set", f"max_defects={most}").stdout)
        for most in (11, 12)
    ]
    assert [(plan["maps"], plan["failed"]) for plan in plans] == [(3, 1), (4, 0)]


def test_results_are_written_back_within_the_limits_of_the_run(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = table.stat().st_size
    read: list[int] = []

    def counted(path: Path, max_bytes: int) -> bytes:
        read.append(max_bytes)
        return path.read_bytes()

    monkeypatch.setattr("pipelines.wafer.data.reading.read_all", counted)
    back = tmp_path / "back.klarf"
    options = ("--workers", "0", "--set", f"max_bytes={size}")
    result = classify(table, "--out", "run", "--write-klarf", back, *options)
    assert result.exit_code == 0
    assert read == [size, size]
    monkeypatch.undo()
    (wafer,) = iter_maps([back])
    assert isinstance(wafer, WaferMap) and len(wafer.defects) == 12


@pytest.mark.parametrize("name", ["max_bytes", "max_defects"])
def test_a_limit_of_nothing_is_refused(table: Path, name: str) -> None:
    result = classify(table, "--out", "run", "--set", f"{name}=0")
    assert result.exit_code == 2
    assert f"{name}: should be greater than or equal to 1" in result.stderr
