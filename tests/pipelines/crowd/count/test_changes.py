"""Only what changed is computed, and the count stays near to that of the whole frame."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from pipelines.common.errors import UserError
from pipelines.crowd.count.changes import CHECK_EVERY, MARGIN, Changes, cell_means, changed_boxes, tolerance
from pipelines.crowd.count.tiles import Box
from pipelines.crowd.data import Pixels
from tests.pipelines.crowd.count.made_models import predictor, rough, small_plan


def walk(frames: int, height: int = 480, width: int = 704, noise: float = 0.0) -> Iterator[Pixels]:
    """A scene that stays, over which a disc moves."""
    still = rough(height, width, 5)
    rng = np.random.default_rng(0)
    for number in range(frames):
        frame = still.copy()
        cv2.circle(frame, (60 + 5 * number, 80), 14, (250, 250, 250), -1)
        if noise:
            frame = np.clip(frame + rng.normal(0, noise, frame.shape), 0, 255).astype(np.uint8)
        yield frame


@pytest.mark.parametrize("noise", [0.0, 3.0])
@pytest.mark.parametrize("name", ["sparse-counter", "dense-counter"])
def test_counts_stay_within_the_tolerance_of_the_whole(name: str, noise: float) -> None:
    by = predictor(small_plan(name=name))
    changes = Changes(by)
    shares = []
    for frame in walk(8, noise=noise):
        found, whole = changes.predict(frame), by.predict(frame)
        assert abs(found.count - whole.count) <= tolerance(whole.count)
        shares.append(found.computed)
    assert shares[0] == 1 and max(shares[1:]) < 0.5


def test_what_stays_is_not_computed_and_not_changed() -> None:
    by = predictor()
    changes = Changes(by)
    one, two = walk(2)
    first = changes.predict(one)
    kept = first.counts.copy()
    same = changes.predict(one)
    assert same.computed == 0
    np.testing.assert_array_equal(same.counts, kept)
    changed = changes.predict(two)
    away = slice(30, None)  # rows of blocks far below the disc
    np.testing.assert_array_equal(changed.counts[away], kept[away])
    np.testing.assert_array_equal(first.counts, kept)  # what was handed out is not written into
    assert changed.computed > 0


def test_another_scene_and_another_size_are_computed_in_full() -> None:
    by = predictor()
    changes = Changes(by)
    for pixels in (rough(200, 300, 0), rough(200, 300, 9), rough(100, 300, 9)):
        found = changes.predict(pixels)
        assert found.computed == 1
        np.testing.assert_allclose(found.counts, by.predict(pixels).counts, atol=1e-6)


def test_a_black_frame_counts_0_and_the_next_one_as_before() -> None:
    changes = Changes(predictor())
    frame = next(walk(1))
    before = changes.predict(frame).count
    assert changes.predict(np.zeros_like(frame)).count == 0
    assert changes.predict(frame).count == pytest.approx(before)


def test_every_so_many_frames_it_is_checked_and_given_up_if_it_drifts() -> None:
    by = predictor()
    changes = Changes(by, check_every=3)
    frames = list(walk(9))
    for frame in frames[:4]:
        changes.predict(frame)
    assert (changes.checked, changes.trusted, changes.notes) == (1, True, [])
    assert changes._found is not None
    changes._found.counts[:] += 1  # as if what was left out had mattered
    for frame in frames[4:7]:
        found = changes.predict(frame)
    assert not changes.trusted and "computed in full" in changes.notes[0]
    assert changes.largest_drift > 100
    assert found.count == pytest.approx(by.predict(frames[6]).count)
    assert changes.predict(frames[7]).computed == 1
    assert CHECK_EVERY == 25  # as the documentation says


def test_a_network_that_sees_the_whole_image_cannot_do_it() -> None:
    by = predictor()
    by.reach = None
    with pytest.raises(UserError, match="looks at the whole image"):
        Changes(by)


def test_boxes_hold_what_changed_with_a_margin() -> None:
    before = np.zeros((400, 600, 3), np.uint8)
    now = before.copy()
    now[205:215, 301:309] = 255
    now[2, 2] = 255  # a single pixel is noise
    image = Box(0, 0, 416, 608)
    (box,) = changed_boxes(cell_means(before), cell_means(now), image)
    assert (box.top, box.left, box.bottom, box.right) == (160, 256, 256, 352)
    assert box.top <= 205 - MARGIN and box.bottom >= 215 + MARGIN
    assert changed_boxes(cell_means(before), cell_means(before), image) == []
    now[395:, 595:] = 255
    assert changed_boxes(cell_means(before), cell_means(now), image)[-1].bottom <= 416
