"""The optical field is found, and what is written around it and over it is gone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.common.media import Pixels, read_image
from pipelines.polyp.data import (
    Field,
    cropped,
    find_field,
    find_text,
    frames_of,
    read_dataset,
    read_frame,
    typical,
    without_surroundings,
)

HEIGHT, WIDTH = 480, 640
WORDS = ("ID: 4711", "Name: X", "03/08/2020", "08:42:02", "Eh:A1 Cm:1")


def scene(kind: str, seed: int = 0) -> tuple[Pixels, NDArray[np.bool_]]:
    """Reddish tissue with a dark lumen and reflections, and which pixels the optics show."""
    rng = np.random.default_rng(seed)
    rough = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 12)
    base = np.stack([180 + 150 * rough, 95 + 110 * rough, 80 + 90 * rough], axis=2)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    base *= np.clip(np.hypot(x - 420, y - 200) / 90, 0.15, 1)[:, :, None]
    tissue = np.clip(base + rng.normal(0, 4, base.shape), 30, 255)
    for _ in range(25):
        place = (int(rng.integers(200, 600)), int(rng.integers(40, 440)))
        cv2.ellipse(
            tissue, place, (int(rng.integers(2, 9)), int(rng.integers(2, 6))), 30, 0, 360, (255,) * 3, -1
        )
    shapes = {
        "circle": np.hypot(x - 380, y - 240) < 220,
        "cut circle": np.hypot(x - 380, y - 240) < 270,
        "octagon": (np.maximum(abs(x - 380), abs(y - 240)) < 220) & (abs(x - 380) + abs(y - 240) < 330),
        "rectangle": (abs(x - 380) < 230) & (abs(y - 240) < 200),
        "whole": np.ones((HEIGHT, WIDTH), bool),
    }
    inside = shapes[kind]
    screen = rng.normal(8, 2, tissue.shape).clip(0, 16)
    return np.where(inside[:, :, None], tissue, screen).astype(np.uint8), inside


def written(pixels: Pixels, left: int = 12, shade: int = 235) -> tuple[Pixels, NDArray[np.bool_]]:
    """With lines of text from the left edge on, and where they are."""
    image = pixels.copy()
    for line, text in enumerate(WORDS):
        place = (left, 150 + 24 * line)
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (shade,) * 3, 1, cv2.LINE_AA)
    return image, (image != pixels).any(axis=2)


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("kind", ["circle", "cut circle", "octagon", "rectangle", "whole"])
def test_the_field_is_found(kind: str) -> None:
    pixels, inside = scene(kind)
    found = find_field(pixels)
    assert found.mask.shape == (HEIGHT, WIDTH) and found.mask.dtype == bool
    assert overlap(found.mask, inside) > 0.97
    # Of what is not picture nothing is left but a rim.
    rim = cv2.dilate(inside.astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert not (found.mask & ~rim).any()


def test_shapes_have_their_names() -> None:
    assert find_field(scene("circle")[0]).shape == "circle"
    assert find_field(scene("whole")[0]).shape == "whole"
    assert find_field(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).shape == "none"


@pytest.mark.parametrize("kind", ["circle", "octagon", "rectangle"])
@pytest.mark.parametrize("seed", [0, 1])
def test_text_around_the_field_is_gone(kind: str, seed: int) -> None:
    pixels, inside = scene(kind, seed)
    image, text = written(pixels)
    field = find_field(image)
    clean = without_surroundings(image, field)
    assert overlap(field.mask, inside) > 0.93
    outside = text & ~inside
    assert outside.sum() > 500
    assert clean[outside & ~cv2.dilate(inside.astype(np.uint8), np.ones((9, 9))).astype(bool)].max() == 0


@pytest.mark.parametrize("shade", [200, 255])
def test_text_over_the_tissue_is_gone(shade: int) -> None:
    pixels, inside = scene("circle")
    image, text = written(pixels, left=210, shade=shade)
    over = text & inside
    clean = without_surroundings(image, find_field(image))
    assert (clean[over] > 0).any(axis=1).mean() < 0.02
    lost = inside & (clean == 0).all(axis=2)
    assert lost.mean() < 0.08


def test_tissue_without_text_keeps_its_reflections() -> None:
    for seed in range(3):
        assert find_text(scene("circle", seed)[0]).mean() < 0.002


def test_small_pictures_and_panels_are_gone() -> None:
    pixels, inside = scene("circle")
    pixels[360:460, 20:240] = (20, 190, 150)  # a panel that overlaps the field
    pixels[30:90, 20:100] = (200, 110, 90)  # another picture, apart from it
    clean = without_surroundings(pixels, find_field(pixels))
    assert clean[362:458, 22:238].max() == 0 and clean[30:90, 20:100].max() == 0
    assert overlap(clean.any(axis=2), inside) > 0.85


def test_dyed_tissue_is_no_panel() -> None:
    pixels, _ = scene("circle")
    pixels[200:300, 300:420] = pixels[200:300, 300:420][:, :, [2, 1, 0]]
    assert find_field(pixels).mask[200:300, 300:420].mean() > 0.95


def test_a_crop_is_the_box() -> None:
    pixels, _ = scene("circle")
    field = find_field(pixels)
    x0, y0, x1, y1 = field.box
    assert cropped(pixels, field).shape == (y1 - y0, x1 - x0, 3)
    assert abs(x0 - 160) <= 3 and abs(x1 - 600) <= 3 and abs(y0 - 20) <= 3 and abs(y1 - 460) <= 3


def test_the_field_of_a_recording_is_what_most_frames_show() -> None:
    field = find_field(scene("circle")[0])
    nothing = find_field(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    small = Field(field.mask & (np.arange(WIDTH) < 300), field.box, "polygon")
    found = typical([field, small, field, nothing])
    np.testing.assert_array_equal(found.mask, field.mask)
    assert (found.box, found.shape) == (field.box, "circle")
    assert typical([nothing]).shape == "none"
    with pytest.raises(ValueError, match="one size"):
        typical([])


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (40, 2), (9, 9)])
@pytest.mark.parametrize("value", [0, 255])
def test_tiny_frames(shape: tuple[int, int], value: int) -> None:
    assert find_field(np.full((*shape, 3), value, np.uint8)).mask.shape == shape


def test_real_frames_keep_their_polyps(shared_data: Path) -> None:
    """Masks and boxes that people drew lie in the field, and are hardly touched by what is taken for text."""
    for name, least in (("polypgen", 0.9), ("kvasir_seg", 0.9), ("gastric_voc", 0.95)):
        kept, shapes = [], []
        for polyp in read_dataset(shared_data / "polyp" / name).polyps[:: 60 if name == "kvasir_seg" else 25]:
            frame = read_frame(frames_of(polyp).frames[0])
            field = find_field(frame.pixels)
            shapes.append(field.shape)
            if frame.mask is not None and frame.mask.any():
                kept.append(float((frame.mask & field.mask).sum() / frame.mask.sum()))
            elif frame.box is not None:
                x0, y0, x1, y1 = (int(one) for one in frame.box)
                kept.append(float(field.mask[y0:y1, x0:x1].mean()))
        assert "none" not in shapes
        assert min(kept) > 0.6 and np.mean(kept) > least, (name, sorted(kept)[:5])


@pytest.mark.parametrize(
    "name", ["C3_EndoCV2021_00238", "C3_EndoCV2021_00483", "10_endocv2021_positive_1087"]
)
def test_real_frames_without_what_is_written_around(shared_data: Path, name: str) -> None:
    """What is bright and not of the main part is black; see the text at the left of these frames."""
    pixels = read_image(shared_data / "polyp" / "polypgen" / "images" / f"{name}.jpg").pixels
    field = find_field(pixels)
    clean = without_surroundings(pixels, field)
    assert (clean[~field.mask] == 0).all()
    x0 = int(field.box[0])
    assert clean[:, :x0].max(initial=0) == 0
    corner = clean[: pixels.shape[0] // 12, : pixels.shape[1] // 12]
    assert corner.max() == 0
