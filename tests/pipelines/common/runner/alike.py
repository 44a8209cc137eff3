"""Whether two run folders hold the same, wherever they were computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TAKES_TIME = ("seconds",)  # of a row
TABLES = ("run.json", "results.csv", "results.jsonl", "report.html")


def rows_of(out: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    return [{name: one for name, one in row.items() if name not in TAKES_TIME} for row in rows]


def assert_alike(left: Path, right: Path) -> None:
    """The same rows in the same order, the same facts, and byte for byte the same files beside them."""
    assert rows_of(left) == rows_of(right)
    records = [json.loads((out / "run.json").read_text()) for out in (left, right)]
    for name in ("status", "counts", "failures", "skipped", "model", "config", "inputs"):
        assert records[0][name] == records[1][name]
    assert _files(left) == _files(right)


def _files(out: Path) -> dict[str, bytes]:
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in TABLES}
