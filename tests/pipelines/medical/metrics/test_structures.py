"""All labels of a case: counts by hand, the empty rules, and invariance."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_dice, compute_iou

from pipelines.common.errors import UserError
from pipelines.medical.data.files import read_volume
from pipelines.medical.metrics import METRICS, definitions, measure, metrics_for, occurring
from pipelines.medical.metrics.definitions import is_metric, metric_named
from pipelines.medical.metrics.overlap import dice, iou, volume_error
from tests.pipelines.medical.metrics.shapes import blob, box

SPACING = (0.5, 1.0, 2.0)


def test_counts_by_hand() -> None:
    truth = box((8, 8, 8), (2, 2, 2), (2, 2, 2)).astype(np.uint8) * 7
    predicted = np.roll(truth, 1, 0)  # 4 of 8 voxels shared
    predicted[0, 0, 0] = 7
    found = measure(predicted, truth, SPACING)
    assert found.keys() == {7}
    one = found[7]
    assert (one.detection, one.truth_ml, one.predicted_ml) == (
        "found",
        pytest.approx(0.008),
        pytest.approx(0.009),
    )
    assert one.scores["dice"] == pytest.approx(8 / 17)
    assert one.scores["iou"] == pytest.approx(4 / 13)
    assert one.scores["volume_error"] == pytest.approx(1 / 8)
    assert one.scores["absolute_volume_error"] == pytest.approx(1 / 8)


def test_one_number_at_a_time() -> None:
    assert (dice(0, 0, 0), iou(0, 0, 0), volume_error(3, 0)) == (None, None, None)
    assert (dice(0, 3, 0), iou(0, 0, 3), volume_error(0, 4)) == (0, 0, -1)
    assert (dice(4, 4, 4), iou(4, 4, 4), volume_error(4, 4)) == (1, 1, 0)
    assert (dice(1, 2, 2), iou(1, 2, 2), volume_error(3, 2)) == (0.5, 1 / 3, 0.5)


def test_the_empty_rules() -> None:
    truth, predicted = np.zeros((2, 10, 6, 4), np.uint8)
    truth[2:4, 2:4, 1:3] = 1
    predicted[6:8, 2:4, 1:3] = 2
    found = measure(predicted, truth, SPACING, [1, 2, 3])
    diagonal = pytest.approx(np.linalg.norm(np.multiply((10, 6, 4), SPACING)))
    assert [found[value].detection for value in (1, 2, 3)] == ["missing", "false", "absent"]
    for value in (1, 2):
        scores = found[value].scores
        assert [scores[name] for name in ("dice", "iou", "nsd_1mm")] == [0, 0, 0]
        assert [scores[name] for name in ("hd95_mm", "hd_mm", "asd_mm")] == [diagonal] * 3
    assert (found[1].scores["volume_error"], found[1].scores["absolute_volume_error"]) == (-1, 1)
    assert found[2].scores["volume_error"] is None
    assert set(found[3].scores.values()) == {None}
    assert (found[3].truth_ml, found[3].predicted_ml) == (0, 0)
    assert all(one.scores.keys() == {metric.name for metric in metrics_for([1.0])} for one in found.values())


def test_the_diagonal_of_a_sheared_grid_is_its_longest() -> None:
    steps = np.array([[1.0, 0, 0.5], [0, 1.0, 0], [0, 0, 1.0]])
    truth = np.zeros((4, 4, 4), np.uint8)
    truth[1, 1, 1] = 1
    found = measure(np.zeros_like(truth), truth, steps)[1]
    assert found.scores["hd_mm"] == pytest.approx(np.linalg.norm((6, 4, 4)))
    assert found.truth_ml == pytest.approx(0.001)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 2))
def test_scores_are_in_bounds_symmetric_and_monais(one: int, other: int, shift: int) -> None:
    first = blob(one, (9, 8, 7)).astype(np.uint8)
    second = np.roll(blob(other, (9, 8, 7)), shift, 1).astype(np.uint8)
    scores, back = (measure(a, b, SPACING)[1].scores for a, b in ((first, second), (second, first)))
    for name in ("dice", "iou", "nsd_1mm"):
        assert scores[name] is not None
        assert 0 <= scores[name] <= 1 + 1e-12
        assert scores[name] == pytest.approx(back[name])
    assert scores["hd95_mm"] == back["hd95_mm"]
    pair = [torch.from_numpy(mask)[None, None].float() for mask in (first, second)]
    assert scores["dice"] == pytest.approx(float(compute_dice(*pair)), abs=1e-6)
    assert scores["iou"] == pytest.approx(float(compute_iou(*pair)), abs=1e-6)


def test_identical_masks() -> None:
    mask = blob(3).astype(np.uint8)
    scores = measure(mask, mask, SPACING, tolerances_mm=(0.0, 2.5))[1].scores
    assert [scores[name] for name in ("dice", "iou", "nsd_0mm", "nsd_2.5mm")] == [1, 1, 1, 1]
    assert [scores[name] for name in ("hd95_mm", "hd_mm", "asd_mm", "volume_error")] == [0, 0, 0, 0]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(), (1,), (0, 2)])
def test_turning_and_flipping_with_the_spacing_changes_nothing(
    order: tuple[int, ...], flips: tuple[int, ...]
) -> None:
    first, second = blob(5).astype(np.uint8), blob(6).astype(np.uint8) * 1
    before = measure(first, second, SPACING)[1]
    turned = [np.flip(mask.transpose(order), flips) for mask in (first, second)]
    after = measure(*turned, tuple(SPACING[axis] for axis in order))[1]
    assert after.scores == pytest.approx(before.scores)
    assert after.truth_ml == pytest.approx(before.truth_ml)


def test_every_label_is_measured_as_if_it_were_alone() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = (rng.choice([0, 0, 0, 3, 300, 4], (14, 12, 10)).astype(np.uint16) for _ in range(2))
    together = measure(predicted, truth, SPACING)
    assert together.keys() == {3, 4, 300} == occurring(truth)
    for value, one in together.items():
        alone = measure((predicted == value).astype(np.uint8), (truth == value).astype(np.uint8), SPACING)[1]
        assert one.scores == alone.scores


def test_two_grids_are_refused() -> None:
    with pytest.raises(ValueError, match="different grids"):
        measure(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8), SPACING)


def test_every_metric_has_a_text_and_a_direction() -> None:
    texts = definitions([1.0, 2.5])
    assert {metric.name for metric in metrics_for([1.0, 2.5])} <= texts.keys()
    assert {"nsd_1mm", "nsd_2.5mm", "surface", "empty", "detection", "volumes"} <= texts.keys()
    assert all(len(text) > 20 for text in texts.values())
    assert {metric.name: metric.better for metric in METRICS} == {
        "dice": "higher",
        "iou": "higher",
        "hd95_mm": "lower",
        "hd_mm": "lower",
        "asd_mm": "lower",
        "volume_error": "nearer 0",
        "absolute_volume_error": "lower",
    }
    assert all(metric_named(metric.name) == metric for metric in metrics_for([0.5, 1e-7]))
    for wrong in ("nsd_mm", "nsd_-1mm", "nsd_nanmm", "1", "case", "dice "):
        assert not is_metric(wrong)
        with pytest.raises(UserError, match="there is no metric"):
            metric_named(wrong)


@pytest.mark.parametrize("axis", range(3))
def test_a_real_structure_shifted_by_a_voxel(shared_data: Path, axis: int) -> None:
    folder = shared_data / "medical/hippocampus/labelsTr"
    volume = read_volume(sorted(folder.glob("hippocampus_*.nii.gz"))[0])
    truth = volume.array.astype(np.uint8)
    found = measure(np.roll(truth, 1, axis), truth, volume.affine)
    assert found.keys() == {1, 2}
    for one in found.values():
        scores = one.scores
        assert scores["hd_mm"] == pytest.approx(volume.spacing[axis])
        assert scores["nsd_1mm"] == pytest.approx(1)
        assert 0.6 < scores["dice"] < 0.95  # type: ignore[operator]
        assert scores["volume_error"] == 0
        assert 0.1 < scores["asd_mm"] < 1  # type: ignore[operator]


def test_a_real_grid_with_thick_slices_is_measured_in_mm(shared_data: Path) -> None:
    """Voxels of 0.5 x 0.5 x 7.5 mm: what is one slice off is 7.5 mm off."""
    volume = read_volume(shared_data / "medical/sct/t2s/t2s_gmseg_manual.nii.gz")
    thick = int(np.argmax(volume.spacing))
    assert volume.spacing[thick] > 5
    truth = np.zeros(volume.shape, np.uint8)
    at = [slice(None)] * 3
    at[thick] = slice(2, 3)
    truth[tuple(at)] = volume.array[tuple(at)] > 0
    found = measure(np.roll(truth, 1, thick), truth, volume.affine)[1]
    assert found.scores["hd_mm"] == pytest.approx(volume.spacing[thick])
    assert found.scores["dice"] == 0


@pytest.mark.slow
def test_sixty_labels_in_a_large_volume() -> None:
    rng = np.random.default_rng(0)
    shape = (256, 256, 150)
    truth = np.zeros(shape, np.uint8)
    for value in range(1, 61):
        corner = rng.integers(0, np.array(shape) - 40)
        truth[tuple(slice(a, a + int(b)) for a, b in zip(corner, rng.integers(5, 40, 3), strict=True))] = (
            value
        )
    found = measure(np.roll(truth, 1, 0), truth, (0.8, 0.8, 2.0))
    assert found.keys() == occurring(truth)
    assert len(found) >= 50
    assert all(one.scores["hd_mm"] == pytest.approx(0.8, rel=0.01) for one in found.values())
