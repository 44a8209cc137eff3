from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from pipelines.wafer.data import FailedMap, WaferMap, read_file, stdf
from tests.pipelines.wafer.data import builders
from tests.pipelines.wafer.data.builders import stdf_part


@pytest.fixture
def package() -> None:
    pytest.importorskip("Semi_ATE.STDF", reason="the extra stdf (pip install semi-ate-stdf) is not installed")


def read_one(data: bytes) -> WaferMap:
    (wafer,) = stdf.read(data, Path("sort.stdf"))
    assert isinstance(wafer, WaferMap), wafer
    return wafer


def test_without_the_package_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(stdf, "import_module", missing)
    path = tmp_path / "sort.stdf"
    path.write_bytes(builders.stdf())
    (failed,) = read_file(path)
    assert isinstance(failed, FailedMap)
    assert "pip install semi-ate-stdf" in failed.error


@pytest.mark.usefixtures("package")
class TestWithThePackage:
    @pytest.mark.parametrize("notch", builders.DRAWN)
    def test_one_wafer(self, notch: str) -> None:
        data = builders.stdf(notch=notch)
        assert stdf.looks_like(data)
        wafer = read_one(data)
        assert wafer.dies is not None
        np.testing.assert_array_equal(wafer.dies.status, builders.UPRIGHT)
        np.testing.assert_allclose(wafer.defects, builders.DEFECTS_MM)
        assert (wafer.lot, wafer.wafer, wafer.device, wafer.tool) == ("L1", "07", "chip", "tester")
        assert (wafer.diameter_mm, wafer.die_pitch_mm, wafer.notch) == (300.0, builders.PITCH_MM, notch)
        assert wafer.timestamp is not None
        assert wafer.timestamp.year == 2008

    def test_last_result_of_a_die_counts(self) -> None:
        parts = [stdf_part(0, 0, fails=True), stdf_part(1, 0, fails=False), stdf_part(2, 0, fails=False)]
        wafer = read_one(builders.stdf(*parts, stdf_part(0, 0, fails=False), stdf_part(2, 0, fails=True)))
        assert wafer.dies is not None
        assert wafer.dies.status.tolist() == [[1, 1, 2]]
        assert "2 dies were tested again; the last result counts" in wafer.notes

    def test_hard_bin_decides_where_the_flag_says_nothing(self) -> None:
        parts = [stdf_part(x, 0, fails=False, hard_bin=bin, flags=0x10) for x, bin in enumerate((1, 5))]
        wafer = read_one(builders.stdf(*parts))
        assert wafer.dies is not None
        assert wafer.dies.status.tolist() == [[1, 2]]

    def test_results_without_a_position_are_left_out(self) -> None:
        wafer = read_one(builders.stdf(stdf_part(0, 0, fails=False), stdf_part(-32768, -32768, fails=True)))
        assert wafer.notes == ("1 results without a position were left out",)

    def test_several_wafers_of_which_one_has_no_position(self) -> None:
        one = builders.stdf()
        start = one.index(builders.stdf_record((2, 10), b"\x01\xff")[2:4])
        start -= 2
        more = builders.stdf(stdf_part(-32768, 0, fails=True), wafer="08")
        first, bad = stdf.read(one + more[start:], Path("sort.stdf"))
        assert isinstance(first, WaferMap)
        assert bad == FailedMap(Path("sort.stdf"), 1, "no die of wafer 08 has a position")

    def test_a_part_reads_as_the_package_reads_it(self) -> None:
        part = stdf_part(-3, 4, fails=True, hard_bin=9)
        whole = import_module("Semi_ATE.STDF").PRR("V4", "<", part)
        wafer = stdf._Wafer("", 0)
        stdf._add_part(part, "<", {whole.get_value("HEAD_NUM"): wafer})
        fails = whole.get_value("PART_FLG")[4] == "1"  # bits from the left, so this is bit 3
        assert (
            wafer.parts
            == [(whole.get_value("X_COORD"), whole.get_value("Y_COORD"), fails)]
            == [(-3, 4, True)]
        )

    def test_a_hundred_thousand_parts(self) -> None:
        parts = [stdf_part(x, y, fails=False) for x in range(400) for y in range(250)]
        data = builders.stdf(*parts)
        wafer = read_one(data)
        assert wafer.dies is not None
        assert (wafer.dies.status == 1).sum() == 100_000
