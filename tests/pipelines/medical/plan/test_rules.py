from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from pipelines.common.errors import UserError
from pipelines.medical.config import NetworkPlan
from pipelines.medical.data.dataset import read_dataset
from pipelines.medical.plan.file import read_plan_file, write_plan
from pipelines.medical.plan.fingerprint import NONZERO, SOLID, Fingerprint, take_fingerprint
from pipelines.medical.plan.memory import training_mib
from pipelines.medical.plan.occupancy import Occupancy, Region
from pipelines.medical.plan.rules import (
    choose_network,
    choose_region,
    choose_strides,
    make_plan,
    name_labels,
    target_spacing,
)
from pipelines.medical.train.cases import prepare_cases
from tests.pipelines.medical.builders import two_balls, write_dataset


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
        ("labels: {a: 1}\nspacing: [1, 0, 1]\n", "spacing.1"),
        ("labels: {a: 1, b: 1}\n", "two labels have the same value"),
        ("labels: {a: 1}\nchannels: [t1, t2]\n", "2 channels and 1 normalisations"),
        ("labels: {a: 1}\nnetwork: {channels: [8, 16], blocks: [1]}\n", "2 channels need as many blocks"),
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
    assert len(name_labels(range(1, 256), {})) == 255
    with pytest.raises(UserError, match="256 different values"):
        name_labels(range(1, 257), {})
    with pytest.raises(UserError, match="nothing but background"):
        name_labels([], {})


def with_region(fingerprint: Fingerprint, name: str, share: float, outside: float = 0.0) -> Fingerprint:
    """The same cases, in each of which a region holds this share, evenly."""
    cases = []
    for case in fingerprint.cases:
        cells = np.full_like(case.regions[name].cells, share)
        cases.append(replace(case, regions=case.regions | {name: Region(share, outside, cells)}))
    return Fingerprint(tuple(cases), ())


@pytest.mark.parametrize(("share", "network"), [(0.1, "sparse-unet"), (0.8, "dense-unet")])
def test_the_network_follows_the_occupancy(
    share: float, network: str, folder: Path, fingerprint: Fingerprint
) -> None:
    plan = make_plan(with_region(fingerprint, NONZERO, share), read_dataset(folder))
    assert plan.foreground.rule == "nonzero" and plan.foreground.occupancy == share
    assert plan.network.name == network
    assert f"{share:.0%} of a volume" in plan.network.why and "faster at both" in plan.network.why


@pytest.mark.parametrize(
    ("seen", "network", "why"),
    [
        (Occupancy(0.1, 0.1, 0.2, 1.0), "sparse-unet", "sparse is faster at both"),
        (Occupancy(0.8, 0.8, 1.0, 1.0), "dense-unet", "dense is faster at both"),
        (Occupancy(0.18, 0.52, 1.0, 5.0), "sparse-unet", "2.3 times as long as dense in bfloat16"),
        (Occupancy(0.18, 0.52, 1.0, 5.0), "sparse-unet", "sparse gains more than it loses"),
        (Occupancy(0.3, 0.9, 1.0, 1.0), "dense-unet", "sparse loses more than it gains"),
        (None, "dense-unet", "Every voxel counts"),
    ],
)
def test_training_goes_by_patches_and_segmenting_by_volumes(
    seen: Occupancy | None, network: str, why: str
) -> None:
    name, said = choose_network(seen)
    assert name == network and why in said


def test_no_rule_leaves_labelled_voxels_out(fingerprint: Fingerprint) -> None:
    assert choose_region(with_region(fingerprint, NONZERO, 0.1)) == NONZERO
    assert choose_region(with_region(fingerprint, NONZERO, 0.1, outside=0.02)) is None


def test_ct_is_clipped_to_what_the_labels_hold(folder: Path, fingerprint: Fingerprint) -> None:
    solid = with_region(fingerprint, SOLID, 0.2)
    cases = tuple(replace(case, lowest=-1024.0) for case in solid.cases)
    plan = make_plan(Fingerprint(cases, ()), read_dataset(folder))
    how = plan.normalisation[0]
    assert plan.modality == "CT" and how.scheme == "fixed"
    assert how.low is not None and how.high is not None and how.low < how.mean < how.high
    assert plan.foreground.rule == "above" and plan.network.name == "sparse-unet"


def test_the_network_and_sizes_that_are_asked_for_fit_the_memory(
    folder: Path, fingerprint: Fingerprint
) -> None:
    data = read_dataset(folder)
    swin = make_plan(fingerprint, data, network="swinunetr")
    assert swin.network.name == "swinunetr" and swin.patch == (32, 32, 32)
    sparse, dense = (make_plan(fingerprint, data, network=name) for name in ("sparse-unet", "dense-unet"))
    assert sparse.network.why == "As --network said."
    assert sparse.training_memory_mib != dense.training_memory_mib
    wide = NetworkPlan(channels=(64, 128), blocks=(2, 2), strides=((2, 2, 1),))
    plan = make_plan(fingerprint, data, sizes=wide, memory_mib=1_180)
    assert plan.network.channels == (64, 128) and plan.network.heads == 1
    assert np.prod(plan.patch) < np.prod(dense.patch)
    assert plan.training_memory_mib == round(training_mib(plan.network, plan.patch, 2, 1, 3, 1.0))


def test_a_background_other_than_0_is_noticed(tmp_path: Path) -> None:
    for number, (one, other) in enumerate(((-2.7, -6.2), (-3.6, 0.0))):
        patient = tmp_path / "data" / f"p{number}"
        patient.mkdir(parents=True)
        image, labels = two_balls(number)
        body = np.zeros(labels.shape, bool)
        body[3:-3, 3:-3, 2:-2] = True
        for name, background in (("t1", one), ("t2", other)):
            nib.save(
                nib.Nifti1Image(np.where(body, image, background).astype(np.float32), None),
                patient / f"{name}.nii.gz",
            )
        nib.save(nib.Nifti1Image(labels * body, None), patient / "truth.nii.gz")
    data = read_dataset(tmp_path / "data", "truth", ["t1", "t2"])
    found = take_fingerprint(data, lambda text: None)
    assert found.summary()["corners"] == [{"min": -3.6, "max": -2.7}, {"min": -6.2, "max": 0.0}]
    plan = make_plan(found, data)
    assert plan.foreground.rule == "nonzero" and [how.scheme for how in plan.normalisation] == ["lifted"] * 2
    cases, _ = prepare_cases(data.cases, plan, tmp_path / "prepared", lambda text: None)
    for case in cases:
        assert case.active is not None
        assert case.active.mean() == pytest.approx(plan.foreground.occupancy, abs=1e-3)
        assert (case.images[:, 0, 0, 0] < 0).all(), "the background is darker than the body's mean"


def test_images_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", 2)
    image = np.ones((24, 28, 20), np.float32)
    image[3, 4, 5] = np.nan
    nib.save(nib.Nifti1Image(image, np.eye(4)), folder / "imagesTr" / "case_00.nii.gz")
    found = take_fingerprint(read_dataset(folder), lambda text: None)
    assert [name for name, _ in found.left_out] == ["case_00"] and "no finite" in found.left_out[0][1]


def test_the_plan_is_plain_yaml(folder: Path, fingerprint: Fingerprint, tmp_path: Path) -> None:
    plan = make_plan(fingerprint, read_dataset(folder))
    write_plan(tmp_path / "plan.yaml", plan, fingerprint.summary())
    content = yaml.safe_load((tmp_path / "plan.yaml").read_text())
    assert content["network"]["name"] == "dense-unet"
    assert content["patch"] == list(plan.patch)
