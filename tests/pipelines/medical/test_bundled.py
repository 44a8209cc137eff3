"""The models that come with the suite do what their cards say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.common.models import find_model
from pipelines.medical.config import TASK
from pipelines.medical.data.files import read_volume
from pipelines.medical.model.trained import load_trained
from pipelines.medical.segment.config import SegmentConfig
from pipelines.medical.segment.predict import Predictor
from pipelines.medical.train.start import begin_from, read_start

CASES = 3


def test_the_encoder_fits_the_segmenter() -> None:
    model = load_trained(find_model(TASK, "hippocampus"))
    assert len(model.members) == 5 and model.mirror == ("x",)
    fresh = begin_from(model.members[0], model.plan, read_start("hippocampus-encoder"))
    assert fresh and all(name.startswith("decoder.") for name in fresh)


@pytest.mark.slow
def test_each_network_finds_the_hippocampus_in_cases_it_never_saw(shared_data: Path) -> None:
    folder = find_model(TASK, "hippocampus")
    told = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["folds"]
    model = load_trained(folder)
    scores: dict[str, list[float]] = {name: [] for name in model.plan.labels}
    for fold, member in zip(told[:2], model.members, strict=False):
        one = Predictor(model, SegmentConfig(model="hippocampus", overlap=0.25))
        one.scorer.members = (member,)
        for case in fold["held_out"][:CASES]:
            data = shared_data / "medical" / "hippocampus"
            image, truth = (read_volume(data / part / f"{case}.nii.gz") for part in ("imagesTr", "labelsTr"))
            found = one.predict([image]).labels
            for name, value in model.plan.labels.items():
                mine, true = found == value, np.asarray(truth.array) == value
                scores[name].append(2 * (mine & true).sum() / (mine.sum() + true.sum()))
    for name, expected in (("anterior", 0.895), ("posterior", 0.879)):
        assert np.mean(scores[name]) == pytest.approx(expected, abs=0.03)
