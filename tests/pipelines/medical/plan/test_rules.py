from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipelines.common.errors import UserError
from pipelines.medical.data.dataset import read_dataset
from pipelines.medical.plan.file import read_plan_file, write_plan
from pipelines.medical.plan.fingerprint import Fingerprint, take_fingerprint
from pipelines.medical.plan.memory import training_mib
from pipelines.medical.plan.rules import (
    SPARSE_BELOW,
    choose_foreground,
    choose_strides,
    make_plan,
    name_labels,
    target_spacing,
)
from tests.pipelines.medical.builders import write_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"), 3, spacing=(1.0, 2.0, 1.0))


@pytest.fixture(scope="module")
def fingerprint(folder: Path) -> Fingerprint:
    return take_fingerprint(read_dataset(folder), lambda text: None)


def test_a_fingerprint_says_what_the_cases_are_like(fingerprint: Fingerprint) -> None:
    summary = fingerprint.summary()
    assert summary["cases"] == 3
    assert summary["shape"]["median"] == [24, 28, 20]
    assert summary["spacing_mm"]["median"] == [1, 2, 1]
    assert summary["orientations"] == {"RAS": 3}
    assert set(summary["labels"]) == {"1", "2"}
    sizes = [case.voxels[1] * case.voxel_ml for case in fingerprint.cases]
    assert summary["labels"]["1"]["median_ml"] == pytest.approx(np.median(sizes), abs=1e-4)
    assert fingerprint.cases[0].voxel_ml == pytest.approx(0.002)


def test_a_broken_case_is_left_out_with_its_reason(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", 2)
    (folder / "imagesTr" / "case_00.nii.gz").write_bytes(b"not an image")
    found = take_fingerprint(read_dataset(folder), lambda text: None)
    assert [name for name, _ in found.left_out] == ["case_00"]
    assert len(found.cases) == 1
    (folder / "imagesTr" / "case_01.nii.gz").write_bytes(b"")
    with pytest.raises(UserError, match="no labelled case to plan for"):
        take_fingerprint(read_dataset(folder), lambda text: None)


def test_the_plan_fits_its_data_and_survives_its_file(
    folder: Path, fingerprint: Fingerprint, tmp_path: Path
) -> None:
    data = read_dataset(folder)
    plan = make_plan(fingerprint, data)
    assert plan.labels == {"label 1": 1, "label 2": 2}
    assert plan.spacing == (1.0, 2.0, 1.0)
    total = np.prod(plan.network.strides, axis=0)
    assert all(side % step == 0 for side, step in zip(plan.patch, total, strict=True))
    assert plan.modality == "MR" and plan.normalisation[0].scheme == "zscore"
    write_plan(tmp_path / "plan.yaml", plan, fingerprint.summary())
    assert read_plan_file(tmp_path / "plan.yaml") == plan
    assert "orientations" in (tmp_path / "plan.yaml").read_text()


def test_less_memory_makes_smaller_patches(folder: Path, fingerprint: Fingerprint) -> None:
    data = read_dataset(folder)
    whole = make_plan(fingerprint, data)
    assert whole.training_memory_mib is not None
    one = training_mib(whole.network, whole.patch, 1, 1, 3, 1.0)
    tight = make_plan(fingerprint, data, memory_mib=one)
    assert np.prod(tight.patch) < np.prod(whole.patch)
    assert tight.training_memory_mib is not None and tight.training_memory_mib <= one + 1
    with pytest.raises(UserError, match="no patch fits"):
        make_plan(fingerprint, data, memory_mib=100)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("labels: {a: 1}\nspacings: [1, 1, 1]\n", "spacings"),
        ("labels: {a: 0}\n", "labels.a"),
        ("labels: {a: 1}\npatch: [1, 2]\n", "patch"),
        ("- 1\n", "plan"),
        ("labels: [", "cannot be read"),
    ],
)
def test_a_plan_file_with_a_mistake_names_it(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_plan_file(path)


def test_spacing_is_the_median_and_keeps_thin_slices() -> None:
    spacings = np.array([[0.5, 0.5, 3.0], [0.5, 0.5, 5.0], [0.6, 0.6, 5.0]])
    x, y, z = target_spacing(spacings)
    assert (x, y) == (0.5, 0.5)
    assert z == pytest.approx(np.percentile(spacings[:, 2], 10))
    assert target_spacing(np.array([[1.0, 1.0, 2.0]])) == (1.0, 1.0, 2.0)


def test_strides_spare_axes_that_are_short_or_coarse() -> None:
    assert choose_strides((32, 32, 32), (1, 1, 1)) == ((2, 2, 2),) * 3
    assert choose_strides((64, 64, 5), (1, 1, 1))[0] == (2, 2, 1)
    first, second, third = choose_strides((64, 64, 32), (1, 1, 4))[:3]
    assert first == (2, 2, 1) and second == (2, 2, 1) and third == (2, 2, 2)
    assert choose_strides((4, 4, 4), (1, 1, 1)) == ()


def test_labels_get_the_names_of_the_data_set() -> None:
    assert name_labels([1, 3], {"liver": 1}) == {"liver": 1, "label 3": 3}
    with pytest.raises(UserError, match="nothing but background"):
        name_labels([], {})


@pytest.mark.parametrize(("share", "network"), [(0.1, "sparse-unet"), (0.8, "dense-unet")])
def test_the_network_follows_the_occupancy(
    share: float, network: str, folder: Path, fingerprint: Fingerprint
) -> None:
    cases = tuple(replace(case, nonzero=share, outside_nonzero=0.0) for case in fingerprint.cases)
    plan = make_plan(Fingerprint(cases, ()), read_dataset(folder))
    assert plan.foreground.rule == "nonzero" and plan.foreground.occupancy == share
    assert plan.network.name == network
    assert (share < SPARSE_BELOW) == (network == "sparse-unet")
    assert f"{share:.0%}" in plan.network.why


def test_no_rule_leaves_labelled_voxels_out(fingerprint: Fingerprint) -> None:
    cases = tuple(replace(case, nonzero=0.1, outside_nonzero=0.02) for case in fingerprint.cases)
    assert choose_foreground(Fingerprint(cases, ()), is_ct=False).rule == "all"


def test_ct_is_clipped_to_what_the_labels_hold(folder: Path, fingerprint: Fingerprint) -> None:
    cases = tuple(replace(case, lowest=-1024.0, solid=0.2, outside_solid=0.0) for case in fingerprint.cases)
    plan = make_plan(Fingerprint(cases, ()), read_dataset(folder))
    how = plan.normalisation[0]
    assert plan.modality == "CT" and how.scheme == "fixed"
    assert how.low is not None and how.high is not None and how.low < how.mean < how.high
    assert plan.foreground.rule == "above" and plan.network.name == "sparse-unet"


def test_the_plan_is_plain_yaml(folder: Path, fingerprint: Fingerprint, tmp_path: Path) -> None:
    plan = make_plan(fingerprint, read_dataset(folder))
    write_plan(tmp_path / "plan.yaml", plan, fingerprint.summary())
    content = yaml.safe_load((tmp_path / "plan.yaml").read_text())
    assert content["network"]["name"] == "dense-unet"
    assert content["patch"] == list(plan.patch)
