"""A data set is counted from its labels, and what cannot be read is named once."""

from __future__ import annotations

from pathlib import Path

from pipelines.polyp.data import read_dataset, survey
from tests.pipelines.polyp.made import real_colon, write_text


def test_counts(tmp_path: Path) -> None:
    found = survey(read_dataset(real_colon(tmp_path, sizes=("4", "12mm-"))))
    assert (found.polyps, found.sized, found.censored, found.groups) == (2, 2, 1, 1)
    assert (found.frames, found.with_box, found.with_mask, found.bare) == (3, 3, 3, 3)
    assert found.failed == () and found.notes == ()
    assert found.sentence() == (
        "2 polyps of 1 patients or recordings, 2 of known size (1 of these as a lower bound), 3 frames of"
        " them, 3 with a box, 3 with a mask, 3 frames without a lesion"
    )


def test_what_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    real_colon(tmp_path)
    write_text(tmp_path / "001-001_annotations" / "001-001_10.xml", "<annotation>")
    write_text(tmp_path / "b" / "1.mp4", "no video")
    write_text(tmp_path / "b" / "t.csv", "video,size\n1,5\n")
    dataset = read_dataset(tmp_path)
    assert [one.name for one in survey(dataset).failed] == ["001-001_10"]
    both = survey(read_dataset(tmp_path / "b"))
    assert [one.name for one in both.failed] == ["1"] and "1 that cannot be read" in both.sentence()


def test_all_real_files(shared_data: Path) -> None:
    found = survey(read_dataset(shared_data / "polyp"))
    assert (found.polyps, found.sized, found.frames, found.groups) == (553, 0, 553, 553)
    assert (found.with_mask, found.failed) == (433, ())
    assert found.with_box > 420
