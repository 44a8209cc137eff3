"""Every real image and label file, and that the conventions are the right ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from pipelines.crowd.data import LabelledImage, read_cases, read_dataset, read_perspective, survey
from pipelines.crowd.density import block_counts


def test_shanghaitech_a_is_complete(shared_data: Path) -> None:
    found = read_dataset(shared_data / "crowd" / "sha_train")
    assert (found.layout, len(found.cases), found.notes) == ("shanghaitech", 300, ())
    assert [case.name for case in found.cases] == [f"IMG_{number}" for number in range(1, 301)]
    counted = survey(found)
    assert (counted.labelled, counted.heads, counted.empty, counted.out_of_frame) == (300, 162_413, 0, 0)
    assert counted.failed == () and counted.notes == ()


def test_beijing_brt_is_complete(shared_data: Path) -> None:
    found = read_dataset(shared_data / "crowd" / "brt_train")
    assert (found.layout, len(found.cases), found.notes) == ("beijing-brt", 720, ())
    counted = survey(found)
    assert (counted.labelled, counted.heads, counted.out_of_frame) == (720, 9_471, 12)
    assert counted.failed == ()
    assert found.perspective is not None
    perspective = read_perspective(found.perspective)
    assert perspective.shape == (640, 360)
    assert perspective[0].min() > perspective[-1].max()  # people are small at the top


def test_the_synthetic_crowds_are_complete(shared_data: Path) -> None:
    found = read_dataset(shared_data / "crowd" / "synthetic_unity")
    assert (found.layout, len(found.cases)) == ("unity", 30)
    counted = survey(found)
    assert (counted.labelled, counted.heads, counted.out_of_frame) == (30, 11_688, 0)


def test_all_of_them_are_found_from_above(shared_data: Path) -> None:
    found = read_dataset(shared_data / "crowd")
    assert found.layout == "beijing-brt, shanghaitech, unity"
    assert len(found.cases) == 1_050
    assert len({case.name for case in found.cases}) == 1_050


def test_points_are_those_of_the_file(shared_data: Path) -> None:
    folder = shared_data / "crowd" / "sha_train"
    case = read_dataset(folder).cases[6]
    nested = loadmat(folder / "ground_truth" / "GT_IMG_7.mat")["image_info"][0, 0][0, 0][0]
    one = next(read_cases([case]))
    assert isinstance(one, LabelledImage) and one.heads is not None
    np.testing.assert_array_equal(one.heads.points, nested)


def test_unity_crowds_stand_below_the_sky(shared_data: Path) -> None:
    """Read with y from the wrong edge, most heads would lie in the sky, which is one smooth colour."""
    cases = read_dataset(shared_data / "crowd" / "synthetic_unity").cases
    flat = 0.0
    for one in read_cases(cases[:4]):
        assert isinstance(one, LabelledImage) and one.heads is not None
        height, width = one.picture.pixels.shape[:2]
        columns, rows = (one.heads.points // 1).astype(int).T
        gray = one.picture.pixels.astype(float).mean(axis=2)
        roughness = np.abs(np.diff(gray, axis=1, append=gray[:, -1:]))
        flat += float(roughness[rows, columns].mean() - roughness[height - 1 - rows, columns].mean())
        assert block_counts(one.heads.points, height, width, 16).sum() == len(one.heads.points)
    assert flat > 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "gray"), [("sha_train", 11), ("brt_train", 0), ("synthetic_unity", 1)])
def test_every_image_reads(shared_data: Path, name: str, gray: int) -> None:
    without_colour = 0
    for one in read_cases(read_dataset(shared_data / "crowd" / name).cases):
        assert isinstance(one, LabelledImage), one
        assert one.heads is not None and one.picture.notes == () and one.picture.orientation == 1
        pixels = one.picture.pixels
        assert pixels.dtype == np.uint8 and pixels.shape[2] == 3 and min(pixels.shape[:2]) > 100
        without_colour += bool((pixels == pixels[:, :, :1]).all())
    assert without_colour >= gray
