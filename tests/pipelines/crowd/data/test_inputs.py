"""What a user names becomes images and videos, each once, in a stable order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.crowd.data.inputs import InputFile, SkippedFile, find_inputs
from tests.pipelines.crowd.made import write_text


def listed(folder: Path, *paths: Path) -> list[tuple[str, str]]:
    """Paths below the folder, with their kind or with the reason for leaving them out."""
    return [
        (str(item.path.relative_to(folder)), item.kind if isinstance(item, InputFile) else item.reason)
        for item in find_inputs(paths or [folder])
    ]


def test_folders_are_searched_in_the_order_of_numbers(tmp_path: Path) -> None:
    for name in (
        "b/2.JPG",
        "b/10.png",
        "a/clip.mp4",
        "frame10.jpg",
        "frame9.jpg",
        ".hidden.jpg",
        "notes.txt",
    ):
        write_text(tmp_path / name, "x")
    assert listed(tmp_path) == [
        ("frame9.jpg", "image"),
        ("frame10.jpg", "image"),
        ("notes.txt", "its name is not that of an image or a video"),
        ("a/clip.mp4", "video"),
        ("b/2.JPG", "image"),
        ("b/10.png", "image"),
    ]


def test_nothing_comes_twice_and_named_files_need_no_ending(tmp_path: Path) -> None:
    for name in ("a.jpg", "b"):
        write_text(tmp_path / name, "x")
    assert listed(tmp_path, tmp_path / "b", tmp_path / "a.jpg", tmp_path) == [
        ("b", "image"),
        ("a.jpg", "image"),
        ("b", "its name is not that of an image or a video"),
    ]


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    missing, empty = find_inputs([tmp_path / "none.jpg", tmp_path / "empty"])
    assert missing == SkippedFile(tmp_path / "none.jpg", "there is no such file or folder", named=True)
    assert empty == SkippedFile(tmp_path / "empty", "the folder holds no images and no videos", named=True)


def test_links_lead_neither_out_nor_round(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_text(folder / "a.jpg", "x")
    write_text(tmp_path / "out.jpg", "x")
    (folder / "b.jpg").symlink_to(folder / "a.jpg")
    (folder / "c.jpg").symlink_to(tmp_path / "out.jpg")
    (folder / "d").symlink_to(folder, target_is_directory=True)
    (folder / "e.jpg").symlink_to(folder / "e.jpg")
    reason = "a link to a folder, out of the folder or to nowhere"
    assert listed(folder) == [("a.jpg", "image"), ("c.jpg", reason), ("d", reason), ("e.jpg", reason)]


def test_runs_and_models_are_not_entered_unless_named(tmp_path: Path) -> None:
    write_text(tmp_path / "run" / "run.json", '{"schema_version": 1, "task": "crowd"}')
    write_text(tmp_path / "run" / "overlays" / "a.jpg", "x")
    for name in ("config.json", "model.safetensors", "example.png"):
        write_text(tmp_path / "model" / name, "{}")
    assert listed(tmp_path) == [
        ("model", "a model folder"),
        ("run", "a run folder, whose pictures are no images to count"),
        (".", "the folder holds no images and no videos"),
    ]
    assert ("run/overlays/a.jpg", "image") in listed(tmp_path, tmp_path / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    assert listed(tmp_path, tmp_path / "shut")[0][1].startswith("the folder cannot be read")
