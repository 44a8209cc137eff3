"""Runs of maps of a class that no toy model knows, and reviews of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.store import Store, Verdict
from pipelines.wafer.classify import classify
from pipelines.wafer.data.record import FAIL, NO_DIE
from pipelines.wafer.predict import Predictor
from pipelines.wafer.reviewed import COLUMNS
from tests.pipelines.wafer import tiny

NEW = "Half"


def write_half_dies(path: Path, count: int, seed: int = 7) -> Path:
    """Sort maps whose right half fails."""
    rng = np.random.default_rng(seed)
    grids = []
    for _ in range(count):
        grid = tiny.toy_grid(rng, "None")
        right = np.arange(grid.shape[1]) * 2 + 1 > grid.shape[1]
        grid[(grid != NO_DIE) & right & (rng.random(grid.shape) < 0.9)] = FAIL
        grids.append(grid)
    lengths = [grid.size for grid in grids]
    np.savez(
        path,
        flat=np.concatenate([grid.ravel() for grid in grids]),
        offsets=np.cumsum([0, *lengths[:-1]]),
        shapes=np.array([grid.shape for grid in grids]),
    )
    return path


def write_half_defects(path: Path, count: int, seed: int = 7) -> Path:
    """Maps whose defects all lie on the right half, near its middle."""
    rng = np.random.default_rng(seed)
    maps = [rng.normal((75, 0), (12, 12), (50, 2)).astype(np.float32) for _ in range(count)]
    np.savez(
        path,
        defects=np.concatenate(maps),
        offsets=np.arange(count) * 50,
        counts=np.full(count, 50),
        diameter_mm=np.full(count, 300, np.float32),
    )
    return path


def run_of(model: Path, maps: Path, out: Path) -> list[dict[str, Any]]:
    """The rows of a run of `model` on the file `maps`."""
    classify([maps], predictor=Predictor.load(str(model), device="cpu"), out=out)
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def judge(run: Path, rows: Sequence[Mapping[str, Any]], labels: Sequence[str], review: Path) -> Path:
    """Review the rows of a run as a person would: accept what is right, relabel the rest; and export."""
    store = Store(run)
    among = set()
    for row, label in zip(rows, labels, strict=True):
        one = Verdict(
            source=row["source"],
            map=str(row["map"]),
            item=row["item"],
            model=row["model"],
            prediction=row["class"],
            novelty=row["novelty"],
            verdict="accept" if row["class"] == label else "relabel",
            label=label,
        )
        store.add(one)
        among.add(one.id)
    assert store.export(review, among) == len(rows)
    return review


def write_review(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A review of `verdict`s, as they are."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, restval="")
        table.writeheader()
        table.writerows(rows)
    return path


def verdict(row: Mapping[str, Any], label: str | None = NEW, kind: str = "relabel") -> dict[str, Any]:
    """A line of a review of this row; its own class without a label."""
    kept = {name: row[name] for name in ("source", "map", "item", "novelty", "model")}
    return {
        **kept,
        "prediction": row["class"],
        "verdict": kind,
        "label": row["class"] if label is None else label,
    }
