"""Where a map of features comes to lie on the picture of a lesion."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from pipelines.polyp.size.look import FrameLook
from pipelines.polyp.size.pictures import draw_features
from pipelines.polyp.size.predict import FrameAnswer

WIDE = 16  # px of the picture that the square around the lesion has


@pytest.fixture
def look() -> FrameLook:
    """A frame of 64 x 48 px, kept as one of 32 x 24; two cells of 4 x 4 px of that have features."""
    features = np.full((8, 8), np.nan, np.float32)
    features[3, 5], features[3, 4] = 2.0, 1.0
    _, picture = cv2.imencode(".png", np.full((24, 32, 3), 100, np.uint8))
    answer = FrameAnswer(torch.ones(1), features, of_frame=True)
    box = (32.0, 24.0, 48.0, 32.0)
    return FrameLook("one", width=64, height=48, box=box, picture=picture.tobytes(), answer=answer)


def test_features_of_sites_lie_where_the_sites_are(look: FrameLook) -> None:
    drawn = draw_features(look)
    assert drawn is not None
    scale = len(drawn) / WIDE
    # The square begins at column 12 and row 6 of the picture; the cells are at columns 16 to 24, rows 12-15.
    rows, columns = np.nonzero(np.abs(drawn.astype(int) - 100).max(2) > 5)
    assert (columns.min() / scale, (columns.max() + 1) / scale) == pytest.approx((4, 12), abs=0.1)
    assert (rows.min() / scale, (rows.max() + 1) / scale) == pytest.approx((6, 10), abs=0.1)
    weak, strong = (drawn[int(8 * scale), int(column * scale)].astype(int) for column in (6, 10))
    assert strong[0] > strong[2] + 50, "the strongest is yellow"
    assert weak[2] > weak[0], "the weakest is violet"


def test_without_features_nothing_is_drawn(look: FrameLook) -> None:
    assert draw_features(replace(look, answer=None)) is None
    nowhere = FrameAnswer(torch.ones(1), np.full((8, 8), np.nan, np.float32), of_frame=True)
    assert draw_features(replace(look, answer=nowhere)) is None
