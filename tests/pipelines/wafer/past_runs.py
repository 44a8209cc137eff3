"""Run folders as `classify` leaves them, written by hand: rows, drawings and latents of choice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.wafer.drawing import pack
from pipelines.wafer.latents import LatentFile
from pipelines.wafer.predict import Decision, Prediction
from pipelines.wafer.rows import item_hash, ok_row, unplaced_row
from tests.pipelines.wafer import tiny

MODEL = {"models": {"coordinates": {"name": "toy", "sha256": "abc"}}}


def row(
    place: int,
    label: str = "ring",
    decision: Decision = "known",
    *,
    defects: int = 10,
    latent: Sequence[float] | None = None,
    **names: Any,
) -> tuple[dict[str, Any], str, Any]:
    """A row with its packed map and its latent. names: other cells, such as `lot` or `timestamp`."""
    wafer = tiny.defect_map(np.full((defects, 2), float(place)))
    vector = None if latent is None else np.array(latent, np.float32)
    prediction = Prediction(label, 0.9, 5.0, 4.0, decision, "toy", vector)
    made = ok_row(wafer, prediction, item_hash(wafer))
    return made | {"source": "a.npz", "map": place, **names}, pack(wafer), vector


def unplaced(place: int, **names: Any) -> tuple[dict[str, Any], str, Any]:
    wafer = tiny.defect_map([], unplaced=7)
    return unplaced_row(wafer, item_hash(wafer)) | {"source": "a.npz", "map": place, **names}, "null", None


def write_run(path: Path, rows: Sequence[tuple[dict[str, Any], str, Any]], **record: Any) -> Path:
    """A finished run folder of these rows."""
    path.mkdir(parents=True)
    known = {"schema_version": 1, "task": "wafer", "verb": "classify", "status": "finished", "folder": "here"}
    (path / "run.json").write_text(json.dumps({**known, "model": MODEL, **record}))
    (path / "results.jsonl").write_text("".join(json.dumps(cells) + "\n" for cells, _, _ in rows))
    (path / "maps.jsonl").write_text("".join(drawing + "\n" for _, drawing, _ in rows))
    with LatentFile(path, resume=False) as file:
        file.append((cells, latent) for cells, _, latent in rows)
    return path
