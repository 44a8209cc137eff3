"""Facts of structures, and their largest pieces, against scipy and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pipelines.medical.segment.structures import keep_largest, structures
from tests.pipelines.medical.segment.made import volume

NAMES = {"one": 1, "seven": 7, "none": 9}


def test_facts_are_those_of_the_voxels() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 7], (6, 7, 8)).astype(np.uint8)
    doubt = rng.integers(0, 256, labels.shape).astype(np.uint8)
    first, second = rng.normal(size=(2, *labels.shape)).astype(np.float32)
    affine = np.diag([2.0, 0.5, 3.0, 1.0])
    found = structures(labels, doubt, [volume(first, affine), volume(second, affine)], NAMES)
    for name in ("one", "seven"):
        inside = labels == NAMES[name]
        assert found[name].voxels == inside.sum()
        assert found[name].ml == pytest.approx(inside.sum() * 3 / 1000)
        assert found[name].confidence == pytest.approx(1 - doubt[inside].mean() / 255)
        assert found[name].intensity == pytest.approx((first[inside].mean(), second[inside].mean()), rel=1e-5)
    assert found["none"].voxels == 0 and found["none"].confidence is None and found["none"].intensity is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_largest_piece_of_each_label_stays(dtype: type) -> None:
    rng = np.random.default_rng(1)
    labels = rng.choice([0, 1, 7], (20, 20, 20), p=[0.9, 0.05, 0.05]).astype(dtype)
    before = labels.copy()
    lost = keep_largest(labels, {7})
    assert np.array_equal(labels == 1, before == 1)
    pieces, _ = ndimage.label(before == 7, np.ones((3, 3, 3)))
    sizes = np.bincount(pieces[pieces > 0])
    assert (labels == 7).sum() == sizes.max()
    assert lost == {7: int(sizes.sum() - sizes.max())}
    assert len(np.unique(pieces[labels == 7])) == 1


def test_one_piece_loses_nothing() -> None:
    labels = np.zeros((5, 5, 5), np.uint8)
    labels[1, 1, 1] = labels[2, 2, 2] = 3  # they touch by a corner
    assert keep_largest(labels, {3}) == {}
    assert labels.sum() == 6
