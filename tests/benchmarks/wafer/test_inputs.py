"""The files and maps that speed is measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.wafer.contestants import BATCH_DEFECTS, BATCH_MAPS, batches, binned
from benchmarks.wafer.inputs import klarf_folder, scattered_map, some_of, speed_inputs
from benchmarks.wafer.wm811k import DieMaps, load, save
from pipelines.wafer.config import ClassifyConfig


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    grids = [rng.integers(0, 3, (8, 5 + number)).astype(np.uint8) for number in range(10)]
    save(folder / "val.npz", DieMaps(grids, np.array([str(number) for number in range(10)])))
    return folder


def test_each_input_holds_what_it_says(data: Path, tmp_path: Path) -> None:
    inputs = speed_inputs(data, tmp_path, die_maps=6, files=4, full_maps=13)
    assert [(item.name, item.kind, len(item.maps())) for item in inputs] == [
        ("dies_npz", "dies", 6),
        ("klarf_files", "coordinates", 4),
        ("full_npz", "coordinates", 13),
    ]
    for item in inputs:
        assert all(wafer.die_level == (item.kind == "dies") for wafer in item.maps())


def test_a_subset_keeps_maps_and_labels_together(data: Path, tmp_path: Path) -> None:
    stored = load(data / "val.npz")
    subset = load(some_of(data / "val.npz", tmp_path / "some.npz", 4))
    assert len(subset) == 4
    for label, grid in zip(subset.labels, subset.grids, strict=True):
        np.testing.assert_array_equal(grid, stored.grids[int(label)])


def test_a_folder_of_klarf_files_is_made_once(tmp_path: Path) -> None:
    folder = klarf_folder(tmp_path / "klarf", 3)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(before) == 3
    klarf_folder(folder, 3)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize("count", [0, 1, 100, 12_345])
def test_a_scattered_map_has_exactly_its_defects(count: int) -> None:
    wafer = scattered_map(count)
    assert wafer.defects.shape == (count, 2)
    assert not wafer.die_level
    np.testing.assert_array_equal(wafer.defects, scattered_map(count).defects)


def test_batches_keep_the_limits_that_classify_has() -> None:
    assert (ClassifyConfig().batch_maps, ClassifyConfig().batch_defects) == (BATCH_MAPS, BATCH_DEFECTS)
    small, large = scattered_map(1), scattered_map(BATCH_DEFECTS - 10)
    assert [len(batch) for batch in batches([small] * (BATCH_MAPS + 1))] == [BATCH_MAPS, 1]
    assert [len(batch) for batch in batches([large, small, large, large])] == [2, 1, 1]
    assert batches([]) == []


def test_the_peer_sees_coordinates_as_images_too() -> None:
    images = binned([scattered_map(100), scattered_map(5)])
    assert images.shape == (2, 64, 64, 2)
    assert images[0, :, :, 0].astype(int).sum() > images[1, :, :, 0].astype(int).sum()
