"""One map whatever the tiles are, and 0 where nobody can be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.crowd.config import NetworkPlan
from pipelines.crowd.count import predict
from pipelines.crowd.count.field import reach
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.count.tiles import LEAST_SIDE, tiles, whole
from pipelines.crowd.model.network import as_input
from tests.pipelines.crowd.count.made_models import predictor, rough, small_plan

DEEP = small_plan(blocks=(1, 1, 2, 1))
WIDE_HALO = small_plan(halo=3)
DENSE = small_plan(name="dense-counter")


def tiled(plan: NetworkPlan, pixels: int) -> Predictor:
    found = predictor(plan)
    found.most_pixels = pixels
    return found


@pytest.mark.parametrize(
    ("plan", "height", "width", "most"),
    [
        (small_plan(), 1001, 1010, 900_000),
        (DEEP, 65, 2600, 150_000),
        (WIDE_HALO, 1100, 40, 70_000),
        (DENSE, 65, 1500, 100_000),
    ],
    ids=["both ways", "deep", "halo", "dense"],
)
def test_tiles_give_what_the_whole_gives(plan: NetworkPlan, height: int, width: int, most: int) -> None:
    pixels = rough(height, width)
    found, expected = tiled(plan, most).predict(pixels), tiled(plan, 10**9).predict(pixels)
    assert found.tiles >= 2 and expected.tiles == 1
    assert expected.counts.std() > 0.01
    np.testing.assert_allclose(found.counts, expected.counts, atol=1e-4)
    np.testing.assert_allclose(found.variance, expected.variance, atol=1e-4)
    np.testing.assert_array_equal(found.gate, expected.gate)
    if plan.name == "sparse-counter":
        assert expected.gate is not None and 0.05 < expected.gate.mean() < 0.95


def test_the_whole_is_what_the_network_gives() -> None:
    pixels = rough(70, 101)
    by = predictor()
    with torch.inference_mode():
        expected = by.model.network.count(as_input(pixels[None]))
    found = by.predict(pixels)
    assert found.counts.shape == (9, 13)
    np.testing.assert_allclose(found.counts, expected.counts[0], atol=1e-6)


@pytest.mark.parametrize(
    "plan", [small_plan(), DEEP, WIDE_HALO, DENSE, small_plan(name="mcnn"), small_plan(name="m-segnet")]
)
def test_nothing_beyond_the_reach_changes_a_block(plan: NetworkPlan) -> None:
    by = predictor(plan)
    assert by.reach is not None and by.reach % 32 == 0
    middle, width = by.reach + 32, 2 * by.reach + 96
    pixels = rough(64, width)
    other = pixels.copy()
    other[:, : middle - by.reach] = 255 - other[:, : middle - by.reach]
    other[:, middle + 32 + by.reach :] = 0
    one, two = by.predict(pixels), by.predict(other)
    here = slice(middle // one.stride, (middle + 32) // one.stride)
    size = float(np.abs(one.counts).max())
    np.testing.assert_allclose(one.counts[:, here], two.counts[:, here], atol=1e-5 * size)
    assert np.abs(one.counts - two.counts).max() > 0.01 * size


def test_networks_that_see_all_have_no_reach() -> None:
    assert reach(small_plan(name="m-sfanet")) is None and reach(small_plan(name="hmode")) is None
    assert set(predict.BYTES_PER_PX) == set(NetworkPlan.model_json_schema()["properties"]["name"]["enum"])


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (33, 1000), (999, 1501), (20_000, 20_000)])
@pytest.mark.parametrize("most", [1_000, 250_000, 10**7])
@pytest.mark.parametrize("multiple", [4, 32])
def test_tiles_cover_the_image_once_and_keep_to_the_grid(
    size: tuple[int, int], most: int, multiple: int
) -> None:
    height, width = size
    image = whole(height, width, multiple)
    boxes = tiles(image, most, 64)
    assert sum(box.pixels for box in boxes) == image.pixels
    assert all(not side % 32 for box in boxes for side in (box.top, box.left))
    assert len(boxes) <= (-(-height // 256)) * (-(-width // 256))
    smallest = (LEAST_SIDE + 2 * 64) ** 2
    if most >= smallest:
        assert max(box.grown(64, image).pixels for box in boxes) <= most


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_image_that_shows_nothing_counts_as_0(level: int) -> None:
    by = predictor()
    pixels = np.full((100, 130, 3), level, np.uint8)
    found = by.predict(pixels)
    assert found.count == 0 and "shows nothing" in found.note
    raw = predictor(empty_guard=False).predict(pixels)
    assert raw.count > 1 and raw.note == ""


@pytest.mark.parametrize(
    "plan", [DEEP, DENSE, small_plan(name="mcnn")], ids=["sparse", "dense", "density maps"]
)
def test_images_that_are_computed_together_have_the_maps_of_each_alone(plan: NetworkPlan) -> None:
    by = predictor(plan)
    dark = np.zeros((70, 101, 3), np.uint8)
    images = [rough(70, 101), dark, np.ascontiguousarray(rough(70, 101)[::-1])]
    together = by.predict_many(images)
    for one, found in zip(images, together, strict=True):
        alone = by.predict(one)
        np.testing.assert_allclose(found.counts, alone.counts, atol=1e-5)
        assert (found.note, found.tiles) == (alone.note, alone.tiles)
        if alone.gate is not None and alone.variance is not None:
            np.testing.assert_array_equal(found.gate, alone.gate)
            np.testing.assert_allclose(found.variance, alone.variance, atol=1e-5)
    assert together[1].count == 0 and together[1].note
    assert by.predict_many([]) == []


def test_large_images_are_not_computed_together() -> None:
    by = tiled(DEEP, 150_000)
    assert by.at_once(64, 96) > 1
    assert by.at_once(600, 800) == 1
    images = [rough(300, 1000), np.ascontiguousarray(rough(300, 1000)[::-1])]
    for one, found in zip(images, by.predict_many(images), strict=True):
        assert found.tiles > 1
        np.testing.assert_allclose(found.counts, by.predict(one).counts, atol=1e-5)
