"""The sample clips: read by the readers, the same as those in the project, and bad where they are to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.common.media.images import read_image
from pipelines.polyp.data import FailedFrame, Frame, frames_of, read_dataset, read_frames
from pipelines.polyp.render import samples
from pipelines.polyp.render.samples import CLIPS, FRAMES, write_samples

MOST_BYTES = 1_500_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples") / "polyp"
    assert write_samples(out) == sorted(path for path in out.rglob("*") if path.is_file())
    return out


def test_the_committed_files_are_these(folder: Path, project_root: Path) -> None:
    """Pixels may differ by a rounding from one processor to another."""
    committed = project_root / "sample_data" / "polyp"
    made = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert made == sorted(path.relative_to(committed) for path in committed.rglob("*") if path.is_file())
    for name in made:
        if name.suffix in (".csv", ".json", ".txt"):
            assert (folder / name).read_bytes() == (committed / name).read_bytes(), name
        if name.suffix == ".jpg" and name.parts[0] == "clips":
            ours, theirs = (read_image(one / name).pixels.astype(int) for one in (folder, committed))
            assert np.abs(ours - theirs).mean() < 2, name
    assert sum((committed / name).stat().st_size for name in made) < MOST_BYTES


def test_clips_have_sizes_boxes_masks_depths_and_a_camera(folder: Path) -> None:
    polyps = read_dataset(folder / "clips").polyps
    assert len(polyps) == CLIPS
    assert all(one.size_mm is not None and one.camera is not None for one in polyps)
    seen = [one for polyp in polyps for one in read_frames(frames_of(polyp).frames)]
    lesions = [one for one in seen if isinstance(one, Frame) and one.box is not None]
    assert CLIPS * FRAMES / 2 < len(lesions) == len(seen), "only frames that show the polyp are its frames"
    assert all(one.mask is not None and one.depth is not None for one in lesions)


def test_what_is_bad_is_told_frame_by_frame(folder: Path) -> None:
    first, second = read_dataset(folder / "bad").polyps
    assert second.size_mm is None
    listing = frames_of(first)
    assert [one.name for one in listing.failed] == ["001-001_2"]
    assert "entities" in listing.failed[0].error
    read = {
        (one.name if isinstance(one, FailedFrame) else one.ref.name): one
        for one in read_frames(listing.frames)
    }
    assert isinstance(read["001-001_0"], FailedFrame)
    off = read["001-001_1"]
    assert isinstance(off, Frame)
    assert off.box is None
    assert "lies off the frame" in off.notes[0]


def test_another_seed_gives_other_polyps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "CLIPS", 1)
    monkeypatch.setattr(samples, "SIZE", 64)
    for seed in (0, 1):
        write_samples(tmp_path / str(seed), seed)
    name = Path("clips") / "lesion_info.csv"
    assert (tmp_path / "0" / name).read_bytes() != (tmp_path / "1" / name).read_bytes()
