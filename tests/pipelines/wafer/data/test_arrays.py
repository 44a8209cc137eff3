"""The .npy and .npz layouts: grids, WM-811K, coordinates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.wafer.data import FailedMap, WaferMap, arrays, grid, read_file, read_labelled
from tests.pipelines.wafer.data.builders import UPRIGHT, coordinates, npy, npz, wm811k

SOURCE = Path("maps.npz")


def good(items: list[WaferMap | FailedMap]) -> list[WaferMap]:
    assert not [item for item in items if isinstance(item, FailedMap)]
    return [item for item in items if isinstance(item, WaferMap)]


@pytest.mark.parametrize("dtype", ["uint8", "int64", ">i4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_grid(dtype: str, order: str) -> None:
    (wafer,) = good(list(grid.read(npy(np.array(UPRIGHT, dtype, order=order)), SOURCE)))  # type: ignore[call-overload]
    assert wafer.dies is not None
    np.testing.assert_array_equal(wafer.dies.status, UPRIGHT)
    assert wafer.source_rows.tolist() == [5, 11, 12]
    # The 4 x 5 dies span an assumed wafer of 300 mm.
    np.testing.assert_allclose(wafer.defects, [(-37.5, 60), (112.5, 0), (-112.5, -60)])


def test_boolean_grid_says_which_dies_fail() -> None:
    (wafer,) = good(list(grid.read(npy(UPRIGHT == 2), SOURCE)))
    assert wafer.dies is not None
    assert wafer.dies.status.tolist() == np.where(UPRIGHT == 2, 2, 1).tolist()


def test_npz_of_grids_names_its_wafers() -> None:
    first, bad, last = arrays.read(npz(w1=UPRIGHT, w2=np.zeros(3, int), w3=UPRIGHT), SOURCE)
    assert isinstance(first, WaferMap)
    assert isinstance(last, WaferMap)
    assert (first.wafer, last.wafer, last.position) == ("w1", "w3", 2)
    assert isinstance(bad, FailedMap)
    assert "2D grid" in bad.error


def test_wm811k_layout() -> None:
    first, second = good(list(arrays.read(wm811k(), SOURCE)))
    assert first.dies is not None
    np.testing.assert_array_equal(first.dies.status, UPRIGHT)
    np.testing.assert_allclose(second.defects[:, 0], [37.5, -112.5, 112.5])
    assert second.source_rows.tolist() == [6, 8, 15]
    assert first.die_level
    assert first.diameter_assumed


def test_wm811k_needs_no_labels_and_no_last_offset() -> None:
    data = npz(
        flat=np.tile(UPRIGHT.reshape(-1), 2), offsets=np.array([0, 20]), shapes=np.array([[5, 4], [5, 4]])
    )
    assert len(good(list(arrays.read(data, SOURCE)))) == 2


def test_wm811k_maps_that_are_wrong_fail_alone() -> None:
    shapes = np.array([[5, 4], [0, 4], [-1, -4], [100, 100], [5, 4]])
    data = npz(flat=np.full(40, 7, np.uint8), offsets=np.array([0, 0, 0, 20, -3]), shapes=shapes)
    items = list(arrays.read(data, SOURCE))
    assert all(isinstance(item, FailedMap) for item in items)
    words = ["values other than", "at least 1", "at least 1", "needs the values", "needs the values"]
    for item, word in zip(items, words, strict=True):
        assert isinstance(item, FailedMap)
        assert word in item.error


def test_coordinates_layout() -> None:
    first, empty, last = good(list(arrays.read(coordinates(lot=np.array(["A", "B", "C"])), SOURCE)))
    np.testing.assert_allclose(first.defects, [(0, 1), (2, 3)])
    assert len(empty.defects) == 0
    assert (last.diameter_mm, last.diameter_assumed, last.lot, last.position) == (200.0, False, "C", 2)
    assert last.source_rows.tolist() == [0]
    assert not first.die_level


def test_coordinates_maps_that_are_wrong_fail_alone() -> None:
    data = coordinates(
        offsets=np.array([0, -1, 2]), counts=np.array([2, 1, 9]), diameter_mm=np.array([0.0, 300, 300])
    )
    words = ["diameter", "needs the rows -1", "needs the rows 2 to 11 of 3"]
    for item, word in zip(arrays.read(data, SOURCE), words, strict=True):
        assert isinstance(item, FailedMap)
        assert word in item.error


def test_a_zip_file_of_other_things_is_not_taken() -> None:
    assert arrays.looks_like(npz(a=UPRIGHT))
    assert not arrays.looks_like(b"PK\x03\x04" + bytes(22) + b"\x05\0\0\0word/")


def test_real_maps_and_their_labels(shared_data: Path) -> None:
    path = shared_data / "wafer" / "wm811k" / "val.npz"
    maps = good(list(read_file(path)))
    assert len(maps) == 12_427
    with np.load(path, allow_pickle=False) as stored:
        labels, flat, offsets, shapes = (stored[n] for n in ("label", "flat", "offsets", "shapes"))
    read = list(read_labelled(path))
    assert [label for _, label in read] == labels.tolist()
    assert [wafer.position for wafer, _ in read] == list(range(12_427))
    for at in range(0, 12_427, 1000):
        rows, cols = shapes[at]
        wanted = flat[offsets[at] : offsets[at] + rows * cols].reshape(rows, cols)
        for wafer in (maps[at], read[at][0]):
            assert wafer.dies is not None
            np.testing.assert_array_equal(wafer.dies.status, wanted)
            assert len(wafer.defects) == (wanted == 2).sum()
            assert np.abs(wafer.defects).max() < 150


def test_upright_grids_agree_over_formats() -> None:
    """A grid gives the same defects whether it stands alone or in the layout of WM-811K."""
    (alone,) = good(list(grid.read(npy(UPRIGHT), SOURCE)))
    first, _ = good(list(arrays.read(wm811k(), SOURCE)))
    np.testing.assert_allclose(alone.defects, first.defects)
