"""Overlays: which way they lie, how large they are, and the page that shows them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest

from pipelines.medical.colours import colour
from pipelines.medical.data.files import read_volume
from pipelines.medical.segment import report as report_module
from pipelines.medical.segment.pictures import LEAST_WIDTH, MARGIN, PLANES, Pictures, draw
from pipelines.medical.segment.run import segment
from tests.pipelines.medical.segment.made import Threshold, predictor_of, threshold_plan

SHAPE = (40, 50, 30)  # right, front, head, 1 x 1 x 2 mm
BALL = (32, 40, 25)  # to the right, the front and the head


def ball(codes: str, tmp_path: Path, name: str = "ball") -> Path:
    """A bright ball at BALL, stored with its axes running to `codes`."""
    array = np.full(SHAPE, 10.0, np.float32)
    grid = np.indices(SHAPE) - np.array(BALL)[:, None, None, None]
    array[(grid[0] ** 2 + grid[1] ** 2 + (2 * grid[2]) ** 2) < 5**2] = 100.0
    image = nib.Nifti1Image(array, np.diag([1.0, 1.0, 2.0, 1.0]))
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes)
    )
    path = tmp_path / f"{name}.nii.gz"
    nib.save(image.as_reoriented(turn), path)
    return path


def decoded(pictures: Pictures, plane: str) -> np.ndarray:
    content, width, height = pictures.png[plane]
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.shape == (height, width, 3)
    return picture[..., ::-1]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PSR", "IRP"])
def test_directions_and_aspect_are_those_of_the_patient(codes: str, tmp_path: Path) -> None:
    volume = read_volume(ball(codes, tmp_path))
    pictures = draw(volume, (volume.array > 50).astype(np.uint8), {"ball": 1})
    assert pictures.labels == ["ball"]
    wanted = {"axial": (40, 50, 32, 40), "coronal": (40, 60, 32, 51), "sagittal": (50, 60, 40, 51)}
    for plane in PLANES:
        picture = decoded(pictures, plane).astype(int)
        wide, high, across, up = wanted[plane]
        # The label's orange is the only colour: its middle says where the ball was drawn.
        rows, columns = np.nonzero(picture[..., 0] - picture[..., 2] > 60)
        height = picture.shape[0] - 2 * MARGIN
        width = height * wide / high
        side = (picture.shape[1] - width) / 2
        assert picture.shape[1] >= LEAST_WIDTH
        assert columns.mean() - side == pytest.approx((1 - (across + 0.5) / wide) * width, abs=4)
        assert rows.mean() - MARGIN == pytest.approx((1 - (up + 0.5) / high) * height, abs=6)
        assert np.ptp(columns) == pytest.approx(np.ptp(rows), rel=0.2)  # a ball is round


def test_a_case_without_labels_is_drawn_through_its_middle(tmp_path: Path) -> None:
    volume = read_volume(ball("RAS", tmp_path))
    pictures = draw(volume, np.zeros(SHAPE, np.uint8), {"ball": 1})
    assert pictures.labels == [] and set(pictures.png) == set(PLANES)


@pytest.mark.parametrize(("inside", "window"), [(40, (-160, 240)), (-800, (-1350, 150)), (700, (-450, 1050))])
def test_ct_is_shown_as_suits_the_structure(inside: int, window: tuple[float, float], tmp_path: Path) -> None:
    volume = read_volume(ball("RAS", tmp_path))
    mask = (volume.array > 50).astype(np.uint8)
    volume.array[...] = np.where(mask, inside, 0)
    assert draw(volume, mask, {"ball": 1}, modality="CT").window == window


def test_colours_differ() -> None:
    colours = [colour(number) for number in range(60)]
    assert len(set(colours)) == 60
    assert all(0 <= part <= 255 for one in colours for part in one)


def test_names_from_files_are_text_in_the_report(tmp_path: Path) -> None:
    ball("RAS", tmp_path, name="<img src=x onerror=alert(1)>")
    out = tmp_path / "run"
    plan = threshold_plan(50.0).model_copy(update={"labels": {"<b>liver</b>": 1}})
    segment([tmp_path], predictor=predictor_of(plan, Threshold(50.0)), out=out)
    page = (out / "report.html").read_text()
    assert "<img src=x" not in page and "&lt;img src=x" in page
    assert "<b>liver" not in page
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("http-equiv", "")


def test_many_pictures_stay_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "INLINE_BYTES", 1)
    ball("RAS", tmp_path, name="a #1")
    segment(
        [tmp_path / "a #1.nii.gz"],
        predictor=predictor_of(threshold_plan(50.0), Threshold(50.0)),
        out=tmp_path / "run",
    )
    page = (tmp_path / "run" / "report.html").read_text()
    assert 'src="pictures/a%20%231-axial.png"' in page and "data:image" not in page
    drawn = json.loads((tmp_path / "run" / "pictures.jsonl").read_text())
    assert (tmp_path / "run" / "pictures" / drawn["planes"]["axial"]["file"]).is_file()
