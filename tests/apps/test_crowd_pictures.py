"""What the browser is sent of an image: reduced as a whole, sharp in part, with the map in its place."""

from __future__ import annotations

from base64 import b64decode

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from apps.viewers.crowd_case import Seen
from apps.viewers.crowd_pictures import MOST_BLOCKS, MOST_PART, OVERVIEW, Part, gate, heat, overview, part
from pipelines.crowd.count.maps import CountMap


def seen(height: int, width: int, scale: int = 1) -> Seen:
    """An image whose red grows to the right and whose green grows downwards, read at 1 / scale."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Seen(pixels, width * scale, height * scale)


def decoded(found: Part) -> NDArray[np.uint8]:
    """RGB or RGBA."""
    content = np.frombuffer(b64decode(found.url.partition(",")[2]), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    assert picture is not None
    order = [2, 1, 0, 3][: picture.shape[2]]
    return picture[..., order].astype(np.uint8)


def test_a_large_image_is_sent_reduced() -> None:
    found = overview(seen(1000, 4000, scale=2))
    assert decoded(found).shape == (400, OVERVIEW, 3)
    assert found.box == (0, 0, 8000, 2000)
    assert decoded(overview(seen(30, 40))).shape == (30, 40, 3)


def test_a_part_is_as_sharp_as_the_image_and_knows_where_it_lies() -> None:
    image = seen(2000, 8000, scale=2)
    found = part(image, (4000, 1000, 6000, 2000), 1200)
    assert found is not None
    left, top, right, bottom = found.box
    assert (left, top, right, bottom) == (3500, 750, 6500, 2250)  # with a quarter more on each side
    picture = decoded(found)
    assert picture.shape == (750, 1500, 3)  # each pixel that was read
    middle = (left + 0.5 * (right - left)) / image.width * 255
    assert abs(float(picture[400, 750, 0]) - middle) < 4


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((0.0, 0.0, 8000.0, 2000.0), 1200),  # the overview is as sharp
        ((9000.0, 0.0, 9100.0, 100.0), 1200),
        ((-500.0, -500.0, -400.0, -400.0), 1200),
        ((0.0, 3000.0, 100.0, 3100.0), 1200),
    ],
)
def test_no_part_where_it_shows_nothing_more(box: tuple[float, float, float, float], pixels: int) -> None:
    found = part(seen(2000, 8000), box, pixels)
    assert found is None or max(decoded(found).shape[:2]) <= 1


def test_a_part_is_never_large() -> None:
    found = part(seen(4000, 8000), (0.0, 0.0, 7000.0, 3000.0), 8192)
    assert found is not None and max(decoded(found).shape[:2]) <= MOST_PART


def test_the_map_is_clear_where_nobody_is_and_reaches_as_far_as_its_blocks() -> None:
    counts = np.zeros((3, 4), np.float32)
    counts[1, 2] = 2.0
    counts[0, 0] = -0.1
    opened = counts > 0
    found = CountMap(counts, 8, 20, 30, gate=opened)
    image = seen(40, 60)  # counted at half its size
    drawn = heat(found, image)
    assert drawn.box == (0, 0, 64, 48)
    clear = decoded(drawn)[..., 3]
    assert clear[1, 2] == 255 and np.count_nonzero(clear) == 1
    refined = gate(found, image)
    assert refined is not None and refined.box == drawn.box
    assert np.array_equal(decoded(refined)[..., 3] > 0, opened)
    assert gate(CountMap(counts, 8, 20, 30), image) is None


def test_a_large_map_is_reduced_and_loses_no_refined_block() -> None:
    counts = np.zeros((10, 5 * MOST_BLOCKS), np.float32)
    opened = counts > 0
    opened[5, 17] = True
    found = CountMap(counts, 8, 80, 40 * MOST_BLOCKS, gate=opened)
    image = seen(8, 4 * MOST_BLOCKS, scale=10)
    assert decoded(heat(found, image)).shape == (2, MOST_BLOCKS, 4)
    refined = gate(found, image)
    assert refined is not None
    assert np.argwhere(decoded(refined)[..., 3]).tolist() == [[1, 3]]
