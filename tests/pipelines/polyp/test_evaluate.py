"""A model against known sizes: its scores, and that nothing that it was trained on counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.common.errors import UserError
from pipelines.polyp.data import read_dataset
from pipelines.polyp.evaluate import EvaluateConfig, Evaluation, evaluate
from pipelines.polyp.size.predict import Predictor
from pipelines.polyp.train.store import content_hash
from tests.pipelines.polyp.size.made import save_model, write_dataset

SIZES = [4.0, 7.0, 7.5, 12.0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("discs") / "discs", SIZES)


def run(data: Path, out: Path, model: Path, **settings: Any) -> Evaluation:
    config = EvaluateConfig.model_validate({"model": str(model), "finder": "none", "pictures": 0, **settings})
    return evaluate([data], predictor=Predictor.load(config), config=config, out=out)


def first_contents(data: Path) -> list[str]:
    return [content_hash(one.frames.find().frames[0]) for one in read_dataset(data).polyps]


def test_scores_are_those_of_the_sizes_beside_the_median_predictor(data: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / "seven", 7.0, contents=[])
    (model / "metrics.json").write_text('{"median_mm": 6.0}')
    found = run(data, tmp_path / "run", model)
    polyp, frame = found.scores["polyp"], found.scores["frame"]
    assert polyp["metrics"]["mae"]["value"] == pytest.approx((3 + 0 + 0.5 + 5) / 4, abs=0.05)
    assert polyp["metrics"]["bias"]["value"] == pytest.approx(7 - sum(SIZES) / 4, abs=0.05)
    assert polyp["metrics"]["coverage"]["value"] == 0.5
    assert polyp["metrics"]["accuracy"]["value"] == 0.5
    assert polyp["metrics"]["mae"]["low"] < polyp["metrics"]["mae"]["high"]
    assert polyp["baseline"]["median_mm"] == 6.0 and polyp["baseline"]["from_training"]
    assert polyp["metrics"]["median_predictor_mae"]["value"] == pytest.approx((2 + 1 + 1.5 + 6) / 4)
    assert frame["counts"]["items"] == 12
    stored = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert stored["scores"] == found.scores and stored["left_out"] == []


def test_a_size_that_is_a_lower_bound_is_in_no_error_in_mm(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "discs", [7.0, 8.0, 12.0])
    text = (data / "polyps.csv").read_text().replace("12.0", "15mm-")
    (data / "polyps.csv").write_text(text)
    found = run(data, tmp_path / "run", save_model(tmp_path / "seven", 7.0, contents=[]))
    assert found.scores["polyp"]["metrics"]["mae"]["items"] == 2
    assert found.scores["polyp"]["counts"]["censored"] == 1
    assert found.scores["polyp"]["metrics"]["censored_right"]["value"] == 0.0


def test_what_the_model_was_trained_on_is_known_by_its_content(data: Path, tmp_path: Path) -> None:
    contents = first_contents(data)
    model = save_model(tmp_path / "model", contents=contents[:2], polyps=["other"])
    found = run(data, tmp_path / "run", model)
    assert [id for id, _ in found.left_out] == ["polyp0", "polyp1"]
    assert found.scores["polyp"]["counts"]["items"] == 2
    kept = run(data, tmp_path / "kept", model, keep_trained=True)
    assert kept.left_out == () and kept.scores["trained_on"] == 2
    assert kept.scores["polyp"]["counts"]["items"] == 4
    everything = save_model(tmp_path / "all", contents=contents)
    with pytest.raises(UserError, match="no polyp is left"):
        run(data, tmp_path / "none", everything)
    assert not (tmp_path / "none").exists()


def test_without_contents_ids_are_compared(data: Path, tmp_path: Path) -> None:
    found = run(data, tmp_path / "run", save_model(tmp_path / "model", polyps=["polyp3"]))
    assert [id for id, _ in found.left_out] == ["polyp3"]


def test_other_polyps_of_a_patient_who_was_trained_on_are_left_out_too(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "discs", SIZES)
    text = (data / "polyps.csv").read_text().replace("patient3", "patient0")
    (data / "polyps.csv").write_text(text)
    model = save_model(tmp_path / "model", contents=first_contents(data)[:1])
    found = run(data, tmp_path / "run", model)
    assert [id for id, _ in found.left_out] == ["polyp0", "polyp3"]
