"""The whole benchmark on next to nothing, and what the command refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.polyp_lesion import recipe as recipes
from benchmarks.polyp_lesion.__main__ import main
from benchmarks.polyp_lesion.baseline import usual_place
from benchmarks.polyp_lesion.bundle import write_bundle
from benchmarks.polyp_lesion.run import Settings, averaged, read_parts, run
from pipelines.polyp.lesion.config import FinderPlan
from pipelines.polyp.lesion.measure import FrameScore, summary
from pipelines.polyp.lesion.predict import load_finder
from tests.pipelines.polyp.lesion.builders import SMALL, write_discs


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Three small data sets, and a small network."""
    monkeypatch.setattr(recipes, "NETWORK", FinderPlan.model_validate(SMALL["network"]))
    for name, count, first in (("polypgen", 9, 0), ("kvasir", 9, 100), ("gastric", 4, 200)):
        write_discs(tmp_path / name, count, empty=2 if name == "polypgen" else 0, first=first)
    folders = (tmp_path / name for name in ("polypgen", "kvasir", "gastric"))
    return Settings(tmp_path / "f.json", *folders, seeds=2, steps=2, pretraining_steps=2, cache=tmp_path)


@pytest.mark.slow
def test_one_run_measures_everything_and_keeps_what_it_trained(settings: Settings, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        report = run(settings)
        kept = sorted((tmp_path / ".cache").rglob("model.safetensors"))
        times = [path.stat().st_mtime_ns for path in kept]
        again = run(settings)
    finally:
        torch.set_num_threads(threads)
    assert json.loads(settings.target.read_text()) == again
    assert len(kept) == 4
    assert [path.stat().st_mtime_ns for path in kept] == times, "it was trained again"
    rows = [row for row in report["rows"] if row["section"] == "held out"]
    assert {(row["start"], row["data"]) for row in rows} == {
        (start, data) for start in recipes.STARTS for data in ("PolypGen", "Kvasir-SEG", "all")
    }
    facts = report["environment"]["frames"]
    assert facts["training"] + facts["tuned_on"] + facts["held_out"] == 20
    assert facts["pretraining_besides"] == 4
    assert again["summary"]["dice_pretrained"] == report["summary"]["dice_pretrained"]
    assert report["summary"]["ms_a_frame"] > 0
    (gain,) = (row for row in report["rows"] if row["section"] == "difference")
    assert gain["gain"] == pytest.approx(
        report["summary"]["dice_pretrained"] - report["summary"]["dice_from_scratch"]
    )
    assert gain["low"] <= gain["gain"] <= gain["high"]
    untuned = [row for row in report["rows"] if row["section"] == "untuned" and "start" in row]
    assert [row["start"] for row in untuned] == list(recipes.STARTS)
    assert report["summary"]["dice_gained_untuned"] == pytest.approx(untuned[1]["dice"] - untuned[0]["dice"])


def test_the_usual_place_covers_what_lies_in_it(settings: Settings, tmp_path: Path) -> None:
    parts = read_parts(settings, lambda text: None)
    scores = usual_place(parts)
    assert [one.id for one in scores] == [one.id for one in parts.held_out]
    assert 0 < summary(scores)["dice"] < 0.7
    assert summary(scores)["false"] == summary(scores)["empty"]


def test_scores_are_averaged_frame_by_frame() -> None:
    one = [FrameScore("a", "d", "1", 0.8, 0.6, False), FrameScore("b", "d", "2", 1.0, 1.0, True)]
    other = [FrameScore("a", "d", "1", 0.4, 0.2, False), FrameScore("b", "d", "2", 0.0, 0.0, True)]
    found = averaged([one, other])
    assert [score.dice for score in found] == pytest.approx([0.6, 0.5])
    assert [score.iou for score in found] == pytest.approx([0.4, 0.5])


@pytest.mark.slow
def test_the_bundled_model_is_one_training(settings: Settings, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        write_bundle(tmp_path / "m" / "lesion", recipes.PRETRAINED, 1, settings)
    finally:
        torch.set_num_threads(threads)
    finder = load_finder(tmp_path / "m" / "lesion", device="cpu")
    assert isinstance(finder.find(np.full((60, 80, 3), 120, np.uint8)), tuple)
    kept = next((tmp_path / ".cache").rglob("pretrained-1-*/model.safetensors"))
    assert (tmp_path / "m" / "lesion" / "model.safetensors").read_bytes() == kept.read_bytes()
    card = (tmp_path / "m" / "lesion" / "README.md").read_text()
    assert "CC BY 4.0" in card and "research and education" in card and "pretrained" in card


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--seeds", "0"], "at least 1"), (["--kvasir", "nowhere"], "name the data with --kvasir")],
)
def test_wrong_options_are_named(
    tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("polypgen", "kvasir", "unlabelled"):
        (tmp_path / name).mkdir()
    given = [
        one for name in ("polypgen", "kvasir", "unlabelled") for one in (f"--{name}", str(tmp_path / name))
    ]
    with pytest.raises(SystemExit) as stopped:
        main(["--json", str(tmp_path / "f.json"), *given, *options])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
