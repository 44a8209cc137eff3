from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest

from pipelines.wafer.data import FailedMap, SkippedFile, WaferMap, iter_maps, read_file, read_labelled
from pipelines.wafer.generate.bad import bad_files
from pipelines.wafer.generate.dies import DIE_PATTERNS
from pipelines.wafer.generate.files import Names
from pipelines.wafer.generate.patterns import NOVEL_PATTERNS, PATTERNS, make_map
from pipelines.wafer.generate.samples import klarf_file, write_bad_samples, write_samples

NO_MAPS = {"LICENSE.txt", "labels.csv", "wafer-photo.png"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples")
    write_samples(out)
    return out


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = write_samples(tmp_path / "again")
    assert again == sorted(path for path in (tmp_path / "again").rglob("*") if path.is_file())
    for path in again:
        assert path.read_bytes() == (folder / path.relative_to(tmp_path / "again")).read_bytes(), path
    other = write_samples(tmp_path / "other", seed=1)
    assert any(
        path.read_bytes() != (folder / path.relative_to(tmp_path / "other")).read_bytes() for path in other
    )


def test_the_folder_is_small_and_of_all_kinds(folder: Path) -> None:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert 25 <= len(paths) <= 40
    assert sum(path.stat().st_size for path in paths) < 1_500_000
    endings = {"".join(path.suffixes) for path in paths}
    assert {
        ".klarf",
        ".klarf.gz",
        ".001",
        ".sinf",
        ".sinf.gz",
        ".g85.xml",
        ".e142.xml",
        ".npy",
        ".npz",
    } <= endings


def test_every_sample_is_read_and_no_defect_lies_off_its_wafer(folder: Path) -> None:
    items = list(iter_maps([folder]))
    assert not [item for item in items if isinstance(item, FailedMap)]
    assert {item.source.name for item in items if isinstance(item, SkippedFile)} == NO_MAPS
    maps = [item for item in items if isinstance(item, WaferMap)]
    assert {one.notch for one in maps} == {"down", "left", "up", "right"}
    for one in maps:
        edge = one.diameter_mm / 2
        if one.die_level and one.die_pitch_mm is None:
            # The file states no pitch: the grid is stretched to span the wafer, and is right to half a die.
            assert one.dies is not None
            edge += max(one.dies.pitch_mm) / 2
        assert np.hypot(*one.defects.T).max(initial=0.0) <= edge, one.source
        if one.die_level:
            assert one.dies is not None
            assert 450 <= (one.dies.status > 0).sum() <= 3100, one.source
        elif one.source.suffix != ".npz":
            assert one.lot and one.wafer and one.slot, one.source
    named = [(one.lot, one.wafer) for one in maps if one.lot]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize(("version", "tolerance"), [("1.2", 2e-6), ("1.8", 1e-6)])
def test_klarf_samples_hold_what_was_drawn(
    version: Literal["1.2", "1.8"], tolerance: float, tmp_path: Path
) -> None:
    rng = np.random.default_rng(6)
    drawn = [
        (Names("LOT1", f"W{slot:02d}", slot), make_map(rng, pattern, diameter), diameter)
        for slot, (pattern, diameter) in enumerate([("slice", 300.0), ("half_moon", 200.0)], 1)
    ]
    path = tmp_path / "sample.klarf"
    path.write_bytes(klarf_file(drawn, version))
    for one, (names, defects, diameter) in zip(read_file(path), drawn, strict=True):
        assert isinstance(one, WaferMap)
        np.testing.assert_allclose(one.defects, defects, atol=tolerance)
        assert (one.name, one.slot, one.diameter_mm) == (f"LOT1/{names.wafer}", str(names.slot), diameter)
        assert one.timestamp == names.time


def test_labels_name_every_map(folder: Path) -> None:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as stream:
        rows = [(row["source"], int(row["map"])) for row in csv.DictReader(stream)]
    maps = [item for item in iter_maps([folder]) if isinstance(item, WaferMap)]
    assert sorted(rows) == sorted((str(one.source.relative_to(folder)), one.position) for one in maps)
    labelled = list(read_labelled(folder))
    coordinates = {label for one, label in labelled if not one.die_level}
    assert set(PATTERNS) <= coordinates
    assert len(coordinates & set(NOVEL_PATTERNS)) == 3
    assert {label for one, label in labelled if one.die_level} == set(DIE_PATTERNS)


def test_gzipped_samples_carry_no_time(folder: Path) -> None:
    packed = list(folder.rglob("*.gz"))
    assert len(packed) >= 4
    for path in packed:
        data = path.read_bytes()
        assert data[4:8] == b"\0\0\0\0"
        assert gzip.decompress(data)


def test_the_picture_is_one(folder: Path) -> None:
    image = cv2.imread(str(folder / "wafer-photo.png"), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    assert image.shape == (64, 64)


@pytest.mark.parametrize("name", list(bad_files()))
def test_bad_samples_are_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(bad_files()[name])
    items = list(read_file(path))
    assert len(items) == 1
    assert isinstance(items[0], FailedMap)
    assert len(items[0].error) > 10


def test_bad_samples_are_written_and_repeatable(tmp_path: Path) -> None:
    paths = write_bad_samples(tmp_path)
    assert [path.name for path in paths] == sorted(bad_files())
    assert bad_files() == bad_files()
    assert sum(path.stat().st_size for path in paths) < 100_000
