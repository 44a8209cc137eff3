"""A segmentation by either runner gives the same folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipelines.common.runner import IN_PROCESS, Runner
from pipelines.medical.segment.config import SegmentConfig
from pipelines.medical.segment.predict import Predictor
from pipelines.medical.segment.run import segment
from tests.pipelines.common.runner.alike import assert_alike, rows_of
from tests.pipelines.medical.segment.made import noise, save_tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Three volumes, one broken."""
    (tmp_path / "in").mkdir()
    for number in range(3):
        image = nib.Nifti1Image(noise((16, 15, 14), number), np.diag([1.0, 1, 1, 1]))
        nib.save(image, tmp_path / "in" / f"case_{number}.nii.gz")
    broken = tmp_path / "in" / "case_1.nii.gz"
    broken.write_bytes(broken.read_bytes()[:2000])
    return tmp_path / "in"


def run(cases: Path, model: Path, out: Path, runner: Runner) -> list[str]:
    config = SegmentConfig(model=str(model), device="cpu", uncertainty=True)
    notes: list[str] = []
    segment([cases], predictor=Predictor.load(config), out=out, runner=runner, note=notes.append)
    return notes


def mib(notes: list[str]) -> Any:
    return int(notes[0].partition("about ")[2].partition(" MiB")[0].replace(",", ""))


def test_reading_ahead_changes_nothing_but_the_memory(cases: Path, model: Path, tmp_path: Path) -> None:
    here = run(cases, model, tmp_path / "here", IN_PROCESS)
    ahead = run(cases, model, tmp_path / "ahead", Runner(workers=1))
    assert [row["status"] for row in rows_of(tmp_path / "here")] == ["ok", "failed", "ok"]
    assert_alike(tmp_path / "here", tmp_path / "ahead")
    assert mib(ahead) >= mib(here)


@pytest.mark.slow
def test_rows_on_ray_are_those_of_the_local_runner(
    cases: Path, model: Path, tmp_path: Path, ray_cluster: None
) -> None:
    run(cases, model, tmp_path / "here", IN_PROCESS)
    run(cases, model, tmp_path / "ray", Runner("ray", 2))
    assert_alike(tmp_path / "here", tmp_path / "ray")
