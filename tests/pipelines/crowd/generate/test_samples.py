"""The sample folder: read by the readers, and the same as the one in the project."""

from __future__ import annotations

import filecmp
from pathlib import Path

import numpy as np
import pytest

from pipelines.common.media.images import read_image
from pipelines.common.media.video import Video
from pipelines.crowd.data import CrowdError, read_case, read_dataset
from pipelines.crowd.generate.dataset import write_dataset
from pipelines.crowd.generate.samples import CROWDS, FRAMES, SIZE, write_samples
from pipelines.crowd.zones import read_ground, read_zones

MOST_BYTES = 1_500_000
DRAWN = {".jpg", ".png", ".avi"}  # whose bytes follow the version of OpenCV


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples") / "crowd"
    assert write_samples(out) == sorted(path for path in out.rglob("*") if path.is_file())
    return out


def test_the_committed_files_are_these(folder: Path, project_root: Path) -> None:
    committed = project_root / "sample_data" / "crowd"
    made = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert made == sorted(path.relative_to(committed) for path in committed.rglob("*") if path.is_file())
    for name in made:
        if "bad" in name.parts or name.suffix not in DRAWN:
            continue
        if name.suffix != ".avi":
            ours, theirs = (read_image(one / name).pixels.astype(int) for one in (folder, committed))
            assert np.abs(ours - theirs).mean() < 1, name
    assert filecmp.cmp(folder / "heads.csv", committed / "heads.csv", shallow=False)
    assert sum((committed / name).stat().st_size for name in made) < MOST_BYTES


def test_the_labels_are_read_for_what_they_are(folder: Path) -> None:
    counts = {}
    for case in read_dataset(folder).cases:
        if "bad" in case.image.parts:
            continue
        read = read_case(case)
        assert read.heads is not None
        counts[case.image.stem] = len(read.heads.points)
    expected = {f"square-{name}": count for name, count in CROWDS.items()}
    assert counts == expected | {"square-empty": 0, "wall": 0, "black": 0}


def test_zones_and_scale_are_those_of_the_square(folder: Path) -> None:
    zones = read_zones(folder / "zones.json", *SIZE)
    assert [one.name for one in zones] == ["front", "along the houses"]
    ground = read_ground(folder / "ground.json")
    assert ground is not None


def test_the_video_shows_people_who_walk(folder: Path) -> None:
    with Video(folder / "walk.avi") as video:
        frames = [frame.pixels.astype(int) for frame in video.frames()]
    assert len(frames) == FRAMES
    assert frames[0].shape == (320, 480, 3)
    assert np.abs(frames[0] - frames[-1]).mean() > 1


@pytest.mark.parametrize("name", ["cut-off.jpg", "empty.jpg", "not-really.jpg"])
def test_bad_pictures_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(CrowdError):
        read_image(folder / "photos" / "bad" / name)


def test_a_training_set_holds_crowds_and_empty_squares(tmp_path: Path) -> None:
    written = write_dataset(tmp_path, images=11, seed=3)
    assert len(written) == 12
    counts = [
        len(read.heads.points) for one in read_dataset(tmp_path).cases if (read := read_case(one)).heads
    ]
    assert len(counts) == 11
    assert min(counts) == 0
    assert max(counts) > 30
