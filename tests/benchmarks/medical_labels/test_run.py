from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import cache
from benchmarks.medical_labels import models
from benchmarks.medical_labels import run as module
from benchmarks.medical_labels.models import bundle_encoder, bundle_segmenter
from benchmarks.medical_labels.recipe import LABELS, hippocampus_plan
from benchmarks.medical_labels.run import Settings, few, run
from pipelines.medical.config import Plan
from pipelines.medical.model.trained import load_trained
from pipelines.medical.train.start import read_start
from tests.pipelines.medical.builders import write_dataset


def small_plan() -> Plan:
    """The bundled model's, with a network that trains in a moment and a patch as large as the volumes."""
    plan = hippocampus_plan()
    changes = {"channels": (8, 12, 16), "blocks": (1, 1, 1), "strides": ((2, 2, 2),) * 2}
    return plan.model_copy(update={"patch": (24, 28, 20), "network": plan.network.model_copy(update=changes)})


@dataclass(frozen=True)
class Case:
    """As much of a training case as drawing needs."""

    case: SimpleNamespace


def test_a_larger_share_holds_the_smaller_ones() -> None:
    cases = [Case(SimpleNamespace(name=f"c{number}")) for number in range(40)]
    tenth, quarter, all_ = (few(cases, share, 3) for share in (0.1, 0.25, 1.0))  # type: ignore[arg-type]
    assert (len(tenth), len(quarter), len(all_)) == (4, 10, 40)
    names = [{one.case.name for one in part} for part in (tenth, quarter, all_)]
    assert names[0] < names[1] < names[2]
    assert len(few(cases[:3], 0.1, 0)) == 2  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_benchmark_measures_every_start_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "cache_folder", lambda name: cache.cache_folder(name, tmp_path))
    plan = small_plan()
    for one in (module, models):
        monkeypatch.setattr(one, "hippocampus_plan", lambda: plan)
    data = write_dataset(tmp_path / "data", 6)
    settings = Settings(data=data, shares=[1.0], folds=[0], steps=2, pretraining_steps=2)
    report = run(settings, tmp_path / "figures.json")
    rows = {row["start"]: row for row in report["rows"] if row["section"] != "means"}
    assert set(rows) == {"nothing", "pretrained"}
    assert all(0 <= row[f"dice_{name}"] <= 1 for row in rows.values() for name in LABELS)
    assert json.loads((tmp_path / "figures.json").read_text())["summary"] == report["summary"]
    kept = list((tmp_path / ".cache").rglob("encoder-0/model.safetensors"))
    stamp = kept[0].stat().st_mtime_ns
    run(settings, tmp_path / "again.json")
    assert kept[0].stat().st_mtime_ns == stamp

    bundle_encoder(settings, tmp_path / "encoder", "a command")
    bundle_segmenter(settings, tmp_path / "segmenter", "a command")
    assert read_start(str(tmp_path / "encoder")).weights.keys()
    model = load_trained(tmp_path / "segmenter")
    assert len(model.members) == 5 and model.mirror == ("x",)
    told = json.loads((tmp_path / "segmenter" / "metrics.json").read_text())
    pretrained = {name: round(rows["pretrained"][f"dice_{name}"], 4) for name in LABELS}
    assert told["folds"][0]["dice"] == pretrained
    assert sorted(name for fold in told["folds"] for name in fold["held_out"]) == sorted(
        path.name.removesuffix(".nii.gz") for path in (data / "labelsTr").iterdir()
    )
