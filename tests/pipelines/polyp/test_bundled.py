"""The bundled models: the finder of lesions on rendered frames it never saw, and the model of sizes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipelines.common.models import CARD, load_model
from pipelines.polyp.config import TASK as SIZES
from pipelines.polyp.data import frames_of, read_dataset, read_frame
from pipelines.polyp.lesion.config import TASK
from pipelines.polyp.lesion.measure import overlap, union
from pipelines.polyp.lesion.predict import Finder, load_finder
from suite.cli import app

ROOT = Path(__file__).resolve().parents[3]
CLIPS = ROOT / "sample_data" / "polyp" / "clips"


@pytest.fixture(scope="module")
def finder() -> Finder:
    return load_finder("lesion")


def test_nothing_is_found_where_nothing_is_seen(finder: Finder) -> None:
    assert not finder.find(np.zeros((240, 320, 3), np.uint8))
    assert not finder.find(np.full((240, 320, 3), (180, 90, 70), np.uint8))


def test_a_large_flat_polyp_is_outlined_in_all_frames_of_its_clip(finder: Finder) -> None:
    (polyp,) = (one for one in read_dataset(CLIPS).polyps if one.id == "001-004_1")
    found = []
    for ref in frames_of(polyp).frames:
        frame = read_frame(ref)
        if frame.mask is not None and frame.mask.any():
            lesions = finder.find(frame.pixels)
            found.append(overlap(union((one.mask for one in lesions), frame.mask.shape), frame.mask)[0])
    assert len(found) == 3
    assert min(found) > 0.8


def test_its_card_names_data_terms_and_what_was_measured() -> None:
    model = load_model(ROOT / "pipelines" / "polyp" / "models" / "lesion", task=TASK)
    card = (model.path / CARD).read_text()
    for words in ("PolypGen", "Kvasir-SEG", "research and education only", "Not a medical device", "Dice"):
        assert words in card
    assert model.metrics["scores"]["all"]["dice"] >= 0.70
    held_out, trained_on = (set(model.config["training"][name]) for name in ("held_out_frames", "frames"))
    assert held_out and not held_out & trained_on


def test_sizes_of_the_sample_come_with_intervals_and_doubts(tmp_path: Path) -> None:
    words = ["polyp", "size", str(CLIPS), "--out", str(tmp_path / "run"), "--quiet"]
    assert CliRunner().invoke(app, words).exit_code == 0
    with (tmp_path / "run" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["polyp"] for row in rows] == ["001-001_1", "001-002_1", "001-003_1", "001-004_1"]
    for row in rows:
        assert float(row["low"]) < float(row["high"])
        assert bool(row["mm"]) == (row["decision"] != "abstained")
        assert bool(row["reason"]) == (row["decision"] in ("abstained", "indeterminate"))
    sized = [row for row in rows if row["mm"]]
    held = [float(row["low"]) <= float(row["true_mm"]) <= float(row["high"]) for row in sized]
    assert sum(held) >= 3  # of four, as they are intervals of 90%


def test_the_card_of_the_sizer_says_that_no_patient_was_seen() -> None:
    model = load_model(ROOT / "pipelines" / "polyp" / "models" / "polyp", task=SIZES)
    card = (model.path / CARD).read_text()
    for words in ("rendered", "No frame of a patient was seen", "Not a medical device", "nobody was filmed"):
        assert words in card
    for scores, share in (("scores", 0.45), ("scores_with_map", 0.2), ("scores_without_camera", 0.7)):
        found = model.metrics[scores]["polyp"]["metrics"]
        assert found["mae"]["value"] < share * found["median_predictor_mae"]["value"]
        assert 0.8 <= found["coverage"]["value"] <= 1
