"""From maps to predictions: which model, which decision, and what happens to odd maps."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from pipelines.common.errors import UserError
from pipelines.common.models import ModelError
from pipelines.wafer.classify import classify
from pipelines.wafer.data import WaferMap, read_labelled
from pipelines.wafer.data.record import PASS, DieGrid
from pipelines.wafer.model.kinds import UnsuitableMap
from pipelines.wafer.model.trained import load_trained
from pipelines.wafer.predict import LEAST_PROBABILITY, Predictor
from suite.cli import app
from tests.pipelines.wafer import tiny
from tests.pipelines.wafer.conftest import Trained


def maps_of(made: Trained) -> list[WaferMap]:
    return [wafer for wafer, _ in read_labelled(made.data)]


@pytest.fixture
def auto(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_dies: Trained, tiny_coordinates: Trained
) -> Predictor:
    """The predictor of `--model auto`, with the tiny models bundled under the names it looks for."""
    folder = tmp_path / "pipelines" / "wafer" / "models"
    folder.mkdir(parents=True)
    (folder / "wm811k").symlink_to(tiny_dies.folder)
    (folder / "wdm-fullres").symlink_to(tiny_coordinates.folder)
    monkeypatch.setattr("pipelines.common.models._PIPELINES", tmp_path / "pipelines")
    return Predictor.load(device="cpu")


def test_auto_takes_the_model_that_suits_each_map(
    auto: Predictor, tiny_dies: Trained, tiny_coordinates: Trained
) -> None:
    dies, defects = maps_of(tiny_dies)[:3], maps_of(tiny_coordinates)[:3]
    mixed = [defects[0], dies[0], dies[1], defects[1], defects[2], dies[2]]
    predictions = auto.predict(mixed)
    names = ["toy-defects", "toy-dies", "toy-dies", "toy-defects", "toy-defects", "toy-dies"]
    assert [one.model for one in predictions] == names
    # In order: each is what its own model says of the map alone.
    for one, wafer in zip(predictions, mixed, strict=True):
        (alone,) = auto.predict([wafer])
        assert (alone.label, alone.decision, alone.threshold) == (one.label, one.decision, one.threshold)
        assert alone.probability == pytest.approx(one.probability, abs=1e-4)
        assert alone.novelty == pytest.approx(one.novelty, abs=1e-2)
    assert auto.predict([]) == []


def test_an_inspection_map_with_dies_is_still_a_map_of_coordinates(auto: Predictor) -> None:
    dies = DieGrid.centred(np.full((5, 5), PASS, np.uint8), 300.0)
    wafer = tiny.defect_map(tiny.toy_defects(np.random.default_rng(0), "ring"), dies=dies)
    assert auto.predict([wafer])[0].model == "toy-defects"


def test_auto_needs_its_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pipelines.common.models._PIPELINES", tmp_path)
    with pytest.raises(ModelError, match="wm811k"):
        Predictor.load()


def test_a_prediction_is_the_most_probable_class(tiny_coordinates: Trained) -> None:
    predictor, maps = Predictor.load(str(tiny_coordinates.folder), device="cpu"), maps_of(tiny_coordinates)
    model = load_trained(tiny_coordinates.folder)
    probabilities, scores = model.run(maps)
    for one, chances, score in zip(predictor.predict(maps), probabilities, scores, strict=True):
        assert one.label == model.labels[chances.argmax()]
        assert one.probability == pytest.approx(chances.max(), abs=1e-6)
        assert one.novelty == pytest.approx(score, rel=1e-6)
        assert next(iter(one.probabilities)) == one.label
        ranked = {model.labels[place]: chances[place] for place in np.argsort(-chances)}
        kept = {label: chance for label, chance in ranked.items() if chance >= LEAST_PROBABILITY}
        assert one.probabilities == pytest.approx(kept, abs=1e-6)
        assert list(one.probabilities) == list(kept)
        assert one.threshold == model.novelty.threshold(model.false_alarm_rate)
        above = one.novelty > one.threshold
        assert one.decision == ("novel" if above else "normal" if one.label == "normal" else "known")


@pytest.mark.parametrize("name", ["tiny_dies", "tiny_coordinates"])
def test_a_wafer_without_any_defect_is_normal_for_certain(name: str, request: pytest.FixtureRequest) -> None:
    made: Trained = request.getfixturevalue(name)
    predictor = Predictor.load(str(made.folder), device="cpu")
    empty = [tiny.die_map(np.full((9, 9), PASS, np.uint8)), tiny.defect_map([])]
    for one in predictor.predict([*empty, maps_of(made)[0]])[:2]:
        assert one.label in ("None", "normal")
        assert (one.probability, one.decision) == (1.0, "normal")
        assert one.probabilities == {one.label: 1.0}
        assert one.novelty <= one.threshold


def test_a_lower_threshold_calls_more_maps_novel(tiny_dies: Trained) -> None:
    maps, counts, thresholds = maps_of(tiny_dies), [], []
    for rate in (0.001, 0.1, 0.5, 0.9):
        predictor = Predictor.load(str(tiny_dies.folder), device="cpu", false_alarm_rate=rate)
        predictions = predictor.predict(maps)
        counts.append(sum(one.decision == "novel" for one in predictions))
        thresholds.append(predictions[0].threshold)
    assert thresholds == sorted(thresholds, reverse=True)
    assert counts == sorted(counts)
    assert counts[0] < 0.25 * len(maps)
    assert counts[-1] > 0.6 * len(maps)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 7.0, float("nan")])
def test_a_rate_that_is_no_share_is_refused(rate: float, tiny_dies: Trained) -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        Predictor.load(str(tiny_dies.folder), false_alarm_rate=rate)


def test_the_description_says_what_ran(tiny_dies: Trained) -> None:
    predictor = Predictor.load(str(tiny_dies.folder), device="cpu", false_alarm_rate=0.2)
    description = json.loads(json.dumps(predictor.describe()))
    known = description["models"]["dies"].pop("known")
    assert known == sorted(known)
    assert known[2] == pytest.approx(float(load_trained(tiny_dies.folder).novelty.known[2_000]))
    assert description["models"]["dies"] == {
        "name": "toy-dies",
        "sha256": load_trained(tiny_dies.folder).sha256,
        "threshold": predictor.thresholds["dies"],
        "labels": ["Center", "Edge", "None"],
    }
    assert description["false_alarm_rate"] == {"dies": 0.2, "coordinates": 0.2}
    assert (description["engine"], description["device"]) == ("native", "cpu")


def test_a_model_for_dies_refuses_a_map_without_dies(tiny_dies: Trained) -> None:
    predictor = Predictor.load(str(tiny_dies.folder), device="cpu")
    wafer = tiny.defect_map(tiny.toy_defects(np.random.default_rng(0), "ring"))
    with pytest.raises(UnsuitableMap, match="does not say which dies there are"):
        predictor.predict([*maps_of(tiny_dies)[:2], wafer])


def run_classify(tmp_path: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    out = tmp_path / f"run-{len(list(tmp_path.glob('run-*')))}"
    command = ["wafer", "classify", *map(str, arguments), "--out", str(out), "--device", "cpu", "--quiet"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code in (0, 3), result.output
    with (out / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_false_alarm_rate_of_the_command_changes_decisions(
    tmp_path: Path, tiny_coordinates: Trained
) -> None:
    strict, loose = (
        run_classify(
            tmp_path, tiny_coordinates.data, "--model", tiny_coordinates.folder, "--false-alarm-rate", rate
        )
        for rate in ("0.001", "0.9")
    )
    assert [row["class"] for row in strict] == [row["class"] for row in loose]
    assert [row["novelty"] for row in strict] == [row["novelty"] for row in loose]
    assert {row["threshold"] for row in strict} != {row["threshold"] for row in loose}
    flagged = [sum(row["decision"] == "novel" for row in rows) for rows in (strict, loose)]
    assert flagged[0] < flagged[1]
    for row in (*strict, *loose):
        assert (row["decision"] == "novel") == (float(row["novelty"]) > float(row["threshold"]))


def test_a_map_that_does_not_suit_the_model_fails_alone(
    tmp_path: Path, tiny_dies: Trained, tiny_coordinates: Trained
) -> None:
    one = tiny.write_defects(tmp_path / "one.npz", {"ring": 1}, labelled=False)
    rows = run_classify(tmp_path, one, tiny_dies.data, "--model", tiny_dies.folder)
    assert [row["status"] for row in rows] == ["failed", *["ok"] * (len(rows) - 1)]
    assert rows[0]["error"] == (
        "cannot be classified: this model classifies die results, "
        "and the file does not say which dies there are"
    )
    whole = classify(
        [tiny_dies.data], predictor=Predictor.load(str(tiny_dies.folder), device="cpu"), out=tmp_path / "b"
    )
    assert whole.counts["ok"] == len(rows) - 1
