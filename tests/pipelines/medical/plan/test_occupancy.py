"""What the plan says of active voxels, against what training draws and segmenting goes through."""

from __future__ import annotations

import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipelines.medical.config import Foreground, Plan
from pipelines.medical.data.dataset import Dataset, read_dataset
from pipelines.medical.plan.fingerprint import NONZERO, take_fingerprint
from pipelines.medical.plan.occupancy import Occupancy, Pictured, occupancy, places_of, region_of
from pipelines.medical.segment.tiles import tile_grid
from pipelines.medical.train.cases import prepare_cases
from pipelines.medical.train.config import TrainConfig
from pipelines.medical.train.patches import Patches
from tests.pipelines.medical.builders import small_plan, two_balls

STILL = TrainConfig(turn_degrees=0, scale=0, intensity=0, mirror=())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Heads that are cut out: two balls of labels in an ellipsoid, and 0 around it."""
    folder = tmp_path_factory.mktemp("heads")
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir()
    for number, shape in enumerate(((40, 44, 33), (36, 50, 30))):
        image, labels = two_balls(number, shape)
        sides = np.array(shape).reshape(3, 1, 1, 1)
        inside = (((np.indices(shape) - sides / 2) / (0.42 * sides)) ** 2).sum(0) < 1
        for name, array in (("imagesTr", image), ("labelsTr", labels)):
            nib.save(
                nib.Nifti1Image(array * inside, np.diag([1, 1, 2, 1])), folder / name / f"{number}.nii.gz"
            )
    return read_dataset(folder)


@pytest.fixture(scope="module")
def pictures(data: Dataset) -> list[Pictured]:
    found = take_fingerprint(data, lambda text: None)
    return [
        Pictured(case.shape, case.spacing, case.regions[NONZERO], tuple(case.places.values()))
        for case in found.cases
    ]


@pytest.mark.parametrize(
    ("patch", "spacing", "within"),
    [
        ((16, 16, 16), (1.0, 1.0, 2.0), 0.04),
        ((24, 32, 8), (1.0, 1.0, 2.0), 0.04),
        ((24, 32, 8), (1.0, 1.5, 1.0), 0.08),  # to interpolate widens a small head
        ((56, 56, 48), (1.0, 1.0, 2.0), 0.04),
    ],
)
def test_patches_and_tiles_are_as_full_as_those_of_training_and_segmenting(
    data: Dataset,
    pictures: list[Pictured],
    patch: tuple[int, int, int],
    spacing: tuple[float, float, float],
    within: float,
    tmp_path: Path,
) -> None:
    plan = small_plan(patch=patch, spacing=spacing, foreground=Foreground(rule="nonzero"))
    found = occupancy(pictures, spacing, patch)
    assert found == occupancy(pictures, spacing, patch)
    true = measured(data, plan, tmp_path)
    assert found.volumes == pytest.approx(true.volumes, abs=within)
    assert found.patches == pytest.approx(true.patches, abs=within)
    assert found.fullest == pytest.approx(true.fullest, abs=within)
    assert found.tiles == pytest.approx(true.tiles, rel=0.05)


def measured(data: Dataset, plan: Plan, folder: Path) -> Occupancy:
    """The same numbers from prepared cases."""
    cases, _ = prepare_cases(data.cases, plan, folder, lambda text: None)
    patches, rng = Patches(cases, plan, STILL), np.random.default_rng(0)
    shares = []
    for _ in range(60):
        active = patches.batch(rng)[2]
        assert active is not None
        shares += active.float().mean((1, 2, 3)).tolist()
    voxels = tiles = active_voxels = 0.0
    for case in cases:
        assert case.active is not None
        voxels, active_voxels = voxels + case.active.size, active_voxels + int(case.active.sum())
        for row, _ in tile_grid(case.shape, plan.patch, 0.5, 0):
            tiles += sum(bool(case.active[tile.inner(case.shape)[0]].any()) for tile in row)
    return Occupancy(
        active_voxels / voxels, float(np.mean(shares)), max(shares), tiles * math.prod(plan.patch) / voxels
    )


def test_a_region_is_pictured_cell_by_cell() -> None:
    active = np.random.default_rng(0).random((40, 16, 5)) < np.linspace(0, 1, 40)[:, None, None]
    marked = np.zeros_like(active)
    marked[35:, :4] = True
    region = region_of(active, marked)
    assert region.cells.shape == (16, 16, 5) and region.share == active.mean()
    assert region.outside == (~active)[35:, :4].mean()
    first = active[: 40 // 16]
    np.testing.assert_allclose(region.cells[0], first.mean(0), atol=1e-3)
    assert region_of(active, np.zeros_like(active)).outside == 0


def test_places_are_voxels_of_their_label() -> None:
    values = np.random.default_rng(0).choice([0, 3, 700], (12, 9, 7), p=[0.5, 0.49, 0.01]).astype(np.uint16)
    found = places_of(values)
    assert {value: count for value, (count, _) in found.items()} == {
        value: int((values == value).sum()) for value in (3, 700)
    }
    for value, (count, places) in found.items():
        assert len(places) == min(16, count) == len({tuple(place) for place in places.tolist()})
        assert (values[tuple(places.T)] == value).all()
    assert places_of(np.zeros((3, 3, 3), np.uint16)) == {}
