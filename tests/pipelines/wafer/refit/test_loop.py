"""The whole loop with a bundled model: classify, review, refit, and classify again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from pipelines.wafer.generate.dataset import write_dataset
from pipelines.wafer.generate.patterns import PATTERNS
from suite.cli import app
from tests.pipelines.wafer.reviews import judge

NEW = "checkerboard"


def classify(out: Path, *arguments: object) -> list[dict[str, Any]]:
    """The rows of `suite wafer classify`."""
    result = CliRunner().invoke(app, ["wafer", "classify", *map(str, arguments), "--out", str(out)])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def labels_of(rows: list[dict[str, Any]]) -> list[str]:
    """The true classes of the maps of data sets."""
    truth = {source: np.load(source)["label"] for source in {row["source"] for row in rows}}
    return [str(truth[row["source"]][row["map"]]) for row in rows]


@pytest.mark.slow
def test_what_a_review_names_is_found_by_the_next_model(tmp_path: Path, project_root: Path) -> None:
    tool, fresh, samples = tmp_path / "tool", tmp_path / "fresh.npz", project_root / "sample_data" / "wafer"
    write_dataset(tool / "new.npz", maps_per_class=24, seed=3, patterns=[NEW])
    write_dataset(tool / "known.npz", maps_per_class=2, seed=4)
    write_dataset(fresh, maps_per_class=12, seed=5, patterns=[NEW])
    known = [samples / "maps" / lot for lot in ("C5520", "C5521", "K24081", "K24082", "K24083")]

    before = classify(tmp_path / "before", *known, "--model", "wdm-fullres")
    run = classify(tmp_path / "run", tool, "--model", "wdm-fullres")
    review = judge(tmp_path / "run", run, labels_of(run), tmp_path / "run" / "reviewed.csv")
    model = tmp_path / "taught"
    command = ["wafer", "refit", "wdm-fullres", "--labels", review, "--out", model]
    refitted = CliRunner().invoke(app, [str(one) for one in command])
    assert refitted.exit_code == 0, refitted.output
    assert f"New classes: {NEW}" in refitted.stdout

    again = classify(tmp_path / "again", fresh, "--model", model)
    assert [row["class"] for row in again].count(NEW) >= 10
    assert [row["decision"] for row in again].count("known") >= 8
    after = classify(tmp_path / "after", *known, "--model", model)
    sure = [at for at, row in enumerate(before) if row["decision"] in ("known", "normal")]
    changed = [
        (before[at]["class"], after[at]["class"]) for at in sure if before[at]["class"] != after[at]["class"]
    ]
    assert len(sure) >= 12
    assert len(changed) <= 1, changed
    assert set(PATTERNS) | {NEW} == set(json.loads((model / "config.json").read_text())["labels"])
