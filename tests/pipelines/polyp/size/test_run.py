"""From a data set to a run folder: rows, frames, pictures, what is left out and why, and going on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.polyp.size.config import SizeConfig
from pipelines.polyp.size.predict import Predictor
from pipelines.polyp.size.rows import COLUMNS, FRAME_COLUMNS
from pipelines.polyp.size.run import RunSummary, size
from tests.pipelines.polyp.size.made import load, save_model, write_dataset


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "seven")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", [4.0, 7.0, 12.0])


def run(out: Path, predictor: Predictor, *paths: Path, **options: Any) -> RunSummary:
    config = predictor.config
    assert isinstance(config, SizeConfig)
    return size(paths, predictor=predictor, config=config, out=out, **options)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def test_a_data_set_gives_a_row_per_polyp_and_per_frame(data: Path, model: Path, tmp_path: Path) -> None:
    summary = run(tmp_path / "run", load(model), data)
    assert summary.counts == {
        **{"rows": 3, "ok": 3, "abstained": 0, "indeterminate": 0, "failed": 0},
        "skipped": 0,
    }
    found = table(tmp_path / "run" / "results.csv")
    assert tuple(found[0]) == COLUMNS
    assert [row["polyp"] for row in found] == ["polyp0", "polyp1", "polyp2"]
    assert [float(row["true_mm"]) for row in found] == [4.0, 7.0, 12.0]
    for row in found:
        assert float(row["mm"]) == pytest.approx(7.0, rel=0.02)
        assert float(row["low"]) == pytest.approx(7.0 * np.exp(-1.46 * 0.12), rel=0.05)
        assert row["frames"] == row["used"] == "3"
        assert float(row["p_le_5"]) < 0.01 and float(row["p_ge_10"]) < 0.01
        assert row["class"] == row["decision"] == "6-9 mm"
        assert row["scale_from"] == "calibration" and row["status"] == "ok"
    frames = table(tmp_path / "run" / "frames.csv")
    assert tuple(frames[0]) == FRAME_COLUMNS and len(frames) == 9
    assert {row["used"] for row in frames} == {"True"}
    shown = list((tmp_path / "run" / "overlays").glob("*/*.jpg"))
    assert len(shown) == 9
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "finished" and record["task"] == "polyp"
