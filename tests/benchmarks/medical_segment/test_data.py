"""What is made of the patients' files."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from benchmarks.medical_segment.data import FLAIR, T1C, TUMOUR, prepared_volume, read_cases, split, truth
from benchmarks.medical_segment.recipe import Recipe, make_plan
from pipelines.common.errors import UserError
from pipelines.medical.data.files import read_volume
from tests.benchmarks.medical_segment.patients import BELOW, write_patients


def test_background_becomes_0_and_all_parts_of_the_tumour_one(tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data")
    cases = read_cases(data, tmp_path)
    assert [case.name for case in cases] == ["patient0", "patient1"]
    for case in cases:
        stored, made = read_volume(data / case.name / FLAIR), read_volume(case.images[0])
        before, after = stored.array, made.array
        assert (made.affine == stored.affine).all()
        assert (after[before == BELOW] == 0).all()
        np.testing.assert_allclose(after, before - BELOW, atol=1e-6)
        parts = read_volume(data / case.name / TUMOUR).array
        assert (truth(case) == (parts > 0)).all() and set(np.unique(parts)) == {0, 1, 2, 3, 4}


def test_active_is_the_brain(tmp_path: Path) -> None:
    case = read_cases(write_patients(tmp_path / "data"), tmp_path)[0]
    plan = make_plan("sparse-unet", Recipe())
    bare = plan.model_copy(update={"foreground": plan.foreground.model_copy(update={"halo": 0})})
    brain = read_volume(tmp_path / "data" / "patient0" / FLAIR).array != BELOW
    prepared = prepared_volume(case, bare)
    assert prepared.active is not None
    assert (prepared.from_canonical(prepared.active.numpy()) == brain).all()


def test_files_are_made_once_and_anew_when_the_source_changes(tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data")
    first = read_cases(data, tmp_path)[0].images[0]
    written = first.stat().st_mtime_ns
    assert read_cases(data, tmp_path)[0].images[0] == first and first.stat().st_mtime_ns == written
    source = data / "patient0" / FLAIR
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 3, 3), np.float32), np.eye(4)), source)
    again = read_cases(data, tmp_path)[0].images[0]
    assert again != first and read_volume(again).shape == (3, 3, 3)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two patients or more"):
        read_cases(tmp_path / "nowhere", tmp_path)
    data = write_patients(tmp_path / "data")
    (data / "patient1" / T1C).unlink()
    with pytest.raises(UserError, match=f"patient1/{T1C} is missing"):
        read_cases(data, tmp_path)


def test_one_is_held_out() -> None:
    assert split(["a", "b", "c"], 1) == (["a", "c"], "b")


def test_real_patients_have_a_fifth_of_the_grid_and_all_of_the_tumour(
    shared_data: Path, tmp_path: Path
) -> None:
    case = read_cases(shared_data / "medical" / "brats2013", tmp_path)[0]
    prepared = prepared_volume(case, make_plan("sparse-unet", Recipe()))
    assert prepared.active is not None
    active = prepared.from_canonical(prepared.active.numpy())
    assert 0.12 < active.mean() < 0.22
    assert not (truth(case) & ~active).any()
