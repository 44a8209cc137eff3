"""`suite wafer train` and `evaluate` from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.wafer.data import Limits
from suite.cli import app
from tests.pipelines.wafer.double import Double


@pytest.mark.parametrize("text", ["table", "--json"])
def test_evaluate_prints_the_metrics(
    good: Path, text: str, monkeypatch: pytest.MonkeyPatch, double: Double
) -> None:
    metrics = {
        "accuracy": 0.75,
        "macro_f1": 0.5,
        "ece": 0.01,
        "per_class": {"a": {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 4}},
        "confusion": {"labels": ["a"], "matrix": [[4]]},
        "unknown_labels": ["comet"],
    }
    given: list[Any] = []

    def measure(data: Path, predictor: Double, limits: Limits) -> dict[str, Any]:
        given.extend([data, predictor, limits])
        return metrics

    monkeypatch.setattr("pipelines.wafer.evaluate.evaluate", measure)
    arguments = ["--set", "max_bytes=9999", *(["--json"] if text == "--json" else [])]
    result = CliRunner().invoke(app, ["wafer", "evaluate", str(good), *arguments])
    assert result.exit_code == 0
    assert given == [good, double, Limits(max_bytes=9999)]
    assert "no class comet" in result.stderr
    if text == "--json":
        assert json.loads(result.stdout) == metrics
    else:
        for part in ("macro_f1", "0.75", "precision", "0.6667", "Confusion matrix"):
            assert part in result.stdout


def test_train_is_given_its_config_and_prints_what_came_out(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def run(data: Path, out: Path, config: Any, **options: Any) -> dict[str, Any]:
        given.update(options, data=data, out=out, config=config)
        return {"accuracy": 0.5}

    monkeypatch.setattr("pipelines.wafer.train.train", run)
    command = ["wafer", "train", str(good), "--out", "model", "--set", "epochs=3", "--seed", "4", "--resume"]
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"model": "model", "metrics": {"accuracy": 0.5}}
    assert (given["data"], given["out"]) == (good, Path("model"))
    assert (given["config"].epochs, given["config"].seed) == (3, 4)
    assert (given["resume"], given["overwrite"]) == (True, False)
    given.clear()
    plan = CliRunner().invoke(app, [*command, "--json", "--dry-run"])
    assert json.loads(plan.stdout)["config"]["epochs"] == 3
    wrong = CliRunner().invoke(app, [*command, "--set", "epoch=3"])
    assert wrong.exit_code == 2
    assert "did you mean epochs?" in wrong.stderr
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis").write_text("")
    refused = CliRunner().invoke(app, [*command, "--overwrite"])
    assert refused.exit_code == 2
    assert "not a model folder" in refused.stderr
    assert given == {}


def test_a_dry_refit_lists_its_settings_and_writes_nothing(tmp_path: Path, project_root: Path) -> None:
    review = tmp_path / "review.csv"
    review.write_text("")
    model = project_root / "pipelines" / "wafer" / "models" / "wm811k"
    command = [
        "wafer",
        "refit",
        str(model),
        "--labels",
        str(review),
        "--out",
        "better",
        "--dry-run",
        "--json",
    ]
    result = CliRunner().invoke(app, [*command, "--set", "epochs=7"])
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    assert (plan["model"], plan["labels"], plan["out"]) == (str(model), str(review), "better")
    assert plan["config"]["epochs"] == 7
    assert plan["config"]["batch_size"] == 128  # as in the first training
    assert not (tmp_path / "better").exists()
    wrong = CliRunner().invoke(app, [*command, "--set", "cells=16"])
    assert wrong.exit_code == 2
    assert "cells cannot change in a refit" in wrong.stderr
