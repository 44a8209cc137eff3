"""The true size, measured without the code that fitted it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from pipelines.polyp.render.anatomy import draw_lesion, draw_wall
from pipelines.polyp.render.lesion import Kind, Lesion
from pipelines.polyp.render.styles import STYLES
from pipelines.polyp.render.video import draw_kind
from pipelines.polyp.render.wall import Wall


@cache
def made(kind: Kind, size: float, style: str) -> tuple[Wall, Lesion]:
    rng = np.random.default_rng([3, round(10 * size)])
    angle = float(rng.uniform(-np.pi, np.pi))
    wall = draw_wall(rng, STYLES[style], size, angle)
    return wall, draw_lesion(rng, STYLES[style], wall, kind, size, angle)


def widest(points: np.ndarray) -> float:
    return float(pdist(points[ConvexHull(points).vertices]).max())


@pytest.mark.parametrize("style", list(STYLES))
@pytest.mark.parametrize(
    ("kind", "size"),
    [("sessile", 1.0), ("sessile", 25.0), ("flat", 2.0), ("flat", 25.0), ("pedunculated", 20.0)],
)
def test_the_size_is_the_extent_of_what_is_above_the_wall(kind: Kind, size: float, style: str) -> None:
    wall, lesion = made(kind, size, style)
    steps, spacing = np.linspace(-1.1 * lesion.reach, 1.1 * lesion.reach, 72, retstep=True)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3) + lesion.centre
    points = torch.from_numpy(grid.T.astype(np.float32))
    angle, gap = wall.gap(points)
    inside = (lesion.body(points, angle, gap) < 0) & (gap > 0)
    # A grid misses up to a step at either end.
    assert widest(grid[inside.numpy()]) + spacing == pytest.approx(size, abs=1.2 * spacing + 0.01 * size)


def test_the_surface_is_where_the_distance_is_zero() -> None:
    for kind, size in (("sessile", 25.0), ("flat", 25.0), ("pedunculated", 20.0)):
        wall, lesion = made(kind, size, "first")  # type: ignore[arg-type]
        points = torch.from_numpy(lesion.surface(wall).T.astype(np.float32))
        angle, gap = wall.gap(points)
        assert lesion.body(points, angle, gap).abs().quantile(0.95) < 0.03 * size


def test_polyps_on_stalks_stand_off_the_wall() -> None:
    wall, lesion = made("pedunculated", 20.0, "first")
    assert lesion.stalk is not None
    ends = torch.from_numpy(lesion.stalk.nodes[[0, -1]].T.astype(np.float32))
    foot, head = wall.gap(ends)[1].tolist()
    assert foot < 0.5 < head
    assert lesion.stalk.radii.max() < 0.35 * lesion.size


def test_all_kinds_occur_and_small_ones_have_no_stalk() -> None:
    rng = np.random.default_rng(0)
    assert {draw_kind(rng, 8.0) for _ in range(40)} == {"sessile", "flat", "pedunculated"}
    assert {draw_kind(rng, 2.0) for _ in range(40)} == {"sessile", "flat"}
