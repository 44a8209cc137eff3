"""Images of every kind come out upright, in RGB of 8 bits."""

from __future__ import annotations

import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipelines.common.errors import InputError
from pipelines.common.media import image_size, read_image, read_values
from pipelines.common.media.orientation import upright_points
from tests.pipelines.common.media.made import encoded, noise, write_image


def stored(path: Path, image: Image.Image, kind: str, orientation: int = 1, **options: Any) -> Path:
    path.write_bytes(encoded(image, kind, orientation, **options))
    return path


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_exif_turn_is_undone_as_pillow_undoes_it(tmp_path: Path, kind: str, orientation: int) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    path = stored(tmp_path / "a.image", Image.fromarray(noise()), kind, orientation, **options)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    picture = read_image(path)
    np.testing.assert_array_equal(picture.pixels, expected)
    assert picture.orientation == orientation
    assert picture.full_size == (picture.width, picture.height) == expected.shape[1::-1]
    assert image_size(path) == (*picture.full_size, orientation)
    assert picture.notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_point_goes_where_its_pixel_goes(tmp_path: Path, orientation: int) -> None:
    pixels = np.zeros((6, 9, 3), np.uint8)
    pixels[1, 7] = 255
    path = stored(tmp_path / "a.png", Image.fromarray(pixels), "PNG", orientation)
    row, column = np.argwhere(read_image(path).pixels[:, :, 0] == 255)[0]
    moved = upright_points(np.array([[7.5, 1.5]]), orientation, 9, 6)
    np.testing.assert_allclose(moved, [[column + 0.5, row + 0.5]])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF"])
def test_gray_is_repeated_in_all_channels(tmp_path: Path, kind: str) -> None:
    gray = noise(channels=1)
    picture = read_image(stored(tmp_path / "a", Image.fromarray(gray), kind))
    assert picture.pixels.shape == (6, 9, 3)
    assert (picture.pixels == picture.pixels[:, :, :1]).all()
    if kind != "JPEG":
        np.testing.assert_array_equal(picture.pixels[:, :, 0], gray)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight_on_their_whole_range(tmp_path: Path, kind: str) -> None:
    deep = np.array([[0, 257, 128 * 257], [65_535, 64 * 257, 5_000]], np.uint16)
    picture = read_image(stored(tmp_path / "a", Image.fromarray(deep), kind))
    np.testing.assert_array_equal(picture.pixels[:, :, 1], [[0, 1, 128], [255, 64, 19]])
    assert picture.notes == ()


def test_twelve_bits_in_sixteen_are_not_black(tmp_path: Path) -> None:
    deep = np.array([[0, 4_095, 2_048]], np.uint16)
    picture = read_image(stored(tmp_path / "a.png", Image.fromarray(deep), "PNG"))
    np.testing.assert_array_equal(picture.pixels[:, :, 0], [[0, 255, 128]])
    assert "12 bits" in picture.notes[0]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_laid_over_white(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (3, 1))
    for place, alpha in enumerate((0, 128, 255)):
        image.putpixel((place, 0), (100, 100, 100, alpha) if mode == "RGBA" else (100, alpha))
    picture = read_image(stored(tmp_path / "a.png", image, "PNG"))
    np.testing.assert_allclose(picture.pixels[0, :, 0], [255, 100 * 128 / 255 + 127, 100], atol=1)
    assert picture.notes == ("transparent pixels are laid over white",)


def test_alpha_that_hides_nothing_is_no_note(tmp_path: Path) -> None:
    image = Image.fromarray(np.dstack([noise(), np.full((6, 9), 255, np.uint8)]))
    picture = read_image(stored(tmp_path / "a.png", image, "PNG"))
    np.testing.assert_array_equal(picture.pixels, noise())
    assert picture.notes == ()


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    picture = read_image(stored(tmp_path / "a.png", image, "PNG", transparency=0))
    assert picture.pixels.tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # red ink
    picture = read_image(stored(tmp_path / "a.jpg", image, "JPEG", quality=95))
    np.testing.assert_allclose(picture.pixels.reshape(-1, 3).mean(axis=0), [255, 0, 0], atol=4)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_of_several_frames_is_taken(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((250, 10, 10), (10, 10, 250), (10, 250, 10))]
    options = {"lossless": True} if kind == "WEBP" else {}
    path = stored(tmp_path / "a", frames[0], kind, save_all=True, append_images=frames[1:], **options)
    picture = read_image(path)
    np.testing.assert_array_equal(picture.pixels.reshape(-1, 3), np.tile([[250, 10, 10]], (16, 1)))
    assert "the first is read" in picture.notes[0]


def test_the_content_counts_and_not_the_name(tmp_path: Path) -> None:
    path = stored(tmp_path / "really_a.jpg", Image.fromarray(noise()), "PNG")
    np.testing.assert_array_equal(read_image(path).pixels, noise())


def test_a_large_jpeg_is_read_at_a_reduced_size(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.jpg", height=101, width=203, orientation=6)
    picture = read_image(path, max_pixels=1_000)
    assert picture.pixels.shape == (26, 13, 3)  # an eighth, rounded up, and turned
    assert picture.full_size == (101, 203)
    assert picture.scale == (13 / 101, 26 / 203)
    assert "read at" in picture.notes[0]


def test_a_jpeg_that_is_too_large_even_at_an_eighth(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.jpg", height=101, width=203)
    with pytest.raises(InputError, match=r"203 x 101 pixels.*max_pixels"):
        read_image(path, max_pixels=100)


def twenty_thousand_a_side(path: Path, **options: Any) -> Path:
    """A header that promises 20,000 x 20,000 pixels, with the data of a small image."""
    content = bytearray(encoded(Image.fromarray(noise(64, 64)), "JPEG", **options))
    place = content.index(b"\xff\xc2" if options else b"\xff\xc0")
    content[place + 5 : place + 9] = (20_000).to_bytes(2, "big") * 2
    path.write_bytes(content)
    assert image_size(path) == (20_000, 20_000, 1)
    return path


def test_a_huge_progressive_jpeg_is_refused_before_anything_is_reserved(tmp_path: Path) -> None:
    path = twenty_thousand_a_side(tmp_path / "a.jpg", progressive=True)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"20,000 x 20,000 pixels.*not progressive"):
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20
    finally:
        tracemalloc.stop()


def test_a_huge_baseline_jpeg_is_decoded_small(tmp_path: Path) -> None:
    path = twenty_thousand_a_side(tmp_path / "a.jpg")
    tracemalloc.start()
    try:
        picture = read_image(path, max_pixels=10_000_000)
        assert tracemalloc.get_traced_memory()[1] < 60 * 2**20
    finally:
        tracemalloc.stop()
    assert picture.pixels.shape == (2_500, 2_500, 3)
    assert picture.full_size == (20_000, 20_000)


@pytest.mark.slow
def test_a_png_of_four_hundred_million_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (20_000, 20_000)).save(path)
    with pytest.raises(InputError, match="at most 100,000,000 are read"):
        read_image(path)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_stored_numbers_stay_as_they_are(tmp_path: Path, kind: str) -> None:
    deep = np.array([[0, 2_550, 65_535]], np.uint16)
    found = read_values(stored(tmp_path / "a", Image.fromarray(deep), kind))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, deep)
    path = write_image(tmp_path / "b.png", height=10, width=20)
    assert read_values(path).shape == (10, 20, 3)
    with pytest.raises(InputError, match=r"20 x 10 pixels.*max_pixels"):
        read_values(path, max_pixels=100)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "TIFF"},
        {"kind": "TIFF", "compression": "tiff_adobe_deflate", "orientation": 6},
        {"kind": "WEBP", "lossless": True},
        {"kind": "PNG"},
        {"kind": "GIF"},
        {"kind": "BMP"},
    ],
)
@pytest.mark.parametrize("own", [10, 60, None])
def test_pillows_own_limit_is_not_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], own: int | None
) -> None:
    path = stored(tmp_path / "a", Image.fromarray(noise(10, 20)), **options)
    expected, values, size = read_image(path), read_values(path), image_size(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", own)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_image(path)
        np.testing.assert_array_equal(found.pixels, expected.pixels)
        assert found.notes == ()
        np.testing.assert_array_equal(read_values(path), values)
        assert image_size(path) == size
        with pytest.raises(InputError, match=r"with --set max_pixels=N if there is memory"):
            read_image(path, max_pixels=50)
    assert own == Image.MAX_IMAGE_PIXELS


def test_pillows_own_limit_is_back_when_the_last_thread_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [
        stored(tmp_path / f"{kind}{number}", Image.fromarray(noise(40, 40, seed=number)), kind)
        for kind in ("TIFF", "WEBP")
        for number in range(8)
    ]
    broken = tmp_path / "broken"
    broken.write_bytes(paths[-1].read_bytes()[:-40])
    expected = [read_image(path).pixels for path in paths]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)

    def read(number: int) -> bool:
        with pytest.raises(InputError, match="cut short or damaged"):
            read_image(broken)
        limit = 2_000 + number % 5
        found = read_image(paths[number % len(paths)], max_pixels=limit)
        return bool((found.pixels == expected[number % len(paths)]).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(200)))
    assert Image.MAX_IMAGE_PIXELS == 10


def test_a_webp_of_far_too_many_pixels_is_refused_before_its_decoder_is_made(tmp_path: Path) -> None:
    """Sixteen million on a side, for which the decoder would reserve a thousand terabytes."""
    content = encoded(Image.fromarray(noise(8, 8)), "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    assert content[12:16] == b"VP8X"
    path = tmp_path / "a.webp"
    path.write_bytes(content[:24] + b"\xfe\xff\xff" * 2 + content[30:])
    for reads in (read_image, read_values, image_size):
        with pytest.raises(InputError, match=r"far too many pixels: make it smaller, or raise the limit"):
            reads(path)


def test_a_side_that_no_image_has_is_told_with_the_most_that_is_read(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.png", Image.new("1", (65_536, 1)), "PNG")
    with pytest.raises(InputError, match=r"states 65,536 x 1 pixels; at most 65,535 on a side are read"):
        read_image(path)
