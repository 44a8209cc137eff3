"""Real images of three data sets go through a whole run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.crowd.count.config import CountConfig
from pipelines.crowd.count.maps import read_map
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.data import read_dataset
from pipelines.crowd.evaluate import evaluate
from tests.pipelines.crowd.count.made_models import trained
from tests.pipelines.crowd.count.test_run import rows_of, run


def test_an_image_of_each_data_set_is_counted(shared_data: Path, tmp_path: Path) -> None:
    names = ("sha_train", "brt_train", "synthetic_unity")
    images = [read_dataset(shared_data / "crowd" / name).cases[0].image for name in names]
    run(tmp_path / "run", *images, points=True)
    for row in rows_of(tmp_path / "run"):
        assert row["status"] == "ok" and row["notes"] == [] and row["count"] > 0
        found = read_map(tmp_path / "run" / "maps" / f"{row['name']}.npz")
        assert found.count == pytest.approx(row["count"], rel=1e-4)
        assert (found.width, found.height) == (row["width"], row["height"])


def test_a_real_data_set_is_evaluated(shared_data: Path) -> None:
    found = evaluate(
        shared_data / "crowd" / "synthetic_unity", Predictor(trained(), CountConfig(max_side=320))
    )
    summary = found.summary()
    assert (summary["images"], summary["people"]) == (30, 11_688)
    assert summary["metrics"]["gate_recall"]["value"] > 0
