"""Figures of merit against loops and against scikit-learn's own reports."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score
from typer.testing import CliRunner

from pipelines.common.errors import UserError
from pipelines.wafer.data import read_labelled
from pipelines.wafer.evaluate import evaluate, metrics, scores
from pipelines.wafer.predict import Prediction, Predictor
from suite.cli import app
from tests.pipelines.wafer import tiny
from tests.pipelines.wafer.conftest import Trained

KEYS = {"accuracy", "macro_f1", "ece", "per_class", "confusion"}


def draw(seed: int, count: int = 200) -> tuple[list[str], list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(["a", "b", "c"], count, p=[0.7, 0.2, 0.1]).tolist()
    other = rng.choice(["a", "b", "c"], count).tolist()
    predicted = [a if rng.random() < 0.6 else b for a, b in zip(truth, other, strict=True)]
    return truth, predicted, rng.random(count)


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_scikit_learns(seed: int) -> None:
    truth, predicted, probability = draw(seed)
    found = scores(truth, predicted, probability)
    assert found.keys() == KEYS
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    for label, of in found["per_class"].items():
        for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
            expected = score(truth, predicted, labels=[label], average="macro", zero_division=0)
            assert of[name] == pytest.approx(expected)
        assert of["support"] == truth.count(label)


def test_rows_of_the_confusion_matrix_are_the_truth() -> None:
    truth, predicted, probability = draw(0)
    confusion = scores(truth, predicted, probability)["confusion"]
    pairs = list(zip(truth, predicted, strict=True))
    assert confusion["labels"] == ["a", "b", "c"]
    assert confusion["matrix"] == [[pairs.count((row, col)) for col in "abc"] for row in "abc"]


def test_a_class_that_is_only_predicted_is_shown_but_not_averaged() -> None:
    found = scores(["a", "a", "b"], ["a", "novelty", "b"], np.ones(3))
    assert found["per_class"]["novelty"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["confusion"]["matrix"] == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_the_best_and_the_worst() -> None:
    best = scores(["a", "b"], ["a", "b"], np.ones(2))
    assert (best["accuracy"], best["macro_f1"], best["ece"]) == (1, 1, 0)
    worst = scores(["a", "b"], ["b", "a"], np.ones(2))
    assert (worst["accuracy"], worst["macro_f1"], worst["ece"]) == (0, 0, 1)


def test_metrics_count_what_was_called_novel() -> None:
    def one(label: str, decision: str) -> Prediction:
        return Prediction(label, 0.5, 1.0, 2.0, decision, "m")  # type: ignore[arg-type]

    found = metrics(
        ["a", "b", "b", "a"], [one("a", "novel"), one("b", "known"), one("b", "normal"), one("b", "known")]
    )
    assert (found["maps"], found["novel"], found["accuracy"]) == (4, 0.25, 0.75)
    assert found.keys() >= KEYS
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("name", ["tiny_dies", "tiny_coordinates"])
def test_evaluating_is_predicting_all(name: str, request: pytest.FixtureRequest) -> None:
    made: Trained = request.getfixturevalue(name)
    found = evaluate(made.data, Predictor.load(str(made.folder), device="cpu"))
    assert found["maps"] == 56
    assert sum(sum(row) for row in found["confusion"]["matrix"]) == 56
    assert {label: of["support"] for label, of in found["per_class"].items()} == made.metrics[
        "maps_per_class"
    ]


def test_the_command_prints_json(tiny_dies: Trained) -> None:
    command = ["wafer", "evaluate", str(tiny_dies.data), "--model", str(tiny_dies.folder)]
    result = CliRunner().invoke(app, [*command, "--device", "cpu", "--json", "--quiet"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found.keys() == {"maps", "novel", "unknown_labels", *KEYS}
    assert found == evaluate(tiny_dies.data, Predictor.load(str(tiny_dies.folder), device="cpu"))


def test_labels_that_the_model_does_not_have_are_told(tmp_path: Path, tiny_coordinates: Trained) -> None:
    data = tiny.write_defects(tmp_path / "a.npz", {"ring": 3, "center": 3})
    arrays = dict(np.load(data))
    arrays["label"] = np.where(arrays["label"] == "ring", "comet", arrays["label"])
    np.savez(data, **arrays)
    predictor = Predictor.load(str(tiny_coordinates.folder), device="cpu")
    found = evaluate(data, predictor)
    assert found["unknown_labels"] == ["comet"]
    assert found["per_class"]["comet"]["recall"] == 0
    assert found["accuracy"] <= 0.5
    assert evaluate(tiny_coordinates.data, predictor)["unknown_labels"] == []


def test_data_of_another_kind_is_refused(tiny_dies: Trained, tiny_coordinates: Trained) -> None:
    with pytest.raises(UserError, match=r"defects\.npz: this model classifies die results"):
        evaluate(tiny_coordinates.data, Predictor.load(str(tiny_dies.folder), device="cpu"))


def test_data_without_labels_is_refused(tmp_path: Path, tiny_coordinates: Trained) -> None:
    data = tiny.write_defects(tmp_path / "a.npz", {"ring": 2}, labelled=False)
    predictor = Predictor.load(str(tiny_coordinates.folder), device="cpu")
    with pytest.raises(UserError, match="no labels"):
        evaluate(data, predictor)
    with pytest.raises(UserError, match=r"no data set|No such file"):
        evaluate(tmp_path / "nowhere.npz", predictor)


def test_maps_without_positions_are_refused(tmp_path: Path, tiny_coordinates: Trained) -> None:
    (tmp_path / "a.klarf").write_text(
        "FileVersion 1 2;\nSampleSize 1 300;\nDefectRecordSpec 2 DEFECTID CLASSNUMBER ;\n"
        "DefectList\n 1 0\n 2 0;\nEndOfFile;\n"
    )
    (tmp_path / "labels.csv").write_text("source,map,label\na.klarf,0,ring\n")
    with pytest.raises(UserError, match=r"a\.klarf map 0: its defects have no positions"):
        evaluate(tmp_path, Predictor.load(str(tiny_coordinates.folder), device="cpu"))


@pytest.mark.slow
def test_the_bundled_model_for_dies_is_as_good_as_promised(shared_data: Path) -> None:
    found = evaluate(shared_data / "wafer" / "wm811k" / "val.npz", Predictor.load("wm811k", device="cpu"))
    assert found["macro_f1"] >= 0.89
    assert found["ece"] < 0.03
    assert found["novel"] < 0.05


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:torch.sparse.SparseTensor:UserWarning",
    "ignore:<class 'sparse_matrix_functions.Minkowski:DeprecationWarning",
)
def test_both_engines_say_the_same_of_real_wafers(shared_data: Path, minkowski: object) -> None:
    data = shared_data / "wafer" / "wm811k" / "val.npz"
    maps = [wafer for wafer, _ in islice(read_labelled(data), 300)]
    ours, theirs = (
        [one for start in range(0, 300, 100) for one in predictor.predict(maps[start : start + 100])]
        for predictor in (
            Predictor.load("wm811k", engine=name, device="cpu") for name in ("native", "minkowski")
        )
    )
    assert [one.label for one in ours] == [one.label for one in theirs]
    assert [one.decision for one in ours] == [one.decision for one in theirs]
    np.testing.assert_allclose(
        [one.probability for one in ours], [one.probability for one in theirs], atol=1e-3
    )
    np.testing.assert_allclose([one.novelty for one in ours], [one.novelty for one in theirs], atol=0.05)
