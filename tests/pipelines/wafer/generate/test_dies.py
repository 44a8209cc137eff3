from __future__ import annotations

import numpy as np
import pytest

from pipelines.wafer.generate.dies import DIE_PATTERNS, FAIL, NO_DIE, PASS, make_die_map


@pytest.mark.parametrize("pattern", DIE_PATTERNS)
@pytest.mark.parametrize("dies", [500, 1400, 3000])
def test_every_die_lies_on_the_wafer(pattern: str, dies: int) -> None:
    one = make_die_map(np.random.default_rng(dies), pattern, dies)
    rows, cols = one.status.shape
    row, col = np.nonzero(one.status)
    x = (np.abs(col - (cols - 1) / 2) + 0.5) * one.pitch_mm[0]
    y = (np.abs(row - (rows - 1) / 2) + 0.5) * one.pitch_mm[1]
    assert np.hypot(x, y).max() <= 147.0
    assert len(row) == pytest.approx(dies, rel=0.1)
    assert set(np.unique(one.status).tolist()) == {NO_DIE, PASS, FAIL}


def test_yield_and_place_of_the_failures() -> None:
    fails: dict[str, float] = {}
    reach: dict[str, float] = {}
    for name in DIE_PATTERNS:
        shares, radii = [], []
        for seed in range(30):
            status = make_die_map(np.random.default_rng(seed), name, 1000).status
            row, col = np.nonzero(status == FAIL)
            at = np.hypot(row / (status.shape[0] - 1) - 0.5, col / (status.shape[1] - 1) - 0.5) * 2
            shares.append(len(row) / (status != NO_DIE).sum())
            radii.append(np.median(at))
        fails[name], reach[name] = float(np.mean(shares)), float(np.mean(radii))
    assert fails["None"] < 0.15 < 0.3 < fails["Random"] < 0.6 < 0.8 < fails["Near-full"]
    assert reach["Center"] < reach["Donut"] < reach["None"] < reach["Edge-Ring"]


def test_an_unknown_pattern_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no die pattern 'blot'.*Center"):
        make_die_map(np.random.default_rng(0), "blot", 500)
