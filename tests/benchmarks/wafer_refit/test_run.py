"""The whole loop on next to nothing: what the JSON holds, and that the maps are kept apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.wafer.wm811k import load
from benchmarks.wafer_refit.files import write_files
from benchmarks.wafer_refit.run import Settings, run
from tests.benchmarks.wafer_openset.double import write_files as write_data


def test_the_files_keep_maps_apart_and_teach_only_what_is_reviewed(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", 160, 60)
    files = write_files(data, tmp_path / "loop", ("Donut", "Scratch"), seed=0, maps=None, reviewed=5)
    base, reviewed, test = (load(path) for path in (files.base, files.reviewed, files.test))
    assert not {"Donut", "Scratch"} & set(base.labels)
    assert [(reviewed.labels == name).sum() for name in ("Donut", "Scratch")] == [5, 5]
    assert len(reviewed) <= 20 and len(test) == len(files.split.known) + len(files.split.novel)
    assert not set(files.split.train) & set(files.split.held)


@pytest.mark.slow
def test_one_run_reports_the_model_before_and_both_refits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    data = write_data(tmp_path / "data", 160, 60)
    settings = Settings(
        data, tmp_path / "f.json", [("Donut", "Scratch")], maps=None, reviewed=8, epochs=1, cache=cache
    )
    threads = torch.get_num_threads()
    try:
        report = run(settings)
    finally:
        torch.set_num_threads(threads)
    assert json.loads(settings.target.read_text()) == report
    assert [row["model"] for row in report["rows"]] == ["before", "refit with its data", "refit without"]
    assert report["rows"][0]["new_recall"] == 0
    assert all(0 <= row["old_recall"] <= 1 and np.isfinite(row["macro_f1"]) for row in report["rows"])
    assert report["summary"]["seconds_with_data_Donut+Scratch"] > 0
