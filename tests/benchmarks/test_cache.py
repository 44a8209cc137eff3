"""The folder of what benchmarks keep."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cache import cache_folder, contents, fingerprint, replace_file


def test_git_is_told_to_ignore_it(tmp_path: Path) -> None:
    folder = cache_folder("wafer", tmp_path)
    assert folder == tmp_path / ".cache" / "benchmarks" / "wafer"
    assert folder.is_dir()
    assert (folder.parent / ".gitignore").read_text() == "*\n"
    assert cache_folder("wafer", tmp_path) == folder


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    replace_file(target, b"one")
    replace_file(target, b"two")
    assert target.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [target]


def test_a_changed_file_has_another_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "data.npz"
    file.write_bytes(b"one")
    before = fingerprint(file)
    assert fingerprint(file) == before
    file.write_bytes(b"other")
    assert fingerprint(file) != before


def test_a_copied_folder_has_the_same_contents(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "image.jpg").write_bytes(b"123")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    (tmp_path / "two" / "inner" / "image.jpg").write_bytes(b"1234")
    assert contents(tmp_path / "one") != contents(tmp_path / "two")
    (tmp_path / "two" / "inner" / "image.jpg").write_bytes(b"321")
    (tmp_path / "two" / "other.jpg").write_bytes(b"")
    assert contents(tmp_path / "one") != contents(tmp_path / "two")
