"""Opening within limits, detection by content, and the walk through folders."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from pipelines.wafer import data as wafer_data
from pipelines.wafer.data import (
    FailedMap,
    Limits,
    SkippedFile,
    WaferFileError,
    WaferMap,
    files,
    iter_maps,
    read_file,
    reading,
    sinf,
)
from tests.pipelines.wafer.data import builders

KLARF = b"""FileVersion 1 2;
SampleSize 1 300;
LotID "L1";
WaferID "7";
DiePitch 40000 30000;
SampleOrientationMarkType NOTCH;
OrientationMarkLocation DOWN;
SampleCenterLocation 0 0;
DefectRecordSpec 5 DEFECTID XREL YREL XINDEX YINDEX;
DefectList
 1 100 200 1 -1;
EndOfFile;
"""
FILES: dict[str, bytes] = {
    "KLARF": KLARF,
    "SINF": builders.sinf(),
    "SEMI G85": builders.g85(),
    "SEMI E142": builders.e142(),
    "CSV": b"x_mm,y_mm\n1,2\n",
    "NumPy .npy": builders.npy(builders.UPRIGHT),
    "NumPy .npz": builders.wm811k(),
    "STDF": builders.stdf(),
}


def test_public_names() -> None:
    assert set(wafer_data.__all__) == {
        *("DieGrid", "FailedMap", "FoundFile", "Limits", "SkippedFile", "WaferFileError", "WaferMap"),
        *("find_files", "iter_maps", "read_file", "read_found", "read_labelled"),
    }


def test_every_format_has_a_file_here() -> None:
    assert set(FILES) == {format.name for format in files.FORMATS}


@pytest.mark.parametrize("name", FILES)
def test_only_one_format_takes_a_file(name: str) -> None:
    assert [format.name for format in files.FORMATS if format.looks_like(FILES[name])] == [name]


@pytest.mark.parametrize("suffix", [".txt", "", ".jpg", ".npz.gz"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", [name for name in FILES if name != "STDF"])
def test_content_decides_and_not_the_suffix(tmp_path: Path, name: str, packed: bool, suffix: str) -> None:
    path = tmp_path / f"map{suffix}"
    path.write_bytes(gzip.compress(FILES[name]) if packed else FILES[name])
    items = list(read_file(path))
    assert items
    assert all(isinstance(item, WaferMap) and item.source == path for item in items)


def test_byte_order_marks_and_utf16(tmp_path: Path) -> None:
    for name, content in (("SINF", builders.sinf()), ("CSV", FILES["CSV"]), ("G85", builders.g85())):
        for encoding in ("utf-8-sig", "utf-16"):
            text = content.decode().replace('encoding="utf-8"', f'encoding="{encoding.removesuffix("-sig")}"')
            path = tmp_path / f"{name}.{encoding}"
            path.write_bytes(text.encode(encoding))
            (wafer,) = read_file(path)
            assert isinstance(wafer, WaferMap), wafer


def test_several_gzip_parts_and_padding(tmp_path: Path) -> None:
    path = tmp_path / "map.gz"
    content = builders.sinf()
    path.write_bytes(gzip.compress(content[:50]) + gzip.compress(content[50:]) + bytes(500))
    assert files.read_all(path) == content
    assert files.read_head(path) == content


def test_limit_on_bytes(tmp_path: Path) -> None:
    path = tmp_path / "map"
    path.write_bytes(bytes(1001))
    with pytest.raises(WaferFileError, match=r"1,001 bytes; at most 1,000 are.*max_bytes=N"):
        files.read_all(path, 1000)
    path.write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(WaferFileError, match=r"more than 1,000 bytes when unpacked.*max_bytes=N"):
        files.read_all(path, 1000)
    assert len(files.read_all(path, 1001)) == 1001


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", FILES)
def test_every_format_keeps_to_the_limit_on_bytes(tmp_path: Path, name: str, named: bool) -> None:
    path = tmp_path / "maps" / "map"
    path.parent.mkdir()
    path.write_bytes(FILES[name])
    paths, size = [path if named else path.parent], len(FILES[name])
    (failed,) = iter_maps(paths, limits=Limits(max_bytes=size - 1))
    assert isinstance(failed, FailedMap)
    assert f"at most {size - 1:,} are read: raise the limit with --set max_bytes=N" in failed.error
    assert all(isinstance(item, WaferMap) for item in iter_maps(paths, limits=Limits(max_bytes=size)))


def test_limit_on_the_arrays_of_an_npz(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    np.savez_compressed(path, a=np.ones((100, 100), np.uint8), b=np.full((100, 100), 2, np.uint8))
    stored, unpacked = path.stat().st_size, 2 * (100 * 100 + 128)  # an .npy has a header of 128 bytes
    assert stored < unpacked - 1
    (failed,) = read_file(path, limits=Limits(max_bytes=unpacked - 1))
    assert isinstance(failed, FailedMap)
    assert f"the arrays take {unpacked:,} bytes when unpacked" in failed.error
    assert "raise the limit with --set max_bytes=N" in failed.error
    assert len(list(read_file(path, limits=Limits(max_bytes=unpacked)))) == 2


@pytest.mark.parametrize("name", ["KLARF", "CSV", "STDF"])
def test_limit_on_defects(tmp_path: Path, name: str) -> None:
    two = {
        "KLARF": KLARF.replace(b" 1 100 200 1 -1;", b" 1 100 200 1 -1\n 2 100 200 1 -1;"),
        "CSV": b"x_mm,y_mm\n1,2\n3,4\n",
        "STDF": builders.stdf(*(builders.stdf_part(n, 0, fails=True) for n in range(2))),
    }
    path = tmp_path / "map"
    path.write_bytes(two[name])
    (failed,) = read_file(path, limits=Limits(max_defects=1))
    assert isinstance(failed, FailedMap)
    assert "more than 1 " in failed.error and "raise the limit with --set max_defects=N" in failed.error
    (wafer,) = read_file(path, limits=Limits(max_defects=2))
    assert isinstance(wafer, WaferMap) and len(wafer.defects) == 2


@pytest.mark.parametrize("name", ["SINF", "SEMI G85", "SEMI E142", "NumPy .npy", "NumPy .npz", "STDF", "CSV"])
def test_limit_on_dies(tmp_path: Path, name: str) -> None:
    """Of wafers of 5 rows and 4 columns."""
    path = tmp_path / "map"
    path.write_bytes(b"die_x,die_y,bin\n0,0,1\n3,4,2\n" if name == "CSV" else FILES[name])
    for failed in read_file(path, limits=Limits(max_dies=19)):
        assert isinstance(failed, FailedMap)
        assert "raise the limit with --set max_dies=N" in failed.error
    for wafer in read_file(path, limits=Limits(max_dies=20)):
        assert isinstance(wafer, WaferMap) and wafer.dies is not None and wafer.dies.status.size == 20


def test_a_plan_of_tests_above_the_limit_on_dies_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "map.klarf"
    path.write_bytes(KLARF.replace(b"DefectList", b"SampleTestPlan 2\n 0 0\n 2 1;\nDefectList"))
    (small,), (large,) = (read_file(path, limits=Limits(max_dies=most)) for most in (8, 9))
    assert isinstance(small, WaferMap) and small.dies is None and len(small.defects) == 1
    assert any("limit (max_dies) of 8" in note for note in small.notes)
    assert isinstance(large, WaferMap) and large.dies is not None and large.dies.status.size == 9


@pytest.mark.parametrize("name", ["SEMI G85", "SEMI E142"])
def test_limits_on_xml(tmp_path: Path, name: str) -> None:
    path = tmp_path / "map.xml"
    path.write_bytes(FILES[name])
    root = ElementTree.fromstring(FILES[name])
    exact = {
        "max_xml_bytes": len(FILES[name]),
        "max_xml_elements": sum(1 for _ in root.iter()),
        "max_xml_depth": depth(root),
    }
    for limit, most in exact.items():
        (failed,) = read_file(path, limits=Limits(**{limit: most - 1}))
        assert isinstance(failed, FailedMap)
        assert f"raise the limit with --set {limit}=N" in failed.error
    (wafer,) = read_file(path, limits=Limits(**exact))
    assert isinstance(wafer, WaferMap)


def depth(element: ElementTree.Element) -> int:
    return 1 + max(map(depth, element), default=0)


def test_named_file_that_is_no_map_fails(tmp_path: Path) -> None:
    path = tmp_path / "LICENSE"
    path.write_text("Permission is hereby granted, free of charge, to any person\n")
    (failed,) = iter_maps([path])
    assert isinstance(failed, FailedMap)
    assert "no wafer map in a format that is read" in failed.error


def test_what_does_not_exist_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(WaferFileError, match="nowhere does not exist"):
        iter_maps([tmp_path, tmp_path / "nowhere"])
    (failed,) = read_file(tmp_path / "nowhere")
    assert isinstance(failed, FailedMap)
    assert "No such file" in failed.error


def test_folder_of_all_kinds(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "a.map").write_bytes(builders.sinf())
    (tmp_path / "a.txt").write_text("notes\n")
    (tmp_path / "b" / "broken.xml").write_bytes(builders.g85()[:300])
    (tmp_path / "b" / "deep" / "z.npz").write_bytes(builders.wm811k())
    (tmp_path / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "labels.csv").write_text("source,map,label\na.map,0,Loc\n")
    items = list(iter_maps([tmp_path]))
    found = [(type(item).__name__, item.source.relative_to(tmp_path).as_posix()) for item in items]
    assert found == [
        ("WaferMap", "a.map"),
        ("SkippedFile", "a.txt"),
        ("SkippedFile", "c.png"),
        ("SkippedFile", "labels.csv"),
        ("FailedMap", "b/broken.xml"),
        ("WaferMap", "b/deep/z.npz"),
        ("WaferMap", "b/deep/z.npz"),
    ]


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.map").write_bytes(builders.sinf())
    (folder / "real.map").write_bytes(builders.sinf())
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "self").symlink_to("self")
    (folder / "out").symlink_to(outside)
    (folder / "out.map").symlink_to(outside / "secret.map")
    (folder / "again.map").symlink_to("real.map")
    reasons = {i.source.name: i.reason for i in iter_maps([folder]) if isinstance(i, SkippedFile)}
    assert reasons == {
        "again.map": "a link to what is read anyway, in the same folder",
        "loop": "a link to what is read anyway, in the same folder",
        "out": "a link that leads out of the folder",
        "out.map": "a link that leads out of the folder",
        "self": "a link that leads nowhere",
    }
    assert [i.source.name for i in iter_maps([folder]) if isinstance(i, WaferMap)] == ["real.map"]
    # The folder that is named may itself be reached by a link.
    (tmp_path / "door").symlink_to(folder)
    assert sum(isinstance(item, WaferMap) for item in iter_maps([tmp_path / "door"])) == 1


def test_a_file_that_vanishes_is_a_row(tmp_path: Path) -> None:
    for name in ("a.map", "b.map", "c.map"):
        (tmp_path / name).write_bytes(builders.sinf())
    maps = iter_maps([tmp_path])
    assert isinstance(next(maps), WaferMap)
    (tmp_path / "b.map").unlink()
    gone, last = maps
    assert isinstance(gone, FailedMap)
    assert "No such file" in gone.error
    assert isinstance(last, WaferMap)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.map").write_bytes(builders.sinf())
    (tmp_path / "a.map").chmod(0)
    (tmp_path / "b").mkdir(mode=0)
    first, second = iter_maps([tmp_path])
    assert isinstance(first, FailedMap)
    assert isinstance(second, FailedMap)
    assert "Permission denied" in first.error
    assert "Permission denied" in second.error


def test_pipes_and_the_like_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (item,) = iter_maps([tmp_path])
    assert item == SkippedFile(tmp_path / "pipe", "neither a file nor a folder")
    (failed,) = read_file(tmp_path / "pipe")
    assert isinstance(failed, FailedMap)


@pytest.mark.parametrize("error", reading.READ_ERRORS, ids=lambda error: error.__name__)
def test_damage_that_no_reader_foresaw_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def read(data: bytes, source: Path, limits: Limits) -> Iterator[WaferMap | FailedMap]:
        yield next(sinf.read(data, source))
        raise error("what is this")

    fragile = files.Format("fragile", lambda head: True, read)
    monkeypatch.setattr(files, "FORMATS", (fragile,))
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(builders.sinf())
    items = list(iter_maps([tmp_path]))
    assert [type(item) for item in items] == [WaferMap, FailedMap, WaferMap, FailedMap]
    failed = items[1]
    assert isinstance(failed, FailedMap)
    assert failed.position == 1
    assert failed.error.startswith("fragile: ")


def test_assumed_diameter(tmp_path: Path) -> None:
    def read(content: bytes) -> WaferMap:
        path = tmp_path / "map"
        path.write_bytes(content)
        wafer = next(read_file(path, assumed_diameter_mm=200))
        assert isinstance(wafer, WaferMap)
        return wafer

    # Dies without a size span the wafer and grow with it.
    grid = read(builders.npy(builders.UPRIGHT))
    assert grid.dies is not None
    assert (grid.diameter_mm, grid.dies.pitch_mm) == (200.0, (50.0, 40.0))
    np.testing.assert_allclose(grid.defects, [(-25, 40), (75, 0), (-75, -40)])
    np.testing.assert_allclose(grid.dies.positions_mm(np.array([5, 11, 12])), grid.defects)
    # Known positions stay, and a stated diameter too.
    points = read(b"x_mm,y_mm\n10,20\n")
    assert (points.diameter_mm, points.defects.tolist()) == (200.0, [[10.0, 20.0]])
    assert read(builders.g85()).diameter_mm == 300.0
