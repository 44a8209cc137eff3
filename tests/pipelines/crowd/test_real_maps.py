"""Real heads as blocks, maps, zones and scores: the numbers of people stay what they are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pipelines.crowd.data import Dataset, Points, image_size, read_dataset, read_heads
from pipelines.crowd.density import adaptive_sigmas, block_counts, density_map, resize_sum
from pipelines.crowd.metrics import hits, score_image, summarise
from pipelines.crowd.zones import Polygon, zone_mask
from pipelines.crowd.zones.checks import make_zone


def heads_of(found: Dataset, step: int) -> list[tuple[Points, int, int]]:
    """Heads, height and width of every `step`-th case."""
    listed = []
    for case in found.cases[::step]:
        width, height, orientation = image_size(case.image)
        heads = read_heads(case, full_size=(width, height), orientation=orientation)
        assert heads is not None
        listed.append((heads.points, height, width))
    return listed


@pytest.mark.parametrize(("name", "step"), [("sha_train", 30), ("brt_train", 60), ("synthetic_unity", 10)])
def test_sums_stay_the_number_of_heads(shared_data: Path, name: str, step: int) -> None:
    for points, height, width in heads_of(read_dataset(shared_data / "crowd" / name), step):
        count = len(points)
        assert block_counts(points, height, width, 16).sum() == count
        sharp = density_map(points, height, width, 5.0, cell=2)
        soft = density_map(points, height, width, adaptive_sigmas(points), cell=8)
        for density in (sharp, soft, resize_sum(sharp, 37, 91), resize_sum(soft, height, width)):
            assert density.sum(dtype=np.float64) == pytest.approx(count, rel=1e-5)
        corners = np.array([[0.0, 0], [width, 0], [width, height], [0, height]])
        slanted = np.array([[0.0, 0], [width * 0.7, 0], [width * 0.2, height], [0, height]])
        rest = np.array([[width * 0.7, 0], [width, 0], [width, height], [width * 0.2, height]])
        zones = [make_zone("a", [Polygon(ring)], width, height) for ring in (corners, slanted, rest)]
        total, left, right = (
            float((zone_mask(zone, width, height, sharp.shape, cell=2) * sharp).sum()) for zone in zones
        )
        assert total == pytest.approx(count, rel=1e-5)
        assert left + right == pytest.approx(count, rel=1e-5)
        assert hits(points, points, 4).matched == count


@pytest.mark.parametrize(
    ("name", "block", "share"),
    [("sha_train", 16, 0.826), ("sha_train", 32, 0.622), ("brt_train", 16, 0.986), ("brt_train", 32, 0.952)],
)
def test_most_blocks_are_empty(shared_data: Path, name: str, block: int, share: float) -> None:
    """Counted another way: by sets of the blocks that points fall into."""
    empty = total = 0
    for points, height, width in heads_of(read_dataset(shared_data / "crowd" / name), 1):
        counts = block_counts(points, height, width, block)
        rows, columns = math.ceil(height / block), math.ceil(width / block)
        assert counts.shape == (rows, columns)
        # One head of a bus stop lies on the very edge of its frame.
        taken = {(min(int(y // block), rows - 1), min(int(x // block), columns - 1)) for x, y in points}
        assert {(int(row), int(column)) for row, column in np.argwhere(counts)} == taken
        empty += counts.size - len(taken)
        total += counts.size
    assert empty / total == pytest.approx(share, abs=0.001)


def test_scores_of_a_shifted_crowd(shared_data: Path) -> None:
    """All heads moved by 3 px: counts stay right, boxes of GAME lose some, and 4 px find nearly all again."""
    images = []
    for points, height, width in heads_of(read_dataset(shared_data / "crowd" / "sha_train"), 30):
        moved = np.clip(points + 3, 0, (width, height))
        density = density_map(moved, height, width, 0.0, cell=4)
        images.append(
            score_image("a", points, height, width, len(moved), density=density, cell=4, points=moved)
        )
    found = {name: one["value"] for name, one in summarise(images, draws=100)["metrics"].items()}
    assert found["mae"] == 0 and found["game_0"] == pytest.approx(0, abs=1e-6)
    assert 0 < found["game_1"] < found["game_2"] < found["game_3"]
    assert found["f1_4px"] < found["f1_8px"] and found["f1_8px"] > 0.97
