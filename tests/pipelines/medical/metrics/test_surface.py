"""Surfaces against areas that are known, and against the table of another implementation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from monai.metrics.utils import create_table_neighbour_code_to_surface_area

from pipelines.medical.data.record import VolumeError
from pipelines.medical.metrics import steps_of, surface, surface_of
from pipelines.medical.metrics.surface import CORNERS
from tests.pipelines.medical.metrics.shapes import ball, blob, box

SPACING = (0.5, 0.7, 3.0)


def test_one_voxel_is_an_octahedron() -> None:
    found = surface_of(box((3, 3, 3), (1, 1, 1), (1, 1, 1)), (1, 1, 1))
    assert found.points.shape == (8, 3)
    assert found.areas.sum() == pytest.approx(np.sqrt(3))  # edges of sqrt(1/2), eight equilateral triangles
    np.testing.assert_allclose(found.points.mean(0), (1, 1, 1))


def test_a_face_has_the_area_of_its_voxels() -> None:
    """Of a large box the faces are what counts: edges and corners are cut, and weigh less and less."""
    for axis in range(3):
        sides = [30, 30, 30]
        sides[axis] = 1
        found = surface_of(box((32, 32, 32), (1, 1, 1), tuple(sides)), SPACING)
        across = np.array(SPACING)[[other for other in range(3) if other != axis]]
        flat = 2 * 29 * 29 * across.prod()  # between the centres of the outermost voxels
        whole = 2 * 30 * 30 * across.prod() + 2 * 30 * SPACING[axis] * across.sum()
        assert flat < found.areas.sum() < whole


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 2.0)])
def test_a_ball_has_the_surface_of_a_ball(spacing: tuple[float, float, float]) -> None:
    found = surface_of(ball(20, (45, 45, 45), spacing), spacing)
    centre = np.array(spacing) * 22
    radii = np.linalg.norm(found.points - centre, axis=1)
    assert np.average(radii, weights=found.areas) == pytest.approx(20, abs=0.1)
    assert np.abs(radii - 20).max() < max(spacing)
    assert (
        1 < found.areas.sum() / (4 * np.pi * 20**2) < 1.1
    )  # steps make it a little larger, as of any voxels


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), SPACING])
def test_areas_are_those_of_another_table_where_the_pattern_is_flat(
    spacing: tuple[float, float, float],
) -> None:
    """MONAI has the table of DeepMind's surface-distance. It takes the complement for patterns with more than
    four voxels inside, so that neighbouring cells can disagree, and splits loops that are not flat otherwise:
    equal for up to four voxels with flat loops, and never smaller than ours there.
    """
    table, kernel = create_table_neighbour_code_to_surface_area(spacing)
    weights = np.asarray(kernel).reshape(8).astype(int)
    areas, _ = surface._elements(tuple(np.diag(spacing).ravel().tolist()))
    equal = 0
    for code in range(256):
        bits = [code >> bit & 1 for bit in range(8)]
        if sum(bits) > 4:
            continue
        theirs = float(table[int(weights @ bits)])
        assert areas[code] <= theirs * (1 + 1e-6)
        assert areas[code] >= theirs * 0.7
        equal += areas[code] == pytest.approx(theirs, rel=1e-6)
    assert equal >= 90


def test_the_surface_is_closed() -> None:
    """The triangles' area vectors of a closed surface add up to zero; one hole, and they do not."""
    crosses, _ = surface._table()
    loops = [
        surface._loops({corner: bool(code >> b & 1) for b, corner in enumerate(CORNERS)})
        for code in range(256)
    ]
    for code in range(256):
        cut = {edge for loop in loops[code] for edge in loop}
        assert len(cut) == sum(len(loop) for loop in loops[code])
        crossed = [
            {a, b}
            for a, b in itertools.combinations(range(8), 2)
            if sum(x != y for x, y in zip(CORNERS[a], CORNERS[b], strict=True)) == 1
            and (code >> a & 1) != (code >> b & 1)
        ]
        assert len(cut) == len(crossed)
        assert np.count_nonzero(np.abs(crosses[code]).sum(1)) == len(crossed)


def test_neighbouring_cells_cut_their_common_face_alike() -> None:
    def segments(code: int, axis: int, side: int) -> set[frozenset[tuple[int, ...]]]:
        """The cut edges in one face of a cell that are joined there, without the coordinate across it."""
        inside = {corner: bool(code >> bit & 1) for bit, corner in enumerate(CORNERS)}
        joined = set()
        for loop in surface._loops(inside):
            for one, other in zip(loop, loop[1:] + loop[:1], strict=True):
                if all(corner[axis] == side for corner in one | other):
                    drop = [
                        tuple(x for at, x in enumerate(np.mean(sorted(e), axis=0)) if at != axis)
                        for e in (one, other)
                    ]
                    joined.add(frozenset(drop))
        return joined  # type: ignore[return-value]

    for axis in range(3):
        for face in range(16):
            bits = [face >> bit & 1 for bit in range(4)]
            found = []
            for side in (0, 1):
                code, at = 0, 0
                for bit, corner in enumerate(CORNERS):
                    if corner[axis] == side:
                        code |= bits[at] << bit
                        at += 1
                found.append(segments(code, axis, side))
            # Nothing else of the cell is inside, so all that is cut in this face is what is joined in it.
            assert found[0] == found[1]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)])
def test_turning_and_flipping_changes_nothing(order: tuple[int, ...], flips: tuple[int, ...]) -> None:
    mask = blob(0)
    turned = np.flip(mask.transpose(order), flips)
    before = surface_of(mask, SPACING)
    after = surface_of(turned, tuple(SPACING[axis] for axis in order))
    np.testing.assert_allclose(np.sort(after.areas), np.sort(before.areas), rtol=1e-9)
    spread = [np.sort(np.linalg.norm(one.points - one.points.mean(0), axis=1)) for one in (before, after)]
    np.testing.assert_allclose(*spread, rtol=1e-9)


def test_a_sheared_grid_is_measured_as_it_lies() -> None:
    """A slab on a grid whose third axis leans by 45 degrees: its two faces keep their area."""
    steps = np.array([[1.0, 0, 1.0], [0, 1.0, 0], [0, 0, 1.0]])
    slab = box((40, 40, 3), (1, 1, 1), (38, 38, 1))
    found = surface_of(slab, steps)
    tops = np.isclose(np.abs(found.points[:, 2] - 1), 0.5)
    assert found.areas[tops].sum() == pytest.approx(2 * 37 * 37, rel=0.01)


def test_an_affine_is_as_good_as_its_spacing() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(SPACING)
    affine[:3, 3] = (5, 6, 7)
    mask = blob(1)
    np.testing.assert_allclose(surface_of(mask, affine).areas, surface_of(mask, SPACING).areas, rtol=1e-9)
    np.testing.assert_allclose(steps_of(affine), affine[:3, :3])


def test_an_empty_mask_has_no_surface() -> None:
    assert len(surface_of(np.zeros((3, 4, 5), np.bool_), (1, 1, 1)).areas) == 0
    assert (
        len(surface_of(np.ones((1, 1, 1), np.bool_), (1, 1, 1)).areas) == 8
    )  # the image's edge is a surface


@pytest.mark.parametrize("spacing", [(1, 1), np.eye(2), (1, 0, 1), (1, np.nan, 1), np.ones((3, 3))])
def test_a_grid_without_volume_is_refused(spacing: object) -> None:
    with pytest.raises(ValueError, match=r"spacing must|must be finite"):
        steps_of(spacing)


def test_noise_is_refused_before_it_takes_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface, "MAX_ELEMENTS", 100)
    with pytest.raises(VolumeError, match="looks like noise"):
        surface_of(np.random.default_rng(0).random((20, 20, 20)) < 0.5, (1, 1, 1))
