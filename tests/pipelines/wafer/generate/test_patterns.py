from __future__ import annotations

import numpy as np
import pytest

from pipelines.wafer.generate.patterns import (
    MOST_BACKGROUND,
    NOVEL_PATTERNS,
    PATTERNS,
    make_map,
)

EVERY = [*PATTERNS, *NOVEL_PATTERNS]


def test_the_thirteen_classes_of_the_publication() -> None:
    assert list(PATTERNS) == [
        *("basketball", "cluster_big", "cluster_small", "donut", "fingerprints", "geometric_scratch", "grid"),
        *("half_moon", "incomplete", "normal", "ring", "slice", "zigzag"),
    ]
    assert not set(PATTERNS) & set(NOVEL_PATTERNS)
    assert len(NOVEL_PATTERNS) >= 4


@pytest.mark.parametrize("pattern", EVERY)
@pytest.mark.parametrize("diameter", [200.0, 300.0])
def test_every_map_lies_on_the_wafer_and_is_of_a_plausible_size(pattern: str, diameter: float) -> None:
    for seed in range(25):
        defects = make_map(np.random.default_rng(seed), pattern, diameter)
        assert defects.dtype == np.float64
        assert defects.shape[1:] == (2,)
        assert np.isfinite(defects).all()
        assert np.hypot(*defects.T).max(initial=0) < diameter / 2 - 1.0
        # A wafer without a pattern may be all but clean.
        assert (0 if pattern == "normal" else 10) <= len(defects) <= 5 * 20_000 + MOST_BACKGROUND


@pytest.mark.parametrize("pattern", EVERY)
def test_a_seed_gives_one_map_and_another_seed_another(pattern: str) -> None:
    first, again, other = (make_map(np.random.default_rng(seed), pattern) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_an_unknown_pattern_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no pattern 'blot'.*basketball.*spiral"):
        make_map(np.random.default_rng(0), "blot")


def test_density_varies_by_a_hundred_times() -> None:
    sizes = [len(make_map(np.random.default_rng(seed), "normal")) for seed in range(200)]
    assert min(sizes) < 30
    assert max(sizes) > 1000


def test_where_the_patterns_lie() -> None:
    """What tells the areas apart: the share of defects near the edge, and how even the directions are."""
    edge: dict[str, list[float]] = {name: [] for name in EVERY}
    leaning: dict[str, list[float]] = {name: [] for name in EVERY}
    for name in EVERY:
        for seed in range(40):
            defects = make_map(np.random.default_rng([seed, 9]), name) / 150
            radius = np.hypot(*defects.T)
            edge[name].append(float((radius > 0.7).mean()))
            leaning[name].append(float(np.hypot(*defects.mean(axis=0))))
    middle = {name: (np.median(edge[name]), np.median(leaning[name])) for name in EVERY}
    assert middle["donut"][0] < 0.3 < 0.45 < middle["ring"][0]
    for even in ("donut", "ring", "grid", "normal", "checkerboard"):
        assert middle[even][1] < 0.12, even
    for uneven in ("half_moon", "slice", "cluster_big"):
        assert middle[uneven][1] > 0.3, uneven


@pytest.mark.parametrize(("pattern", "most"), [("cluster_small", 0.025), ("cluster_big", 0.3)])
def test_sizes_of_clusters(pattern: str, most: float) -> None:
    """The share of the wafer that the cluster covers; the sizes of the two classes only meet."""
    shares = []
    for seed in range(60):
        points = PATTERNS[pattern](np.random.default_rng(seed), 300.0)
        low, high = np.quantile(points, [0.02, 0.98], axis=0)
        shares.append(float(np.prod((high - low) / 300)))
    assert np.median(shares) < most
    assert np.median(shares) > most / 12
