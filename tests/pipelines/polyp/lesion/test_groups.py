"""What must stay together does, and a part is held out of each kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines.common.errors import UserError
from pipelines.polyp.data import FrameRef
from pipelines.polyp.lesion.frames import LesionFrame, store_frames
from pipelines.polyp.lesion.groups import group_frames, near_pairs, parted, prints_of
from tests.pipelines.polyp.lesion.builders import disc, painted, wall, write_discs


def frame(
    name: str, pixels: np.ndarray, *, data: str = "a", patient: str = "", empty: bool = False
) -> LesionFrame:
    mask = np.full((*pixels.shape[:2], 1), 0 if empty else 255, np.uint8)
    kept = np.concatenate([pixels, mask, np.full_like(mask, 255)], 2)
    return LesionFrame(f"{data}/{name}", data, patient or f"{data}/{name}", FrameRef(name), True, kept)


def test_the_same_picture_again_is_found_however_it_was_stored() -> None:
    picture = painted(wall(0), disc(40, 30, 12))
    darker = np.clip(picture * 0.8, 0, 255).astype(np.uint8)
    smaller = cv2.resize(picture, (90, 72), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])
    copies = [darker, smaller, np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))]
    others = [painted(wall(seed), disc(60, 50, 15)) for seed in range(1, 40)]
    assert near_pairs(prints_of([picture]), prints_of(copies)) == [(0, 0), (0, 1), (0, 2)]
    assert not near_pairs(prints_of([picture]), prints_of(others))
    assert not near_pairs(prints_of([]), prints_of(others))


def test_a_flat_picture_is_like_no_other() -> None:
    flat = np.full((50, 60, 3), 90, np.uint8)
    assert not near_pairs(prints_of([flat]), prints_of([flat, wall(0)]))


def test_patients_sequences_and_copies_are_one_group() -> None:
    frames = [
        frame("556OLCV1_100H0004", wall(0)),
        frame("556OLCV1_100H0012", wall(1)),
        frame("642OLCV1_100H0012", wall(2)),
        frame("9_endocv2021_positive_457", wall(3)),
        frame("9_endocv2021_positive_1362", wall(4)),
        frame("19_endocv2021_positive_5", wall(5)),
        frame("x", wall(1), data="b"),  # the second again, in another data set
        frame("y", wall(6), data="b", patient="b/p"),
        frame("z", wall(7), data="b", patient="b/p"),
    ]
    found = group_frames(frames)
    assert found.group == (0, 0, 2, 3, 3, 5, 0, 7, 7)
    assert (found.near, found.sequences) == (1, 2)


def test_a_share_of_each_data_set_and_of_empty_frames_is_held_out() -> None:
    pixels = wall(0, 8, 8)
    frames = [
        frame(f"{data}{number}", pixels, data=data, empty=number % 5 == 0)
        for data, count in (("a", 60), ("b", 30))
        for number in range(count)
    ]
    group = [number - number % 2 for number in range(len(frames))]  # pairs
    kept, out = parted(frames, group, 1 / 3, 0)
    assert sorted([*kept, *out]) == list(range(len(frames)))
    assert not {group[one] for one in kept} & {group[one] for one in out}
    counts = Counter((frames[one].data, frames[one].empty) for one in out)
    assert counts[("a", False)] == pytest.approx(16, abs=2) and counts[("b", False)] == pytest.approx(
        8, abs=2
    )
    assert counts[("a", True)] == pytest.approx(4, abs=2) and counts[("b", True)] == pytest.approx(2, abs=1)
    assert parted(frames, group, 1 / 3, 0) == (kept, out)
    assert parted(frames, group, 1 / 3, 1) != (kept, out)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_neither_part_is_empty(share: float) -> None:
    frames = [frame(str(number), wall(0, 8, 8)) for number in range(3)]
    kept, out = parted(frames, [0, 1, 2], share, 0)
    assert kept and out
    with pytest.raises(UserError, match="two are needed"):
        parted(frames, [0, 0, 0], share, 0)


def test_frames_are_made_ready_once_and_again_when_they_change(tmp_path: Path) -> None:
    polyps = {"discs": write_discs(tmp_path / "d", 4, empty=1)}
    frames, left_out = store_frames(polyps, 64, 16, tmp_path / "s", lambda text: None)
    assert [one.empty for one in frames] == [False] * 4 + [True] and not left_out
    assert all(max(one.kept.shape[:2]) == 80 and one.inside.all() for one in frames)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("*.npy")}
    store_frames(polyps, 64, 16, tmp_path / "s", lambda text: None)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    (tmp_path / "d" / "images" / "frame002.png").write_bytes(b"no image")
    frames, left_out = store_frames(polyps, 64, 16, tmp_path / "s", lambda text: None)
    assert len(frames) == 4
    assert "frame002" in left_out[0].name and "frame002.png" in left_out[0].reason


def test_frames_without_a_mask_or_a_picture_are_left_out_by_name(tmp_path: Path) -> None:
    polyps = write_discs(tmp_path / "d", 3, empty=0)
    cv2.imwrite(str(tmp_path / "d" / "images" / "frame001.png"), np.zeros((96, 120, 3), np.uint8))
    bare = replace(polyps[0].frames.find().frames[0], mask=None)
    some = (replace(polyps[0], frames=replace(polyps[0].frames, frames=(bare,))), *polyps[1:])
    frames, left_out = store_frames({"d": some}, 64, 16, tmp_path / "s", lambda text: None)
    assert len(frames) == 1
    assert ["no mask" in left_out[0].reason, "optical field" in left_out[1].reason] == [True, True]
    with pytest.raises(UserError, match=r"no frame with a mask.*no mask"):
        store_frames({"d": some[:1]}, 64, 16, tmp_path / "t", lambda text: None)
    pixels, _ = store_frames({"d": some[:1]}, 64, 16, tmp_path / "u", lambda text: None, labelled=False)
    assert not pixels[0].labelled and not pixels[0].share.any()
