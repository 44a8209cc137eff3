"""`suite crowd evaluate` as a user calls it, and that its numbers are those of the counts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pipelines.crowd.data import write_csv
from suite.cli import app
from tests.pipelines.crowd.count.made_models import predictor, save_model, small_plan
from tests.pipelines.crowd.made import shanghaitech
from tests.pipelines.crowd.scenes import scene


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["crowd", "evaluate", *map(str, words)])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images of a test split and one of a train split, in the layout of ShanghaiTech."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(4):
        part = folder / ("train_data" if number == 3 else "test_data")
        pixels, points = scene(96, 4 + 5 * number, number)
        (part / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(part / "images" / f"IMG_{number}.jpg", quality=95)
        shanghaitech(part / "ground_truth" / f"GT_IMG_{number}.mat", points)
    return folder


def test_the_scores_are_those_of_the_counts(data: Path, model: Path, tmp_path: Path) -> None:
    done = call(data, "--model", model, "--split", "test", "--json", "--out", tmp_path / "rows.csv")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    rows, metrics = found["rows"], found["summary"]["metrics"]
    assert [row["true"] for row in rows] == [4, 9, 14]
    errors = [row["count"] - row["true"] for row in rows]
    assert metrics["mae"]["value"] == pytest.approx(np.abs(errors).mean(), abs=0.01)
    assert metrics["bias"]["value"] == pytest.approx(np.mean(errors), abs=0.01)
    assert metrics["game_0"]["value"] == pytest.approx(metrics["mae"]["value"], abs=0.01)
    assert metrics["game_3"]["value"] >= metrics["game_1"]["value"] >= metrics["game_0"]["value"]
    inside = [row["low"] <= row["true"] <= row["high"] for row in rows]
    assert metrics["coverage"]["value"] == pytest.approx(np.mean(inside))
    assert {"f1_4px", "f1_8px", "gate_recall", "refined", "width", "nae", "rmse"} <= set(metrics)
    reached = sum(row["gate_recall"] * row["true"] for row in rows)
    assert metrics["gate_recall"]["value"] == pytest.approx(reached / 27, abs=1e-3)
    with (tmp_path / "rows.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == [row["name"] for row in rows]
    with Image.open(rows[0]["source"]) as image:
        assert predictor().predict(np.asarray(image)).count == pytest.approx(rows[0]["count"], rel=0.01)


def test_the_table_names_each_metric_and_its_unit(data: Path, model: Path) -> None:
    done = call(data, "--model", model)
    assert done.exit_code == 0, done.stderr
    for words in ("MAE", "GAME(3)", "coverage", "F1 8 px", "gate recall", "4 images with 46 heads"):
        assert words in done.stdout
    fewer = call(data, "--model", model, "--no-points", "--network", "dense-counter")
    assert "F1" not in fewer.stdout and "gate" not in fewer.stdout


def test_one_bad_image_is_one_failed_row(data: Path, model: Path, tmp_path: Path) -> None:
    for number in range(2):
        pixels, points = scene(96, 5, number)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "0.png").write_bytes(b"")
    write_csv(tmp_path / "heads.csv", {"0.png": points, "1.png": points})
    done = call(tmp_path / "heads.csv", "--model", model)
    assert done.exit_code == 3
    assert (
        "Failed:" in done.stdout
        and "0.png: " in done.stdout
        and "1 image with 5 heads, 1 failed" in done.stdout
    )
    (tmp_path / "1.png").write_bytes(b"")
    assert call(tmp_path / "heads.csv", "--model", model).exit_code == 2


def test_wrong_usage_is_2_and_says_what_is_allowed(data: Path, model: Path, tmp_path: Path) -> None:
    for words, message in (
        (["--split", "val"], "no such split; it has test, train"),
        (["--out", tmp_path / "no" / "rows.csv"], "there is no folder"),
        (["--network", "m-sfanet"], "sparse-counter"),
    ):
        done = call(data, "--model", model, *words)
        assert done.exit_code == 2 and message in done.stderr, done.stderr
    assert call(tmp_path, "--model", model).exit_code == 2


def test_a_network_without_variance_has_no_gate(data: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / "mcnn", small_plan(name="mcnn"), calibrated=False)
    done = call(data, "--model", model, "--json")
    assert done.exit_code == 0, done.stderr
    metrics = json.loads(done.stdout)["summary"]["metrics"]
    assert "mae" in metrics and "coverage" not in metrics and "gate_recall" not in metrics
