"""A run: rows, masks, one bad case among good ones, going on, replacing."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from pipelines.common.errors import UserError
from pipelines.medical.segment.predict import Predictor
from pipelines.medical.segment.run import RunSummary, segment
from tests.pipelines.medical.segment.made import Threshold, noise, predictor_of, threshold_plan


def save(path: Path, array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 2.0)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([*spacing, 1.0])), path)
    return path


SPACING = (1.0, 1.0, 2.0)


def predictor(**settings: Any) -> Predictor:
    return predictor_of(threshold_plan(0.0, 1.0, spacing=SPACING), Threshold(0.0, 1.0), **settings)


def run(out: Path, *paths: Path, by: Predictor | None = None, **options: Any) -> RunSummary:
    return segment(list(paths), predictor=by or predictor(), out=out, **options)


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    for number in range(3):
        save(tmp_path / "cases" / f"case_{number}.nii.gz", noise((9, 10, 11), number))
    return tmp_path / "cases"


def test_a_run_has_what_it_promises(cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = run(out, cases, by=predictor(uncertainty=True))
    assert summary.counts == {"cases": 3, "ok": 3, "failed": 0, "skipped": 0}
    rows = rows_of(out)
    for number, row in enumerate(rows):
        image = noise((9, 10, 11), number)
        mask = np.asarray(nib.load(out / "masks" / f"case_{number}.nii.gz").dataobj)
        assert np.array_equal(mask, (image > 0).astype(int) + (image > 1))
        assert row["above 1_voxels"] == (image > 1).sum()
        assert row["above 1_ml"] == pytest.approx((image > 1).sum() * 2 / 1000)
        assert row["above 1_intensity"] == pytest.approx(image[image > 1].mean(), rel=1e-4)
        assert 0.5 < row["above 1_confidence"] <= 1
        doubt = nib.load(out / "uncertainty" / f"case_{number}.nii.gz")
        assert doubt.get_data_dtype() == np.uint8
        shown = doubt.get_fdata()
        assert shown.min() >= 0 and shown.max() <= 2 / 3
        sure = 1 - shown[mask == 2].mean()
        assert row["above 1_confidence"] == pytest.approx(sure, abs=1e-3)
    with (out / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["case"] for row in table] == ["case_0", "case_1", "case_2"]
    assert list(table[0])[:4] == ["source", "case", "status", "error"]
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "finished" and record["verb"] == "segment"
    assert record["model"]["labels"] == {"above 0": 1, "above 1": 2}
    assert record["memory"]["predicted_mib"] > 100
    assert sorted(path.name for path in (out / "pictures").iterdir())[0] == "case_0-axial.png"


def test_one_bad_case_is_one_failed_row(cases: Path, tmp_path: Path) -> None:
    save(cases / "four.nii.gz", np.zeros((4, 4, 4, 3), np.float32))
    broken = noise((9, 10, 11))
    broken[3, 3, 3] = np.nan
    save(cases / "nan.nii.gz", broken)
    whole = (cases / "case_0.nii.gz").read_bytes()
    (cases / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (cases / "empty.nii.gz").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not a volume")
    out = tmp_path / "run"
    summary = run(out, cases, tmp_path / "notes.txt")
    found = {row["case"]: (row["status"], row["error"]) for row in rows_of(out)}
    assert {case for case, (status, _) in found.items() if status == "ok"} == {"case_0", "case_1", "case_2"}
    assert "fourth axis" in found["four"][1]
    assert "no finite numbers" in found["nan"][1]
    assert "cut" in found["cut"][1] and found["empty"][0] == "failed"
    assert "notes.txt" in "".join(found)
    assert summary.counts["failed"] == 5
    assert sorted(path.name for path in (out / "masks").iterdir()) == [
        f"case_{number}.nii.gz" for number in range(3)
    ]
    page = (out / "report.html").read_text()
    assert "fourth axis" in page


CT, MR = {"modality": "CT"}, {"modality": "MR"}


@pytest.mark.parametrize(
    ("plan", "file", "low", "words"),
    [
        (CT, "MR", -1000, "trained on CT, and this image says that it is MR"),
        (MR, "CT", 0, "trained on MR, and this image says that it is CT"),
        (CT, "", 0, "trained on CT, and no value of this image lies below -300"),
        (CT, "CT", 0, "trained on CT, and no value of this image lies below -300"),
        (MR, "", -1000, "trained on MR, and values of this image lie below -300"),
        (CT, "CT", -1000, ""),
        (CT, "", -1000, ""),
        (MR, "MR", -1000, ""),
        (MR, "", 0, ""),
        ({}, "CT", 0, ""),
    ],
)
def test_an_image_of_another_modality_is_warned_of(
    plan: dict[str, str], file: str, low: int, words: str, tmp_path: Path
) -> None:
    """The case is segmented all the same, and the row and the page say what is odd."""
    array = np.where(noise((9, 10, 11)) > 0, 100, low).astype(np.int16)
    image: Any = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 2.0))
    sitk.WriteImage(image, tmp_path / "case.mha")
    if file:
        text = (tmp_path / "case.mha").read_bytes()
        (tmp_path / "case.mha").write_bytes(
            f"ObjectType = Image\nModality = MET_MOD_{file}\n".encode() + text
        )
    by = predictor_of(threshold_plan(0.5, spacing=SPACING, **plan), Threshold(0.5))
    assert run(tmp_path / "run", tmp_path / "case.mha", by=by).counts["ok"] == 1
    [row] = rows_of(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert len(row["notes"]) == bool(words)
    assert all(words in note and f'<p class="note">{note}</p>' in page for note in row["notes"])


def test_what_a_network_raises_is_a_failed_row(cases: Path, tmp_path: Path) -> None:
    class Refuses(Threshold):
        def forward(self, images: Any, active: Any = None) -> Any:
            raise RuntimeError("not enough memory")

    summary = run(tmp_path / "run", cases, by=predictor_of(threshold_plan(0.0), Refuses()))
    assert summary.counts["failed"] == 3
    assert {row["error"] for row in rows_of(tmp_path / "run")} == {"cannot be segmented: not enough memory"}


def test_a_run_that_was_stopped_goes_on(cases: Path, tmp_path: Path) -> None:
    class Stops(Threshold):
        def forward(self, images: Any, active: Any = None) -> Any:
            if self.asked == 2:
                raise KeyboardInterrupt
            return super().forward(images)

    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(out, cases, by=predictor_of(threshold_plan(0.0, 1.0, spacing=SPACING), Stops(0.0, 1.0)))
    assert json.loads((out / "run.json").read_text())["status"] == "interrupted"
    assert [row["case"] for row in rows_of(out)] == ["case_0", "case_1"]
    (out / "masks" / ".case_2.nii.gz.new-1").write_bytes(b"half of a mask")
    written = (out / "masks" / "case_0.nii.gz").stat().st_mtime_ns
    again = Threshold(0.0, 1.0)
    run(out, cases, by=predictor_of(threshold_plan(0.0, 1.0, spacing=SPACING), again), resume=True)
    assert again.asked == 1
    assert (out / "masks" / "case_0.nii.gz").stat().st_mtime_ns == written
    assert [row["case"] for row in rows_of(out)] == ["case_0", "case_1", "case_2"]
    assert sorted(path.name for path in (out / "masks").iterdir()) == [
        f"case_{number}.nii.gz" for number in range(3)
    ]


def test_changed_files_are_not_gone_on_with_and_lost_masks_on_request(cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(out, cases)
    (out / "masks" / "case_1.nii.gz").rename(tmp_path / "kept")
    with pytest.raises(UserError, match=r"case_1.nii.gz is gone"):
        run(out, cases, resume=True)
    before = rows_of(out)
    other = predictor_of(threshold_plan(0.5, 1.0, spacing=SPACING), Threshold(0.5, 1.0))
    with pytest.raises(UserError, match="cannot be resumed"):
        run(out, cases, by=other, resume=True, retry_failed=True)
    assert rows_of(out) == before, "nothing was taken out"
    run(out, cases, resume=True, retry_failed=True)
    assert (out / "masks" / "case_1.nii.gz").read_bytes() == (tmp_path / "kept").read_bytes()
    assert sorted(row["case"] for row in rows_of(out)) == [row["case"] for row in before]
    save(cases / "case_1.nii.gz", noise((12, 10, 11)))
    with pytest.raises(UserError, match="has changed since"):
        run(out, cases, resume=True)


def test_overwriting_removes_the_old_masks_and_nothing_else(cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(out, cases, by=predictor(uncertainty=True))
    (out / "masks" / "mine.nii.gz").write_bytes(b"x")
    with pytest.raises(UserError, match="already holds a run"):
        run(out, cases)
    run(out, cases / "case_2.nii.gz", overwrite=True)
    assert sorted(path.name for path in (out / "masks").iterdir()) == ["case_2.nii.gz", "mine.nii.gz"]
    assert list((out / "uncertainty").iterdir()) == []


def test_nothing_to_segment_says_so_and_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme.txt").write_text("x")
    with pytest.raises(UserError, match=r"there is no volume in .* such as readme.txt"):
        run(tmp_path / "run", tmp_path / "empty")
    assert not (tmp_path / "run").exists()


def test_cases_of_two_channels(tmp_path: Path) -> None:
    for number, shift in enumerate((0.0, 100.0)):
        save(tmp_path / "in" / f"a_{number:04d}.nii.gz", noise((9, 10, 11)) + np.float32(shift))
    save(tmp_path / "in" / "b_0000.nii.gz", noise((9, 10, 11)))
    by = predictor_of(threshold_plan(0.0, channels=("t1", "t2"), normalisation=_plain(2)), Threshold(0.0))
    summary = run(tmp_path / "run", tmp_path / "in", by=by)
    rows = {row["case"]: row for row in rows_of(tmp_path / "run")}
    assert summary.counts["ok"] == 1 and summary.counts["failed"] == 1
    one, two = rows["a"]["structures"]["above 0"]["intensity"]
    assert two - one == pytest.approx(100, rel=1e-3)
    assert any("_0001 is missing" in row["error"] for row in rows.values())


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        save(tmp_path / folder / "image.nii.gz", noise((9, 10, 11)))
    run(tmp_path / "run", tmp_path / "x", tmp_path / "y")
    assert sorted(path.name for path in (tmp_path / "run" / "masks").iterdir()) == [
        "x_image.nii.gz",
        "y_image.nii.gz",
    ]


def test_large_values_and_largest_pieces(tmp_path: Path) -> None:
    image = np.full((20, 9, 9), -1.0, np.float32)
    image[1:5, 2:6, 2:6], image[10:12, 2:4, 2:4] = 3.0, 3.0
    save(tmp_path / "two.nii.gz", image)
    plan = threshold_plan(0.0).model_copy(update={"labels": {"piece": 300}})
    by = predictor_of(plan, Threshold(0.0), largest_component=("all",))
    run(tmp_path / "run", tmp_path / "two.nii.gz", by=by)
    mask = nib.load(tmp_path / "run" / "masks" / "two.nii.gz")
    assert mask.get_data_dtype() == np.uint16
    values = np.asarray(mask.dataobj)
    assert (values == 300).sum() == 64 and not values[10:].any()
    [row] = rows_of(tmp_path / "run")
    assert row["structures"]["piece"]["removed"] == 8
    with pytest.raises(UserError, match="has no label 'liver'; it has piece"):
        predictor_of(plan, Threshold(0.0), largest_component=("liver",))


def _plain(count: int) -> Any:
    from pipelines.medical.config import Normalisation

    return (Normalisation(scheme="none"),) * count
