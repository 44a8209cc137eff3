from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.wafer.data.klarf import looks_like, read, write
from pipelines.wafer.data.record import FAIL, NO_DIE, PASS, DieGrid, WaferMap
from tests.pipelines.wafer.data.klarf.samples import KLARF_12, read_one

Version = Literal["1.2", "1.8"]
VERSIONS: tuple[Version, ...] = ("1.2", "1.8")
NM = 1e-6
NAMES = st.text("abcXYZ019-_.", max_size=8)
NOW = datetime(2030, 1, 2, 3, 4, 5)


class Found(NamedTuple):
    label: str
    decision: str
    probability: float


def a_map(position: int = 0, **changes: object) -> WaferMap:
    values: dict[str, object] = {
        "source": Path("x"),
        "position": position,
        "defects": np.array([[1.25, -2.5], [30.0, 40.000001]]),
        "source_rows": np.array([0, 1]),
        "diameter_mm": 200.0,
        "die_level": False,
        "wafer": f"W{position}",
    }
    return WaferMap(**(values | changes))  # type: ignore[arg-type]


def round_trip(maps: Sequence[WaferMap], folder: Path, version: Version) -> list[WaferMap]:
    path = folder / "out.klarf"
    path.unlink(missing_ok=True)
    write(maps, path, version, now=NOW)
    data = path.read_bytes()
    assert looks_like(data[:100])
    back = [one for one in read(data, path) if isinstance(one, WaferMap)]
    assert len(back) == len(maps)
    return back


@st.composite
def wafer_maps(draw: st.DrawFn) -> WaferMap:
    """Maps as they come from readers: dies with a defect fail, and defects keep off the edges of dies."""
    diameter = draw(st.sampled_from([100.0, 150.0, 200.0, 300.0, 297.5]))
    count = draw(st.integers(0, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    radius, angle = diameter / 2 * np.sqrt(rng.random(count)), rng.random(count) * 2 * np.pi
    defects: NDArray[np.float64] = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    pitch = draw(st.none() | st.tuples(st.floats(0.8, 30.0), st.floats(0.8, 30.0)))
    dies = None
    if pitch is not None and draw(st.booleans()):
        lines, columns = draw(st.integers(1, 40)), draw(st.integers(1, 40))
        origin = (
            -columns / 2 * pitch[0] + draw(st.floats(-1, 1)),
            lines / 2 * pitch[1] + draw(st.floats(-1, 1)),
        )
        status = rng.choice(np.array([NO_DIE, PASS], dtype=np.uint8), (lines, columns))
        status.flat[rng.integers(status.size)] = PASS
        grid = DieGrid(status, pitch, origin)
        flat = rng.choice(np.flatnonzero(status), count)
        defects = grid.positions_mm(flat) + rng.uniform(-0.45, 0.45, (count, 2)) * pitch
        on_wafer = np.hypot(defects[:, 0], defects[:, 1]) < diameter / 2
        defects, flat = defects[on_wafer], flat[on_wafer]
        status.flat[flat] = FAIL
        dies = grid
    return a_map(
        draw(st.integers(0, 9)),
        defects=defects,
        source_rows=np.arange(len(defects)),
        diameter_mm=diameter,
        die_pitch_mm=pitch,
        dies=dies,
        lot=draw(NAMES),
        wafer=draw(NAMES),
        slot=draw(st.sampled_from(["", "1", "25", "A7"])),
        step=draw(NAMES),
        device=draw(NAMES),
        tool=draw(NAMES),
        timestamp=draw(st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1))),
    )


def inspected(grid: DieGrid) -> NDArray[np.float64]:
    """x, y and status (P, 3) of the inspected dies, in order."""
    flat = np.flatnonzero(grid.status)
    return np.column_stack([grid.positions_mm(flat), grid.status.ravel()[flat]])


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(maps=st.lists(wafer_maps(), min_size=1, max_size=4))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, version: Version, maps: list[WaferMap]
) -> None:
    folder = tmp_path_factory.mktemp("klarf")
    slot_stated = False
    for position, (one, back) in enumerate(zip(maps, round_trip(maps, folder, version), strict=True)):
        assert back.slot == one.slot or (
            version == "1.2" and slot_stated and not one.slot and back.slot == "0"
        )
        slot_stated = slot_stated or bool(one.slot)
        assert np.abs(back.defects - one.defects).max(initial=0) <= NM
        assert back.source_rows.tolist() == one.source_rows.tolist()
        assert back.position == position
        for name in ("lot", "wafer", "step", "device"):
            assert getattr(back, name) == getattr(one, name), name
        assert back.tool == ("" if one.tool.lower() in ("none", "na") else one.tool)
        assert back.timestamp == (one.timestamp and one.timestamp.replace(microsecond=0))
        assert back.diameter_mm == pytest.approx(one.diameter_mm, abs=NM)
        assert back.notes == ()
        assert (back.die_pitch_mm is None) == (one.die_pitch_mm is None)
        if one.die_pitch_mm is not None:
            assert back.die_pitch_mm == pytest.approx(one.die_pitch_mm, abs=NM)
        assert (back.dies is None) == (one.dies is None)
        if one.dies is not None and back.dies is not None:
            expected, found = inspected(one.dies), inspected(back.dies)
            assert found[:, 2].tolist() == expected[:, 2].tolist()
            # 1.8 rounds the pitch to 1 nm, which adds up over at most 40 dies.
            assert np.abs(found[:, :2] - expected[:, :2]).max() <= (41 * NM if version == "1.8" else NM)


def test_no_wafer_inherits_the_slot_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "out.klarf"
    write([a_map(0, slot=""), a_map(1, slot="7"), a_map(2, slot=""), a_map(3, slot="9")], path)
    slots = [line for line in path.read_text().splitlines() if line.startswith("Slot")]
    assert slots == ["Slot 7;", "Slot 0;", "Slot 9;"]


@pytest.mark.parametrize("version", VERSIONS)
def test_real_maps_survive(shared_data: Path, tmp_path: Path, version: Version) -> None:
    source = shared_data / "wafer" / "klarf" / "LARGE_KLARF.000"
    maps = [one for one in read(source.read_bytes(), source) if isinstance(one, WaferMap)]
    (back,) = round_trip(maps, tmp_path, version)
    assert np.abs(back.defects - maps[0].defects).max() <= NM


@pytest.mark.parametrize("version", VERSIONS)
def test_classes_are_named_and_numbered(tmp_path: Path, version: Version) -> None:
    maps = [a_map(0), a_map(1), a_map(2, defects=np.zeros((0, 2)), source_rows=np.zeros(0, dtype=np.int64))]
    found = [
        Found("Edge-Ring", "known", 0.96875),
        Found("Scratch", "novel", 0.5),
        Found("Center", "known", 0.75),
    ]
    path = tmp_path / "out.klarf"
    write(maps, path, version, found)
    text = path.read_text()
    for number, name in enumerate(["Unclassified", "Center", "Edge-Ring", "Novel"]):
        assert f'{number} "{name}"' in text
    assert text.count("2 2 1 0") == 2 and text.count("3 3 1 0") == 2
    for value in ("Edge-Ring", "Scratch", "Center", "known", "novel", "0.96875", "0.5", "0.75"):
        assert f' "{value}"' in text
    assert len(list(read(path.read_bytes(), path))) == 3


def test_one_file_of_each_version_in_full(tmp_path: Path) -> None:
    one = read_one(KLARF_12)
    write([one], tmp_path / "a", "1.2", [Found("Loc", "known", 1.0)], now=NOW)
    text = (tmp_path / "a").read_text()
    assert text.startswith("FileVersion 1 2;\nFileTimestamp 01-02-2030 03:04:05;\n")
    assert 'LotID "L1";\nSampleSize 1 200;\nDeviceID "Dev";\nStepID "Step";\n' in text
    assert "DiePitch 1.0000000000e+04 2.0000000000e+04;\n" in text
    assert 'ClassLookup 2\n 0 "Unclassified"\n 1 "Loc";\n' in text
    assert 'CustomWaferList 3\n PREDICTEDCLASS "Loc"\n DECISION "known"\n PROBABILITY "1";\n' in text
    assert "DefectList\n 1 6000.0000 12000.0000 -1 -1 1 1 1 0\n" in text
    assert text.endswith("SummaryList\n 1 3 9.5492965855e-03 0 3;\nEndOfFile;\n")
    write([one], tmp_path / "b", "1.8", now=NOW)
    text = (tmp_path / "b").read_text()
    assert "Field DiePitch 2 {10000000, 20000000}\n" in text
    assert "Data 3\n{\n 1 6000000 12000000 -1 -1 0 0 1 0;\n" in text


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ('a"b', "a'b"),
        ('L1"; DefectList 1 2 3; LotID "', "L1', DefectList 1 2 3, LotID '"),
        ("a\nEndOfFile;\nb", "a EndOfFile, b"),
        ("}}\r\n}", ")) )"),
        ("\x00\x1b[31m", "[31m"),
        ("Größe 晶圆", "Größe 晶圆"),
        ("a\ud800b", "a b"),
        ("  ", ""),
    ],
)
def test_names_cannot_break_a_file(tmp_path: Path, version: Version, name: str, expected: str) -> None:
    maps = [a_map(0, lot=name, wafer=name, step=name, tool=name, device=name, slot=name), a_map(1)]
    first, second = round_trip(maps, tmp_path, version)
    assert (first.lot, first.wafer, first.step, first.device, first.tool, first.slot) == (expected,) * 6
    assert (second.lot, second.wafer) == ("", "W1")
    label = Found(name, "known", 0.5)
    write(maps, tmp_path / "classes", version, [label, label])
    assert len(list(read((tmp_path / "classes").read_bytes(), tmp_path))) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_a_map_of_dies(tmp_path: Path, version: Version) -> None:
    status = np.array([[0, 1, 0], [2, 1, 2], [0, 1, 0]], dtype=np.uint8)
    grid = DieGrid.centred(status, 300.0)
    rows = np.flatnonzero(status == FAIL)
    good = a_map(0, die_level=True, dies=grid, defects=grid.positions_mm(rows), source_rows=rows)
    bare = a_map(1, die_level=True, dies=DieGrid.centred(np.zeros((2, 2), dtype=np.uint8), 300.0))
    first, second = round_trip([good, bare], tmp_path, version)
    assert first.defects == pytest.approx(np.array([[-100.0, 0.0], [100.0, 0.0]]), abs=NM)
    assert first.dies is not None and first.dies.status.tolist() == status.tolist()
    assert second.dies is None and len(second.defects) == 2


def test_an_existing_file_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "out.klarf"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="exists already"):
        write([a_map()], path)
    assert path.read_text() == "mine"
    assert [found.name for found in tmp_path.iterdir()] == ["out.klarf"]


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write([a_map()], tmp_path / "out.klarf")
    assert list(tmp_path.iterdir()) == []


def test_wrong_use(tmp_path: Path) -> None:
    path = tmp_path / "out.klarf"
    with pytest.raises(ValueError, match=r"1\.2 or 1\.8"):
        write([a_map()], path, "2.0")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one"):
        write([], path)
    with pytest.raises(ValueError, match="2 classes are given for 1 wafer maps"):
        write([a_map()], path, classes=[Found("a", "known", 1.0)] * 2)
    assert not path.exists()
