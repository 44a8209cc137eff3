"""What becomes of a map before a network sees it."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch

from pipelines.wafer.data.record import FAIL, NO_DIE, PASS, DieGrid
from pipelines.wafer.model.kinds import KINDS, Coordinates, Dies, UnsuitableMap, die_status
from tests.pipelines.wafer import tiny

# Four rows and three columns of dies of 40 x 30 mm; the top left and a whole column are not there.
INSPECTED = DieGrid(
    np.array([[0, 1, 0], [1, 1, 0], [1, 1, 0], [1, 1, 0]], np.uint8),
    pitch_mm=(40.0, 30.0),
    origin_mm=(-40.0, 45.0),
)


def test_a_die_with_a_defect_has_failed() -> None:
    defects = [
        (-59.0, 1.0),  # row 1, column 0, near its left lower corner
        (-21.0, 29.0),  # the same die, near the opposite corner
        (19.0, -59.0),  # row 3, column 1
        (-40.0, 45.0),  # where there is no die
        (40.0, 0.0),  # a column without any die
        (0.0, 61.0),  # above the grid
        (9e3, -9e3),  # far away
    ]
    status = die_status(tiny.defect_map(defects, dies=INSPECTED))
    assert status.tolist() == [[NO_DIE, PASS], [FAIL, PASS], [PASS, PASS], [PASS, FAIL]]
    assert status.dtype == np.uint8
    assert FAIL not in INSPECTED.status


def test_inspected_dies_without_a_defect_pass_whatever_the_file_calls_them() -> None:
    grid = DieGrid(np.full((2, 2), FAIL, np.uint8), (10.0, 10.0), (-5.0, 5.0))
    assert die_status(tiny.defect_map([(-5.0, -5.0)], dies=grid)).tolist() == [[PASS, PASS], [FAIL, PASS]]


def test_every_die_is_found_from_anywhere_in_it() -> None:
    rng = np.random.default_rng(0)
    centres = INSPECTED.positions_mm(np.flatnonzero(INSPECTED.status))
    for number, centre in enumerate(centres):
        spot = centre + rng.uniform(-0.49, 0.49, 2) * INSPECTED.pitch_mm
        status = die_status(tiny.defect_map([spot], dies=INSPECTED))
        assert np.flatnonzero(status[status != NO_DIE] == FAIL).tolist() == [number]


def test_sort_results_are_taken_as_they_are() -> None:
    grid = tiny.random_grid(np.random.default_rng(0))
    padded = np.pad(grid, 2)
    assert die_status(tiny.die_map(padded)).tolist() == die_status(tiny.die_map(grid)).tolist()
    assert np.bincount(die_status(tiny.die_map(padded)).ravel())[1:].tolist() == (
        np.bincount(grid.ravel())[1:].tolist()
    )


def test_a_map_without_dies_is_unsuitable() -> None:
    with pytest.raises(UnsuitableMap, match="does not say which dies there are"):
        die_status(tiny.defect_map([(0.0, 0.0)]))


def test_maps_are_changed_at_random_only_if_asked() -> None:
    rng = np.random.default_rng(0)
    dies = [tiny.die_map(tiny.toy_grid(rng, "Edge")) for _ in range(3)]
    defects = [tiny.defect_map(tiny.toy_defects(rng, "ring")) for _ in range(3)]
    for kind, maps in ((Dies(8), dies), (Coordinates(512), defects)):
        plain = kind.encode(maps).features
        assert torch.equal(plain, kind.encode(maps).features)
        first, second, third = (kind.encode(maps, np.random.default_rng(seed)).features for seed in (1, 1, 2))
        assert torch.equal(first, second)
        assert first.shape != third.shape or not torch.equal(first, third)
        assert first.shape != plain.shape or not torch.equal(first, plain)


def test_a_model_for_coordinates_takes_die_results_by_the_centres_of_failing_dies() -> None:
    wafer = tiny.die_map(tiny.toy_grid(np.random.default_rng(0), "Edge"))
    batch = Coordinates(512).encode([wafer])
    assert len(batch.sites) == len(wafer.defects) > 0


@pytest.mark.parametrize("kind", [Dies(8), Coordinates(512)])
def test_a_kind_is_made_again_from_its_settings(kind: Dies | Coordinates) -> None:
    assert KINDS[kind.name](**kind.settings()) == kind


@pytest.mark.parametrize(
    ("kind", "architecture"), [(Dies(8), tiny.DIES), (Coordinates(512), tiny.COORDINATES)]
)
def test_the_named_sizes_are_what_a_network_takes(
    kind: Dies | Coordinates, architecture: dict[str, dict[str, object]], native: ModuleType
) -> None:
    sizes = architecture["architecture"]
    assert set(sizes) <= set(kind.sizes())
    network = kind.build(native, 4, sizes)
    assert network.get_parameter("body.classifier.weight").shape == (4, sizes["latent"])
    with pytest.raises(TypeError):
        kind.build(native, 4, {**sizes, "widht": 3})
