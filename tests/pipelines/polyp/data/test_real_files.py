"""Every real frame and label that is at hand, and that the conventions of boxes are the right ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.common.media import image_size
from pipelines.polyp.data import Frame, Polyp, frames_of, read_dataset, read_frame
from pipelines.polyp.data.boxes import box_of


def read(polyp: Polyp) -> Frame:
    return read_frame(frames_of(polyp).frames[0])


@pytest.mark.parametrize(
    ("name", "layout", "count"),
    [("polypgen", "polypgen", 100), ("kvasir_seg", "kvasir-seg", 333), ("gastric_voc", "voc", 120)],
)
def test_the_sets_are_complete(shared_data: Path, name: str, layout: str, count: int) -> None:
    found = read_dataset(shared_data / "polyp" / name)
    assert (found.layout, len(found.polyps), found.recordings, found.notes) == (layout, count, (), ())
    for polyp in found.polyps:
        (frame,) = frames_of(polyp).frames
        assert frame.image is not None
        width, height, orientation = image_size(frame.image)
        assert orientation == 1 and frame.label_size in (None, (width, height))
        for box in (*frame.others, *([frame.box] if frame.box else [])):
            assert 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height


def test_all_of_them_are_found_from_above(shared_data: Path) -> None:
    found = read_dataset(shared_data / "polyp")
    assert (found.layout, len(found.polyps)) == ("kvasir-seg, polypgen, voc", 553)


def test_boxes_of_kvasir_are_those_of_its_masks(shared_data: Path) -> None:
    """With the offsets that the reader adds, most boxes fit the masks to the pixel; else hardly any would."""
    exact = []
    for polyp in read_dataset(shared_data / "polyp" / "kvasir_seg").polyps[::8]:
        frame = read(polyp)
        assert frame.mask is not None and frame.mask.shape == frame.pixels.shape[:2]
        if frame.box is not None and not frame.others:
            around = box_of(frame.mask)
            assert around is not None
            exact.append(around == frame.box)
            np.testing.assert_allclose(around[2:], frame.box[2:], atol=1)
    assert len(exact) > 30 and np.mean(exact) > 0.9


def test_masks_of_polypgen_may_be_empty(shared_data: Path) -> None:
    polyps = read_dataset(shared_data / "polyp" / "polypgen").polyps
    frames = [read(polyp) for polyp in polyps[::10]]
    for frame in frames:
        assert frame.mask is not None and (frame.box is None) == (not frame.mask.any())
        assert all("specks of the mask" in note for note in frame.notes)
    assert {frame.box is None for frame in frames} == {True, False}
