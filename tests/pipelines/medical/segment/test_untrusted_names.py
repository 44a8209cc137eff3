"""DICOM says who the patient is, and any text besides: none of it gets into what a run writes."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np

from tests.pipelines.medical.data.made import ct_slice
from tests.pipelines.medical.data.made import save as save_slice
from tests.pipelines.medical.segment.made import noise
from tests.pipelines.medical.segment.test_run import rows_of, run, save

PATIENT = "Evil^<script>alert(1)</script>"
SECRETS = (b"Evil", b"ID-4711", b"19470101", b"A-0815", b"alert(1)")


def test_no_patient_identifier_is_written(tmp_path: Path) -> None:
    source = tmp_path / "in" / "scan"
    source.mkdir(parents=True)
    for k in range(12):
        pixels = np.random.default_rng(k).integers(0, 2000, (12, 12)).astype(np.int16)
        one = ct_slice(
            (0, 0, 2.0 * k),
            pixels,
            PatientName=PATIENT,
            PatientID="ID-4711",
            PatientBirthDate="19470101",
            AccessionNumber="A-0815",
            SeriesDescription="../../<b>=cmd",
            InstanceNumber=k + 1,
        )
        save_slice(one, source / f"IM{k}")
    out = tmp_path / "run"
    run(out, source)
    (row,) = rows_of(out)
    assert row["status"] == "ok" and row["case"] == "scan"
    written = [path for path in out.rglob("*") if path.is_file()]
    assert any(path.name == "report.html" for path in written) and any("masks" in str(one) for one in written)
    for path in written:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        assert not [secret for secret in SECRETS if secret in content], path.name
    assert {path.name for path in tmp_path.iterdir()} == {"in", "run"}


def test_names_of_files_do_no_harm_in_the_page(tmp_path: Path) -> None:
    hostile = tmp_path / "in" / "=<img src=x onerror=alert(1)>.nii.gz"
    save(hostile, noise((9, 10, 11), 0))
    out = tmp_path / "run"
    run(out, hostile.parent)
    page = (out / "report.html").read_text()
    assert "<img src=x" not in page
    with (out / "results.csv").open(newline="") as file:
        (cells,) = csv.DictReader(file)
    assert cells["case"].startswith("'=")
    assert all(path.resolve().is_relative_to(out.resolve()) for path in out.rglob("*"))
