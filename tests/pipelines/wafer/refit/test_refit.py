"""From reviewed labels to a model that knows more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from pipelines.common.errors import UserError
from pipelines.wafer.evaluate import evaluate
from pipelines.wafer.examples import read_examples
from pipelines.wafer.model.trained import load_trained
from pipelines.wafer.predict import Predictor
from pipelines.wafer.refit import refit
from pipelines.wafer.train_config import TrainConfig
from suite.cli import app
from tests.pipelines.wafer.conftest import Trained
from tests.pipelines.wafer.refit.conftest import Able
from tests.pipelines.wafer.reviews import (
    NEW,
    judge,
    run_of,
    verdict,
    write_half_defects,
    write_half_dies,
    write_review,
)

QUICK = TrainConfig(epochs=3, maps_per_epoch=180, device="cpu")


def recall(model: Path, data: Path) -> dict[str, float]:
    per_class = evaluate(data, Predictor.load(str(model), device="cpu"))["per_class"]
    return {name: one["recall"] for name, one in per_class.items() if one["support"]}


@pytest.mark.parametrize("with_data", [True, False])
def test_a_class_that_was_not_there_is_learnt_and_no_other_is_forgotten(
    with_data: bool, able: Able, tmp_path: Path
) -> None:
    review = judge(able.run, able.rows, [NEW] * len(able.rows), tmp_path / "review.csv")
    out = tmp_path / "better"
    before = (able.model / "model.safetensors").read_bytes()
    home = Path(able.rows[0]["source"]).parent
    data = able.data if with_data else None
    found = refit(str(able.model), review, out, data=data, root=home, settings=QUICK)
    assert found.new_classes == (NEW,)
    fresh = run_of(out, write_half_dies(tmp_path / "fresh.npz", 20, seed=99), tmp_path / "again")
    assert [row["class"] for row in fresh].count(NEW) >= 16
    assert [row["decision"] for row in fresh].count("known") >= 16
    old = recall(able.model, able.test)
    assert min(old.values()) >= 0.9  # else there would be nothing to forget
    most = 0.05 if with_data else 0.2  # what a class may lose
    assert all(now >= old[name] - most for name, now in recall(out, able.test).items())
    compared = found.metrics["refit"]
    assert compared["before"]["reviewed_accuracy"] == compared["before"]["new_recall"] == 0
    assert compared["after"]["new_recall"] > 0.7
    assert (able.model / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("with_data", [True, False])
def test_what_a_refit_leaves(with_data: bool, tiny_coordinates: Trained, tmp_path: Path) -> None:
    rows = run_of(tiny_coordinates.folder, write_half_defects(tmp_path / "h.npz", 24), tmp_path / "run")
    review = write_review(tmp_path / "review.csv", [verdict(row) for row in rows])
    out = tmp_path / "better"
    data = tiny_coordinates.data if with_data else None
    found = refit(str(tiny_coordinates.folder), review, out, data=data, settings=QUICK)
    old = load_trained(tiny_coordinates.folder)
    assert load_trained(out).labels == (*old.labels, NEW)
    assert bool(found.warnings) != with_data
    examples = read_examples(out)
    assert examples is not None and (examples.classes == len(old.labels)).sum() > 5  # of the new class
    assert set(examples.classes.tolist()) == set(range(len(old.labels) + 1))
    card = (out / "README.md").read_text()
    assert f"Refitted from `{old.name}` (SHA-256 {old.sha256[:16]}) with 24 reviewed maps" in card
    assert ("WITHOUT its training data" in card) != with_data
    assert not list(tmp_path.glob(".*"))
    if not with_data:  # all but the last layer is as it was
        before, after = (load_file(one / "model.safetensors") for one in (tiny_coordinates.folder, out))
        same = [name for name in before if name.startswith("network") and "classifier" not in name]
        assert all(torch.equal(before[name], after[name]) for name in same)


def test_wrong_reviews_and_folders_are_said(able: Able, tiny_coordinates: Trained, tmp_path: Path) -> None:
    rows = run_of(tiny_coordinates.folder, write_half_defects(tmp_path / "h.npz", 5), tmp_path / "run")
    model = str(tiny_coordinates.folder)
    good = write_review(tmp_path / "good.csv", [verdict(row) for row in rows[:5]])
    (tmp_path / "short.csv").write_text("source,map,label\na,0,b\n")
    with pytest.raises(UserError, match="lacks the columns item, prediction, verdict"):
        refit(model, tmp_path / "short.csv", tmp_path / "m", settings=QUICK)
    unsure = write_review(tmp_path / "unsure.csv", [verdict(rows[0], "", "unsure")])
    with pytest.raises(UserError, match="leaves nothing to learn: 1 are unsure"):
        refit(model, unsure, tmp_path / "m", settings=QUICK)
    with pytest.raises(UserError, match="is the model that is refitted"):
        refit(model, good, tiny_coordinates.folder, settings=QUICK, overwrite=True)
    with pytest.raises(UserError, match="resolution cannot change in a refit"):
        refit(model, good, tmp_path / "m", settings=TrainConfig(resolution=64, device="cpu"))
    with pytest.raises(UserError, match="the model classifies die results"):
        refit(str(able.model), good, tmp_path / "m", settings=QUICK)
    assert not (tmp_path / "m").exists()


def test_the_command_prints_before_and_after_and_ends_with_3_if_rows_are_left_out(
    able: Able, tmp_path: Path
) -> None:
    told = [*(verdict(row) for row in able.rows), verdict({**able.rows[0], "map": 77, "item": "f" * 24})]
    review = write_review(tmp_path / "review.csv", told)
    home = str(Path(able.rows[0]["source"]).parent)
    arguments = ["wafer", "refit", str(able.model), "--labels", str(review), "--root", home]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "m"), "--device", "cpu"])
    assert result.exit_code == 3, result.output
    assert "New classes: Half" in result.stdout
    assert "half.npz#77: the file has no such map" in result.stdout
    assert result.stdout.splitlines()[0].split() == ["on", "held-out", "maps", "before", "after"]
    assert "only the last layer is tuned" in result.stderr
    assert json.loads((tmp_path / "m" / "metrics.json").read_text())["refit"]["left_out"][0]["map"] == "77"
