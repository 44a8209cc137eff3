"""Masks of DICOM series as DICOM segmentations, beside those in NIfTI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from pipelines.common.errors import UserError
from pipelines.medical.data.files import read_volume
from pipelines.medical.segment import predict
from pipelines.medical.segment.config import SegmentConfig
from pipelines.medical.segment.predict import Predictor
from tests.pipelines.medical.segment.made import Threshold, predictor_of, threshold_plan
from tests.pipelines.medical.segment.test_run import rows_of, run

SCAN = Path("sample_data/medical/volumes")


@pytest.fixture
def predictor() -> Predictor:
    plan = threshold_plan(200.0, 400.0, spacing=(2.0, 2.0, 2.0))
    return predictor_of(plan, Threshold(200.0, 400.0), dicom_seg=True)


def test_a_series_gets_a_segmentation_of_its_mask(
    predictor: Predictor, project_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run(out, project_root / SCAN / "scan", project_root / SCAN / "ct.nii.gz", by=predictor)
    series = [row for row in rows_of(out) if row["case"].startswith("scan")]
    assert len(series) == 2 and all(row["status"] == "ok" for row in series)
    for row in series:
        found = pydicom.dcmread(out / "dicom-seg" / f"{row['case']}.dcm")
        assert found.Modality == "SEG"
        mask = read_volume(out / "masks" / f"{row['case']}.nii.gz").array
        values = [value for value in np.unique(mask).tolist() if value]
        assert values and len(found.SegmentSequence) >= len(values)
    (other,) = (row for row in rows_of(out) if row["case"] == "ct")
    assert other["status"] == "ok" and "not from DICOM" in other["notes"][-1]
    assert not (out / "dicom-seg" / "ct.dcm").exists()


def test_without_the_extra_the_run_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="dicom-seg"):
        Predictor.load(SegmentConfig(model="any", dicom_seg=True))
