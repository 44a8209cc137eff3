"""Run folders for these tests, made without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.wafer.data import WaferMap
from pipelines.wafer.data.record import DieGrid, FailedMap
from pipelines.wafer.drawing import pack
from pipelines.wafer.predict import Decision, Prediction
from pipelines.wafer.rows import failed_row, item_hash, ok_row, unplaced_row

CLASSES = ("none", "ring", "scratch", "grid")
MODEL = "tiny"
THRESHOLD = 20.0


def wafer(number: int, *, lot: str = "", die_level: bool = False) -> WaferMap:
    """A map of a lot of five, named by its number, with 20 defects of its own."""
    random = np.random.default_rng(number)
    dies = None
    if die_level:
        status = random.integers(0, 3, (9, 8)).astype(np.uint8)
        dies = DieGrid.centred(status, 300.0)
        defects = dies.positions_mm(np.flatnonzero(status == 2))
    else:
        defects = random.uniform(-100, 100, (20, 2))
    return WaferMap(
        source=Path(f"maps/{number // 5}.csv"),
        position=number % 5,
        defects=defects,
        source_rows=np.arange(len(defects)),
        diameter_mm=300.0,
        die_level=die_level,
        dies=dies,
        lot=lot or f"L{number // 5}",
        wafer=f"W{number % 5}",
    )


def row(made: WaferMap, number: int) -> dict[str, Any]:
    """What a model said of the map: the lower the number, the more novel and the less certain."""
    label = CLASSES[number % len(CLASSES)]
    novelty = 30.0 - number
    decision: Decision = "novel" if novelty > THRESHOLD else "normal" if label == "none" else "known"
    said = Prediction(label, 0.30 + number % 60 / 100, novelty, THRESHOLD, decision, MODEL)
    return ok_row(made, said, item_hash(made))


def write_run(path: Path, pairs: Sequence[tuple[Mapping[str, Any], str]], **record: Any) -> Path:
    """A run folder of rows with what is drawn of each."""
    path.mkdir(parents=True, exist_ok=True)
    models = {"coordinates": {"name": MODEL, "labels": list(CLASSES)}}
    about = {"schema_version": 1, "task": "wafer", "inputs": ["maps"], "folder": str(path.parent)}
    about |= {"model": {"models": models}} | record
    (path / "run.json").write_text(json.dumps(about))
    (path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row, _ in pairs))
    (path / "maps.jsonl").write_text("".join(drawing + "\n" for _, drawing in pairs))
    return path


def small_run(path: Path, count: int = 12) -> Path:
    """`count` maps, one of which holds dies, then one that failed and one that is unplaced."""
    maps = [wafer(number, die_level=number == 1) for number in range(count)]
    pairs = [(row(made, number), pack(made)) for number, made in enumerate(maps)]
    pairs.append((failed_row(FailedMap(Path("maps/bad.csv"), 0, "there are no rows")), "null"))
    lost = replace(maps[0], source=Path("maps/lost.csv"), defects=np.empty((0, 2)), source_rows=np.arange(0))
    lost = replace(lost, unplaced=7)
    pairs.append((unplaced_row(lost, item_hash(lost)), pack(lost)))
    return write_run(path, pairs)
