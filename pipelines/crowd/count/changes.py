"""Videos of a fixed camera: only what changed is computed again.

A block's count depends on a few hundred px around it, but by far the most on what is near. So a place that
changed is computed with `MARGIN` px around it, and sees `HALO` px beyond that; the rest of the map stays.
What that leaves out is checked: every so many frames the whole frame is computed and compared. Where the two
differ by more than the tolerance, the rest of the video is computed in full.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.crowd.count import empty
from pipelines.crowd.count.field import GRID
from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.count.tiles import Box
from pipelines.crowd.data.record import Pixels

CELL: Final = 8  # px, of the places whose mean colours are compared
CHANGED: Final = 6.0  # gray levels of 255 in one channel: above what compression and sensors do to a mean
MARGIN: Final = 32  # px; without it the counts of a busy square were off by 6%, with it by 1%
HALO: Final = 128
WORTH: Final = 0.7  # share of the frame beyond which all of it is computed
MOST_BOXES: Final = 50
CHECK_EVERY: Final = 25  # frames
Means = NDArray[np.float32]
TOLERANCE: Final = (1.0, 0.03)  # people, or this share of the count if that is more


@dataclass(slots=True)
class Changes:
    """Counts frame after frame of one video. notes: grows, in words for the user.

    checked: how many frames were computed in full to compare; largest_drift: people by which they differed.
    trusted: whether no difference was above the tolerance. Raises UserError as `check_local` does.
    """

    predictor: Predictor
    check_every: int = CHECK_EVERY
    notes: list[str] = field(default_factory=list)
    trusted: bool = True
    checked: int = 0
    largest_drift: float = 0.0
    _seen: Means | None = None  # of what each place was last computed from
    _size: tuple[int, ...] = ()
    _found: CountMap | None = None
    _since: int = 0

    def __post_init__(self) -> None:
        check_local(self.predictor)

    def predict(self, pixels: Pixels) -> CountMap:
        """The map of the next frame, RGB uint8 (H, W, 3), prepared."""
        if self.predictor.shows_nothing(pixels):
            return empty.shows_nothing(self.predictor.blank(*pixels.shape[:2]))
        means = cell_means(pixels)
        boxes = self._boxes(means, pixels.shape)
        if boxes is None:
            found = self.predictor.raw(pixels)
            self._seen, self._size, self._since = means, pixels.shape, 0
        else:
            found = self._patched(pixels, means, boxes)
            self._since += 1
            if self._since >= self.check_every:
                found = self._checked(pixels, found)
                self._seen, self._since = means, 0
        self._found = found
        return self.predictor.guarded(found)

    def _boxes(self, means: Means, size: tuple[int, ...]) -> list[Box] | None:
        """What is to be computed, on GRID; None for all of it."""
        if not self.trusted or self._seen is None or self._size != size:
            return None
        image = self.predictor.whole(*size[:2])
        boxes = changed_boxes(self._seen, means, image)
        cost = sum(box.grown(HALO, image).pixels for box in boxes)
        largest = max((box.grown(HALO, image).pixels for box in boxes), default=0)
        few = len(boxes) <= MOST_BOXES and largest <= self.predictor.most_pixels
        return boxes if few and cost <= WORTH * image.pixels else None

    def _patched(self, pixels: Pixels, means: Means, boxes: list[Box]) -> CountMap:
        assert self._found is not None and self._seen is not None
        before = self._found
        found = replace(
            before,
            counts=before.counts.copy(),
            variance=None if before.variance is None else before.variance.copy(),
            gate=None if before.gate is None else before.gate.copy(),
        )
        image = self.predictor.whole(*pixels.shape[:2])
        for box in boxes:
            self.predictor.compute(pixels, box, HALO, found)
            part = (
                slice(box.top // CELL, -(-box.bottom // CELL)),
                slice(box.left // CELL, -(-box.right // CELL)),
            )
            self._seen[part] = means[part]
        share = sum(box.grown(HALO, image).pixels for box in boxes) / image.pixels
        return replace(found, tiles=len(boxes), computed=share)

    def _checked(self, pixels: Pixels, patched: CountMap) -> CountMap:
        """The whole frame, and what it says of the patched map."""
        found = self.predictor.raw(pixels)
        drift = abs(found.count - patched.count)
        self.checked += 1
        self.largest_drift = max(self.largest_drift, drift)
        if drift > tolerance(found.count):
            self.trusted = False
            self.notes.append(
                f"computing only what changed came to {patched.count:.4g} people where the whole frame has"
                f" {found.count:.4g}, so the frames from here on are computed in full"
            )
        return found


def check_local(predictor: Predictor) -> None:
    """Raises UserError if the model's network sees all of the image from everywhere."""
    if predictor.reach is None:
        raise UserError(
            f"--changed-only needs a network whose counts depend on what is near, and"
            f" {predictor.model.plan.name} looks at the whole image"
        )


def tolerance(count: float) -> float:
    """By how many people a frame may differ from one that is computed in full."""
    people, share = TOLERANCE
    return max(people, share * count)


def cell_means(pixels: Pixels) -> Means:
    """Mean colours float32 (ceil(H / CELL), ceil(W / CELL), 3) of an image: of cells, noise is small."""
    height, width = pixels.shape[:2]
    whole = cv2.copyMakeBorder(pixels, 0, -height % CELL, 0, -width % CELL, cv2.BORDER_REPLICATE)
    size = whole.shape[1] // CELL, whole.shape[0] // CELL
    return np.asarray(cv2.resize(whole.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def changed_boxes(before: Means, now: Means, image: Box) -> list[Box]:
    """Boxes on GRID around what differs between two frames, with MARGIN px; in `image`, the filled-up frame.

    before, now: of `cell_means`. Boxes that cost less together than apart are joined.
    """
    cells = np.abs(now - before).max(axis=2) > CHANGED
    if not cells.any():
        return []
    side = 2 * (MARGIN // CELL) + 1
    wide = cv2.dilate(cells.astype(np.uint8), np.ones((side, side), np.uint8))
    each = GRID // CELL
    rows, columns = -(-image.height // GRID), -(-image.width // GRID)
    grid = np.zeros((rows * each, columns * each), np.uint8)
    grid[: wide.shape[0], : wide.shape[1]] = wide
    blocks = grid.reshape(rows, each, columns, each).max(axis=(1, 3))
    count, _, stats, _ = cv2.connectedComponentsWithStats(blocks, connectivity=8)
    boxes = []
    for left, top, width, height, _ in stats[1:count].tolist():
        box = Box(top * GRID, left * GRID, (top + height) * GRID, (left + width) * GRID)
        boxes.append(box.grown(0, image))
    return _joined(boxes, image)


def _joined(boxes: list[Box], image: Box) -> list[Box]:
    """Fewer boxes where they cost less so."""

    def cost(box: Box) -> int:
        return box.grown(HALO, image).pixels

    waiting, done = list(boxes[: MOST_BOXES + 1]), list(boxes[MOST_BOXES + 1 :])
    while waiting:
        box = waiting.pop()
        for other in waiting:
            if cost(box.joined(other)) <= cost(box) + cost(other):
                waiting.remove(other)
                waiting.append(box.joined(other))
                break
        else:
            done.append(box)
    return done
