"""The whole benchmark and the study on next to nothing: what the JSON holds, and that they go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.wafer_openset import run as benchmark
from benchmarks.wafer_openset import study
from benchmarks.wafer_openset.__main__ import main
from benchmarks.wafer_openset.networks import Recipes
from benchmarks.wafer_openset.scores import SCORES
from tests.benchmarks.wafer_openset.double import write_files


@pytest.fixture
def settings(tmp_path: Path) -> benchmark.Settings:
    cache = tmp_path / "cache"
    cache.mkdir()
    return benchmark.Settings(
        write_files(tmp_path / "data", 160, 60),
        tmp_path / "figures.json",
        splits=[("Donut", "Scratch"), ("Center",)],
        recipes=Recipes(suite_epochs=1, maps_per_epoch=128, dense_epochs=1),
        cache=cache,
    )


def test_one_run_reports_every_split_network_and_score(
    settings: benchmark.Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    try:
        report = benchmark.run(settings)
        assert json.loads(settings.target.read_text()) == report
        # All is in the cache now: nothing is trained again.
        monkeypatch.setattr(benchmark, "NETWORKS", dict.fromkeys(benchmark.NETWORKS))
        assert benchmark.run(settings) == report
    finally:
        torch.set_num_threads(threads)
    rows = [row for row in report["rows"] if row["section"] != "means"]
    found = [(row["left_out"], row["network"], row["score"]) for row in rows]
    assert found == [
        (split, network, score)
        for split in ("Donut+Scratch", "Center")
        for network in ("suite", "dense")
        for score in SCORES
    ]
    assert {row["novel"] for row in rows if row["left_out"] == "Center"} == {15}
    means = [row for row in report["rows"] if row["section"] == "means"]
    assert len(means) == 2 * len(SCORES)
    assert report["summary"]["auroc_suite_suite"] == means[0]["auroc"]
    assert "ODIN takes a step" in (settings.cache or Path()).joinpath("wafer_openset.log").read_text()


def test_means_and_spreads() -> None:
    figures = dict.fromkeys(benchmark.FIGURES, 0.5)
    rows = [
        {"network": "suite", "score": "knn", "left_out": split, "seed": seed, **figures, "auroc": auroc}
        for split, seed, auroc in (("a", 0, 0.6), ("a", 1, 0.8), ("b", 0, 0.8), ("b", 1, 1.0))
    ]
    (line,) = benchmark.means(rows).rows
    assert line["trainings"] == 4
    assert line["auroc"] == pytest.approx(0.8)
    assert line["auroc_sd_splits"] == pytest.approx(0.2 / 2**0.5)
    assert line["auroc_sd_seeds"] == pytest.approx(0.2 / 2**0.5)
    assert line["aupr"] == 0.5
    (alone,) = benchmark.means(rows[:1]).rows
    assert alone["auroc_sd_seeds"] is alone["auroc_sd_splits"] is None


def test_the_study_ranks_variants_over_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "SPLITS", (("Donut",), ("Scratch",)))
    monkeypatch.setattr(study, "OUTLIERS", 20)
    monkeypatch.setattr(study, "cache_folder", lambda name: tmp_path)
    data = write_files(tmp_path / "data", 160, 60)
    threads = torch.get_num_threads()
    try:
        arguments = ["--variants", "plain", "exposed, own class", "--epochs", "1", "--maps", "100"]
        study.main(["--json", str(tmp_path / "study.json"), "--data", str(data), *arguments])
    finally:
        torch.set_num_threads(threads)
    report = json.loads((tmp_path / "study.json").read_text())
    means = [row for row in report["rows"] if row["section"] == "means"]
    assert {row["variant"] for row in means} == {"plain", "exposed, own class"}
    assert [row["auroc"] for row in means] == sorted((row["auroc"] for row in means), reverse=True)
    for row in means:
        assert row["auroc"] == pytest.approx((row["auroc Donut"] + row["auroc Scratch"]) / 2)
    assert {row["variant"] for row in means if row["score"] == "outlier class"} == {"exposed, own class"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "at least 1"),
        (["--maps", "10"], "at least 200"),
        (["--data", "nowhere"], "there is no nowhere"),
        (["--splits", "Doughnut"], "'Doughnut' in 'Doughnut' is no class"),
    ],
)
def test_wrong_use_says_what_is_wrong(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_files(tmp_path / "data", 8, 8)
    with pytest.raises(SystemExit):
        main(["--json", str(tmp_path / "out.json"), "--data", str(data), *arguments])
    assert message in capsys.readouterr().err
