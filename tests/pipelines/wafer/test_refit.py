"""From reviewed labels to a model that knows more."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from apps.store import Store, Verdict
from pipelines.common.errors import UserError
from pipelines.wafer.classify import classify
from pipelines.wafer.examples import read_examples
from pipelines.wafer.model.trained import load_trained
from pipelines.wafer.novelty import with_components
from pipelines.wafer.predict import Predictor
from pipelines.wafer.refit import _held_by_hash, refit
from pipelines.wafer.reviewed import COLUMNS, find_maps, read_review
from pipelines.wafer.train_config import TrainConfig
from suite.cli import app
from tests.pipelines.wafer.conftest import Trained

QUICK = TrainConfig(epochs=3, maps_per_epoch=64, learning_rate=0.01, device="cpu")


def write_half(path: Path, count: int, seed: int = 7) -> Path:
    """Maps whose defects all lie on the right half, near its middle: a class that the tiny model does not
    know.
    """
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
    classify([maps], predictor=Predictor.load(str(model), device="cpu"), out=out)
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def write_review(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, restval="")
        table.writeheader()
        table.writerows(rows)
    return path


def verdict(row: Mapping[str, Any], label: str | None = "Half", kind: str = "relabel") -> dict[str, Any]:
    kept = {name: row[name] for name in ("source", "map", "item", "novelty", "model")}
    return {
        **kept,
        "prediction": row["class"],
        "verdict": kind,
        "label": row["class"] if label is None else label,
    }


@pytest.fixture(scope="module")
def reviewed(tiny_coordinates: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A run of 24 maps of an unknown pattern, and its rows."""
    folder = tmp_path_factory.mktemp("reviewed")
    maps = write_half(folder / "half.npz", 24)
    return folder / "run", run_of(tiny_coordinates.folder, maps, folder / "run")


@pytest.mark.parametrize("with_data", [True, False])
def test_a_class_that_was_not_there_is_predicted_after_the_refit(
    with_data: bool, reviewed: tuple[Path, list[Any]], tiny_coordinates: Trained, tmp_path: Path
) -> None:
    run, rows = reviewed
    store = Store(run)
    for row in rows:
        store.add(
            Verdict(
                row["source"], str(row["map"]), row["item"], row["model"], row["class"], row["novelty"],
                "relabel", "Half",
            )
        )  # fmt: skip
    among = {(row["source"], str(row["map"]), row["item"]) for row in rows}
    review = tmp_path / "review.csv"
    assert store.export(review, among) == 24
    out = tmp_path / "better"
    data = tiny_coordinates.data if with_data else None
    found = refit(str(tiny_coordinates.folder), review, out, data=data, settings=QUICK)
    assert found.new_classes == ("Half",)
    assert bool(found.warnings) != with_data
    fresh = run_of(out, write_half(tmp_path / "fresh.npz", 8, seed=99), tmp_path / "again")
    assert [row["class"] for row in fresh].count("Half") >= 7
    assert [row["decision"] for row in fresh].count("known") >= 6
    old = load_trained(tiny_coordinates.folder)
    assert load_trained(out).labels == (*old.labels, "Half")
    examples = read_examples(out)
    assert examples is not None and (examples.classes == len(old.labels)).sum() > 5  # of the new class
    assert set(examples.classes.tolist()) == set(range(len(old.labels) + 1))
    compared = found.metrics["refit"]
    assert compared["before"]["reviewed_accuracy"] == 0
    assert compared["after"]["reviewed_accuracy"] > 0.7
    card = (out / "README.md").read_text()
    assert f"Refitted from `{old.name}` (SHA-256 {old.sha256[:16]}) with 24 reviewed maps" in card
    assert ("WITHOUT its training data" in card) != with_data
    if with_data:
        # The tiny model knows little beside `normal`; that it keeps.
        assert compared["after"]["accuracy"] > compared["before"]["accuracy"]
        recall = [compared[when]["per_class"]["normal"]["recall"] for when in ("before", "after")]
        assert recall[1] >= recall[0] == 1
    else:  # all but the last layer is as it was
        before, after = (load_file(one / "model.safetensors") for one in (tiny_coordinates.folder, out))
        same = [name for name in before if name.startswith("network") and "classifier" not in name]
        assert all(torch.equal(before[name], after[name]) for name in same)


def test_rows_that_cannot_be_used_are_listed_and_unsure_ones_left_out(
    reviewed: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    _, rows = reviewed
    told = [verdict(row) for row in rows[:8]]
    told += [verdict(rows[0], "Other")]  # conflicts with the first
    told += [verdict(rows[8], "", "unsure")]
    told += [verdict({**rows[9], "item": "0" * 24})]
    told += [verdict({**rows[10], "map": 99}), verdict({**rows[11], "source": "gone.npz"})]
    told += [verdict(rows[12], "a/b"), verdict(rows[13], "Half", "accept"), verdict(rows[14], "x", "maybe")]
    review = write_review(tmp_path / "review.csv", told)
    taken, left_out, unsure = read_review(review)
    found, gone = find_maps(taken, review, None, 300.0)
    assert [one.map for _, one in found] == list(range(1, 8))
    assert unsure == 1
    reasons = [one.reason for one in (*left_out, *gone)]
    for part in (
        "unlike 'a/b'",
        "is accepted, but the label is 'Half'",
        "not 'maybe'",
        "conflicts: it is labelled Half and Other",
        "the file has changed since",
        "the file has no such map",
        "there is no file",
    ):
        assert sum(part in reason for reason in reasons) >= 1, part
    assert len(reasons) == 8


def test_sources_are_found_from_the_folder_of_the_run(
    reviewed: tuple[Path, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, rows = reviewed
    home = Path(rows[0]["source"]).parent
    relative = [verdict({**row, "source": "half.npz"}) for row in rows[:3]]
    away = write_review(tmp_path / "review.csv", relative)
    taken = read_review(away)[0]
    assert find_maps(taken, away, None, 300.0)[0] == []
    assert len(find_maps(taken, away, home, 300.0)[0]) == 3
    beside = tmp_path / "run"
    beside.mkdir()
    (beside / "run.json").write_text(json.dumps({"folder": str(home)}))
    assert len(find_maps(taken, write_review(beside / "r.csv", relative), None, 300.0)[0]) == 3


def test_wrong_reviews_and_folders_are_said(
    reviewed: tuple[Path, list[Any]], tiny_coordinates: Trained, tiny_dies: Trained, tmp_path: Path
) -> None:
    _, rows = reviewed
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
        refit(str(tiny_dies.folder), good, tmp_path / "m", settings=QUICK)
    assert not (tmp_path / "m").exists()


def test_what_is_held_out_stays_so_when_more_is_reviewed() -> None:
    rng = np.random.default_rng(0)
    items = [rng.bytes(12).hex() for _ in range(200)]
    few, many = _held_by_hash(items[:50], ["a"] * 50), _held_by_hash(items, ["a"] * 200)
    assert (few == many[:50]).all()
    assert 20 < many.sum() < 60
    alone = _held_by_hash(["00000000ff"], ["a"])
    assert not alone.any()  # one map of a class must train


def test_a_component_more_makes_its_maps_known_and_leaves_a_distribution(tiny_coordinates: Trained) -> None:
    mixture = load_trained(tiny_coordinates.folder).novelty
    rng = np.random.default_rng(1)
    latent = (
        mixture.mean.numpy() + (20 + rng.normal(0, 0.2, (6, mixture.axes.shape[1]))) @ mixture.axes.numpy().T
    )
    grown = with_components(mixture, [latent.astype(np.float32)], 100)
    points = torch.from_numpy(latent)
    assert (grown.score(points) < mixture.score(points) - 10).all()
    assert float(grown.log_weights.exp().sum()) == pytest.approx(1)
    assert float(grown.log_weights[-1].exp()) == pytest.approx(6 / 106)
    known = mixture.mean[None]
    assert float(grown.score(known)) == pytest.approx(
        float(mixture.score(known)) - np.log(100 / 106), abs=0.01
    )


def test_the_command_prints_before_and_after_and_ends_with_3_if_rows_are_left_out(
    reviewed: tuple[Path, list[Any]], tiny_coordinates: Trained, tmp_path: Path
) -> None:
    _, rows = reviewed
    told = [*(verdict(row) for row in rows), verdict({**rows[0], "map": 77, "item": "f" * 24})]
    review = write_review(tmp_path / "review.csv", told)
    arguments = ["wafer", "refit", str(tiny_coordinates.folder), "--labels", str(review)]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "m"), "--device", "cpu"])
    assert result.exit_code == 3, result.output
    assert "New classes: Half" in result.stdout
    assert "half.npz#77: the file has no such map" in result.stdout
    assert result.stdout.splitlines()[0].split() == ["on", "held-out", "maps", "before", "after"]
    assert "only the last layer is tuned" in result.stderr
    assert json.loads((tmp_path / "m" / "metrics.json").read_text())["refit"]["left_out"][0]["map"] == "77"
