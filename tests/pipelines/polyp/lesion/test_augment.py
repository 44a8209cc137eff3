"""Random changes move pixels and mask together, and are the same for the same generator."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.polyp.data import FrameRef
from pipelines.polyp.lesion.augment import changed, draw_batch, placement
from pipelines.polyp.lesion.frames import LesionFrame
from tests.pipelines.polyp.lesion.builders import disc, painted, small, wall

STILL = {"flip": 0.0, "turn": 0.0, "scale": 0.0, "colour": 0.0, "blur": 0.0}


def one_frame(seed: int = 0) -> LesionFrame:
    mask = disc(50, 30, 14, 64, 80)
    layers = [painted(wall(seed, 64, 80), mask), (mask * 255)[:, :, None], np.full((64, 80, 1), 255)]
    return LesionFrame("a", "a", "a", FrameRef("a"), True, np.concatenate(layers, 2).astype(np.uint8))


def test_without_changes_the_frame_lies_in_the_middle_of_the_square() -> None:
    frame = one_frame()
    found = changed(frame, small(**STILL), np.random.default_rng(0))
    assert found.shape == (64, 64, 5)
    assert not found[:6].any() and not found[-6:].any()
    rows, columns = np.nonzero(found[:, :, 3] > 127)
    assert columns.mean() == pytest.approx((50 - 40) * 0.8 + 31.5, abs=0.5)
    assert rows.mean() == pytest.approx((30 - 32) * 0.8 + 31.5, abs=0.5)


def test_pixels_and_mask_stay_together() -> None:
    """The lesion alone is pale, so the mask is where green is bright, however the frame is turned."""
    rng = np.random.default_rng(0)
    config = small(colour=0.3, blur=0.0)
    overlaps = []
    for seed in range(40):
        found = changed(one_frame(seed), config, rng)
        pale, mask = found[:, :, 1] > 125, found[:, :, 3] > 127
        if mask.sum() > 30:
            overlaps.append((pale & mask).sum() / (pale | mask).sum())
        assert not found[found[:, :, 4] == 0][:, :4].any(), "something lies outside the field"
    assert len(overlaps) > 30 and np.mean(overlaps) > 0.85


def test_sizes_turns_and_flips_are_drawn_from_their_ranges() -> None:
    rng = np.random.default_rng(1)
    config = small(scale=0.35, turn=1.0, flip=0.5)
    linear = np.array([placement(80, 80, config, rng)[:, :2] for _ in range(400)])
    sizes = np.sqrt(np.abs(np.linalg.det(linear))) / (64 / 80)
    assert np.exp(-0.35) <= sizes.min() < 0.75 and 1.35 < sizes.max() <= np.exp(0.35)
    assert 0.35 < (np.linalg.det(linear) < 0).mean() < 0.65
    angles = np.arctan2(linear[:, 1, 0], linear[:, 0, 0])
    assert np.histogram(angles, 4, (-np.pi, np.pi))[0].min() > 60


def test_the_same_generator_draws_the_same_batch_and_no_frame_twice() -> None:
    frames = [one_frame(seed) for seed in range(6)]
    config = small()
    one, other = (draw_batch(frames, 6, config, np.random.default_rng(3)) for _ in range(2))
    assert (one.pixels == other.pixels).all() and (one.masks == other.masks).all()
    assert one.pixels.shape == (6, 64, 64, 3) and one.masks.shape == (6, 1, 64, 64)
    still = draw_batch(frames, 6, small(**STILL), np.random.default_rng(3)).pixels.flatten(1)
    assert len({tuple(row.tolist()) for row in still}) == 6
    assert len(draw_batch(frames[:2], 5, config, np.random.default_rng(0)).pixels) == 5
