"""Marks become heads that are upright and in frame, and what is left out is counted."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.common.media.orientation import upright, upright_points, upright_size
from pipelines.crowd.data import CrowdError
from pipelines.crowd.data.placing import in_frame, place
from pipelines.crowd.data.record import Frame, Marks


def test_a_point_on_the_edge_is_in_frame() -> None:
    points = np.array([[0, 0], [9, 6], [9.001, 3], [4, -0.001], [np.nan, 1]])
    assert in_frame(points, 9, 6).tolist() == [True, True, False, False, False]


def test_points_out_of_frame_are_left_out_and_counted() -> None:
    heads = place(Marks(np.array([[1.0, 2], [-1, 2], [9.5, 1], [3, 6.5]])), (9, 6))
    assert heads.points.tolist() == [[1, 2]]
    assert heads.out_of_frame == 3
    assert heads.notes == ("3 of 4 points lie out of frame and were left out",)


def test_points_that_are_no_numbers_are_left_out() -> None:
    heads = place(Marks(np.array([[1.0, 2], [np.nan, 2], [np.inf, 1]])), (9, 6))
    assert (len(heads.points), heads.out_of_frame) == (1, 0)
    assert heads.notes == ("2 points are no numbers and were left out",)


def test_y_from_below() -> None:
    heads = place(Marks(np.array([[0.5, 0.5]]), from_bottom=True), (9, 6))
    assert heads.points.tolist() == [[0.5, 5.5]]


def test_a_reduced_image_takes_its_points_along() -> None:
    heads = place(Marks(np.array([[4.0, 6], [9, 6]])), (9, 6), scale=(0.5, 0.25))
    assert heads.points.tolist() == [[2, 1.5], [4.5, 1.5]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("frame", ["stored", "upright"])
def test_points_of_either_frame_end_upright(orientation: int, frame: Frame) -> None:
    """One point on a stored image of 9 x 6; labels of either kind say the same of it."""
    stored = np.array([[7.5, 1.5]])
    turned = upright_points(stored, orientation, 9, 6)
    size = upright_size(9, 6, orientation)
    heads = place(Marks(stored if frame == "stored" else turned, frame), size, orientation)
    np.testing.assert_allclose(heads.points, turned)
    assert heads.notes == ()


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_points_that_fit_only_the_other_way_are_taken_so(orientation: int) -> None:
    """Labels made on the upright image, read as a format whose labels are on the stored one, and back."""
    size = upright_size(9, 6, orientation)  # 6 x 9
    heads = place(Marks(np.array([[2.0, 8.5]]), "stored"), size, orientation)
    assert heads.points.tolist() == [[2.0, 8.5]]
    assert "fit the image only as it is shown upright" in heads.notes[0]
    heads = place(Marks(np.array([[8.5, 2.0]]), "upright"), size, orientation)
    np.testing.assert_allclose(heads.points, upright_points(np.array([[8.5, 2.0]]), orientation, 9, 6))
    assert "before its EXIF turn" in heads.notes[0]


def test_a_stated_size_settles_the_frame() -> None:
    point = np.array([[1.0, 2.0]])
    heads = place(Marks(point, "upright", size=(9, 6)), (6, 9), orientation=6)
    assert heads.points.tolist() == [[4, 1]]  # as stored: 9 x 6, then turned
    heads = place(Marks(point, "stored", size=(6, 9)), (6, 9), orientation=6)
    assert heads.points.tolist() == [[1, 2]]


def test_labels_made_on_a_larger_copy_are_scaled() -> None:
    heads = place(Marks(np.array([[10.0, 8.0]]), "upright", size=(90, 60)), (9, 6))
    np.testing.assert_allclose(heads.points, [[1, 0.8]])
    assert heads.notes == (
        "the labels are for an image of 90 x 60 px, and this one has 9 x 6; the points are scaled",
    )
    turned = place(Marks(np.array([[10.0, 8.0]]), "upright", size=(90, 60)), (6, 9), orientation=6)
    np.testing.assert_allclose(turned.points, [[6 - 0.8, 1]])


def test_labels_of_another_image_are_refused() -> None:
    with pytest.raises(CrowdError, match="60 x 90 px, and this one has 9 x 6: it is another image"):
        place(Marks(np.array([[10.0, 8.0]]), "upright", size=(60, 90)), (9, 6))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_and_points_turn_alike(orientation: int) -> None:
    image = np.arange(54).reshape(6, 9)
    turned = upright(image, orientation)
    for row, column in ((0, 0), (5, 8), (2, 7)):
        x, y = upright_points(np.array([[column + 0.5, row + 0.5]]), orientation, 9, 6)[0]
        assert turned[int(y), int(x)] == image[row, column]
    assert turned.shape[::-1] == upright_size(9, 6, orientation)
